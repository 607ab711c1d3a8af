import type { Replication } from "@tidemark/replication";
import type { KeeperOp, SessionKeeper } from "@tidemark/session";
import type { Timers } from "@tidemark/wal";
import type { RegionLogger } from "./options.ts";

/** What {@link SessionKeeping} works with. */
export interface SessionKeepingOptions {
  /** Made with its fold, so that it has heard of every session that went cold. */
  readonly keeper: SessionKeeper;
  readonly replication: Replication;
  readonly timers: Timers;
  /** Wall clock, Unix milliseconds. */
  readonly now: () => number;
  /** Milliseconds between two looks. */
  readonly everyMs: number;
  /** Writes what an owner has to write. */
  readonly write: (op: KeeperOp) => Promise<unknown>;
  readonly logger: RegionLogger | undefined;
}

/** Drives a {@link SessionKeeper}: closes and purges the sessions of this region as their policies say. */
export class SessionKeeping {
  readonly #options: SessionKeepingOptions;
  readonly #keeper: SessionKeeper;
  #cancel: (() => void) | undefined;
  #closed: boolean = false;

  constructor(options: SessionKeepingOptions) {
    this.#options = options;
    this.#keeper = options.keeper;
  }

  /** Looks again and again until it is closed. */
  start(): void {
    if (this.#closed) return;
    const { timers, everyMs } = this.#options;
    this.#cancel = timers.setTimer(everyMs, () => {
      this.#look();
      this.start();
    });
  }

  /** Nothing is asked for any more; what is being written goes on. */
  close(): void {
    this.#closed = true;
    this.#cancel?.();
  }

  #look(): void {
    const { replication, now } = this.#options;
    // A region that does not serve now knows too little to judge.
    if (replication.joining || replication.fence.stage !== "open") return;
    const ops = this.#keeper.due({
      nowMs: now(),
      members: replication.membership.regions.values(),
      foldVersionMin: replication.frontier().foldVersionMin,
    });
    for (const op of ops) void this.#write(op);
  }

  async #write(op: KeeperOp): Promise<void> {
    const { write, logger } = this.#options;
    try {
      await write(op);
    } catch (error) {
      // It is still due at the next look.
      if (!this.#closed)
        logger?.warn({ err: error, kind: op.request.kind }, "Cannot write what a policy asks for");
    } finally {
      this.#keeper.done(op);
    }
  }
}
