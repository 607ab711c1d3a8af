import { type ByteReader, type ByteWriter, CHANNEL_CODE, channelOf, logId } from "@tidemark/core";
import { decodeCarried } from "./carried-state.ts";
import { NAME_BYTES_MAX } from "./limits.ts";
import type { ForkClear, ForkSealed } from "./op.ts";

/** Bytes of the digest of a carried state. */
export const CARRIED_DIGEST_BYTES = 32;
/** A log id and the shortest LSN. */
const POSITION_BYTES = 10;

/** Writes the clear part of a fork or merge. */
export function writeForkClear(writer: ByteWriter, clear: ForkClear): void {
  writer.text(clear.policy);
  writer.u32(clear.policyVersion);
  writer.varint(clear.vector.length);
  for (const { log, lsn } of clear.vector) {
    writer.u16(log.region);
    writer.u16(log.shard);
    writer.u32(log.epoch);
    writer.u8(CHANNEL_CODE[log.channel]);
    writer.varint(lsn);
  }
  for (const parent of clear.parents) writer.text(parent);
}

/** Reads what {@link writeForkClear} wrote. @throws {@link CoreError} `DECODE_FAILED`. */
export function readForkClear(reader: ByteReader, parentCount: number): ForkClear {
  const policy = reader.text(NAME_BYTES_MAX);
  const policyVersion = reader.u32();
  const vector: ForkClear["vector"][number][] = [];
  for (let left = reader.count(POSITION_BYTES); left > 0; left--) {
    const [region, shard, epoch] = [reader.u16(), reader.u16(), reader.u32()];
    const channel = channelOf(reader.u8());
    if (channel === undefined) return reader.fail("Cannot read an unknown channel", reader.offset - 1);
    vector.push({ log: logId(region, shard, epoch, channel), lsn: reader.varint() });
  }
  const parents: string[] = [];
  for (let left = parentCount; left > 0; left--) {
    const parent = reader.text(NAME_BYTES_MAX);
    if (parent === "") reader.fail("Cannot accept an empty name");
    parents.push(parent);
  }
  return { policy, policyVersion, vector, parents };
}

/** Writes what the sealed part of a fork or merge has beyond that of a start. */
export function writeForkSealed(writer: ByteWriter, sealed: Pick<ForkSealed, "digest" | "state">): void {
  writer.raw(sealed.digest);
  writer.raw(sealed.state);
}

/** Reads what {@link writeForkSealed} wrote, to the end; the state can be decoded. @throws {@link CoreError} `DECODE_FAILED`. */
export function readForkSealed(reader: ByteReader): Pick<ForkSealed, "digest" | "state"> {
  const digest = reader.view(CARRIED_DIGEST_BYTES);
  const state = reader.view(reader.remaining);
  decodeCarried(state);
  return { digest, state };
}
