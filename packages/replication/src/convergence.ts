import type { Channel, Hasher, RegionId } from "@tidemark/core";
import { Vector, type Timers, type Wal } from "@tidemark/wal";
import { Backoff } from "./backoff.ts";
import { certify, compareCertificates, type Certificate, type Verdict } from "./certificate.ts";
import { digestDetails, SLOT_ENTRY_BYTES } from "./digest-answer.ts";
import type { DigestDetail } from "./digest-parts.ts";
import { narrowDivergence, type DivergenceReport, type SlotsAnswer } from "./divergence.ts";
import { ReplicationError } from "./errors.ts";
import type { ReplicationLimits } from "./limits.ts";
import type { Link } from "./link.ts";
import type { ReplicationLogger } from "./logger.ts";
import type { PeerTable } from "./peer-table.ts";
import type { Replicated } from "./replicated.ts";
import type { ReplicationState } from "./replication-state.ts";
import type { StateTransfer } from "./state-transfer.ts";

/** What {@link Convergence} works with. */
export interface ConvergenceOptions {
  readonly hasher: Hasher;
  readonly wal: Wal;
  readonly timers: Timers;
  readonly limits: ReplicationLimits;
  readonly logger: ReplicationLogger;
  readonly link: Link;
  readonly peers: PeerTable;
  readonly channels: ReadonlyMap<Channel, Replicated>;
  readonly state: ReplicationState;
  readonly transfer: StateTransfer;
  readonly frameBytesMax: number;
  /** Whether the state is one of its vector. */
  readonly comparable: () => boolean;
  /** Of this region: what it acks. */
  readonly foldVersion: number;
  /** The state was replayed from the beginning of all logs when this run began. */
  readonly replayed: boolean;
  /** Told once for each divergence, with the ids of what differs. */
  readonly diverged?: ((report: DivergenceReport) => void) | undefined;
}

/** What a comparison with a peer said. */
export interface Comparison {
  readonly certificate: Certificate;
  readonly verdict: Verdict;
}

const NARROWING_ATTEMPTS_MAX = 8;

/** Compares states with those of peers at one vector; what differs is named, and mended by a replay or a snapshot. */
export class Convergence {
  /** Peers whose state differs from ours at the same vector, and what is known of it. */
  readonly diverged: Map<RegionId, DivergenceReport | undefined> = new Map();
  /** Replays from the beginning of all logs. */
  rebuilt: number = 0;
  readonly #options: ConvergenceOptions;
  readonly #working: Map<RegionId, Promise<void>> = new Map();
  /** Peers for whose sake this side has replayed its logs: that it differs still is not its doing. */
  readonly #replayedFor: Set<RegionId> = new Set();
  #replayed: boolean;
  #cancel: (() => void) | undefined;
  #closed: boolean = false;

  constructor(options: ConvergenceOptions) {
    this.#options = options;
    this.#replayed = options.replayed;
  }

  /** Whether the state was folded from the beginning of all logs, by this run. */
  get replayed(): boolean {
    return this.#replayed;
  }

  /** What another member may compare with. */
  comparison(): Certificate | undefined {
    return this.#options.comparable() ? this.certificate() : undefined;
  }

  certificate(): Certificate {
    const { hasher, state, channels } = this.#options;
    return certify(hasher, state.vector(), channels);
  }

  /** The state came from elsewhere. */
  replaced(): void {
    this.#replayed = false;
  }

