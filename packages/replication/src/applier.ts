import { formatLogId, type Channel, type LogId } from "@tidemark/core";
import type { Log, WalBatch } from "@tidemark/wal";
import { ReplicationError } from "./errors.ts";
import type { ReplicationLogger } from "./logger.ts";
import type { Replicated } from "./replicated.ts";
import type { ReplicationState } from "./replication-state.ts";

/** Applies what is durable, own and foreign logs alike: once, in order, never ahead of the disk. */
export class Applier {
  /** Logs whose fold failed: they stop where they are, the others go on. */
  readonly stopped: Map<string, unknown> = new Map();
  readonly #state: ReplicationState;
  readonly #channels: ReadonlyMap<Channel, Replicated>;
  readonly #logger: ReplicationLogger;
  readonly #applied: (batch: WalBatch) => void;
  readonly #onStop: () => void;
  readonly #detach: Map<string, () => void> = new Map();
  /** Logs whose stored part is being applied: what commits meanwhile is read with it, so that nothing piles up. */
  readonly #behind: Set<string> = new Set();

  constructor(options: {
    readonly state: ReplicationState;
    readonly channels: ReadonlyMap<Channel, Replicated>;
    readonly logger: ReplicationLogger;
    /** Called after the mark of the log moved, before the promises of its writers resolve. */
    readonly applied: (batch: WalBatch) => void;
    /** Called when a log is stopped: whoever waits for it waits in vain. */
    readonly stopped: () => void;
  }) {
    this.#state = options.state;
    this.#channels = options.channels;
    this.#logger = options.logger;
    this.#applied = options.applied;
    this.#onStop = options.stopped;
  }

  /** Follows a log from where the state is: first what is stored, then what commits. */
  async attach(log: Log): Promise<void> {
    const key = formatLogId(log.id);
    if (this.#detach.has(key)) return;
    const detach = log.onCommit((batch) => this.#committed(log, batch));
    this.#detach.set(key, detach);
    const from = this.#state.lsnOf(log.id) + 1;
    if (log.durable.lsn >= from) {
      try {
        requireStored(log, from);
      } catch (error) {
        this.detachOne(log.id);
        throw error;
      }
    }
    await this.#catchUp(log, detach);
  }

  /** Applies nothing more of a log. */
  stop(id: LogId, lsn: number, error: unknown): void {
    const key = formatLogId(id);
    this.stopped.set(key, error);
    this.#logger.error({ log: key, lsn, err: error }, "A log cannot be applied further: it is stopped");
    this.#onStop();
  }

  /** Stops following all logs, also those that were stopped: each may be attached again. */
  detach(): void {
    this.close();
    this.stopped.clear();
  }

  /** Stops following one log, so that it may be attached again. */
  detachOne(id: LogId): void {
    const key = formatLogId(id);
    this.#detach.get(key)?.();
    this.#detach.delete(key);
    this.stopped.delete(key);
  }

  /** Whether a log waits for what has to be done before a batch: else what is durable is applied. */
  get holds(): boolean {
    return this.#behind.size > 0;
  }

  /** Stops following all logs. */
  close(): void {
    for (const detach of this.#detach.values()) detach();
    this.#detach.clear();
  }

  #committed(log: Log, batch: WalBatch): void {
    const key = formatLogId(batch.log);
    if (this.#behind.has(key)) return;
    const detach = this.#detach.get(key);
    if (detach === undefined || this.stopped.has(key)) return;
    if (this.#channels.get(batch.log.channel)?.prepare?.(batch) === undefined) this.#apply(batch);
    // The wait it answered with is one for whoever asks first: reading finds the batch again, and asks again.
    else void this.#catchUp(log, detach);
  }

  /** Applies what is stored, one batch after the other, each once it is prepared. */
  async #catchUp(log: Log, detach: () => void): Promise<void> {
    const key = formatLogId(log.id);
    const replicated = this.#channels.get(log.id.channel);
    const follows = (): boolean => this.#detach.get(key) === detach && !this.stopped.has(key);
    let from = this.#state.lsnOf(log.id) + 1;
    this.#behind.add(key);
    try {
      while (follows() && log.durable.lsn >= from) {
        for await (const batch of log.read(from)) {
          for (
            let ready = replicated?.prepare?.(batch);
            ready !== undefined;
            ready = replicated?.prepare?.(batch)
          )
            await ready;
          if (!follows()) return;
          this.#apply(batch);
          from = batch.lastLsn + 1;
        }
      }
    } catch (error) {
      // Damage ends the replay of this log; the others are none the worse for it.
      if (follows()) this.stop(log.id, from, error);
    } finally {
      if (this.#detach.get(key) === detach || !this.#detach.has(key)) this.#behind.delete(key);
    }
  }

  #apply(batch: WalBatch): void {
    const key = formatLogId(batch.log);
    if (this.stopped.has(key)) return;
    try {
      this.#channels.get(batch.log.channel)?.apply(batch);
      this.#state.advance(batch);
    } catch (error) {
      this.stop(batch.log, batch.firstLsn, error);
      return;
    }
    this.#applied(batch);
  }
}

function requireStored(log: { readonly id: LogId; readonly first: number }, from: number): void {
  if (log.first <= from) return;
  throw new ReplicationError(
    "LOG_TRIMMED",
    `Cannot replay ${formatLogId(log.id)} from LSN ${from}: it is stored from ${log.first}`,
    { log: log.id },
  );
}
