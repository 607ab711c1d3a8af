import type { SessionErrorCode } from "./errors.ts";
import type { StartClear } from "./op.ts";
import { beginsSession, type OpKind } from "./op-kinds.ts";
import type { PolicyBook } from "./policy-book.ts";
import { RateLimits } from "./rate-limits.ts";
import type { PolicyRate } from "./session-policy.ts";

/** Codes of refusals by a policy. */
export type PolicyRefusalCode = Extract<SessionErrorCode, `POLICY_${string}`>;

/** Policies that are missing here and counted one by one; beyond that they are counted together. */
export const MISSING_POLICIES_MAX = 64;

/** What a {@link PolicyGate} needs. */
export interface PolicyGateOptions {
  readonly book: PolicyBook;
  /** This region: it counts what itself accepts. */
  readonly region: number;
  /** Wall clock, Unix milliseconds. */
  readonly now: () => number;
}

/** A write as a policy sees it. */
export interface PolicyWrite {
  readonly session: string;
  readonly kind: OpKind;
  /** The name, of a signal. */
  readonly signal: string | undefined;
  /** What the session's start says. */
  readonly start: Pick<StartClear, "policy" | "policyVersion">;
  /** When the session was started. */
  readonly startedAtMs: number;
  /** How many operations this region has accepted in the session, queued ones included. */
  readonly accepted: () => number;
}

/** Why a policy does not let a write pass. */
export interface PolicyRefusal {
  readonly type: "refused";
  readonly code: PolicyRefusalCode;
  readonly message: string;
}

/**
 * Judges writes by the policy of their session. It gates what this region accepts and nothing else: what was accepted
 * anywhere folds everywhere.
 *
 * Beginning, closing and purging a session always pass, but for a start under a policy that is not held here.
 */
export class PolicyGate {
  readonly book: PolicyBook;
  readonly region: number;
  /** Writes accepted under a policy that this region lacks, and so cannot enforce: by the policy's id and version. */
  readonly missing: Map<string, number> = new Map();
  readonly #now: () => number;
  readonly #rates: RateLimits = new RateLimits();

  constructor(options: PolicyGateOptions) {
    this.book = options.book;
    this.region = options.region;
    this.#now = options.now;
  }

  /** Whether a policy here limits how many operations are accepted. */
  get counts(): boolean {
    return this.book.policies.some(({ rules }) => rules.opsMax !== undefined);
  }

  /** Why a write does not pass: the first reason in the order of kind, signal, duration, count, rate. */
  judge(write: PolicyWrite): PolicyRefusal | undefined {
    const { session, kind, signal } = write;
    const policy = this.book.of(write.start);
    if (kind === "start" && policy === undefined)
      return refuse("POLICY_UNKNOWN", `Cannot start session ${session} under a policy that is not held here`);
    if (!isGated(kind) || policy === undefined || policy === "none") return undefined;
    const { name, opsMax, rate, durationMs } = policy.rules;
    if (policy.kinds?.has(kind) === false)
      return refuse(
        "POLICY_KIND",
        `Cannot write a ${kind} in session ${session}: the policy ${name} does not allow it`,
      );
    if (signal !== undefined && policy.signals?.has(signal) === false)
      return refuse(
        "POLICY_SIGNAL",
        `Cannot give the signal ${signal}: the policy ${name} does not allow it`,
      );
    const nowMs = this.#now();
    if (durationMs !== undefined && nowMs - write.startedAtMs > durationMs)
      return refuse("POLICY_DURATION", `Cannot write in session ${session}: it may last ${durationMs} ms`);
    if (opsMax !== undefined && write.accepted() >= opsMax)
      return refuse(
        "POLICY_COUNT",
        `Cannot write in session ${session}: the limit is ${opsMax} operations here`,
      );
    if (rate !== undefined && !this.#rates.allows(session, rate, nowMs))
      return refuse("POLICY_RATE", `Cannot write in session ${session}: the limit is ${textOf(rate)}`);
    return undefined;
  }

  /** A write was accepted. */
  accepted({ session, kind, start }: Pick<PolicyWrite, "session" | "kind" | "start">): void {
    if (!isGated(kind)) return;
    const policy = this.book.of(start);
    if (policy === undefined) this.#miss(`${start.policy} ${start.policyVersion}`);
    else if (policy !== "none" && policy.rules.rate !== undefined)
      this.#rates.spend(session, policy.rules.rate, this.#now());
  }

  #miss(name: string): void {
    const known = this.missing.has(name) || this.missing.size < MISSING_POLICIES_MAX;
    const key = known ? name : "others";
    this.missing.set(key, (this.missing.get(key) ?? 0) + 1);
  }
}

function isGated(kind: OpKind): boolean {
  return !beginsSession(kind) && kind !== "close" && kind !== "purge";
}

function refuse(code: PolicyRefusalCode, message: string): PolicyRefusal {
  return { type: "refused", code, message };
}

function textOf({ ops, perMs }: PolicyRate): string {
  return `${ops} operations in ${perMs} ms`;
}
