export * from "./byte-reader.ts";
export * from "./byte-writer.ts";
export * from "./byte-strings.ts";
export * from "./compare.ts";
export * from "./crdt-signal-state.ts";
export * from "./errors.ts";
export * from "./exp2.ts";
export * from "./hasher.ts";
export { HIDE_KIND_CODE, type HideKind, hideKindOf } from "./hide-cells.ts";
export * from "./hide-ids.ts";
export * from "./hide-set.ts";
export * from "./hlc-clock.ts";
export * from "./hlc.ts";
export * from "./ids.ts";
export { LWW_KEY_BYTES_MAX } from "./lww-key.ts";
export * from "./lww-map.ts";
export * from "./lww-register.ts";
export * from "./pn-counter.ts";
export * from "./safe-integer.ts";
export {
  EPOCHS_KEPT,
  HALF_LIFE_MS_MAX,
  LINEAR_STEPS,
  LINEAR_STEPS_KEPT,
  type SignalDecay,
} from "./signal-decay.ts";
export * from "./signal-sums.ts";
export * from "./state-digest.ts";
export { bytesCodec, integerCodec, textCodec, type ValueCodec } from "./value-codec.ts";
