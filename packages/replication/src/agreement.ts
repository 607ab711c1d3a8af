import type { RegionId } from "@tidemark/core";
import type { Timers, Wal } from "@tidemark/wal";
import { equalBytes } from "./equal-bytes.ts";
import type { Link } from "./link.ts";
import type { ReplicationLogger } from "./logger.ts";
import type { MembershipInForce } from "./membership-in-force.ts";
import { nextMembership } from "./membership-change.ts";
import { encodeMembership, formatMembership, type Membership } from "./membership.ts";
import type { Peer, PeerTable } from "./peer-table.ts";
import { agreesToRemoval, decideRemoval, type RemovalView } from "./removal.ts";
import type { ProposalPhase } from "./request.ts";

/** What an {@link Agreement} works with. */
export interface AgreementOptions {
  readonly self: RegionId;
  readonly membership: MembershipInForce;
  readonly peers: PeerTable;
  readonly wal: Wal;
  readonly link: Link;
  readonly timers: Timers;
  readonly logger: ReplicationLogger;
  readonly peerSilentMs: number;
  /** A member that was silent for so long is removed, if the others agree; without it never. */
  readonly removeAfterMs: number | undefined;
  readonly fenced: () => boolean;
}

/** A proposal is tried again after so long. */
const PAUSE_MS = 5_000;
/** How long one member may think about a proposal. */
const ANSWER_TIMEOUT_MS = 2_000;

/** What became of a question: `other` names a version that was promised to another list. */
type Answer = { readonly agreed: boolean; readonly other: number };

/**
 * Agrees with the other members on the next list, where no operator does it: one leaves, or some have been silent for
 * too long.
 *
 * A member promises one list a version, on disk, and takes no list of a lower version afterwards. A removal needs all
 * who remain, and these must be more than half; a leave needs more than half, the one that leaves among them. Any
 * two decisions share a member that promised both: the earlier one then never came into force everywhere it had to.
 */
export class Agreement {
  readonly #options: AgreementOptions;
  #leaving: boolean = false;
  #notBeforeMs: number = 0;
  #versionMin: number = 0;
  #underWay: Promise<void> | undefined;

  constructor(options: AgreementOptions) {
    this.#options = options;
  }

  /** Time went by: somebody may have been silent for too long. */
  check(): void {
    const { timers, membership, fenced } = this.#options;
    const view = this.#view();
    if (view === undefined || this.#underWay !== undefined || this.#leaving || fenced()) return;
    if (timers.now() < this.#notBeforeMs) return;
    const gone = decideRemoval(view);
    if (gone.length === 0) return;
    this.#notBeforeMs = timers.now() + PAUSE_MS;
    const list = this.#without(membership.list, gone);
    const voters = view.sightings.map(({ region }) => region).filter((region) => !gone.includes(region));
    this.#underWay = this.#remove(list, voters).finally(() => {
      this.#underWay = undefined;
    });
  }

  /** Drains and leaves the list. @returns whether the others go on without this region. */
  async leave(timeoutMs: number): Promise<boolean> {
    const { membership, self, peers, timers } = this.#options;
    if (membership.list.regions.size <= 1) return false;
    this.#leaving = true;
    await this.#underWay;
    const deadline = timers.now() + timeoutMs;
    while (timers.now() <= deadline && !this.#options.link.signal.aborted) {
      const list = this.#without(membership.list, [self]);
      if (await this.#propose(list, peers.regions(), Math.floor(membership.list.regions.size / 2))) {
        // The others first: they are those who must know it.
        if (await this.#tell(list, peers.regions(), "decided")) {
          await membership.take(list).catch(() => undefined);
          return true;
        }
      }
      if (![...membership.list.regions.values()].includes(self)) return true;
      await pause(timers, Math.min(PAUSE_MS / 10, Math.max(0, deadline - timers.now()) + 1));
    }
    this.#leaving = false;
    return false;
  }

  /**
   * Whether each member that is there holds all of this region's own records, and whatever else this region has of a
   * member is held by one that did not write it, if there is one: the writer's own copy may be damaged by now.
   */
  drained(): boolean {
    const { peers, wal, self, membership, timers, peerSilentMs } = this.#options;
    const members = new Set(membership.list.regions.values());
    const there = [...peers.all()].filter(
      ({ heardAtMs }) => heardAtMs !== undefined && timers.now() - heardAtMs < peerSilentMs,
    );
    if (there.length === 0) return false;
    return wal.logs().every(({ id, durable }) => {
      const holds = ({ reported }: Peer): boolean => reported.lsnOf(id) >= durable.lsn;
      if (id.region === self) return there.every(holds);
      const others = there.filter(({ region }) => region !== id.region);
      return !members.has(id.region) || others.length === 0 || others.some(holds);
    });
  }

