import type { Hasher } from "@tidemark/core";
import { checkBounds } from "./check-bounds.ts";
import { checkClients } from "./check-client.ts";
import { checkClock } from "./check-clock.ts";
import { checkDigest } from "./check-digest.ts";
import { checkDurable } from "./check-durable.ts";
import { checkErased } from "./check-erased.ts";
import { checkHidden } from "./check-hidden.ts";
import { checkLag } from "./check-lag.ts";
import { checkOnce } from "./check-once.ts";
import { checkOrder } from "./check-order.ts";
import { checkPrefix } from "./check-prefix.ts";
import { checkTokens } from "./check-tokens.ts";
import { Evidence } from "./evidence.ts";
import type { FinalState } from "./final-state.ts";
import type { HistoryEvent } from "./history-events.ts";
import type { Violation } from "./violation.ts";

/** What a history is judged with. */
export interface CheckOptions {
  /** @defaultValue the portable one of `@tidemark/core` */
  readonly hasher?: Hasher;
}

/** By letter, what looks for violations of it. */
const CHECKS: readonly ((evidence: Evidence) => Iterable<Violation>)[] = [
  checkDurable,
  checkOnce,
  checkOrder,
  checkPrefix,
  checkHidden,
  checkErased,
  checkDigest,
  checkClock,
  checkBounds,
  checkTokens,
  checkLag,
  checkClients,
];

/**
 * Judges a run by its history and what every region shows and holds in the end: plain data, so that a history of real
 * processes is judged like a simulated one.
 *
 * Texts, queries and values of hints must each come from one write (and its retries): that is how a read is understood.
 *
 * @param finals - Of every member, once everything works again and all have everything; without them only what was seen
 * on the way is judged.
 * @returns Everything that does not hold, by invariant.
 */
export function checkHistory(
  history: readonly HistoryEvent[],
  finals: readonly FinalState[],
  options: CheckOptions = {},
): Violation[] {
  const evidence = new Evidence(history, finals, options.hasher);
  return CHECKS.flatMap((check) => [...check(evidence)]);
}
