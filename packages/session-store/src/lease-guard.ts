import { guardSafe } from "@tidemark/core";
import { SessionStoreError } from "./errors.ts";
import { leaseFence, type LeaseFence, type LeaseRecord } from "./lease.ts";
import { LEASE_RENEWALS_MIN, LEASE_TTL_MS, LEASE_TTL_MS_MAX } from "./lease-limits.ts";

/** Time as an argument: a clock that only goes forward, and calls that come later. */
export interface LeaseTimers {
  /** Milliseconds since some fixed moment; it must not jump. */
  now(): number;
  /** Calls `run` once after `ms` milliseconds, unless the returned function is called before. */
  setTimer(ms: number, run: () => void): () => void;
}

/** Whatever renews and releases leases: a `SessionLease`, or another authority. */
export interface LeaseAuthority {
  renew(
    fence: LeaseFence,
    options: { readonly ttlMs: number; readonly signal: AbortSignal },
  ): Promise<LeaseRecord>;
  release(fence: LeaseFence): Promise<void>;
}

/** What a {@link LeaseGuard} takes. */
export interface LeaseGuardOptions {
  readonly timers: LeaseTimers;
  /** How long each renewal extends the lease, in milliseconds. @defaultValue 30,000 */
  readonly ttlMs?: number;
  /** Milliseconds between renewals, at most a third of `ttlMs`. @defaultValue a third of `ttlMs`: 10,000 */
  readonly renewIntervalMs?: number;
}

/**
 * Keeps a lease while work runs, and cancels the work when the lease is lost.
 *
 * It renews every `renewIntervalMs`. A refusal loses the lease at once. A failure that may pass is tried again at the
 * next interval; the lease is lost when `ttlMs` have gone by since the last renewal that succeeded was sent, by this
 * process's own clock. What is lost stays lost: `signal` aborts with `LEASE_EXPIRED`.
 *
 * The guard saves work that would be refused, no more: a process that stands still stops its own timers too, so it is
 * the store that refuses a commit under a lease that is over.
 *
 * @example
 * ```ts
 * const fence = { session: "s", owner: "worker", nonce: "n", generation: 1 };
 * const lease = { ...fence, claimedAtMs: 0, expiresAtMs: 30_000, released: false };
 * const authority = { renew: () => Promise.resolve(lease), release: () => Promise.resolve() };
 * const timers = { now: () => 0, setTimer: () => () => {} }; // Time stands still.
 * const guard = new LeaseGuard(authority, lease, { timers });
 * assert.equal(guard.signal.aborted, false); // Give it to the work.
 * assert.deepEqual(guard.fence, fence); // Show it with each write.
 * guard.stop();
 * ```
 */
export class LeaseGuard implements AsyncDisposable {
  /** What every write under this lease shows. */
  readonly fence: LeaseFence;
  readonly #authority: LeaseAuthority;
  readonly #timers: LeaseTimers;
  readonly #ttlMs: number;
  readonly #renewIntervalMs: number;
  readonly #lost: AbortController = new AbortController();
  readonly #stopped: AbortController = new AbortController();
  #lease: LeaseRecord;
  #cancelRenewal: () => void = () => {};
  #cancelEnd: () => void = () => {};

  /** @throws `RangeError` if fewer than three renewals fit into `ttlMs`. */
  constructor(authority: LeaseAuthority, lease: LeaseRecord, options: LeaseGuardOptions) {
    const { timers, ttlMs = LEASE_TTL_MS } = options;
    const { renewIntervalMs = Math.floor(ttlMs / LEASE_RENEWALS_MIN) } = options;
    guardSafe(renewIntervalMs, "renewIntervalMs", 1);
    if (guardSafe(ttlMs, "ttlMs") < LEASE_RENEWALS_MIN * renewIntervalMs || ttlMs > LEASE_TTL_MS_MAX) {
      throw new RangeError(
        `ttlMs must be from ${LEASE_RENEWALS_MIN} times renewIntervalMs to ${LEASE_TTL_MS_MAX}: ${ttlMs}`,
      );
    }
    this.#authority = authority;
    this.#lease = lease;
    this.fence = leaseFence(lease);
    this.#timers = timers;
    this.#ttlMs = ttlMs;
    this.#renewIntervalMs = renewIntervalMs;
    this.#endsAfter(timers.now());
    this.#renewLater();
  }

  /** The lease as it was last renewed. */
  get lease(): LeaseRecord {
    return this.#lease;
  }

  /** Aborts with a {@link SessionStoreError} `LEASE_EXPIRED` when the lease is lost. Disposal does not abort it. */
  get signal(): AbortSignal {
    return this.#lost.signal;
  }

  /** Stops renewing; the lease lasts until it ends by itself. */
  stop(): void {
    this.#cancelRenewal();
    this.#cancelEnd();
    this.#stopped.abort(new Error("The guard was stopped"));
  }

  /** Stops renewing and releases the lease, so that the next owner need not wait. A release that fails is thrown. */
  async release(): Promise<void> {
    this.stop();
    await this.#authority.release(this.fence);
  }

  /** {@link LeaseGuard.stop}: whether the lease is given up is for its holder to say. */
  [Symbol.asyncDispose](): Promise<void> {
    this.stop();
    return Promise.resolve();
  }

  #renewLater(): void {
    this.#cancelRenewal = this.#timers.setTimer(this.#renewIntervalMs, () => void this.#renew());
  }

  async #renew(): Promise<void> {
    const sentAt = this.#timers.now();
    try {
      const options = { ttlMs: this.#ttlMs, signal: this.#stopped.signal };
      this.#lease = await this.#authority.renew(this.fence, options);
      if (this.#over()) return;
      this.#endsAfter(sentAt);
    } catch (error) {
      if (this.#over()) return;
      if (!mayPass(error)) return this.#lose(error);
    }
    this.#renewLater();
  }

  /** The lease cannot be relied on for longer than its TTL from when its renewal was sent. */
  #endsAfter(sentAt: number): void {
    this.#cancelEnd();
    const leftMs = Math.max(0, sentAt + this.#ttlMs - this.#timers.now());
    this.#cancelEnd = this.#timers.setTimer(leftMs, () => this.#lose(undefined));
  }

  #over(): boolean {
    return this.#stopped.signal.aborted;
  }

  #lose(cause: unknown): void {
    this.stop();
    const { session, generation } = this.fence;
    const message = `Lost the lease of session ${session}, generation ${generation}`;
    this.#lost.abort(
      new SessionStoreError("LEASE_EXPIRED", message, { session, ...(cause ? { cause } : {}) }),
    );
  }
}

function mayPass(error: unknown): boolean {
  return error instanceof SessionStoreError && error.retryable;
}
