import type { LogId } from "@tidemark/core";
import type { LsnRange, Timers, VectorEntry, Wal } from "@tidemark/wal";
import { equalBytes } from "./equal-bytes.ts";
import type { Receiver } from "./receiver.ts";
import {
  planReconciliation,
  type ReconciliationPlan,
  type ReconciliationSide,
} from "./reconciliation-plan.ts";
import type { Repair } from "./repair.ts";

/** What a {@link ReconciliationEngine} sets in motion. */
export interface ReconciliationTarget {
  /** Whether a range is still missing here, and not on its way: nothing is asked for twice. */
  isMissing(range: LsnRange): boolean;
  /** Fetches a range of whoever holds it; `urgent` without waiting for frames under way. */
  fetch(range: LsnRange, urgent: boolean): void;
  /** The digest stored at a position: `undefined` if the position is not held, empty if no batch ends there. */
  digestAt(entry: VectorEntry): Promise<Uint8Array | undefined>;
  /** Another digest is stored than the other side has. */
  forked(log: LogId, lsn: number, held: Uint8Array, theirs: Uint8Array): void;
}

/**
 * Brings this side to what the other one holds: the one place that decides which ranges are missing from whom.
 *
 * `plan` is a pure function of the two sides. `apply` sets a plan in motion against what is held by then, so that a plan may
 * be applied twice, late, after a crash or while writes go on: what came meanwhile is not asked for again. What it costs
 * grows with the difference.
 */
export class ReconciliationEngine {
  readonly #target: ReconciliationTarget;

  constructor(target: ReconciliationTarget) {
    this.#target = target;
  }

  plan(local: ReconciliationSide, remote: ReconciliationSide): ReconciliationPlan {
    return planReconciliation(local, remote);
  }

  /** Asks for what is missing, and compares what both hold; resolves once all comparisons are done. */
  async apply(plan: ReconciliationPlan, options: { readonly urgent?: boolean } = {}): Promise<void> {
    const { urgent = true } = options;
    this.fetch(plan, urgent);
    for (const { log, lsn, theirs } of plan.forked) await this.#compare({ log, lsn, digest: theirs });
    for (const entry of plan.inside) await this.#compare(entry);
  }

  /** The first half of {@link apply}: what an ack sets in motion at once. */
  fetch(plan: ReconciliationPlan, urgent: boolean): void {
    for (const range of plan.missing) if (this.#target.isMissing(range)) this.#target.fetch(range, urgent);
  }

  /** A digest that differs at an LSN both hold is a fork, seen before any byte of it moves. */
  async #compare(entry: VectorEntry): Promise<void> {
    const held = await this.#target.digestAt(entry);
    if (held === undefined || equalBytes(held.subarray(0, entry.digest.length), entry.digest)) return;
    this.#target.forked(entry.log, entry.lsn, held, entry.digest);
  }
}

/** Fetches through the receiver and the repair of a running region, and compares with what its logs hold. */
export function reconcileThrough(options: {
  readonly wal: Wal;
  readonly receiver: Receiver;
  readonly repair: Repair;
  readonly timers: Timers;
  readonly isOwn: (log: LogId) => boolean;
}): ReconciliationTarget {
  const { wal, receiver, repair, timers, isOwn } = options;
  return {
    isMissing: ({ log, to }) => !isOwn(log) && to > (wal.log(log)?.durable.lsn ?? 0),
    fetch({ log, to }, urgent) {
      receiver.of(log).machine.announce(timers.now(), to);
      if (urgent) repair.hurry(log);
    },
    async digestAt({ log: id, lsn }) {
      const log = wal.log(id);
      if (log === undefined || lsn > log.durable.lsn || lsn < log.first - 1) return undefined;
      // A base whose digest nobody remembers says nothing.
      if (lsn === log.durable.lsn && lsn < log.first && log.durable.digest.every((byte) => byte === 0))
        return undefined;
      // No batch of ours ends where one of theirs does: the bytes differ, whatever they are.
      return (lsn === log.durable.lsn ? log.durable.digest : await log.digestAt(lsn)) ?? new Uint8Array(0);
    },
    forked: (log, lsn, held, theirs) =>
      receiver.reportFork(log, { log, lsn, held, offered: theirs, batch: undefined }),
  };
}
