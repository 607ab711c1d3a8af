import { formatLogId, type Hasher, type LogId } from "@tidemark/core";
import {
  BATCH_HEADER_BYTES,
  decodeBatch,
  decodeBatchHeader,
  type BatchHeader,
  type Log,
  type LogPosition,
  type Timers,
  type Wal,
  type WalBatch,
} from "@tidemark/wal";
import type { Applier } from "./applier.ts";
import { equalBytes } from "./equal-bytes.ts";
import { ReplicationError } from "./errors.ts";
import type { ReplicationLimits } from "./limits.ts";
import { LogReceiver } from "./log-receiver.ts";
import type { ReplicationLogger } from "./logger.ts";

/** Two histories of one log: what is kept to look at. */
export interface ForkEvidence {
  readonly log: LogId;
  readonly lsn: number;
  /** The digest that is stored here, if a batch ends there. */
  readonly held: Uint8Array | undefined;
  /** The digest that somebody else has there. */
  readonly offered: Uint8Array;
  /** The batch that was offered, if it was seen whole. */
  readonly batch: Uint8Array | undefined;
}

/** One log that is received. */
export interface Receiving {
  readonly machine: LogReceiver;
  log: Log | undefined;
  /** Accepted and not on disk yet. */
  pending: WalBatch[];
  pendingBytes: number;
  storing: Promise<void> | undefined;
  /** Digests of the newest batches, by last LSN: they need not be looked up. */
  readonly recent: Map<number, Uint8Array>;
  fork: ForkEvidence | undefined;
  /** Not asked for before this moment, because storing or asking failed. */
  notBeforeMs: number;
}

/** How batches that came again or too far ahead were dealt with. */
export interface ReceiverCounts {
  held: number;
  ahead: number;
  dropped: number;
  stored: number;
}

/** Where a batch header keeps its digest. */
const DIGEST_OFFSET = 48;
const RECENT_DIGESTS_MAX = 1_024;
const STORE_BYTES_MAX = 4 * 1024 * 1024;
const EMPTY: LogPosition = { lsn: 0, digest: new Uint8Array(16) };

/** Verifies, orders, stores and hands on what arrives: one {@link LogReceiver} a log. */
export class Receiver {
  readonly counts: ReceiverCounts = { held: 0, ahead: 0, dropped: 0, stored: 0 };
  readonly #options: ReceiverOptions;
  readonly #receiving: Map<string, Receiving> = new Map();
  #paused: boolean = false;

  constructor(options: ReceiverOptions) {
    this.#options = options;
  }

  /** Logs being received, by their text form. */
  all(): Iterable<Receiving> {
    return this.#receiving.values();
  }

  /** The receiving end of a log, made when it is first heard of. */
  of(id: LogId): Receiving {
    const key = formatLogId(id);
    let receiving = this.#receiving.get(key);
    if (receiving === undefined) {
      const log = this.#options.wal.log(id);
      const { receiveAheadBytes } = this.#options.limits;
      receiving = {
        machine: new LogReceiver({ id, durable: log?.durable ?? EMPTY, aheadBytesMax: receiveAheadBytes }),
        log,
        pending: [],
        pendingBytes: 0,
        storing: undefined,
        recent: new Map(),
        fork: undefined,
        notBeforeMs: 0,
      };
      if (log?.failed !== undefined) receiving.machine.stop("failed");
      this.#receiving.set(key, receiving);
    }
    return receiving;
  }

