import {
  compareLogIds,
  formatLogId,
  shardId,
  type ByteWriter,
  type Channel,
  type LogId,
  type RegionId,
  type ShardId,
} from "@tidemark/core";
import type { Log, VectorEntry, Wal } from "@tidemark/wal";
import { decideEpoch } from "./epoch-decision.ts";
import { equalBytes } from "./equal-bytes.ts";
import { ReplicationError } from "./errors.ts";
import type { ReplicationLogger } from "./logger.ts";
import type { WriteGate } from "./write-gate.ts";

/** Writes one record: called when its batch is formed, because the numbers are given out then. */
export type OwnEncoder = (writer: ByteWriter, lsn: number, log: LogId) => void;

/** The log of one channel and shard. */
interface OwnChannel {
  readonly channel: Channel;
  readonly shard: ShardId;
  /** The log being written. */
  open: Log | undefined;
  /** The newest log of earlier runs, until it is resumed or replaced. */
  candidate: Log | undefined;
  readonly confirmedBy: Set<RegionId>;
  contradicted: boolean;
  opening: Promise<Log> | undefined;
}

/** A record on disk. */
export interface Appended {
  readonly log: LogId;
  readonly lsn: number;
}

interface OwnAppendOptions {
  readonly signal?: AbortSignal;
  readonly shard: ShardId;
}

/** What {@link OwnLogs} work with. */
export interface OwnLogsOptions {
  readonly wal: Wal;
  readonly self: RegionId;
  /** Shards of the key space: each has a log a channel. */
  readonly shards: number;
  /** The slot map is another one than in the last run: no log of that run is continued. @defaultValue false */
  readonly slotsMoved?: boolean;
  readonly others: () => readonly RegionId[];
  /** Lets writes in, unless the state is being replaced. */
  readonly gate: WriteGate;
  readonly logger: ReplicationLogger;
  readonly wallClock: () => number;
  /** The highest epoch of this region that any peer reported. */
  readonly highestEpochAtPeers: () => number;
  /** A log begins to be written: follow it and ship it. `shipped` is what followers get by asking. */
  readonly opened: (log: Log, shipped: number) => Promise<void>;
  /** Waits until a record is applied; `undefined` where what is durable is. */
  readonly held: (log: LogId, lsn: number) => Promise<void> | undefined;
  /** A log is written no more. */
  readonly retired: (log: Log) => void;
}

/** The logs this region writes, one a channel and shard: opened with the first write, replaced when in doubt. */
export class OwnLogs {
  readonly #options: OwnLogsOptions;
  readonly #channels: Map<string, OwnChannel> = new Map();
  /** The highest epoch that was tried: one whose opening failed may have left a file of its name. */
  #epochTried: number = 0;
  #shards: number;

  constructor(options: OwnLogsOptions) {
    this.#options = options;
    this.#shards = options.shards;
    for (let number = 0; number < options.shards; number++) {
      for (const channel of ["signals", "sessions"] as const) {
        const shard = shardId(number);
        this.#add(channel, shard, options.slotsMoved === true ? undefined : this.#newest(channel, shard));
      }
    }
  }

