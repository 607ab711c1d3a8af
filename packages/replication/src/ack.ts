import { ByteReader, ByteWriter } from "@tidemark/core";
import { Vector } from "@tidemark/wal";
import { decoding } from "./decoding.ts";

/** What one member holds durably, said by itself. */
export interface Ack {
  /** The highest epoch of the sender's own logs that it holds; 0 when it has none. */
  readonly epoch: number;
  /** The list of members it was said under. */
  readonly membershipVersion: number;
  /** The oldest op format its folds cannot read is above this. */
  readonly foldVersion: number;
  /** Durable and applied positions of all logs: own, foreign, of removed members, of old epochs. */
  readonly vector: Vector;
}

/** Writes an ack: epoch u32, membership version u32, fold version u16, vector. */
export function writeAck(writer: ByteWriter, ack: Ack): void {
  writer.u32(ack.epoch);
  writer.u32(ack.membershipVersion);
  writer.u16(ack.foldVersion);
  ack.vector.write(writer);
}

/** Reads what {@link writeAck} wrote. @throws `CoreError` `DECODE_FAILED`. */
export function readAck(reader: ByteReader): Ack {
  return {
    epoch: reader.u32(),
    membershipVersion: reader.u32(),
    foldVersion: reader.u16(),
    vector: Vector.read(reader),
  };
}

/** The body of an ack frame. */
export function encodeAck(ack: Ack): Uint8Array {
  const writer = new ByteWriter();
  writeAck(writer, ack);
  return writer.take();
}

/** The inverse of {@link encodeAck}. @throws `ReplicationError` `MESSAGE_MALFORMED`. */
export function decodeAck(bytes: Uint8Array): Ack {
  return decoding("an ack", () => {
    const reader = new ByteReader(bytes);
    const ack = readAck(reader);
    reader.finish();
    return ack;
  });
}
