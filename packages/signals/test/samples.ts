import { nobleHasher } from "@tidemark/core";
import { defineSignals, SignalLedger, type SignalSchema } from "../src/index.ts";

export const HOUR = 3_600_000;
export const DAY: number = 24 * HOUR;
export const NOW = 1_790_000_000_000;

/** A signal of each kind. */
export const DEFINITIONS = [
  { name: "save", halfLifeMs: 7 * DAY, windows: ["24h", "7d"], velocity: true },
  { name: "skip", linearMs: DAY, windows: ["1h", "all"] },
  { name: "bought", permanent: true },
  { name: "view", halfLifeMs: HOUR, windows: ["1h", "24h", "7d"], velocity: true },
] as const;
export const SCHEMA: SignalSchema<"bought" | "save" | "skip" | "view"> = defineSignals(DEFINITIONS);

export const NAMES = ["bought", "save", "skip", "view"] as const;

export interface Contribution {
  readonly entity: string;
  readonly signal: (typeof NAMES)[number];
  readonly weight: number;
  readonly eventTimeMs: number;
}

export function ledgerOf(list: readonly Contribution[]): SignalLedger<(typeof NAMES)[number]> {
  const ledger = new SignalLedger({ hasher: nobleHasher, schema: SCHEMA });
  for (const one of list) ledger.record(one);
  return ledger;
}

export const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
export const unhex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text.trim(), "hex"));
