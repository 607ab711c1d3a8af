import { REGION_DEFAULTS } from "@tidemark/region";
import type { Region } from "@tidemark/region";
import { DEFAULT_REPLICATION_LIMITS } from "@tidemark/replication";
import type { History } from "./history.ts";

/** What {@link converge} waits in. */
export interface ConvergeOptions {
  readonly time: { now(): number; advance(ms: number): Promise<void> };
  readonly history: History;
  /** The members that are open. */
  readonly regions: () => readonly Region[];
  /** The longest way of a frame there and back. @defaultValue 20 */
  readonly roundTripMs?: number;
  /** Windows of frames that the longest transfer takes. @defaultValue 1 */
  readonly windows?: number;
  /**
   * What an operator does where regions ask for one, once it takes longer than it may: whether anything was done. From
   * then on it may take as long again.
   */
  readonly mend?: () => Promise<boolean>;
  /** How much longer than it may take is waited before it is given up. @defaultValue 4 times as long */
  readonly patience?: number;
}

/** How often it is looked at, at least, and as a part of what has passed. */
const LOOK_MS = 10;
const LOOKS = 20;
/** How often an operator looks. */
const MENDS_MAX = 2;

/**
 * How long regions may take from the moment everything works to having everything: three round trips and one for each
 * window, what a question that was under way costs until it is asked again, and a beat of the heart for who is silent.
 */
export function lagBoundMs({
  roundTripMs = 20,
  windows = 1,
}: Pick<ConvergeOptions, "roundTripMs" | "windows"> = {}): number {
  const { heartbeatMs, requestTimeoutMs, peerSilentMs } = REGION_DEFAULTS;
  const { retryMs } = DEFAULT_REPLICATION_LIMITS;
  return (3 + windows) * roundTripMs + requestTimeoutMs + retryMs.max + 2 * heartbeatMs + peerSilentMs;
}

/** Lets time pass until all regions have everything, and notes in the history how long that took. */
export async function converge(options: ConvergeOptions): Promise<void> {
  const { time, history, regions, mend, patience = 4 } = options;
  const boundMs = lagBoundMs(options);
  let healedAt = time.now();
  let mends = 0;
  for (;;) {
    const missing = missingOf(regions());
    const tookMs = time.now() - healedAt;
    if (missing === undefined) {
      history.converged({ healedAt, convergedAt: time.now(), boundMs });
      return;
    }
    if (tookMs > boundMs && mend !== undefined && mends < MENDS_MAX) {
      mends += 1;
      if (await mend()) {
        healedAt = time.now();
        continue;
      }
    }
    if (tookMs > boundMs * patience) {
      history.converged({ healedAt, boundMs, missing });
      return;
    }
    await time.advance(Math.max(LOOK_MS, tookMs / LOOKS));
  }
}

/** What regions do not have of each other, in words; `undefined` once all have everything and all of it is stable. */
export function missingOf(regions: readonly Region[]): string | undefined {
  for (const region of regions) {
    const { status, peers, logs, unhidesPending, queue } = region.metrics();
    const log = logs.find(({ state, appliedLsn, knownLsn, stableLsn }) => {
      return state === "stopped" || appliedLsn < knownLsn || stableLsn < appliedLsn;
    });
    const lagging = peers.find(({ lagRecords }) => lagRecords > 0);
    if (status !== "ready") return `${region.name} is ${status}: ${region.health().reasons.join("; ")}`;
    if (lagging !== undefined) return `${lagging.peer} lacks ${lagging.lagRecords} records of ${region.name}`;
    if (log !== undefined)
      return `${log.log} in ${region.name}: ${log.state}, applied ${log.appliedLsn} of ${log.knownLsn}, stable ${log.stableLsn}`;
    if (unhidesPending > 0) return `${unhidesPending} unhides wait in ${region.name}`;
    if (queue.records > 0) return `${queue.records} records wait to be written in ${region.name}`;
  }
  const vectors = regions.map((region) => JSON.stringify(region.certificate().vector));
  return new Set(vectors).size > 1 ? `their vectors differ: ${vectors.join(" ")}` : undefined;
}
