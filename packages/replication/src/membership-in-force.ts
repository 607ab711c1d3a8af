import type { Hasher } from "@tidemark/core";
import { equalBytes } from "./equal-bytes.ts";
import { ReplicationError } from "./errors.ts";
import type { ReplicationLogger } from "./logger.ts";
import { judgeMembership } from "./membership-change.ts";
import { encodeMembership, formatMembership, membershipDigest, type Membership } from "./membership.ts";

/** What this region has said to a proposal: it takes no list below it, and of its version no other one. */
export interface MembershipPromise {
  readonly version: number;
  /** The digest of the list that was proposed. */
  readonly digest: Uint8Array;
}

/** Keeps on disk what must not be forgotten about lists of members. */
export interface MembershipStore {
  /**
   * Before a list comes into force, and with it a promise of its version or below is decided. What it throws keeps the
   * list from it.
   */
  keep(list: Membership): Promise<void>;
  /** Before a proposal is agreed to; `undefined` takes it back. */
  promise(promise: MembershipPromise | undefined): Promise<void>;
}

/** The list of members that counts now, and the one way to another. */
export class MembershipInForce {
  #list: Membership;
  #digest: Uint8Array;
  #promised: MembershipPromise | undefined;
  #changing: Promise<unknown> = Promise.resolve();
  readonly #options: MembershipInForceOptions;

  constructor(options: MembershipInForceOptions) {
    this.#options = options;
    this.#list = options.list;
    this.#digest = membershipDigest(options.hasher, options.list);
    this.#promised = options.promised;
  }

  get list(): Membership {
    return this.#list;
  }

  get digest(): Uint8Array {
    return this.#digest;
  }

  get promised(): MembershipPromise | undefined {
    return this.#promised;
  }

  /**
   * Takes a list that follows the one in force: it is kept on disk, then it counts. One change at a time.
   *
   * @returns whether it was another list than the one in force.
   * @throws {@link ReplicationError} `MEMBERSHIP_REFUSED` for a list that does not follow, or that another one was
   * promised against; `MEMBERSHIP_MISMATCH` for another list of this version.
   */
  take(list: Membership): Promise<boolean> {
    return this.serially(async () => {
      const verdict = judgeMembership(this.#list, list);
      if (verdict.kind === "same") return false;
      if (verdict.kind === "older")
        throw refused(list, `the one in force is ${formatMembership(this.#list)}`);
      if (verdict.kind === "refused") throw refused(list, verdict.why);
      if (verdict.kind === "differs") {
        throw new ReplicationError(
          "MEMBERSHIP_MISMATCH",
          `Lists of members differ: here ${formatMembership(this.#list)}; there ${formatMembership(list)}`,
        );
      }
      const next = verdict.kind === "merge" ? verdict.merged : list;
      if (verdict.kind === "successor") this.#requireUnpromised(next);
      if (equalBytes(encodeMembership(next), encodeMembership(this.#list))) return false;
      await this.#options.store?.keep(next);
      this.#list = next;
      this.#digest = membershipDigest(this.#options.hasher, next);
      if (this.#promised !== undefined && this.#promised.version <= next.version) this.#promised = undefined;
      this.#options.logger.info({ members: formatMembership(next) }, "Another list of members is in force");
      this.#options.changed(next);
      return true;
    });
  }

  /** Whether a list may be promised: no other one of its version was, nor any later one. */
  mayPromise(list: Membership): boolean {
    if (list.version <= this.#list.version) return false;
    if (this.#promised === undefined || list.version > this.#promised.version) return true;
    const digest = membershipDigest(this.#options.hasher, list);
    return samePromise(this.#promised, { version: list.version, digest });
  }

  /** Promises to take no list below a proposal, and of its version no other one: on disk first. */
  async promise(list: Membership): Promise<void> {
    const promise = { version: list.version, digest: membershipDigest(this.#options.hasher, list) };
    if (this.#promised !== undefined && samePromise(this.#promised, promise)) return;
    await this.#options.store?.promise(promise);
    this.#promised = promise;
  }

  /** The proposal failed: whoever made it says that it will never come into force. */
  async release(list: Membership): Promise<void> {
    const digest = membershipDigest(this.#options.hasher, list);
    if (this.#promised === undefined || !samePromise(this.#promised, { version: list.version, digest }))
      return;
    await this.#options.store?.promise(undefined);
    this.#promised = undefined;
  }

  /** Runs a change after the one under way. */
  serially<Value>(change: () => Promise<Value>): Promise<Value> {
    const changed = this.#changing.then(change);
    this.#changing = changed.catch(() => undefined);
    return changed;
  }

  #requireUnpromised(list: Membership): void {
    if (this.mayPromise(list)) return;
    const { version } = this.#promised as MembershipPromise;
    throw refused(list, `version ${version} was promised to another one: write it with a version above that`);
  }
}

/** What a {@link MembershipInForce} begins with. */
export interface MembershipInForceOptions {
  readonly hasher: Hasher;
  readonly logger: ReplicationLogger;
  readonly list: Membership;
  readonly promised?: MembershipPromise;
  readonly store?: MembershipStore;
  /** Another list is in force now. */
  readonly changed: (list: Membership) => void;
}

/** The digest of no list: a fenced region agrees with nobody. */
export const NO_MEMBERSHIP_DIGEST: Uint8Array = new Uint8Array(16);

function samePromise(a: MembershipPromise, b: MembershipPromise): boolean {
  return a.version === b.version && equalBytes(a.digest, b.digest);
}

function refused(list: Membership, why: string): ReplicationError {
  return new ReplicationError(
    "MEMBERSHIP_REFUSED",
    `Cannot take the list of members ${formatMembership(list)}: ${why}`,
  );
}
