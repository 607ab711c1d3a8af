import { compareLogIds, type LogId, type RegionId } from "@tidemark/core";
import { Vector } from "@tidemark/wal";
import type { Ack } from "./ack.ts";
import type { Membership } from "./membership.ts";

/** What is known about another member. */
export interface Peer {
  readonly region: RegionId;
  readonly name: string;
  /** When it became a member, or this run began. */
  readonly sinceMs: number;
  /** When anything was last heard of it in this run. */
  heardAtMs: number | undefined;
  /** What it said last about what it holds. */
  reported: Vector;
  /** Its newest ack, whether or not it counts. */
  ack: Ack | undefined;
  /** What it held when vectors were first exchanged in this run: reach it to have its head. */
  head: Vector | undefined;
  /** Whether it holds our list of members, once that is known. */
  agrees: boolean | undefined;
  /** Whether it folds signals under our schema, once that is known. */
  sameSchema: boolean | undefined;
  /** Its list, when it is another one of the same version. */
  theirs: Membership | undefined;
}

/** The other members, and those that were removed and still have records of their own. */
export class PeerTable {
  readonly #self: RegionId;
  readonly #peers: Map<RegionId, Peer> = new Map();
  /** What they report is their own logs, and counts for nothing but fetching these. */
  readonly #departed: Map<RegionId, Peer> = new Map();

  constructor(membership: Membership, self: RegionId, now: number) {
    this.#self = self;
    this.set(membership, now);
  }

  /** Another list is in force: what was said under the one before has to be said again. */
  set({ regions, removed }: Pick<Membership, "regions" | "removed">, now: number): void {
    const members = new Set(regions.values());
    for (const [region, peer] of this.#peers) {
      peer.agrees = undefined;
      peer.theirs = undefined;
      if (members.has(region)) continue;
      this.#peers.delete(region);
      this.departed(region, peer.name, peer.reported);
    }
    for (const [name, region] of regions) {
      this.#departed.delete(region);
      if (region !== this.#self && !this.#peers.has(region))
        this.#peers.set(region, newPeer(region, name, now));
    }
    for (const region of this.#departed.keys())
      if (removed?.has(region) !== true) this.#departed.delete(region);
  }

  /** A removed region told what it holds: of its own logs whatever members lack is fetched. */
  departed(region: RegionId, name: string, told: Vector): Peer {
    const peer = this.#departed.get(region) ?? newPeer(region, name, 0);
    peer.reported = Vector.of(told.entries().filter(({ log }) => log.region === region));
    this.#departed.set(region, peer);
    return peer;
  }

  /** What was reached of others before counts no more. */
  forgetHeads(): void {
    for (const peer of this.#peers.values()) peer.head = undefined;
  }

  get size(): number {
    return this.#peers.size;
  }

  get(region: RegionId): Peer | undefined {
    return this.#peers.get(region);
  }

  regions(): RegionId[] {
    return [...this.#peers.keys()];
  }

  all(): Iterable<Peer> {
    return this.#peers.values();
  }

  /** Peers that said they hold `lsn` of a log: the origin first, then those heard of most recently. */
  holders(log: LogId, lsn: number): Peer[] {
    const holders = [...this.#peers.values(), ...this.#departed.values()].filter(
      (peer) => peer.reported.lsnOf(log) >= lsn,
    );
    const rank = (peer: Peer): number =>
      peer.region === log.region ? Number.POSITIVE_INFINITY : (peer.heardAtMs ?? 0);
    return holders.toSorted((a, b) => rank(b) - rank(a));
  }

  /** The highest epoch any peer reported of a region's logs; 0 if none. */
  highestEpoch(region: RegionId): number {
    let highest = 0;
    for (const { reported } of this.#peers.values()) {
      for (const { log } of reported.entries())
        if (log.region === region) highest = Math.max(highest, log.epoch);
    }
    return highest;
  }

  /** Every log any peer reported, sorted. */
  logs(): LogId[] {
    const builder = Vector.empty.builder();
    for (const { reported } of this.#peers.values())
      for (const entry of reported.entries()) builder.set(entry);
    return builder
      .build()
      .entries()
      .map(({ log }) => log)
      .toSorted(compareLogIds);
  }
}

function newPeer(region: RegionId, name: string, sinceMs: number): Peer {
  return {
    region,
    name,
    sinceMs,
    heardAtMs: undefined,
    reported: Vector.empty,
    ack: undefined,
    head: undefined,
    agrees: undefined,
    sameSchema: undefined,
    theirs: undefined,
  };
}