  /** Every log that is being written. */
  open(): Log[] {
    return [...this.#channels.values()].flatMap(({ open }) => open ?? []);
  }

  /** Whether nobody but this region may add to a log now. */
  isOwn(id: LogId): boolean {
    const open = this.#channels.get(keyOf(id.channel, id.shard))?.open;
    return open !== undefined && compareLogIds(open.id, id) === 0;
  }

  /** The highest epoch of this region's logs that is stored here: no two of its logs share one. */
  highestEpoch(): number {
    let highest = 0;
    for (const { id } of this.#options.wal.logs()) {
      if (id.region === this.#options.self) highest = Math.max(highest, id.epoch);
    }
    return highest;
  }

  /**
   * The same of logs that have a record on disk: the epoch that members may be told. One that is only being opened may be
   * gone after a crash, and whoever had heard of it would take no ack of an earlier one any more.
   */
  durableEpoch(): number {
    let highest = 0;
    for (const { id, durable } of this.#options.wal.logs()) {
      if (id.region === this.#options.self && durable.lsn > 0) highest = Math.max(highest, id.epoch);
    }
    return highest;
  }

  /**
   * Appends to the log of a channel, which is opened if need be. Resolves once the record is on disk and applied.
   *
   * @throws {@link ReplicationError} `EPOCH_ROLLED` when the log failed or ended meanwhile: the record is not
   * acknowledged. Judge it again, then append it again: it goes into a new epoch, where its numbers differ.
   */
  append(channel: Channel, type: number, encode: OwnEncoder, options: OwnAppendOptions): Promise<Appended> {
    const own = this.#channel(channel, options.shard);
    this.#options.gate.enter();
    if (own.open !== undefined) return this.#append(own, own.open, type, encode, options);
    return this.#open(own).then(
      (log) => this.#append(own, log, type, encode, options),
      (error: unknown) => {
        this.#options.gate.leave();
        throw error;
      },
    );
  }

  /** The hot path of a write: one promise above the log's own, and no async function between them. */
  #append(
    own: OwnChannel,
    log: Log,
    type: number,
    encode: OwnEncoder,
    options: OwnAppendOptions,
  ): Promise<Appended> {
    const { id } = log;
    const { gate } = this.#options;
    return log
      .append(type, (writer, lsn) => encode(writer, lsn, id), options)
      .then(
        (lsn) => {
          gate.leave();
          const held = this.#options.held(id, lsn);
          if (held !== undefined) return held.then(() => ({ log: id, lsn }));
          return log.durable.lsn >= lsn ? { log: id, lsn } : this.#appliedLater(log, lsn);
        },
        (error: unknown) => {
          gate.leave();
          if (log.failed === undefined) throw error;
          this.#retire(own, log, "it failed");
          throw new ReplicationError("EPOCH_ROLLED", `Cannot go on writing ${formatLogId(id)}: it failed`, {
            log: id,
            retryable: true,
            cause: error,
          });
        },
      );
  }

  /** A weak durability resolves before the sync; what is not durable is not applied. */
  async #appliedLater(log: Log, lsn: number): Promise<Appended> {
    for await (const _ of log.read(lsn, { follow: true })) break;
    await this.#options.held(log.id, lsn);
    return { log: log.id, lsn };
  }

  /**
   * A peer said, in an exchange of vectors, what it holds of the logs of this region.
   *
   * @returns the entries that are ahead of us: parts of our own logs to fetch back.
   */
  async peerHolds(region: RegionId, entries: readonly VectorEntry[]): Promise<VectorEntry[]> {
    const ahead: VectorEntry[] = [];
    const contradicted = new Set<OwnChannel>();
    for (const entry of entries) {
      const log = this.#options.wal.log(entry.log);
      const own = this.#channels.get(keyOf(entry.log.channel, entry.log.shard));
      const newest = own?.open ?? own?.candidate;
      if (log === undefined || entry.lsn > log.durable.lsn) {
        ahead.push(entry);
        // More of what we write or would write, or a later log than any we know.
        if (own !== undefined && (newest === undefined || compareLogIds(entry.log, newest.id) >= 0))
          contradicted.add(own);
      } else if (own !== undefined && log === newest && !(await holdsSame(log, entry))) contradicted.add(own);
    }
    for (const own of this.#channels.values()) {
      if (!contradicted.has(own)) {
        own.confirmedBy.add(region);
        continue;
      }
      own.contradicted = true;
      if (own.open !== undefined) this.#retire(own, own.open, `region ${region} holds another end of it`);
    }
    return ahead;
  }

  /** The slots were given to other shards: every log ends, and the next write to each shard opens a new epoch. */
  moveSlots(shards: number): void {
    this.#shards = shards;
    const why = `slots were given to other shards, of which there are ${shards} now`;
    for (const own of this.#channels.values()) {
      if (own.open !== undefined) this.#retire(own, own.open, why);
      own.candidate = undefined;
    }
  }

