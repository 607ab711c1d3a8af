import type { RegionId } from "@tidemark/core";
import type { Timers, Vector, Wal } from "@tidemark/wal";
import type { Ack } from "./ack.ts";
import { equalBytes } from "./equal-bytes.ts";
import { ReplicationError } from "./errors.ts";
import type { Link } from "./link.ts";
import type { ReplicationLogger } from "./logger.ts";
import { judgeMembership } from "./membership-change.ts";
import { formatMembership } from "./membership.ts";
import type { MembershipInForce } from "./membership-in-force.ts";
import type { OwnLogs } from "./own-logs.ts";
import type { Peer, PeerTable } from "./peer-table.ts";
import type { ReconciliationPlan } from "./reconciliation-plan.ts";
import type { ReconciliationEngine } from "./reconciliation.ts";
import type { Repair } from "./repair.ts";
import { sameSchema } from "./schema-digest.ts";
import type { Stability } from "./stability.ts";

/** What {@link Exchange} works with. */
export interface ExchangeOptions {
  readonly self: RegionId;
  readonly membership: MembershipInForce;
  /** The digest of the list this region agrees to. */
  readonly agreedDigest: () => Uint8Array;
  readonly wal: Wal;
  readonly timers: Timers;
  readonly logger: ReplicationLogger;
  readonly link: Link;
  readonly peers: PeerTable;
  readonly ownLogs: OwnLogs;
  readonly engine: ReconciliationEngine;
  readonly repair: Repair;
  readonly stability: Stability;
  /** What this region folds signals under. */
  readonly schema: Uint8Array | undefined;
  /** What this region acks now. */
  readonly ack: () => Ack;
  /** An ack was heard; how it moves windows and waits is the driver's. */
  readonly heard: (peer: Peer) => void;
}

/** A peer is not asked for its list more often than this. */
const LEARN_PAUSE_MS = 250;

/** Tells and learns who holds what: by acks as they come, by exchanging vectors on every (re)connect. */
export class Exchange {
  readonly #options: ExchangeOptions;
  readonly #underWay: Map<RegionId, { readonly done: Promise<void>; readonly abort: AbortController }> =
    new Map();

  /** Why a peer's later list was not taken, the last time. */
  readonly #unlearned: Map<RegionId, Error> = new Map();
  /** When each peer was last asked for its list. */
  readonly #learnedFrom: Map<RegionId, number> = new Map();

  constructor(options: ExchangeOptions) {
    this.#options = options;
  }

