import {
  type ByteWriter,
  guardSafe,
  guardUpTo,
  HLC_COUNTER_MAX,
  HLC_WALL_MS_MAX,
  varintBytes,
} from "@tidemark/core";
import { bytesOfHex } from "./hex.ts";
import type { Op } from "./op.ts";
import { OP_KIND_CODE } from "./op-kinds.ts";
import { hasSealed, writeClear, writeSealed } from "./op-parts.ts";
import { isUuid, writeUuid } from "./session-id-bytes.ts";

/** The version of the layout. */
export const OP_VERSION = 1;
/** The operation has a tag and a request digest. */
export const OP_FLAG_OPERATION = 1;
/** The operation has a sealed part. */
export const OP_FLAG_SEALED = 2;
/** A client owns the lane. */
export const OP_FLAG_CLIENT_LANE = 4;
/** A lane of a region. */
export const LANE_TAG_REGION = 1;
/** A lane of a client. */
export const LANE_TAG_CLIENT = 2;
/** Bytes of a client's producer id. */
export const PRODUCER_BYTES = 16;

/**
 * Appends an operation in its one encoding.
 *
 * | bytes    | field                | notes                                                                            |
 * | -------: | :------------------- | :------------------------------------------------------------------------------- |
 * |        1 | version              | 1                                                                                |
 * |        1 | kind                 | {@link OP_KIND_CODE}                                                             |
 * |        1 | flags                | bit 0: tag and digest, bit 1: sealed part, bit 2: client-owned lane; no other    |
 * |        - | session id           | `text` of 1 to 128 bytes; a lower-case UUID is a zero byte and its 16 bytes instead |
 * |  7 or 21 | lane                 | u8 1, region u16, epoch u32; or u8 2, producer 16 bytes, epoch u32               |
 * |   varint | seqno                | from 1                                                                           |
 * |       10 | stamp                | big-endian, sorts                                                                |
 * |        4 | user key id          | u32, 0 for none: the sealed part is in the plain                                 |
 * |   8 and 8 | operation tag, request digest | if flagged; together the effect id                                     |
 * |        - | clear part           | varint length and bytes: {@link writeClear}                                      |
 * |        - | sealed part          | if flagged: varint length and bytes: {@link writeSealed}                         |
 *
 * @throws `RangeError` if a number does not fit; the caller has checked the texts.
 */
export function encodeOp(writer: ByteWriter, op: Op): void {
  const { lane, operation, stamp } = op;
  const sealed = hasSealed(op);
  const client = "producer" in lane;
  guardSafe(op.seqno, "seqno", 1);
  writer.reserve(96);
  writer.u8(OP_VERSION);
  writer.u8(OP_KIND_CODE[op.kind]);
  writer.u8(
    (operation === undefined ? 0 : OP_FLAG_OPERATION) |
      (sealed ? OP_FLAG_SEALED : 0) |
      (client ? OP_FLAG_CLIENT_LANE : 0),
  );
  writeSessionId(writer, op.session);
  if (client) {
    writer.u8(LANE_TAG_CLIENT);
    writer.raw(bytesOfHex(lane.producer));
  } else {
    writer.u8(LANE_TAG_REGION);
    writer.u16(guardUpTo(lane.region, "region", 0xffff));
  }
  writer.u32(guardUpTo(lane.epoch, "epoch", 0xffff_ffff));
  writer.varint(op.seqno);
  writer.u48be(guardUpTo(stamp.wallMs, "wallMs", HLC_WALL_MS_MAX));
  writer.u16be(guardUpTo(stamp.counter, "counter", HLC_COUNTER_MAX));
  writer.u16be(guardUpTo(stamp.clockId, "clockId", 0xffff));
  writer.u32(op.userKey);
  if (operation !== undefined) {
    writer.raw(operation.tag);
    writer.raw(operation.digest);
  }
  const clearAt = writer.length;
  writer.u8(0);
  writeClear(writer, op);
  closePart(writer, clearAt);
  if (!sealed) return;
  const sealedAt = writer.length;
  writer.u8(0);
  writeSealed(writer, op);
  closePart(writer, sealedAt);
}

function writeSessionId(writer: ByteWriter, session: string): void {
  if (!isUuid(session)) {
    writer.text(session);
    return;
  }
  writer.u8(0);
  writer.reserve(16);
  writeUuid(session, writer.bytes, writer.length);
  writer.length += 16;
}

/** Puts the length in front of what was written since: one byte was left for it, which is nearly always enough. */
function closePart(writer: ByteWriter, at: number): void {
  const from = at + 1;
  const length = writer.length - from;
  if (length < 128) {
    writer.bytes[at] = length;
    return;
  }
  const prefix = varintBytes(length);
  writer.reserve(prefix);
  writer.bytes.copyWithin(at + prefix, from, from + length);
  writer.length = at;
  writer.varint(length);
  writer.length = at + prefix + length;
}
