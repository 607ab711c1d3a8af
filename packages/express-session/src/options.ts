import type { Hasher } from "@tidemark/core";
import type { Kv } from "@tidemark/kv";
import type { SessionJournal } from "@tidemark/session-store";

/** A cookie as sessions hold it. */
export interface SessionCookie {
  readonly expires?: Date | string | null | undefined;
}

/** Options of the stores of this package. */
export interface TidemarkStoreOptions<Session = object> {
  /** Where the sessions are; it scans. It is borrowed: the store never closes it. */
  readonly kv: Kv;
  /**
   * For how many seconds a session lasts after it was last saved or touched, if its cookie does not say. A function is
   * asked for every session instead; 0 or less destroys it.
   *
   * @defaultValue 86,400: a day
   */
  readonly ttl?: number | ((session: Session) => number);
  /** Begins the names of all partitions: 1 to 64 of `a-z`, `0-9` and `-`. @defaultValue `sess` */
  readonly prefix?: string;
  /** `touch` changes nothing: a session lasts from its last save. @defaultValue false */
  readonly disableTouch?: boolean;
  /**
   * Carries sessions to other regions: a region, see `regionJournal` of `@tidemark/session-store`. `kv` is then this
   * region's own, and nothing but this store writes to its partitions.
   */
  readonly journal?: SessionJournal;
  /**
   * How often, in milliseconds, a save or touch removes up to 100 sessions that are over. `Infinity` leaves it to
   * `sweep()`. @defaultValue 60,000
   */
  readonly sweepEveryMs?: number;
  /**
   * With a journal: how long a session must be over before it is removed, in milliseconds, so that a touch in another
   * region has time to come. @defaultValue 86,400,000: a day
   */
  readonly graceMs?: number;
  /** Is told of what failed beside the calls: a sweep of sessions. @defaultValue does nothing */
  readonly onError?: (error: unknown) => void;
  /** @defaultValue `nobleHasher` of `@tidemark/core` */
  readonly hasher?: Hasher;
  /** Fresh random bytes. @defaultValue those of `crypto` */
  readonly random?: (length: number) => Uint8Array;
  /** Unix milliseconds of the clock that cookies are dated by. @defaultValue `Date.now` */
  readonly nowMs?: () => number;
}

/**
 * What became of a save or a touch.
 *
 * - `stored`: it is in the store.
 * - `gone`: the session was destroyed, or was over, since it was loaded. Nothing was written.
 * - `skipped`: `disableTouch` says so.
 */
export type SessionOutcome = "stored" | "gone" | "skipped";

/** What a {@link TidemarkStoreOptions} sweep did. */
export interface SweepReport {
  /** How many sessions were removed. */
  readonly removed: number;
  /** Whether there may be more. */
  readonly more: boolean;
}