  /** Begins to compare, again and again, with the peers that hold what is held here. */
  start(): void {
    const { limits, timers } = this.#options;
    if (limits.certificateMs === 0 || this.#closed) return;
    this.#cancel = timers.setTimer(limits.certificateMs, () => {
      this.#compareAll();
      this.start();
    });
  }

  /** Asks a peer for its certificate and compares it with ours of the moment the answer is there. */
  async compare(peer: RegionId, options: { readonly timeoutMs?: number } = {}): Promise<Comparison> {
    const reply = await this.#options.link.ask(peer, { kind: "digests", slots: [] }, options);
    if (reply.kind !== "digests")
      throw new ReplicationError("REQUEST_REFUSED", `Region ${peer} gives no certificate`);
    if (!this.#options.comparable())
      throw new ReplicationError("REQUEST_REFUSED", "Nothing is compared while a log is being repaired");
    const certificate = { vector: reply.vector, digest: reply.digest };
    const incomparable = this.#incomparable(peer);
    if (incomparable !== undefined) {
      this.diverged.delete(peer);
      return { certificate, verdict: incomparable };
    }
    const verdict = compareCertificates(this.certificate(), certificate);
    if (verdict === "equal") {
      this.diverged.delete(peer);
      this.#replayedFor.delete(peer);
    }
    if (verdict === "diverged") {
      if (!this.diverged.has(peer)) this.diverged.set(peer, undefined);
      this.#mend(peer);
    }
    return { certificate, verdict };
  }

  /** Resolves once nothing is being compared or mended; the link has to be closed before. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#cancel?.();
    await Promise.all(this.#working.values());
  }

  #compareAll(): void {
    const { peers, state, transfer, comparable } = this.#options;
    if (transfer.unready || !comparable()) return;
    for (const { region, reported, agrees } of peers.all()) {
      if (this.#incomparable(region) !== undefined) continue;
      const same = state.covers(reported) && reported.covers(state.vector());
      // One that does not answer is asked again at the next turn.
      if (agrees === true && same && reported.size > 0) this.compare(region).catch(() => undefined);
    }
  }

  /** What was folded under another schema, or by another version, may differ: neither side is wrong. */
  #incomparable(region: RegionId): "other-schema" | "other-version" | undefined {
    const { peers, foldVersion } = this.#options;
    const peer = peers.get(region);
    if (peer?.sameSchema === false) return "other-schema";
    return peer?.ack !== undefined && peer.ack.foldVersion !== foldVersion ? "other-version" : undefined;
  }

  #mend(peer: RegionId): void {
    if (this.#closed || this.#working.has(peer)) return;
    const work = this.#mendNow(peer)
      .catch((error: unknown) => {
        if (!this.#closed)
          this.#options.logger.warn(
            { peer, err: error },
            "A divergence is not mended yet: it is looked at again",
          );
      })
      .finally(() => this.#working.delete(peer));
    this.#working.set(peer, work);
  }

  async #mendNow(peer: RegionId): Promise<void> {
    const { logger, diverged } = this.#options;
    const report = await this.#narrow(peer);
    if (report === undefined) return;
    if (this.diverged.get(peer) === undefined) {
      this.diverged.set(peer, report);
      const kinds = Object.fromEntries(report.countByKind);
      logger.error({ code: "DIVERGED", peer, slots: report.slots, kinds }, "Two states at one vector");
      diverged?.(report);
    }
    if (this.#canReplay()) {
      // Once for a divergence: what comes out again is what these logs say.
      if (this.#replayedFor.has(peer)) return;
      this.#replayedFor.add(peer);
      await this.rebuild();
    } else if (report.peerReplayed && this.#replayedFor.has(peer)) {
      await this.#options.transfer.restore(peer);
    } else {
      // The other side may be the one that is mended: it is given until the next comparison.
      this.#replayedFor.add(peer);
      return;
    }
    await this.compare(peer);
  }

  /** Folds all stored logs again, from their beginning, into an empty state. */
  async rebuild(): Promise<void> {
    const { transfer, channels, state, logger, wal } = this.#options;
    for (const [channel, { reset }] of channels)
      if (reset === undefined) throw new TypeError(`Cannot fold again: the state of ${channel} has no reset`);
    const trimmed = wal.logs().find(({ first }) => first > 1);
    if (trimmed !== undefined) {
      throw new ReplicationError(
        "LOG_TRIMMED",
        `Cannot fold again: a log is stored from LSN ${trimmed.first} only`,
        {
          log: trimmed.id,
        },
      );
    }
    await transfer.standstill.during(async () => {
      for (const replicated of channels.values()) replicated.reset?.();
      state.reset(Vector.empty);
    });
    this.#replayed = true;
    this.rebuilt += 1;
    logger.info({}, "The state was folded again from all stored logs");
  }

  #canReplay(): boolean {
    const { wal, channels, state } = this.#options;
    return (
      wal.logs().every(({ first, failed }) => first === 1 && failed === undefined) &&
      state
        .vector()
        .entries()
        .every(({ log, lsn }) => (wal.log(log)?.durable.lsn ?? 0) >= lsn) &&
      [...channels.values()].every(({ reset }) => reset !== undefined)
    );
  }

  async #narrow(peer: RegionId): Promise<DivergenceReport | undefined> {
    const { link, channels, timers, limits, frameBytesMax } = this.#options;
    const bytesMax = Math.floor(frameBytesMax / 2);
    const narrowed = [...channels].filter(([, { slotDigest }]) => slotDigest !== undefined).map(([id]) => id);
    const backoff = new Backoff(timers, limits.retryMs);
    for (let attempt = 1; attempt <= NARROWING_ATTEMPTS_MAX && !link.signal.aborted; attempt++) {
      const found = await narrowDivergence({
        peer,
        channels: narrowed,
        slotsPerAsk: Math.max(1, Math.floor(bytesMax / SLOT_ENTRY_BYTES) - 1),
        theirs: async (slots, detail) => {
          const reply = await link.ask(peer, { kind: "digests", slots, detail });
          if (reply.kind !== "digests" || reply.details === undefined) return undefined;
          return { vector: reply.vector, digest: reply.digest, ...reply.details };
        },
        ours: (slots, detail) => this.#answer(slots, detail, bytesMax),
      });
      if (found === "equal") this.diverged.delete(peer);
      if (found !== "moved") return found === "equal" ? undefined : found;
      await backoff.pause(link.signal);
    }
    return undefined;
  }

  #answer(slots: readonly number[], detail: DigestDetail, bytesMax: number): SlotsAnswer {
    const details = digestDetails(
      this.#options.channels,
      { slots, detail },
      { replayed: this.#replayed, bytesMax },
    );
    const none = { replayed: this.#replayed, slots: [], objects: [], truncated: false };
    return { ...this.certificate(), ...(details ?? none) };
  }
}
