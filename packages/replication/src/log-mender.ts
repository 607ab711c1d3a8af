import { formatLogId, type LogId } from "@tidemark/core";
import { WalError, type Log, type Timers, type Wal } from "@tidemark/wal";
import type { Applier } from "./applier.ts";
import type { ReplicationLimits } from "./limits.ts";
import type { Link } from "./link.ts";
import type { ReplicationLogger } from "./logger.ts";
import type { PeerTable } from "./peer-table.ts";

/** What {@link LogMender} works with. */
export interface LogMenderOptions {
  readonly wal: Wal;
  readonly timers: Timers;
  readonly limits: ReplicationLimits;
  readonly logger: ReplicationLogger;
  readonly link: Link;
  readonly peers: PeerTable;
  readonly applier: Applier;
  /** Whether this region writes a log now. */
  readonly isOwn: (id: LogId) => boolean;
  /** A log is sound again: it is followed and received from where it ends. */
  readonly mended: (log: Log) => Promise<void>;
}

/** Where a reader met damage. */
interface Damage {
  readonly from: number;
  readonly to: number;
}

/**
 * Repairs logs of which recovery, a write or a reader has found that their bytes cannot be trusted, with batches of any
 * member that holds them: while the region runs, one log at a time, again and again until it is whole.
 */
export class LogMender {
  /** Logs repaired. */
  repaired: number = 0;
  readonly #options: LogMenderOptions;
  readonly #damaged: Map<string, Damage> = new Map();
  #abort: AbortController = new AbortController();
  #working: Promise<void> | undefined;
  #current: string | undefined;
  #cancel: (() => void) | undefined;
  #notBeforeMs: number = 0;
  #closed: boolean = false;
  #held: boolean = false;

  constructor(options: LogMenderOptions) {
    this.#options = options;
  }

  /** The log being repaired now, in text form. */
  get current(): string | undefined {
    return this.#current;
  }

  /** Whether a log has damage that was not repaired yet. */
  get needed(): boolean {
    const { wal, applier } = this.#options;
    return wal.logs().some(({ id, failed }) => {
      const stopped = applier.stopped.get(formatLogId(id));
      return (
        failed?.code === "WAL_CORRUPT" || (stopped instanceof WalError && stopped.code === "WAL_CORRUPT")
      );
    });
  }

  /** A reader met damage in a log. */
  damaged(id: LogId, error: unknown): void {
    if (!(error instanceof WalError) || error.code !== "WAL_CORRUPT") return;
    const from = error.lsn ?? 1;
    this.#damaged.set(formatLogId(id), { from, to: error.nextLsn === undefined ? from : error.nextLsn - 1 });
    this.check();
  }

  /** Looks for logs to repair. */
  check(): void {
    if (this.#closed || this.#held || this.#working !== undefined) return;
    const { timers, limits } = this.#options;
    const log = this.#next();
    if (log === undefined) return;
    const waitMs = this.#notBeforeMs - timers.now();
    if (waitMs > 0) {
      this.#cancel ??= timers.setTimer(waitMs, () => {
        this.#cancel = undefined;
        this.check();
      });
      return;
    }
    this.#current = formatLogId(log.id);
    this.#working = this.#mend(log).then((done) => {
      this.#working = undefined;
      this.#current = undefined;
      if (!done) this.#notBeforeMs = timers.now() + limits.retryMs.max;
      this.check();
    });
  }

  /** Repairs nothing until {@link resume}: files are about to be replaced. */
  async pause(): Promise<void> {
    this.#held = true;
    this.#abort.abort();
    await this.#working;
    this.#abort = new AbortController();
  }

  resume(): void {
    this.#held = false;
    this.check();
  }

  /** Resolves once nothing is being repaired; the link has to be closed before. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#cancel?.();
    await this.pause();
  }

  /** A log that nobody writes, whose bytes cannot be trusted, and of which somebody may have others. */
  #next(): Log | undefined {
    const { wal, isOwn, applier, peers } = this.#options;
    if (peers.size === 0) return undefined;
    return wal.logs().find(({ id, failed }) => {
      const key = formatLogId(id);
      if (isOwn(id)) return false;
      if (failed !== undefined) return failed.code !== "WAL_VERSION_UNSUPPORTED";
      const stopped = applier.stopped.get(key);
      return this.#damaged.has(key) || (stopped instanceof WalError && stopped.code === "WAL_CORRUPT");
    });
  }

  async #mend(log: Log): Promise<boolean> {
    const { wal, logger, applier, mended } = this.#options;
    const key = formatLogId(log.id);
    const stopped = applier.stopped.get(key);
    const at =
      stopped instanceof WalError && stopped.lsn !== undefined ? { from: stopped.lsn, to: stopped.lsn } : {};
    const { signal } = this.#abort;
    try {
      const result = await wal.repair(log.id, (from, to) => this.#fetch(log.id, from, to), {
        ...(log.failed === undefined ? (this.#damaged.get(key) ?? at) : {}),
        signal,
      });
      this.#damaged.delete(key);
      this.repaired += 1;
      logger.info(
        { log: key, fetched: result.fetched },
        "A damaged log was repaired with batches of members",
      );
      await mended(log);
      return true;
    } catch (error) {
      if (!signal.aborted) logger.warn({ log: key, err: error }, "A damaged log is not repaired yet");
      return false;
    }
  }

  async #fetch(id: LogId, from: number, to: number): Promise<Uint8Array | undefined> {
    const { peers, link, logger } = this.#options;
    for (const { region } of peers.holders(id, from)) {
      try {
        const { signal } = this.#abort;
        const reply = await link.ask(region, { kind: "range", log: id, from, to }, { signal });
        if (reply.kind === "range" && reply.batches.length > 0) return reply.batches;
      } catch (error) {
        logger.warn(
          { log: formatLogId(id), peer: region, err: error },
          "A peer did not give a range: asking another",
        );
      }
    }
    return undefined;
  }
}
