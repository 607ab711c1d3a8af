import type { Hasher } from "@tidemark/core";
import { PolicyBook, PolicyGate, SessionError, SessionPolicy } from "@tidemark/session";
import type { MergeFilter, SessionFold, SessionPolicyRules } from "@tidemark/session";
import type { RegionHealth } from "./health.ts";
import { toHex } from "./hex.ts";

/** What {@link RegionPolicies} are made of. */
export interface RegionPoliciesOptions {
  readonly rules: readonly SessionPolicyRules[] | undefined;
  readonly hasher: Hasher;
  /** This region. */
  readonly region: number;
  readonly now: () => number;
}

/** The policies a region holds: what they let pass, and what is said of them. */
export class RegionPolicies {
  readonly book: PolicyBook;
  readonly gate: PolicyGate;

  /** @throws `RangeError`, `TypeError`, SessionError `INVALID_INPUT` for rules that cannot be. */
  constructor(options: RegionPoliciesOptions) {
    const { rules = [], hasher, region, now } = options;
    this.book = new PolicyBook(rules.map((one) => new SessionPolicy(hasher, one)));
    this.gate = new PolicyGate({ book: this.book, region, now });
  }

  /** What a start under a policy says: the newest version of that name. @throws SessionError `POLICY_UNKNOWN`. */
  named(name: string | undefined): { readonly policy?: string; readonly policyVersion?: number } {
    if (name === undefined) return {};
    const policy = this.book.newest(name);
    if (policy !== undefined) return { policy: policy.id, policyVersion: policy.rules.version };
    const held = [...new Set(this.book.policies.map(({ rules }) => rules.name))].join(", ");
    throw new SessionError(
      "POLICY_UNKNOWN",
      `Cannot start a session under the policy ${JSON.stringify(name)}: this region holds ${held || "none"}`,
    );
  }

  /**
   * Whose sessions a session's policy lets its agent see. A policy that is not held here shows no agent but its own: a
   * permission nobody can read is none.
   *
   * @throws SessionError `SESSION_UNKNOWN` unless the session is one of the user's.
   */
  seenBy(fold: SessionFold, user: string, session: string): (agent: string) => boolean {
    const start = fold.sessions.get(session)?.start;
    if (start === undefined || start.sealed.user !== user) {
      throw new SessionError(
        "SESSION_UNKNOWN",
        `Cannot tell what session ${session} may see: no such session of this user is known here`,
      );
    }
    const { agent } = start.sealed;
    const policy = this.book.of(start.clear);
    if (policy === "none") return () => true;
    return policy === undefined ? (other) => other === agent : (other) => policy.sees(agent, other);
  }

  /** What a merge takes in: what the policy of its first parent, which is its own, would let be written. */
  mergeFilter(fold: SessionFold, parent: string, allows: MergeFilter | undefined): MergeFilter | undefined {
    const start = fold.sessions.get(parent)?.start;
    const policy = start === undefined ? "none" : this.book.of(start.clear);
    if (policy === undefined || policy === "none") return allows;
    const { kinds, signals } = policy;
    return (item) =>
      kinds?.has(item.kind) !== false &&
      (item.kind !== "signal" || signals?.has(item.name) !== false) &&
      allows?.(item) !== false;
  }

  health(): RegionHealth["policies"] {
    return {
      held: this.book.policies.map(({ rules, digest }) => ({
        name: rules.name,
        version: rules.version,
        digest: toHex(digest),
      })),
      missing: Object.fromEntries(this.gate.missing),
    };
  }
}
