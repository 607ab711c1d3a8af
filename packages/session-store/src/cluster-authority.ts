import type { Hasher } from "@tidemark/core";
import { encodeKey, type Kv, KvError, type Partition } from "@tidemark/kv";
import {
  type ClusterDecision,
  type ClusterHead,
  type ClusterRegister,
  decideClusterClaim,
  decideClusterCommit,
  decideClusterRelease,
  decideClusterRenew,
  EMPTY_CLUSTER_REGISTER,
} from "./cluster-register.ts";
import { asSessionStoreError, SessionStoreError } from "./errors.ts";
import { type LeaseClaim, type LeaseFence, type LeaseRecord, requireLive } from "./lease.ts";
import { recordCodec, type RecordCodec } from "./records.ts";

/** How often a register is decided anew before it is `BUSY`. */
const ATTEMPTS_MAX = 16;
const KEY = encodeKey(["register"]);
const registerRecord: RecordCodec<ClusterRegister> = recordCodec("cluster-register", 1);

/**
 * Who may commit to the sessions of a cluster, and what is committed: one register a session, in one store that all
 * regions reach. One key a commit is all that it needs, so the smallest of key-value stores will do.
 *
 * Every change is safe to repeat, so a change whose answer was lost is made again before it is given up.
 */
export class ClusterAuthority {
  readonly #kv: Kv;
  readonly #hasher: Hasher;

  constructor(kv: Kv, hasher: Hasher) {
    this.#kv = kv;
    this.#hasher = hasher;
  }

  /** @throws SessionStoreError `STORAGE_FAILED`, `DATA_CORRUPT`, `RECORD_VERSION` */
  async read(session: string): Promise<ClusterRegister> {
    const partition = partitionOf(session);
    try {
      const [stored] = await this.#kv.get(partition, [KEY]);
      return this.#decode(stored, partition);
    } catch (error) {
      throw asSessionStoreError(error);
    }
  }

  /** The register with the caller's lease; `undefined` if another holds it. */
  claim(claim: LeaseClaim): Promise<ClusterRegister | undefined> {
    return this.#run(claim.session, (register, nowMs) => decideClusterClaim(register, claim, nowMs));
  }

  /** @throws SessionStoreError `LEASE_EXPIRED` */
  renew(fence: LeaseFence, ttlMs: number): Promise<LeaseRecord> {
    return this.#run(fence.session, (register, nowMs) => decideClusterRenew(register, fence, ttlMs, nowMs));
  }

  /** The lease, held by exactly this fence. @throws SessionStoreError `LEASE_EXPIRED` */
  require(fence: LeaseFence): Promise<LeaseRecord> {
    return this.#run(fence.session, ({ lease }, nowMs) => ({ result: requireLive(lease, fence, nowMs) }));
  }

  release(fence: LeaseFence): Promise<undefined> {
    return this.#run(fence.session, (register) => decideClusterRelease(register, fence));
  }

  /** @throws SessionStoreError `LEASE_EXPIRED`, `HEAD_CONFLICT` */
  commit(fence: LeaseFence, from: ClusterHead, to: ClusterHead): Promise<undefined> {
    return this.#run(fence.session, (register, nowMs) =>
      decideClusterCommit(register, { fence, from, to }, nowMs),
    );
  }

  async #run<Result>(
    session: string,
    decide: (register: ClusterRegister, nowMs: number) => ClusterDecision<Result>,
  ): Promise<Result> {
    const partition = partitionOf(session);
    let lost: unknown;
    try {
      for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
        const [[stored], nowMs] = await Promise.all([this.#kv.get(partition, [KEY]), this.#kv.nowMs()]);
        const { write, result } = decide(this.#decode(stored, partition), nowMs);
        if (write === undefined) return result;
        try {
          const { committed } = await this.#kv.commit(partition, {
            checks: [{ key: KEY, value: stored }],
            puts: [registerRecord.item(write, KEY, { partition, hasher: this.#hasher })],
          });
          if (committed) return result;
        } catch (error) {
          // What stands there now tells whether it happened: the same decision then changes nothing.
          if (!(error instanceof KvError && error.committed === "unknown") || lost !== undefined) throw error;
          lost = error;
        }
      }
    } catch (error) {
      throw asSessionStoreError(error);
    }
    throw new SessionStoreError(
      "BUSY",
      `Cannot change the lease of session ${session}: others did ${ATTEMPTS_MAX} times`,
      { session },
    );
  }

  #decode(stored: Uint8Array | undefined, partition: Partition): ClusterRegister {
    return registerRecord.read(stored, KEY, { partition, hasher: this.#hasher }) ?? EMPTY_CLUSTER_REGISTER;
  }
}

function partitionOf(session: string): Partition {
  return `lease/${session}`;
}
