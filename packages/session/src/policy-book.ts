import type { StartClear } from "./op.ts";
import type { SessionPolicy } from "./session-policy.ts";

/** Policies a region holds. */
export const POLICIES_MAX = 1_024;

/** The policies a region holds, found by what a start says and by name. */
export class PolicyBook {
  readonly policies: readonly SessionPolicy[];
  readonly #byId: Map<string, SessionPolicy> = new Map();
  readonly #newest: Map<string, SessionPolicy> = new Map();

  /** @throws `RangeError` for two policies of one name and version, or for too many. */
  constructor(policies: readonly SessionPolicy[] = []) {
    if (policies.length > POLICIES_MAX)
      throw new RangeError(`Cannot hold ${policies.length} policies: the limit is ${POLICIES_MAX}`);
    this.policies = policies;
    const seen = new Set<string>();
    for (const policy of policies) {
      const { name, version } = policy.rules;
      if (seen.has(`${name}@${version}`))
        throw new RangeError(`Two policies are called ${name}, version ${version}`);
      seen.add(`${name}@${version}`);
      this.#byId.set(`${policy.id} ${version}`, policy);
      if (version > (this.#newest.get(name)?.rules.version ?? 0)) this.#newest.set(name, policy);
    }
  }

  /** The policy of that name with the highest version. */
  newest(name: string): SessionPolicy | undefined {
    return this.#newest.get(name);
  }

  /** The policy a start names: `none` if it names none, `undefined` if this region lacks it. */
  of({
    policy,
    policyVersion,
  }: Pick<StartClear, "policy" | "policyVersion">): SessionPolicy | "none" | undefined {
    return policy === "" ? "none" : this.#byId.get(`${policy} ${policyVersion}`);
  }
}
