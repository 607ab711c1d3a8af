import { ByteWriter, nobleHasher } from "@tidemark/core";
import { SignalLedger, SignalSchema, readSignalRecord, writeSignalRecord } from "@tidemark/signals";
import { goldenHex } from "../corpus.ts";
import { decoderTarget, type FuzzTarget } from "../target.ts";

/** What decays. */
export const SIGNALS: readonly FuzzTarget[] = [
  decoderTarget({
    name: "signals-record",
    seeds: () => goldenHex("signals", /^records/),
    decode: (bytes) => readSignalRecord(bytes),
    encode: (record) => {
      const writer = new ByteWriter();
      writeSignalRecord(writer, record, Number.MAX_SAFE_INTEGER);
      return writer.take();
    },
  }),
  decoderTarget({
    name: "signals-schema",
    seeds: () => goldenHex("signals", /^schema/),
    decode: (bytes) => SignalSchema.decode(bytes),
    encode: (schema) => schema.encode(),
    heapPerByte: 512,
  }),
  decoderTarget({
    name: "signals-ledger",
    seeds: () => goldenHex("signals", /^ledger-v2/),
    decode: (bytes) => {
      const once = emptyLedger();
      once.restore(bytes);
      const snapshot = once.snapshot();
      const twice = emptyLedger();
      twice.restore(snapshot);
      if (Buffer.compare(twice.snapshot(), snapshot) !== 0)
        throw new Error("A ledger that was restored from its snapshot has another snapshot");
    },
    heapPerByte: 4096,
  }),
];

function emptyLedger(): SignalLedger {
  const [schema] = goldenHex("signals", /^schema/);
  return new SignalLedger({ hasher: nobleHasher, schema: SignalSchema.decode(schema as Uint8Array) });
}