  /**
   * Takes whole batches, pushed or asked for. Resolves when there is room for more.
   *
   * @param belongs - Whether a batch may come this way.
   * @throws `WalError` for bytes that are no batches: those before them were taken.
   */
  async take(bytes: Uint8Array, belongs: (id: LogId) => boolean): Promise<void> {
    let receiving: Receiving | undefined;
    for (let at = 0; at < bytes.length;) {
      const header = decodeBatchHeader(bytes, at);
      const start = at;
      at += BATCH_HEADER_BYTES + header.payloadBytes;
      if (!belongs(header.log)) {
        throw new ReplicationError(
          "MESSAGE_MALFORMED",
          `Cannot accept a batch of ${formatLogId(header.log)} here`,
        );
      }
      if (this.#options.isOwn(header.log)) continue;
      if (this.#paused) {
        this.counts.dropped += 1;
        continue;
      }
      receiving = this.of(header.log);
      if (this.#isHeld(receiving, header, bytes.subarray(start + DIGEST_OFFSET, start + BATCH_HEADER_BYTES)))
        continue;
      const batch = decodeBatch(bytes, start, this.#options.hasher);
      const compared = this.#offer(receiving, batch);
      if (compared !== undefined) await compared;
    }
    // Back-pressure: the disk decides how fast a subscription is read.
    while (
      receiving?.storing !== undefined &&
      receiving.pendingBytes > this.#options.limits.receiveAheadBytes
    ) {
      await receiving.storing;
    }
    this.#options.changed();
  }

  /** Takes nothing until {@link resume}: what arrives is dropped and asked for later. Resolves once nothing is being stored. */
  async pause(): Promise<void> {
    this.#paused = true;
    await this.close();
  }

  resume(): void {
    this.#paused = false;
  }

  /** What is stored of a log was replaced or repaired: what was known about it is void, but that it forked. */
  renew(id: LogId): void {
    const key = formatLogId(id);
    if (this.#receiving.get(key)?.fork === undefined) this.#receiving.delete(key);
  }

  /** Somebody has another digest at an LSN that we hold. */
  reportFork(id: LogId, evidence: ForkEvidence): void {
    const receiving = this.of(id);
    receiving.machine.stop("forked");
    if (receiving.fork !== undefined) return;
    receiving.fork = evidence;
    this.#options.logger.error(
      { code: "LOG_FORKED", log: formatLogId(id), lsn: evidence.lsn },
      "Two histories of one log: it is stopped, the others go on",
    );
  }

  /** Resolves once nothing is being stored. */
  async close(): Promise<void> {
    for (const { storing } of this.#receiving.values()) await storing;
  }

  /** A batch that names the digest we hold is a duplicate, whatever its payload: nothing of it is used. */
  #isHeld({ recent }: Receiving, header: BatchHeader, digest: Uint8Array): boolean {
    const known = recent.get(header.firstLsn + header.recordCount - 1);
    if (known === undefined || !equalBytes(known, digest)) return false;
    this.counts.held += 1;
    return true;
  }

  #offer(receiving: Receiving, batch: WalBatch): Promise<void> | undefined {
    const { machine } = receiving;
    const effect = machine.receive(this.#options.timers.now(), batch);
    switch (effect.kind) {
      case "store":
        for (const accepted of effect.batches) {
          receiving.pending.push(accepted);
          receiving.pendingBytes += accepted.bytes.length;
          this.#remember(receiving, accepted.lastLsn, accepted.digest);
        }
        this.#kick(receiving);
        break;
      case "compare":
        this.counts.held += 1;
        return this.#compare(receiving, batch);
      case "duplicate":
        this.counts.held += 1;
        break;
      case "ahead":
        this.counts.ahead += 1;
        break;
      case "dropped":
        this.counts.dropped += 1;
        break;
      case "forked":
        break;
    }
    // The batch offered, or one that had waited for it, does not continue what we hold.
    if (machine.stopped === "forked" && receiving.fork === undefined) {
      const offered = effect.kind === "forked" ? effect.batch : batch;
      this.#reportForkedBatch(receiving, offered, undefined);
    }
    return undefined;
  }

  #compare(receiving: Receiving, batch: WalBatch): Promise<void> | undefined {
    const known = receiving.recent.get(batch.lastLsn);
    if (known !== undefined) {
      if (!equalBytes(known, batch.digest)) this.#reportForkedBatch(receiving, batch, known);
      return undefined;
    }
    const { log } = receiving;
    if (log === undefined || batch.lastLsn > log.durable.lsn || batch.firstLsn < log.first) return undefined;
    return log.digestAt(batch.lastLsn).then((held) => {
      if (held === undefined || !equalBytes(held, batch.digest))
        this.#reportForkedBatch(receiving, batch, held);
      else this.#remember(receiving, batch.lastLsn, held);
    });
  }

  #reportForkedBatch(receiving: Receiving, batch: WalBatch, held: Uint8Array | undefined): void {
    const { id } = receiving.machine;
    this.reportFork(id, { log: id, lsn: batch.lastLsn, held, offered: batch.digest, batch: batch.bytes });
  }

  #remember({ recent }: Receiving, lsn: number, digest: Uint8Array): void {
    recent.set(lsn, digest);
    if (recent.size > RECENT_DIGESTS_MAX) recent.delete(recent.keys().next().value as number);
  }