  /**
   * A member proposes a list, or says what became of its proposal.
   *
   * @returns `undefined` when this region agrees, else the version it promised to another list, or 0.
   */
  answer(from: RegionId, phase: ProposalPhase, list: Membership): Promise<number | undefined> {
    const { membership, logger } = this.#options;
    if (phase === "withdrawn")
      return membership.serially(() => membership.release(list)).then(() => undefined);
    if (phase === "decided") {
      return membership.take(list).then(
        () => undefined,
        (error: unknown) => {
          logger.warn({ peer: from, err: error }, "A list that was agreed on was not taken");
          return membership.promised?.version ?? 0;
        },
      );
    }
    return membership.serially(async () => {
      if (!this.#agrees(from, list)) return this.#otherVersion(list);
      if (!membership.mayPromise(list)) return this.#otherVersion(list);
      await membership.promise(list);
      return undefined;
    });
  }

  /** Resolves once nothing is under way. */
  async close(): Promise<void> {
    this.#leaving = true;
    await this.#underWay;
  }

  #otherVersion(list: Membership): number {
    const { promised } = this.#options.membership;
    return promised !== undefined && promised.version >= list.version ? promised.version : 0;
  }

  /** Whether a proposal is the one step it may be: its author leaves, or those go who are gone here as well. */
  #agrees(from: RegionId, list: Membership): boolean {
    const { membership, self, fenced } = this.#options;
    const current = membership.list;
    if (this.#leaving || fenced() || list.version <= current.version) return false;
    const kept = new Set(list.regions.values());
    const gone = [...current.regions.values()].filter((region) => !kept.has(region));
    if (gone.includes(self) || gone.length === 0) return false;
    let expected: Membership;
    try {
      expected = nextMembership(current, { version: list.version, regions: list.regions });
    } catch {
      return false;
    }
    if (!equalBytes(encodeMembership(expected), encodeMembership(list))) return false;
    if (gone.length === 1 && gone[0] === from) return true;
    const view = this.#view();
    return view !== undefined && !gone.includes(from) && agreesToRemoval(view, gone);
  }

  async #remove(list: Membership, voters: readonly RegionId[]): Promise<void> {
    const { membership, logger } = this.#options;
    try {
      if (!(await this.#propose(list, voters, voters.length))) return;
      await membership.take(list);
      logger.warn({ members: formatMembership(list) }, "Members that were silent for too long were removed");
      await this.#tell(list, voters, "decided");
    } catch (error) {
      logger.warn({ err: error }, "Cannot remove members that are silent for too long");
    }
  }

  /** Promises a list and asks others to. @returns whether so many of them did; if not, it is withdrawn. */
  async #propose(list: Membership, voters: readonly RegionId[], needed: number): Promise<boolean> {
    const { membership } = this.#options;
    const own = await membership.serially(async () => {
      if (!membership.mayPromise(list)) return false;
      await membership.promise(list);
      return true;
    });
    if (!own) {
      this.#versionMin = Math.max(this.#versionMin, membership.promised?.version ?? 0);
      return false;
    }
    const answers = await Promise.all(voters.map((region) => this.#ask(region, list, "asked")));
    for (const { other } of answers) this.#versionMin = Math.max(this.#versionMin, other);
    if (answers.filter(({ agreed }) => agreed).length >= needed) return true;
    // It will never come into force: this region, which alone could say so, does not take it.
    await this.#tell(list, voters, "withdrawn");
    await membership.serially(() => membership.release(list));
    return false;
  }

  /** Tells what became of a proposal. @returns whether anybody has heard it. */
  async #tell(list: Membership, regions: readonly RegionId[], phase: ProposalPhase): Promise<boolean> {
    const told = await Promise.all(regions.map((region) => this.#ask(region, list, phase)));
    return told.some(({ agreed }) => agreed);
  }

  async #ask(region: RegionId, list: Membership, phase: ProposalPhase): Promise<Answer> {
    const { link, logger } = this.#options;
    try {
      const reply = await link.ask(
        region,
        { kind: "propose", phase, list },
        { timeoutMs: ANSWER_TIMEOUT_MS },
      );
      if (reply.kind === "propose") return { agreed: true, other: 0 };
      return { agreed: false, other: reply.kind === "refused" ? reply.first : 0 };
    } catch (error) {
      if (!link.signal.aborted)
        logger.info({ peer: region, err: error }, "A member did not answer a proposal");
      return { agreed: false, other: 0 };
    }
  }

  #without(list: Membership, gone: readonly RegionId[]): Membership {
    const regions = new Map([...list.regions].filter(([, region]) => !gone.includes(region)));
    const promised = this.#options.membership.promised?.version ?? 0;
    const version = Math.max(list.version, this.#versionMin, promised) + 1;
    return nextMembership(list, { version, regions });
  }

  #view(): RemovalView | undefined {
    const { self, peers, timers, removeAfterMs, peerSilentMs } = this.#options;
    if (removeAfterMs === undefined) return undefined;
    const sightings = [...peers.all()].map(({ region, heardAtMs, sinceMs }) => ({
      region,
      silentMs: timers.now() - Math.max(heardAtMs ?? 0, sinceMs),
    }));
    return { self, sightings, removeAfterMs, peerSilentMs };
  }
}

function pause(timers: Timers, ms: number): Promise<void> {
  return new Promise((resolve) => void timers.setTimer(ms, resolve));
}