  #channel(channel: Channel, shard: ShardId): OwnChannel {
    if (shard >= this.#shards)
      throw new RangeError(`Cannot write to shard ${shard}: there are ${this.#shards}`);
    // A shard that the list got later has no log to go on with.
    return this.#channels.get(keyOf(channel, shard)) ?? this.#add(channel, shard, undefined);
  }

  #add(channel: Channel, shard: ShardId, candidate: Log | undefined): OwnChannel {
    const own: OwnChannel = {
      channel,
      shard,
      open: undefined,
      candidate,
      confirmedBy: new Set(),
      contradicted: false,
      opening: undefined,
    };
    this.#channels.set(keyOf(channel, shard), own);
    return own;
  }

  #retire(own: OwnChannel, log: Log, why: string): void {
    if (own.open !== log) return;
    own.open = undefined;
    own.candidate = undefined;
    this.#options.logger.warn({ log: formatLogId(log.id) }, `This region writes a log no more: ${why}`);
    this.#options.retired(log);
  }

  #open(own: OwnChannel): Promise<Log> {
    // Writers that arrive meanwhile share it.
    own.opening ??= this.#openNow(own).finally(() => {
      own.opening = undefined;
    });
    return own.opening;
  }

  async #openNow(own: OwnChannel): Promise<Log> {
    const { wal, self, others, logger, wallClock, highestEpochAtPeers, opened } = this.#options;
    const { channel, shard, candidate } = own;
    const decision = decideEpoch({
      candidate:
        candidate === undefined
          ? undefined
          : {
              id: candidate.id,
              durable: candidate.durable,
              resumable: candidate.failed === undefined && this.#resumable(candidate.id),
            },
      others: others(),
      confirmedBy: own.confirmedBy,
      contradicted: own.contradicted,
      highestEpoch: Math.max(this.highestEpoch(), highestEpochAtPeers(), this.#epochTried),
      wallMs: wallClock(),
    });
    let log: Log;
    if (decision.kind === "resume") {
      log = candidate as Log;
      await opened(log, log.durable.lsn);
      logger.info({ log: formatLogId(log.id), lsn: log.durable.lsn }, "Resumed the log of the last run");
    } else {
      const previous = this.#newest(channel, shard);
      const { epoch } = decision;
      this.#epochTried = epoch;
      log = await wal.openEpoch({
        region: self,
        shard,
        channel,
        epoch,
        ...(previous === undefined ? {} : { previous: { epoch: previous.id.epoch, ...previous.durable } }),
      });
      await opened(log, 0);
      logger.info({ log: formatLogId(log.id) }, "Opened a new epoch");
    }
    own.open = log;
    own.candidate = undefined;
    own.contradicted = false;
    return log;
  }

  #resumable(id: LogId): boolean {
    return this.#options.wal.recovery.some((found) => compareLogIds(found.id, id) === 0 && found.resumable);
  }

  #newest(channel: Channel, shard: ShardId): Log | undefined {
    const { self, wal } = this.#options;
    return wal
      .logs()
      .filter(({ id }) => id.region === self && id.shard === shard && id.channel === channel)
      .toSorted((a, b) => compareLogIds(a.id, b.id))
      .at(-1);
  }
}

/** A weak durability resolves before the sync; what is not durable is not applied. */
function keyOf(channel: Channel, shard: ShardId): string {
  return `${channel} ${shard}`;
}

/** Whether the batch that ends at the peer's position has the same digest here. */
async function holdsSame(log: Log, entry: VectorEntry): Promise<boolean> {
  if (entry.lsn < log.first) return true;
  const digest = entry.lsn === log.durable.lsn ? log.durable.digest : await log.digestAt(entry.lsn);
  return digest !== undefined && equalBytes(digest.subarray(0, entry.digest.length), entry.digest);
}
