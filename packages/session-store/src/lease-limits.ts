import { guardUpTo } from "@tidemark/core";
import { guardText } from "./text.ts";

/** How long a lease lasts unless it is renewed, in milliseconds, where nothing else is asked for. */
export const LEASE_TTL_MS: number = 30_000;

/** The longest lease, in milliseconds: a day. */
export const LEASE_TTL_MS_MAX: number = 24 * 60 * 60 * 1_000;

/** Renewals that fit into a lease at least, so that two may fail before it ends: every 10 s of the default. */
export const LEASE_RENEWALS_MIN: number = 3;

/** UTF-8 bytes of an owner's name and of a nonce, at most. */
export const LEASE_TEXT_BYTES_MAX: number = 256;

/** Throws a `TypeError` or `RangeError` for an owner, nonce or time that no lease can have. */
export function guardLeaseClaim(claim: {
  readonly owner: string;
  readonly nonce: string;
  readonly ttlMs: number;
}): void {
  guardText(claim.owner, "owner", LEASE_TEXT_BYTES_MAX);
  guardText(claim.nonce, "nonce", LEASE_TEXT_BYTES_MAX);
  guardUpTo(claim.ttlMs, "ttlMs", LEASE_TTL_MS_MAX);
}
