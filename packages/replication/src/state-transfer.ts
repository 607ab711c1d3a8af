import { formatLogId, type Channel, type LogId } from "@tidemark/core";
import type { Log, Timers, Vector, Wal } from "@tidemark/wal";
import type { Applier } from "./applier.ts";
import { Backoff } from "./backoff.ts";
import { ReplicationError } from "./errors.ts";
import type { ReplicationLimits } from "./limits.ts";
import type { Link } from "./link.ts";
import type { ReplicationLogger } from "./logger.ts";
import type { PeerTable } from "./peer-table.ts";
import type { Receiver } from "./receiver.ts";
import type { Repair } from "./repair.ts";
import type { Replicated } from "./replicated.ts";
import type { ReplicationState } from "./replication-state.ts";
import type { CheckpointPlace } from "./snapshot-install.ts";
import { SnapshotRestore } from "./snapshot-restore.ts";
import { Standstill } from "./standstill.ts";
import type { WriteGate } from "./write-gate.ts";

/** What {@link StateTransfer} works with. */
export interface StateTransferOptions {
  readonly place: CheckpointPlace | undefined;
  readonly wal: Wal;
  readonly timers: Timers;
  readonly limits: ReplicationLimits;
  readonly logger: ReplicationLogger;
  readonly link: Link;
  readonly peers: PeerTable;
  readonly channels: ReadonlyMap<Channel, Replicated>;
  readonly state: ReplicationState;
  readonly applier: Applier;
  readonly receiver: Receiver;
  readonly repair: Repair;
  readonly gate: WriteGate;
  /** Ends what else touches files of logs, until `resumed`. */
  readonly hold: () => Promise<void>;
  /** The state was replaced: vectors are exchanged again, and what is stable is told again. */
  readonly resumed: () => void;
}

/** Replaces all state while a region runs: by a member's snapshot, when logs no longer lead there, or by a replay. */
export class StateTransfer {
  readonly standstill: Standstill;
  readonly snapshots: SnapshotRestore;
  /** What is stored begins above what the state covers: nothing may be served before a snapshot came. */
  lost: boolean = false;
  readonly #options: StateTransferOptions;
  #getting: Promise<void> | undefined;
  #held: Vector | undefined;

  constructor(options: StateTransferOptions) {
    this.#options = options;
    const { wal, gate, receiver, applier, state } = options;
    this.standstill = new Standstill({
      wal,
      gate,
      receiver,
      applier,
      state,
      hold: options.hold,
      still: (vector) => {
        this.#held = vector;
      },
      follow: (log) => this.follow(log),
      resumed: () => {
        this.#held = undefined;
        options.repair.reset();
        options.resumed();
      },
    });
    this.snapshots = new SnapshotRestore({ ...options, standstill: this.standstill });
  }

  /** What this region tells that it holds: also while the state is replaced, for its logs are there all the time. */
  get vector(): Vector {
    return this.#held ?? this.#options.state.vector();
  }

  /** Whether the state cannot be served now. */
  get unready(): boolean {
    return this.lost || this.#options.gate.closed;
  }

  /**
   * Follows a log from where the state is. What is gone between the two takes a snapshot.
   *
   * @throws {@link ReplicationError} `LOG_TRIMMED` where none can be had.
   */
  async follow(log: Log): Promise<void> {
    const { applier, repair, state, peers } = this.#options;
    try {
      await applier.attach(log);
    } catch (error) {
      const trimmed = error instanceof ReplicationError && error.code === "LOG_TRIMMED";
      if (!trimmed || !this.snapshots.possible || peers.size === 0) throw error;
      applier.stop(log.id, state.lsnOf(log.id) + 1, error);
      repair.trimmed.set(formatLogId(log.id), log.first);
      this.lost = true;
    }
  }

  /** Members no longer hold what is missing of a log: a snapshot is taken. */
  need(id?: LogId): void {
    if (!this.snapshots.possible || this.#getting !== undefined) return;
    this.#options.logger.warn(
      id === undefined ? {} : { log: formatLogId(id) },
      "Logs alone do not lead to the state of the members: a snapshot is needed",
    );
    // It ends when the region does.
    this.obtain().catch(() => undefined);
  }

  /** Takes a snapshot of whichever member gives one, trying again until there is one. Calls meanwhile share it. */
  obtain(): Promise<void> {
    this.#getting ??= this.#obtain().finally(() => {
      this.#getting = undefined;
    });
    return this.#getting;
  }

  async #obtain(): Promise<void> {
    const { link, timers, limits } = this.#options;
    const backoff = new Backoff(timers, limits.retryMs);
    for (;;) {
      link.signal.throwIfAborted();
      try {
        await this.restore();
        return;
      } catch {
        // It was reported; a member may be there, or have room, a little later.
        await backoff.pause(link.signal);
      }
    }
  }

  /** Takes a member's state. */
  async restore(peer?: Parameters<SnapshotRestore["restore"]>[0]): Promise<Vector> {
    const covered = await this.snapshots.restore(peer);
    this.lost = [...this.#options.wal.logs()].some(
      ({ id, first }) => first > this.#options.state.lsnOf(id) + 1,
    );
    return covered;
  }

  /** Resolves once nothing is under way; the link has to be closed before. */
  async close(): Promise<void> {
    await this.#getting?.catch(() => undefined);
    await this.snapshots.close();
    await this.standstill.close();
  }
}
