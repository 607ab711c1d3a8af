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
  readonly #detach: Map<string, () => void> = new Map();

  constructor(options: {
    readonly state: ReplicationState;
    readonly channels: ReadonlyMap<Channel, Replicated>;
    readonly logger: ReplicationLogger;
    /** Called after the mark of the log moved, before the promises of its writers resolve. */
    readonly applied: (batch: WalBatch) => void;
  }) {
    this.#state = options.state;
    this.#channels = options.channels;
    this.#logger = options.logger;
    this.#applied = options.applied;
  }

  /** Follows a log from where the state is: first what is stored, then what commits. */
  async attach(log: Log): Promise<void> {
    const key = formatLogId(log.id);
    if (this.#detach.has(key)) return;
    // Commits that happen while the stored part is read wait their turn.
    let waiting: WalBatch[] | undefined = [];
    this.#detach.set(
      key,
      log.onCommit((batch) => (waiting === undefined ? this.#apply(batch) : void waiting.push(batch))),
    );
    const from = this.#state.lsnOf(log.id) + 1;
    if (log.durable.lsn >= from) {
      requireStored(log, from);
      try {
        for await (const batch of log.read(from)) this.#apply(batch);
      } catch (error) {
        // Damage ends the replay of this log; the others are none the worse for it.
        this.#stop(log.id, from, error);
      }
    }
    for (const batch of waiting) if (batch.firstLsn > this.#state.lsnOf(log.id)) this.#apply(batch);
    waiting = undefined;
  }

  /** Stops following all logs. */
  close(): void {
    for (const detach of this.#detach.values()) detach();
    this.#detach.clear();
  }

  #apply(batch: WalBatch): void {
    const key = formatLogId(batch.log);
    if (this.stopped.has(key)) return;
    try {
      this.#channels.get(batch.log.channel)?.apply(batch);
      this.#state.advance(batch);
    } catch (error) {
      this.#stop(batch.log, batch.firstLsn, error);
      return;
    }
    this.#applied(batch);
  }

  #stop(id: LogId, lsn: number, error: unknown): void {
    const key = formatLogId(id);
    this.stopped.set(key, error);
    this.#logger.error({ log: key, lsn, err: error }, "A log cannot be applied further: it is stopped");
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
