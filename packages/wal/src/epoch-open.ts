import { ByteReader, ByteWriter } from "@tidemark/core";
import { BATCH_DIGEST_BYTES } from "./batch-header.ts";

/** Where an earlier epoch ends as far as its owner holds it. */
export interface EpochEnd {
  readonly epoch: number;
  readonly lsn: number;
  /** 16 bytes: the digest of the batch that ends at `lsn`. */
  readonly digest: Uint8Array;
}

const BODY_BYTES = 28;

/**
 * Encodes the body of the first record of an epoch (type 0x03): previous epoch u32, LSN u64, digest 16.
 * Zeros where there was none before.
 */
export function encodeEpochOpen(previous: EpochEnd | undefined): Uint8Array {
  const writer = new ByteWriter(BODY_BYTES);
  writer.u32(previous?.epoch ?? 0);
  writer.u64(previous?.lsn ?? 0);
  writer.raw(previous?.digest ?? new Uint8Array(BATCH_DIGEST_BYTES));
  return writer.take();
}

/** Decodes {@link encodeEpochOpen}. @throws `CoreError` `DECODE_FAILED`. */
export function decodeEpochOpen(body: Uint8Array): EpochEnd {
  const reader = new ByteReader(body);
  const end = { epoch: reader.u32(), lsn: reader.u64(), digest: reader.view(BATCH_DIGEST_BYTES).slice() };
  reader.finish();
  return end;
}
