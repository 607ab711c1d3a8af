export * from "./effect-ids.ts";
export * from "./errors.ts";
export { type LedgerStats, SignalLedger, type SignalLedgerOptions } from "./signal-ledger.ts";
export { LedgerReader, type RankedEntity, type Velocity } from "./ledger-reader.ts";
export * from "./signal-effects.ts";
export * from "./signal-record.ts";
export * from "./signal-schema.ts";
