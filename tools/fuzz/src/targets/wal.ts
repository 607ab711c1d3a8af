import { HASH_CONTEXTS, logId, nobleHasher } from "@tidemark/core";
import {
  Vector,
  decodeBatch,
  decodeBatches,
  decodeCheckpoint,
  decodeEpochOpen,
  decodeWatermark,
  encodeCheckpoint,
  encodeEpochOpen,
  encodeWatermark,
  formatSegmentName,
  parseSegmentName,
} from "@tidemark/wal";
import { golden } from "../corpus.ts";
import { decoderTarget, type FuzzTarget } from "../target.ts";
import { textTarget } from "../text-target.ts";

const HEADER_BYTES = 64;
const DIGEST_BYTES = 32;

/** The files of a log, and what they are called. */
export const WAL: readonly FuzzTarget[] = [
  decoderTarget({
    name: "wal-batch",
    seeds: () => golden("wal", /\.wal$/),
    decode: (bytes) => {
      const { bytes: own, records } = decodeBatch(bytes, 0, nobleHasher);
      return { own, records };
    },
    seal: sealBatch,
  }),
  decoderTarget({
    name: "wal-batches",
    seeds: () => golden("wal", /\.wal$/),
    decode: (bytes) => {
      const batches = [...decodeBatches(bytes, nobleHasher)];
      return batches.map((batch) => ({ batch, records: [...batch.records()] }));
    },
    encode: (batches) => Buffer.concat(batches.map(({ batch }) => batch.bytes)),
    seal: sealBatch,
    heapPerByte: 256,
    grow: (bytes) => {
      const grown = new Uint8Array(HEADER_BYTES + bytes - (bytes % 2));
      grown.set((golden("wal", /^v2.*\.wal$/)[0] as Uint8Array).subarray(0, HEADER_BYTES));
      for (let at = HEADER_BYTES; at < grown.length; at += 2) grown.set([1, 2], at);
      new DataView(grown.buffer).setUint32(16, (grown.length - HEADER_BYTES) / 2, true);
      return sealBatch(grown);
    },
  }),
  decoderTarget({
    name: "wal-vector",
    seeds: () => golden("wal", /\.vector$/),
    decode: Vector.decode,
    encode: (vector) => vector.encode(),
    heapPerByte: 256,
    grow: (bytes) => {
      const digest = new Uint8Array(8);
      const logs = Array.from({ length: Math.ceil(bytes / 18) }, (_, epoch) =>
        logId(1, 0, epoch, "sessions"),
      );
      return Vector.of(logs.map((log) => ({ log, lsn: 1, digest }))).encode();
    },
  }),
  decoderTarget({
    name: "wal-checkpoint",
    seeds: () => golden("wal", /\.tmcp$/),
    decode: (bytes) => decodeCheckpoint(bytes, nobleHasher),
    encode: (checkpoint) => encodeCheckpoint(checkpoint, nobleHasher),
    seal: (bytes) => sealTail(HASH_CONTEXTS.checkpoint, bytes),
  }),
  decoderTarget({
    name: "wal-watermark",
    seeds: () => golden("wal", /\.watermark$/),
    decode: (bytes) => decodeWatermark(bytes, nobleHasher),
    encode: (watermark) => encodeWatermark(watermark, nobleHasher),
    seal: (bytes) => sealTail(HASH_CONTEXTS.watermark, bytes),
  }),
  decoderTarget({
    name: "wal-epoch-open",
    seeds: () => [encodeEpochOpen({ epoch: 7, lsn: 300, digest: new Uint8Array(16).fill(9) })],
    decode: decodeEpochOpen,
    encode: encodeEpochOpen,
  }),
  textTarget({
    name: "wal-segment-name",
    seeds: ["r00001-s00000-e0000000010-00000000000000000001.wal", "s00007-00000000000000004096.wal"],
    parse: parseSegmentName,
    format: formatSegmentName,
  }),
];

/** Makes the length and the digest of a first batch right. */
function sealBatch(input: Uint8Array): Uint8Array {
  if (input.length < HEADER_BYTES) return input;
  const bytes = input.slice();
  new DataView(bytes.buffer).setUint32(20, bytes.length - HEADER_BYTES, true);
  const hashed = Buffer.concat([bytes.subarray(0, 48), bytes.subarray(HEADER_BYTES)]);
  const context = bytes[4] === 1 ? HASH_CONTEXTS.walBatchV1 : HASH_CONTEXTS.walBatchV2;
  bytes.set(nobleHasher.digest(context, hashed, 16), 48);
  return bytes;
}

/** Makes the digest at the end of a file right. */
export function sealTail(context: string, input: Uint8Array): Uint8Array {
  const bytes = input.slice();
  const end = Math.max(0, bytes.length - DIGEST_BYTES);
  bytes.set(
    nobleHasher.digest(context, bytes.subarray(0, end), DIGEST_BYTES).subarray(0, bytes.length - end),
    end,
  );
  return bytes;
}
