import type { LogId, RegionId } from "@tidemark/core";
import { Vector } from "@tidemark/wal";
import type { Ack } from "./ack.ts";
import { MovingFrontier, type Frontier } from "./frontier.ts";
import type { ReplicationState } from "./replication-state.ts";

interface Member {
  /** The highest epoch of its own logs that anybody told us of. */
  epoch: number;
  /** What it acked and we hold as well: this is what counts. */
  covered: Vector;
  foldVersion: number;
  /** The ack under test. It stays until we cover it, so that a stream of newer ones cannot starve it. */
  testing: Ack | undefined;
  /** The newest ack that came while one was under test. */
  next: Ack | undefined;
  /** When it last had nothing to hold the frontier back. */
  blockingSince: number | undefined;
}

/**
 * The stability frontier as a state machine of acks and our own progress.
 *
 * A position is stable when every member of the current list has acked it, under that list and from its
 * latest epoch, and our own vector covers the whole vector of each of those acks: whatever a member had
 * seen when it acked, we have seen by the time we rely on it.
 */
export class Stability {
  readonly #state: ReplicationState;
  readonly #members: Map<RegionId, Member> = new Map();
  readonly #frontier: MovingFrontier = new MovingFrontier();
  readonly #foldVersion: number;
  #version: number;

  constructor(options: {
    readonly state: ReplicationState;
    /** All members but this one. */
    readonly others: readonly RegionId[];
    readonly membershipVersion: number;
    readonly foldVersion: number;
    readonly now: number;
  }) {
    this.#state = options.state;
    this.#version = options.membershipVersion;
    this.#foldVersion = options.foldVersion;
    this.setMembers(options.membershipVersion, options.others, options.now);
  }

  /**
   * Another list is in force. What was acked under the one before counts no more, also of those who stay; what is
   * stable stays so.
   */
  setMembers(version: number, others: readonly RegionId[], now: number): void {
    this.#version = version;
    for (const region of this.#members.keys()) if (!others.includes(region)) this.#members.delete(region);
    for (const region of others) {
      const before = this.#members.get(region);
      this.#members.set(region, {
        epoch: before?.epoch ?? 0,
        covered: Vector.empty,
        foldVersion: 0,
        testing: undefined,
        next: undefined,
        blockingSince: before?.blockingSince ?? now,
      });
    }
  }

  get frontier(): Frontier {
    return this.#frontier;
  }

  /** An epoch of a member exists: acks of an earlier one count no longer. */
  epochSeen(region: RegionId, epoch: number): void {
    const member = this.#members.get(region);
    if (member === undefined || epoch <= member.epoch) return;
    member.epoch = epoch;
    member.covered = Vector.empty;
    member.foldVersion = 0;
    if (member.testing !== undefined && member.testing.epoch < epoch) member.testing = undefined;
    if (member.next !== undefined && member.next.epoch < epoch) member.next = undefined;
    member.testing ??= member.next;
    member.next = member.testing === member.next ? undefined : member.next;
  }

  /** A member acked. @returns false when the ack does not count. */
  acked(region: RegionId, ack: Ack): boolean {
    const member = this.#members.get(region);
    if (member === undefined || ack.membershipVersion !== this.#version) return false;
    this.epochSeen(region, ack.epoch);
    if (ack.epoch < member.epoch) return false;
    if (member.testing === undefined) member.testing = ack;
    else member.next = ack;
    return true;
  }

  /** Forgets what a member acked: its list of members turned out to be another one. */
  distrust(region: RegionId): void {
    const member = this.#members.get(region);
    if (member === undefined) return;
    member.covered = Vector.empty;
    member.foldVersion = 0;
    member.testing = undefined;
    member.next = undefined;
  }

  /** Tests the acks against our own progress. @returns whether the frontier moved. */
  advance(now: number): boolean {
    for (const member of this.#members.values()) {
      while (member.testing !== undefined && this.#state.covers(member.testing.vector)) {
        member.covered = later(member.covered, member.testing.vector);
        member.foldVersion = member.testing.foldVersion;
        member.testing = member.next;
        member.next = undefined;
      }
    }
    let moved = false;
    for (const { log, lsn } of this.#state.vector().entries()) {
      let least = lsn;
      for (const member of this.#members.values()) least = Math.min(least, member.covered.lsnOf(log));
      if (this.#frontier.raise(log, least)) moved = true;
    }
    let foldVersionMin = this.#foldVersion;
    for (const { foldVersion } of this.#members.values())
      foldVersionMin = Math.min(foldVersionMin, foldVersion);
    if (foldVersionMin !== this.#frontier.foldVersionMin) moved = true;
    this.#frontier.foldVersionMin = foldVersionMin;
    this.#noteBlockers(now);
    return moved;
  }

  /** How many other members have acked a position under this list. */
  ackedBy(log: LogId, lsn: number): number {
    let count = 0;
    for (const { covered, testing, next } of this.#members.values()) {
      const acked = Math.max(
        covered.lsnOf(log),
        testing?.vector.lsnOf(log) ?? 0,
        next?.vector.lsnOf(log) ?? 0,
      );
      if (acked >= lsn) count += 1;
    }
    return count;
  }

  /** The lowest LSN that all other members have acked: nobody will ask for anything below. */
  ackedByAll(log: LogId): number {
    let least = Number.POSITIVE_INFINITY;
    for (const { covered } of this.#members.values()) least = Math.min(least, covered.lsnOf(log));
    return least;
  }

  /** Members that hold the frontier below what we hold, and since when. */
  blockers(): readonly { readonly region: RegionId; readonly sinceMs: number }[] {
    const blockers: { region: RegionId; sinceMs: number }[] = [];
    for (const [region, { blockingSince }] of this.#members) {
      if (blockingSince !== undefined) blockers.push({ region, sinceMs: blockingSince });
    }
    return blockers;
  }

  #noteBlockers(now: number): void {
    for (const member of this.#members.values()) {
      const behind =
        member.foldVersion === 0 ||
        this.#state
          .vector()
          .entries()
          .some(({ log, lsn }) => member.covered.lsnOf(log) < lsn);
      if (!behind) member.blockingSince = undefined;
      else member.blockingSince ??= now;
    }
  }
}

/** For each log the later of two positions: an ack that was overtaken on the way takes nothing back. */
function later(a: Vector, b: Vector): Vector {
  if (a.size === 0) return b;
  const builder = a.builder();
  for (const entry of b.entries()) if (entry.lsn > a.lsnOf(entry.log)) builder.set(entry);
  return builder.build();
}
