import { formatLogId, type LogId, type RegionId } from "@tidemark/core";
import { BATCH_HEADER_BYTES, decodeBatchHeader, type Timers } from "@tidemark/wal";
import type { ReplicationLimits } from "./limits.ts";
import type { Link } from "./link.ts";
import type { ReplicationLogger } from "./logger.ts";
import type { Peer, PeerTable } from "./peer-table.ts";
import type { Receiver, Receiving } from "./receiver.ts";

/** Asks for what is missing, of whoever holds it: the same way for a lost frame and for a healed partition. */
export class Repair {
  /** Ranges asked for. */
  requests: number = 0;
  /** Logs of which every holder has dropped what is missing here: only a snapshot helps. */
  readonly trimmed: Map<string, number> = new Map();
  readonly #options: RepairOptions;
  readonly #underWay: Map<string, Promise<void>> = new Map();
  /** Holders that could not serve a log, until they or we make progress. */
  readonly #failed: Map<string, Set<RegionId>> = new Map();
  /** Holders that no longer have what is missing of a log. */
  readonly #trimmedBy: Map<string, Set<RegionId>> = new Map();
  readonly #urgent: Set<string> = new Set();
  #restart: AbortController = new AbortController();
  #cancelTimer: (() => void) | undefined;
  #timerAt: number = Number.POSITIVE_INFINITY;
  #closed: boolean = false;

  constructor(options: RepairOptions) {
    this.#options = options;
  }

  /** Ask for what is missing of a log without the pause that frames under way are given. */
  hurry(id: LogId): void {
    this.#urgent.add(formatLogId(id));
  }

  /** Looks at what is missing; asks for what is due and sets a timer for the rest. */
  check(): void {
    if (this.#closed) return;
    const { timers, limits, receiver } = this.#options;
    const now = timers.now();
    let nextAt = Number.POSITIVE_INFINITY;
    for (const receiving of receiver.all()) {
      const key = formatLogId(receiving.machine.id);
      if (this.#underWay.has(key)) continue;
      const due = receiving.machine.dueAt(limits.repairDelayMs);
      if (due === undefined) {
        this.#urgent.delete(key);
        continue;
      }
      // What is still on its way to the disk is looked at again when it is there.
      if (receiving.storing !== undefined && !this.#urgent.has(key)) continue;
      const at = Math.max(this.#urgent.has(key) ? now : due, receiving.notBeforeMs);
      if (at > now) nextAt = Math.min(nextAt, at);
      else if (this.#underWay.size < limits.requestsInFlightMax) this.#ask(key, receiving);
    }
    this.#setTimer(now, nextAt);
  }

  /** A link changed: questions under way may be lost with it, and holders that failed may answer now. */
  restart(): void {
    this.#restart.abort();
    this.#restart = new AbortController();
    this.#failed.clear();
    this.#trimmedBy.clear();
    for (const { machine } of this.#options.receiver.all()) this.hurry(machine.id);
    this.check();
  }

  /** What is stored was replaced: what was found out about holders is void. */
  reset(): void {
    this.trimmed.clear();
    this.restart();
  }

  /** Asks no more; resolves once nothing is under way. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#cancelTimer?.();
    await Promise.all(this.#underWay.values());
  }

  #setTimer(now: number, at: number): void {
    if (at === this.#timerAt) return;
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    this.#timerAt = at;
    if (at === Number.POSITIVE_INFINITY) return;
    this.#cancelTimer = this.#options.timers.setTimer(at - now, () => {
      this.#cancelTimer = undefined;
      this.#timerAt = Number.POSITIVE_INFINITY;
      this.check();
    });
  }

  #ask(key: string, receiving: Receiving): void {
    const missing = receiving.machine.missing();
    const holders =
      missing === undefined ? [] : this.#options.peers.holders(receiving.machine.id, missing.from);
    const failed = this.#failed.get(key);
    const peer = holders.find(({ region }) => failed?.has(region) !== true);
    if (missing === undefined || peer === undefined) {
      // Nobody is left to ask: all get another chance after a pause, or when one is heard of.
      if (holders.length > 0)
        receiving.notBeforeMs = this.#options.timers.now() + this.#options.limits.retryMs.max;
      this.#failed.delete(key);
      if (missing !== undefined && this.#isTrimmed(key, holders)) this.#options.trimmed(receiving.machine.id);
      return;
    }
    const asked = this.#fetch(key, receiving, peer.region, missing.from, missing.to).finally(() => {
      this.#underWay.delete(key);
      this.check();
    });
    this.#underWay.set(key, asked);
  }

  /** Whether everybody who could be asked has dropped what is missing. */
  #isTrimmed(key: string, holders: readonly Peer[]): boolean {
    const { timers, limits } = this.#options;
    const now = timers.now();
    const live = holders.filter(({ heardAtMs }) => now - (heardAtMs ?? -Infinity) <= limits.peerSilentMs);
    const trimmedBy = this.#trimmedBy.get(key);
    return live.length > 0 && live.every(({ region }) => trimmedBy?.has(region) === true);
  }

  async #fetch(key: string, receiving: Receiving, region: RegionId, from: number, to: number): Promise<void> {
    const { link, receiver, logger } = this.#options;
    const { id } = receiving.machine;
    const { signal } = this.#restart;
    this.requests += 1;
    this.#urgent.delete(key);
    try {
      const reply = await link.ask(region, { kind: "range", log: id, from, to }, { signal });
      if (reply.kind === "refused" && reply.refusal === "trimmed") {
        this.trimmed.set(key, reply.first);
        this.#trimmedBy.set(key, (this.#trimmedBy.get(key) ?? new Set()).add(region));
      }
      // Frames that came meanwhile filled it: the log is moving by itself, and asking on would fetch it twice.
      const moving = receiving.machine.accepted.lsn >= from;
      if (reply.kind === "range") await receiver.take(reply.batches, (log) => formatLogId(log) === key);
      if (receiving.machine.accepted.lsn >= from) {
        this.#failed.delete(key);
        this.trimmed.delete(key);
        this.#trimmedBy.delete(key);
        // A piece of what was asked for: the next one is asked for at once, unless frames that came ahead went on from
        // there: then more of them are probably under way, and asking would fetch them twice.
        const joined = reply.kind === "range" && receiving.machine.accepted.lsn > lastLsnOf(reply.batches);
        if (!moving && !joined && receiving.machine.accepted.lsn < to) this.#urgent.add(key);
        return;
      }
    } catch (error) {
      if (this.#closed || signal.aborted) return;
      logger.warn({ log: key, peer: region, err: error }, "A peer did not give a range: asking another");
    }
    const failed = this.#failed.get(key) ?? new Set();
    this.#failed.set(key, failed.add(region));
  }
}

/** What {@link Repair} works with. */
export interface RepairOptions {
  readonly timers: Timers;
  readonly limits: ReplicationLimits;
  readonly logger: ReplicationLogger;
  readonly link: Link;
  readonly peers: PeerTable;
  readonly receiver: Receiver;
  /** Nobody who can be asked holds what is missing of a log any more: only a snapshot helps. */
  readonly trimmed: (id: LogId) => void;
}

/** The last LSN of whole batches. */
function lastLsnOf(bytes: Uint8Array): number {
  let last = 0;
  for (let at = 0; at < bytes.length;) {
    const header = decodeBatchHeader(bytes, at);
    last = header.firstLsn + header.recordCount - 1;
    at += BATCH_HEADER_BYTES + header.payloadBytes;
  }
  return last;
}
