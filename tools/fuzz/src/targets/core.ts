import {
  ByteReader,
  ByteWriter,
  CrdtSignalState,
  HideSet,
  LWWRegister,
  LwwMap,
  PNCounter,
  SignalSums,
  formatLogId,
  formatWalSegmentId,
  parseLogId,
  parseWalSegmentId,
  textCodec,
} from "@tidemark/core";
import { goldenHex } from "../corpus.ts";
import { bytesOf, decoderTarget, type FuzzTarget } from "../target.ts";
import { textTarget } from "../text-target.ts";

/** The states that replicas exchange, and the names of logs. */
export const CORE: readonly FuzzTarget[] = [
  decoderTarget({
    name: "core-pn-counter",
    seeds: () => goldenHex("core", /^pn-counter/),
    decode: PNCounter.decode,
    encode: (counter) => counter.encode(),
    grow: (bytes) => {
      const counter = new PNCounter();
      for (let replica = 0; replica * 5 < bytes; replica++) counter.increment(replica, 1 + replica);
      return counter.encode();
    },
  }),
  decoderTarget({
    name: "core-lww-register",
    seeds: () => goldenHex("core", /^lww-register/),
    decode: (bytes) => LWWRegister.decode(bytes, textCodec),
    encode: (register) => register.encode(),
  }),
  decoderTarget({
    name: "core-lww-map",
    seeds: () => goldenHex("core", /^lww-map/),
    decode: (bytes) => LwwMap.decode(bytes),
    encode: (map) => map.encode(),
    heapPerByte: 512,
    grow: (bytes) => {
      const map = new LwwMap();
      for (let key = 0; key * 12 < bytes; key++)
        map.set(`key ${key}`, bytesOf("v"), { wallMs: 1_790_000_000_000 + key, counter: 0, clockId: 1 });
      return map.encode();
    },
  }),
  decoderTarget({
    name: "core-hide-set",
    seeds: () => goldenHex("core", /^hide-set/),
    decode: HideSet.decode,
    encode: (set) => set.encode(),
    heapPerByte: 256,
    grow: (bytes) => {
      const set = new HideSet();
      for (let item = 0; item * 26 < bytes; item++) {
        set.hide("hide", `item ${item % 1000}`, String(item).padStart(16, "0"));
      }
      return set.encode();
    },
  }),
  decoderTarget({
    name: "core-signal-sums",
    seeds: () => goldenHex("core", /^signal-sums/),
    decode: (bytes) => {
      const reader = new ByteReader(bytes);
      const sums = SignalSums.decode(reader);
      reader.finish();
      return sums;
    },
    encode: (sums) => {
      const writer = new ByteWriter();
      sums.encode(writer);
      return writer.take();
    },
    heapPerByte: 512,
  }),
  decoderTarget({
    name: "core-crdt-signal-state",
    seeds: () => goldenHex("core", /^crdt-signal-state/),
    decode: CrdtSignalState.decode,
    encode: (state) => state.encode(),
    heapPerByte: 512,
  }),
  textTarget({
    name: "core-log-id",
    seeds: ["sessions:r00001-s00007-e1790000000", "signals:r65535-s65535-e4294967295"],
    parse: parseLogId,
    format: formatLogId,
  }),
  textTarget({
    name: "core-wal-segment-id",
    seeds: ["1:0:1", "65535:65535:9007199254740991"],
    parse: parseWalSegmentId,
    format: formatWalSegmentId,
  }),
];
