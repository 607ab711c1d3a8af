import { compareBytes, compareHlc, type Hlc } from "@tidemark/core";
import type { LaneState } from "./lane.ts";

/** Where an operation stands among all of its session. */
export interface OpPosition {
  readonly stamp: Hlc;
  readonly lane: LaneState;
  readonly seqno: number;
  /** The idempotency key: orders a fork. */
  readonly key: Uint8Array;
}

/** The order of operations within a session: (stamp, lane, seqno, key). */
export function comparePositions(a: OpPosition, b: OpPosition): number {
  const stamps = compareHlc(a.stamp, b.stamp);
  if (stamps !== 0) return stamps;
  if (a.lane !== b.lane) return a.lane.text < b.lane.text ? -1 : 1;
  return a.seqno - b.seqno || compareBytes(a.key, b.key);
}

/** One effect in its place. */
export interface ListedEffect {
  position: OpPosition;
  /** The number of the effect if it had an operationId, else -1. */
  readonly effect: number;
  /** Whether its position can no longer decrease. */
  settled: boolean;
  readonly text: string;
  /** An annotation's entity. */
  readonly about?: string;
  /** An application's bytes. */
  readonly bytes?: Uint8Array;
  /** The pseudonym of whose key it is under, if it is under one. */
  owner?: string | undefined;
}

/**
 * Effects in the order of their positions, of which the latest `keep` count.
 *
 * A copy of an effect can arrive at a smaller position until the effect is stable, and then what it had pushed out
 * counts again. So an effect is forgotten only below `keep` effects that can no longer move.
 */
export class EffectList {
  /** Which list of its session it is. */
  readonly kind: "annotate" | "search" | "prefer" | "app";
  /** The key of a hint, the namespace of an application, else empty. */
  readonly name: string;
  readonly keep: number;
  /** Ascending. */
  readonly effects: ListedEffect[] = [];
  #settledCount: number = 0;
  /** Whose the effects are; each owner's are kept as if there were no others, for those may be erased. */
  readonly #owners: Set<string | undefined> = new Set();

  constructor(kind: EffectList["kind"], name: string, keep: number) {
    this.kind = kind;
    this.name = name;
    this.keep = keep;
  }

  /** The latest `keep`, ascending. */
  latest(): readonly ListedEffect[] {
    return this.effects.length <= this.keep ? this.effects : this.effects.slice(-this.keep);
  }

  add(effect: ListedEffect): void {
    this.#insert(effect);
    this.#owners.add(effect.owner);
    if (effect.settled) {
      this.#settledCount += 1;
      this.#prune();
    }
  }

  /** A copy of an effect was found at another position: the smallest counts. */
  lower(effect: number, position: OpPosition): void {
    const at = this.#find(effect);
    const listed = this.effects[at];
    // One that was forgotten can only move further below what made it so.
    if (listed === undefined || comparePositions(position, listed.position) >= 0) return;
    this.effects.splice(at, 1);
    listed.position = position;
    this.#insert(listed);
    this.#prune();
  }

  /** No copy of the effect can arrive for the first time any more. */
  settle(effect: number): void {
    const listed = this.effects[this.#find(effect)];
    if (listed === undefined || listed.settled) return;
    listed.settled = true;
    this.#settledCount += 1;
    this.#prune();
  }

  /** Takes in an effect of a snapshot: what was forgotten before it was taken is not in it. */
  restore(effect: ListedEffect): void {
    this.#insert(effect);
    this.#owners.add(effect.owner);
    if (effect.settled) this.#settledCount += 1;
  }

  /** Says whose its effects are, in their order. */
  own(owners: readonly string[]): void {
    this.#owners.clear();
    for (const [at, owner] of owners.entries()) {
      (this.effects[at] as ListedEffect).owner = owner;
      this.#owners.add(owner);
    }
  }

  /** Forgets all of an owner's; returns whether anything is left. */
  drop(owner: string): boolean {
    const left = this.effects.filter((effect) => effect.owner !== owner);
    this.effects.splice(0, this.effects.length, ...left);
    this.#settledCount = left.filter(({ settled }) => settled).length;
    this.#owners.delete(owner);
    return left.length > 0;
  }

  #insert(effect: ListedEffect): void {
    let at = this.effects.length;
    while (at > 0 && comparePositions((this.effects[at - 1] as ListedEffect).position, effect.position) > 0)
      at -= 1;
    if (at === this.effects.length) this.effects.push(effect);
    else this.effects.splice(at, 0, effect);
  }

  #find(effect: number): number {
    let at = this.effects.length - 1;
    while (at >= 0 && (this.effects[at] as ListedEffect).effect !== effect) at -= 1;
    return at;
  }

  /** Forgets what is below the latest `keep` settled effects. */
  #prune(): void {
    let excess = this.#settledCount - this.keep;
    if (excess <= 0) return;
    if (this.#owners.size > 1) {
      for (const owner of this.#owners) this.#pruneOwner(owner);
      return;
    }
    let at = 0;
    for (; excess > 0; at++) if ((this.effects[at] as ListedEffect).settled) excess -= 1;
    while (!(this.effects[at] as ListedEffect).settled) at += 1;
    this.effects.splice(0, at);
    this.#settledCount = this.keep;
  }

  #pruneOwner(owner: string | undefined): void {
    let settled = 0;
    for (let at = this.effects.length - 1; at >= 0; at--) {
      const effect = this.effects[at] as ListedEffect;
      if (effect.owner !== owner) continue;
      if (settled === this.keep) {
        this.effects.splice(at, 1);
        if (effect.settled) this.#settledCount -= 1;
      } else if (effect.settled) settled += 1;
    }
  }
}