  /** A peer published what it holds. */
  acked(region: RegionId, ack: Ack): void {
    const { peers, stability, logger, timers } = this.#options;
    const peer = peers.get(region);
    if (peer === undefined) return;
    if (ack.membershipVersion > this.#options.membership.list.version) this.#learn(region);
    if (peer.ack !== undefined && peer.ack.membershipVersion !== ack.membershipVersion) {
      peer.agrees = undefined;
      logger.warn(
        { peer: region, version: ack.membershipVersion },
        "A peer acks under another version of the list of members: it does not count",
      );
    }
    peer.heardAtMs = timers.now();
    peer.ack = ack;
    peer.reported = ack.vector;
    if (peer.agrees === true) stability.acked(region, ack);
    this.#options.engine.fetch(this.#reconcile(ack.vector), false);
    this.#options.repair.check();
    this.#options.heard(peer);
  }

  /** A peer told its vector with a question, or in answer to ours. */
  async told(region: RegionId, membershipDigest: Uint8Array, ack: Ack, schema?: Uint8Array): Promise<void> {
    const { peers, ownLogs, self } = this.#options;
    const membership = this.#options.membership.list;
    const peer = peers.get(region);
    if (peer === undefined) {
      const removed = membership.removed?.get(region);
      // Whoever knew the list that names it may have lost its disk since: it alone can tell.
      if (removed === undefined && ack.membershipVersion > membership.version) this.#learn(region);
      if (removed === undefined) return;
      const { reported } = peers.departed(region, removed.name, ack.vector);
      this.#options.engine.fetch(this.#reconcile(reported), true);
      this.#options.repair.check();
      return;
    }
    const agrees = equalBytes(membershipDigest, this.#options.agreedDigest());
    const sameVersion = ack.membershipVersion === membership.version;
    if (!agrees && sameVersion && peer.agrees !== false) void this.#mismatch(peer);
    if (agrees && peer.agrees === false)
      this.#options.logger.info({ peer: region }, "Lists of members agree again");
    peer.agrees = agrees ? true : sameVersion ? false : undefined;
    if (agrees) peer.theirs = undefined;
    this.#compareSchemas(peer, schema);
    peer.head ??= ack.vector;
    this.acked(region, ack);
    const own = ack.vector.entries().filter(({ log }) => log.region === self);
    await ownLogs.peerHolds(region, own);
    await this.#options.engine.apply(this.#reconcile(ack.vector));
    this.#options.repair.check();
    this.#options.heard(peer);
  }

  /** Why a peer's list of that version, which is later than ours, is refused here: only an operator mends that. */
  refusedList(region: RegionId, version: number): string | undefined {
    const error = this.#unlearned.get(region);
    const refused = error instanceof ReplicationError && error.code === "MEMBERSHIP_REFUSED";
    return refused && version > this.#options.membership.list.version ? error.message : undefined;
  }

  /**
   * Exchanges vectors with every peer, because something changed, or with those that did not answer yet.
   * A change makes earlier questions void: they may have been lost with the link.
   */
  withAll(which: "all" | "unanswered"): void {
    for (const peer of this.#options.peers.all()) {
      if (which === "all") this.#underWay.get(peer.region)?.abort.abort();
      if (which === "all" || peer.head === undefined || peer.agrees === undefined) this.#with(peer.region);
    }
  }

  /** Resolves once nothing is under way. */
  async close(): Promise<void> {
    await Promise.all([...this.#underWay.values()].map(({ done }) => done));
  }

  #with(region: RegionId): void {
    const earlier = this.#underWay.get(region);
    if ((earlier !== undefined && !earlier.abort.signal.aborted) || this.#options.link.signal.aborted) return;
    const { link, agreedDigest, ack, schema } = this.#options;
    const abort = new AbortController();
    const exchange = async (): Promise<void> => {
      try {
        const question = {
          kind: "vectors",
          membershipDigest: agreedDigest(),
          ack: ack(),
          ...(schema === undefined ? {} : { schema }),
        } as const;
        const reply = await link.ask(region, question, { signal: abort.signal });
        if (reply.kind === "vectors")
          await this.told(region, reply.membershipDigest, reply.ack, reply.schema);
        // Its list may be a later one, without this region.
        if (reply.kind === "refused" && reply.refusal === "not-a-member") this.#learn(region);
      } catch {
        // Unreachable: the next change of status, heartbeat or ack heard of it tries again.
      }
    };
    const done = exchange().finally(() => {
      if (this.#underWay.get(region)?.abort === abort) this.#underWay.delete(region);
    });
    this.#underWay.set(region, { done, abort });
  }

  #compareSchemas(peer: Peer, theirs: Uint8Array | undefined): void {
    const same = sameSchema(this.#options.schema, theirs);
    if (peer.sameSchema === same) return;
    const { logger } = this.#options;
    if (!same) {
      logger.warn(
        { peer: peer.region },
        "A peer folds signals under another schema: states are not compared until the schemas agree",
      );
    } else if (peer.sameSchema === false) {
      logger.info({ peer: peer.region }, "Schemas of signals agree again");
    }
    peer.sameSchema = same;
  }

  /** What a peer holds beyond us is on its way to us, or is asked for. */
  #reconcile(vector: Vector): ReconciliationPlan {
    const { stability, engine, wal } = this.#options;
    for (const { log } of vector.entries()) stability.epochSeen(log.region, log.epoch);
    return engine.plan({ vector: wal.vector() }, { vector });
  }

  /** Somebody has a list of a higher version: if it follows ours, it is ours as well. */
  #learn(region: RegionId): void {
    const { link, logger, membership, timers } = this.#options;
    const now = timers.now();
    const before = this.#learnedFrom.get(region);
    if (link.signal.aborted || (before !== undefined && now - before < LEARN_PAUSE_MS)) return;
    this.#learnedFrom.set(region, now);
    const learn = async (): Promise<void> => {
      const reply = await link.ask(region, { kind: "membership" });
      if (reply.kind !== "membership" || reply.membership.version <= membership.list.version) return;
      await membership.take(reply.membership);
      this.#unlearned.delete(region);
    };
    learn().catch((error: Error) => {
      const before = this.#unlearned.get(region);
      if (link.signal.aborted) return;
      this.#unlearned.set(region, error);
      // Once a reason, not once an ack.
      if (before?.message === error.message) return;
      logger.warn({ peer: region, err: error }, "A peer's later list of members was not taken");
    });
  }

  async #mismatch(peer: Peer): Promise<void> {
    const { link, logger, membership, stability } = this.#options;
    stability.distrust(peer.region);
    try {
      const reply = await link.ask(peer.region, { kind: "membership" });
      if (reply.kind === "membership") {
        peer.theirs = reply.membership;
        const verdict = judgeMembership(membership.list, reply.membership);
        // The same members, and another memory of how it came to them: both take what they know together.
        if (verdict.kind !== "differs") {
          await membership.take(reply.membership);
          if (verdict.kind === "merge") this.withAll("all");
          return;
        }
      }
    } catch {
      // Its list stays unknown; that it is another one is known.
    }
    logger.error(
      {
        code: "MEMBERSHIP_MISMATCH",
        peer: peer.region,
        ours: formatMembership(membership.list),
        theirs: peer.theirs === undefined ? undefined : formatMembership(peer.theirs),
      },
      "A peer holds another list of members of the same version: nothing becomes stable until they agree",
    );
  }
}
