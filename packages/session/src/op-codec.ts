import {
  ByteWriter,
  guardSafe,
  guardUpTo,
  HLC_COUNTER_MAX,
  HLC_WALL_MS_MAX,
  varintBytes,
} from "@tidemark/core";
import { bytesOfHex } from "./hex.ts";
import { LANE_TAG_CLIENT, LANE_TAG_REGION, PRODUCER_BYTES } from "./lane-bytes.ts";
import type { ClientLane, RegionLane } from "./lane-id.ts";
import type { Op } from "./op.ts";
import { OP_KIND_CODE } from "./op-kinds.ts";
import { hasSealed, writeClear, writeSealed } from "./op-parts.ts";
import { UUID_BYTES, writeUuid } from "./session-id-bytes.ts";
import { associatedData, type UserSeal } from "./user-seal.ts";

/** The version of the layout. */
export const OP_VERSION = 1;
/** The operation has a tag and a request digest. */
export const OP_FLAG_OPERATION = 1;
/** The operation has a sealed part. */
export const OP_FLAG_SEALED = 2;
/** A client owns the lane. */
export const OP_FLAG_CLIENT_LANE = 4;
/** More than a header takes beside the text of its session. */
const HEAD_BYTES = 96;

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
 * Under a user's key every operation has a sealed part: the pseudonym 16 alone where nothing is to be sealed, else
 * pseudonym 16, nonce 24, and what {@link writeSealed} writes as ciphertext and tag ({@link UserSeal}).
 *
 * @param seal - The key that `op.userKey` is the generation of; left out for 0.
 * @throws `RangeError` if a number does not fit; the caller has checked the texts.
 */
export function encodeOp(writer: ByteWriter, op: Op, seal?: UserSeal): void {
  const { lane, operation, stamp, session } = op;
  if (op.userKey !== (seal?.generation ?? 0))
    throw new RangeError(`userKey must be the generation of the key: ${op.userKey}`);
  const sealed = seal !== undefined || hasSealed(op);
  const { producer } = lane as Partial<ClientLane>;
  const { wallMs, counter, clockId } = stamp;
  guardSafe(op.seqno, "seqno", 1);
  guardUpTo(wallMs, "wallMs", HLC_WALL_MS_MAX);
  guardUpTo(counter, "counter", HLC_COUNTER_MAX);
  guardUpTo(clockId, "clockId", 0xffff);
  guardUpTo(lane.epoch, "epoch", 0xffff_ffff);
  guardUpTo(op.userKey, "userKey", 0xffff_ffff);
  writer.reserve(HEAD_BYTES);
  let { bytes } = writer;
  let at = writer.length;
  bytes[at] = OP_VERSION;
  bytes[at + 1] = OP_KIND_CODE[op.kind];
  bytes[at + 2] =
    (operation === undefined ? 0 : OP_FLAG_OPERATION) |
    (sealed ? OP_FLAG_SEALED : 0) |
    (producer === undefined ? 0 : OP_FLAG_CLIENT_LANE);
  if (writeUuid(session, bytes, at + 4)) {
    bytes[at + 3] = 0;
    at += 4 + UUID_BYTES;
  } else {
    writer.length = at + 3;
    writer.text(session);
    writer.reserve(HEAD_BYTES);
    at = writer.length;
    bytes = writer.bytes;
  }
  const laneAt = at;
  if (producer !== undefined) {
    bytes[at] = LANE_TAG_CLIENT;
    bytes.set(bytesOfHex(producer), at + 1);
    at += 1 + PRODUCER_BYTES;
  } else {
    const region = guardUpTo((lane as RegionLane).region, "region", 0xffff);
    bytes[at] = LANE_TAG_REGION;
    bytes[at + 1] = region;
    bytes[at + 2] = region >>> 8;
    at += 3;
  }
  at = u32(bytes, at, lane.epoch);
  const laneEnd = at;
  writer.length = at;
  writer.varint(op.seqno);
  at = writer.length;
  const high = Math.floor(wallMs / 0x1_0000_0000);
  bytes[at] = high >>> 8;
  bytes[at + 1] = high;
  bytes[at + 2] = wallMs >>> 24;
  bytes[at + 3] = wallMs >>> 16;
  bytes[at + 4] = wallMs >>> 8;
  bytes[at + 5] = wallMs;
  bytes[at + 6] = counter >>> 8;
  bytes[at + 7] = counter;
  bytes[at + 8] = clockId >>> 8;
  bytes[at + 9] = clockId;
  at = u32(bytes, at + 10, op.userKey);
  if (operation !== undefined) {
    bytes.set(operation.tag, at);
    bytes.set(operation.digest, at + 8);
    at += 16;
  }
  writer.length = at + 1;
  writeClear(writer, op);
  closePart(writer, at);
  if (!sealed) return;
  const sealedAt = writer.length;
  writer.u8(0);
  if (seal === undefined) writeSealed(writer, op);
  else if (!hasSealed(op)) writer.raw(seal.pseudonym);
  else {
    const plain = new ByteWriter(256);
    writeSealed(plain, op);
    const place = associatedData(session, bytes.slice(laneAt, laneEnd), op.seqno, OP_KIND_CODE[op.kind]);
    seal.seal(writer, plain.view(), place);
  }
  closePart(writer, sealedAt);
}

function u32(bytes: Uint8Array, at: number, value: number): number {
  bytes[at] = value;
  bytes[at + 1] = value >>> 8;
  bytes[at + 2] = value >>> 16;
  bytes[at + 3] = value >>> 24;
  return at + 4;
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
