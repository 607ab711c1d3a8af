import { ByteReader, ByteWriter } from "@tidemark/core";
import { bytesOfHex, hexOf } from "./hex.ts";
import type { Lane } from "./lane-id.ts";

/** A lane of a region. */
export const LANE_TAG_REGION = 1;
/** A lane of a client. */
export const LANE_TAG_CLIENT = 2;
/** Bytes of a client's producer id. */
export const PRODUCER_BYTES = 16;

/** The bytes of a lane as an operation carries them: tag, region or producer, epoch. */
export function laneBytesOf(lane: Lane): Uint8Array {
  const writer = new ByteWriter(32);
  if ("producer" in lane) {
    writer.u8(LANE_TAG_CLIENT);
    writer.raw(bytesOfHex(lane.producer));
  } else {
    writer.u8(LANE_TAG_REGION);
    writer.u16(lane.region);
  }
  writer.u32(lane.epoch);
  return writer.take();
}

/** The lane of its bytes, or `undefined` if they are none. */
export function laneOfBytes(bytes: Uint8Array): Lane | undefined {
  const reader = new ByteReader(bytes);
  if (bytes.length === 7 && bytes[0] === LANE_TAG_REGION) {
    reader.u8();
    return { region: reader.u16(), epoch: reader.u32() };
  }
  if (bytes.length !== 5 + PRODUCER_BYTES || bytes[0] !== LANE_TAG_CLIENT) return undefined;
  reader.u8();
  return { producer: hexOf(reader.view(PRODUCER_BYTES)), epoch: reader.u32() };
}
