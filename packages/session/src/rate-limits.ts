import type { PolicyRate } from "./session-policy.ts";

/** Sessions whose rate is remembered: beyond that the one that has rested longest is forgotten, and may burst again. */
export const RATES_MAX = 65_536;

interface Bucket {
  tokens: number;
  atMs: number;
  perMs: number;
}

/**
 * A bucket of tokens for each session that has written lately. One that is full says nothing and is dropped; so memory
 * follows the sessions that are active within their own time, up to a bound.
 */
export class RateLimits {
  readonly #max: number;
  /** The longest rested first. */
  readonly #buckets: Map<string, Bucket> = new Map();

  constructor(max: number = RATES_MAX) {
    this.#max = max;
  }

  /** Sessions remembered. */
  get size(): number {
    return this.#buckets.size;
  }

  /** Whether a session may write one more operation now. Time that goes back counts as standing still. */
  allows(session: string, rate: PolicyRate, nowMs: number): boolean {
    return this.#tokens(session, rate, nowMs) >= 1;
  }

  /** One operation was accepted. */
  spend(session: string, rate: PolicyRate, nowMs: number): void {
    const tokens = this.#tokens(session, rate, nowMs) - 1;
    this.#buckets.delete(session);
    this.#buckets.set(session, { tokens, atMs: nowMs, perMs: rate.perMs });
    for (const [name, { atMs, perMs }] of this.#buckets) {
      if (this.#buckets.size <= this.#max && nowMs - atMs < perMs) return;
      this.#buckets.delete(name);
    }
  }

  #tokens(session: string, { ops, perMs }: PolicyRate, nowMs: number): number {
    const bucket = this.#buckets.get(session);
    if (bucket === undefined) return ops;
    const rested = Math.max(0, nowMs - bucket.atMs);
    return Math.min(ops, bucket.tokens + (rested * ops) / perMs);
  }
}
