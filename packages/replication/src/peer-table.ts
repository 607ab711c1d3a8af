import { compareLogIds, type LogId, type RegionId } from "@tidemark/core";
import { Vector } from "@tidemark/wal";
import type { Ack } from "./ack.ts";
import type { Membership } from "./membership.ts";

/** What is known about another member. */
export interface Peer {
  readonly region: RegionId;
  readonly name: string;
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
  /** Its list, when it is another one of the same version. */
  theirs: Membership | undefined;
}

/** The other members. */
export class PeerTable {
  readonly #peers: Map<RegionId, Peer> = new Map();

  constructor(membership: Membership, self: RegionId) {
    for (const [name, region] of membership.regions) {
      if (region === self) continue;
      this.#peers.set(region, {
        region,
        name,
        heardAtMs: undefined,
        reported: Vector.empty,
        ack: undefined,
        head: undefined,
        agrees: undefined,
        theirs: undefined,
      });
    }
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
    const holders = [...this.#peers.values()].filter((peer) => peer.reported.lsnOf(log) >= lsn);
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