  #kick(receiving: Receiving): void {
    receiving.storing ??= this.#store(receiving);
  }

  /** Stores what is pending, all that waits in one go, until nothing is. */
  async #store(receiving: Receiving): Promise<void> {
    // The turn that offered the batch ends first, so that a frame is stored with one sync.
    await Promise.resolve();
    while (receiving.pending.length > 0) {
      const batches = takeUpTo(receiving.pending, STORE_BYTES_MAX);
      try {
        const log = await this.#openLog(receiving);
        await log.appendVerbatim(concatenate(batches));
        this.counts.stored += batches.length;
        for (const batch of batches) receiving.pendingBytes -= batch.bytes.length;
      } catch (error) {
        this.#storeFailed(receiving, error);
      }
    }
    receiving.storing = undefined;
    this.#options.changed();
  }

  async #openLog(receiving: Receiving): Promise<Log> {
    if (receiving.log !== undefined) return receiving.log;
    const { id } = receiving.machine;
    const log = this.#options.wal.log(id) ?? (await this.#options.wal.createLog(id));
    await this.#options.applier.attach(log);
    receiving.log = log;
    return log;
  }

  #storeFailed(receiving: Receiving, error: unknown): void {
    const { machine, log } = receiving;
    receiving.pending = [];
    receiving.pendingBytes = 0;
    receiving.recent.clear();
    const now = this.#options.timers.now();
    receiving.notBeforeMs = now + this.#options.limits.retryMs.max;
    machine.storeFailed(now, log?.durable ?? EMPTY);
    if (log?.failed !== undefined) machine.stop("failed");
    this.#options.logger.error(
      { log: formatLogId(machine.id), err: error },
      "A log of a peer could not be stored",
    );
    this.#options.changed();
  }
}

/** What a {@link Receiver} works with. */
export interface ReceiverOptions {
  readonly wal: Wal;
  readonly hasher: Hasher;
  readonly timers: Timers;
  readonly limits: ReplicationLimits;
  readonly logger: ReplicationLogger;
  readonly applier: Applier;
  /** Whether a log is the one this region writes now: nobody else may add to it. */
  readonly isOwn: (id: LogId) => boolean;
  /** What is missing may have changed. */
  readonly changed: () => void;
}

function takeUpTo(pending: WalBatch[], bytesMax: number): WalBatch[] {
  let count = 0;
  let bytes = 0;
  for (const batch of pending) {
    if (count > 0 && bytes + batch.bytes.length > bytesMax) break;
    bytes += batch.bytes.length;
    count += 1;
  }
  return pending.splice(0, count);
}

function concatenate(batches: readonly WalBatch[]): Uint8Array {
  if (batches.length === 1) return (batches[0] as WalBatch).bytes;
  const bytes = new Uint8Array(batches.reduce((sum, batch) => sum + batch.bytes.length, 0));
  let at = 0;
  for (const batch of batches) {
    bytes.set(batch.bytes, at);
    at += batch.bytes.length;
  }
  return bytes;
}
