import type { Hasher, ShardId } from "@tidemark/core";
import { slotOf, type ShardRouter } from "@tidemark/replication";
import { mintSessionId, slotOfSessionId } from "@tidemark/session";

/** Finds the shard of whatever is written: a user and all their sessions share a slot, and so a shard. */
export class SlotMap {
  readonly router: ShardRouter;
  readonly #hasher: Hasher;

  constructor(router: ShardRouter, hasher: Hasher) {
    this.router = router;
    this.#hasher = hasher;
  }

  /**
   * The shard of a session. Its user decides; of an operation that has come before the start of its session, a minted
   * id says as much. Where nothing does, the id stands in: any log will carry it.
   */
  shardOfSession(session: string, user: string | undefined): ShardId {
    if (this.router.shards === 1) return this.router.shardOf(0);
    return this.router.shardOf(
      user === undefined ? (slotOfSessionId(session) ?? this.#slotOf(session)) : this.#slotOf(user),
    );
  }

  /** The shard of a user's operations. */
  shardOfUser(user: string): ShardId {
    return this.router.shardOf(this.router.shards === 1 ? 0 : this.#slotOf(user));
  }

  /** The shard of what is said of an entity outside of any session. */
  shardOfEntity(entity: string): ShardId {
    return this.router.shardOf(this.router.shards === 1 ? 0 : this.#slotOf(entity));
  }

  /** A new id for a session of a user. @param random - 16 bytes. */
  mint(user: string, random: Uint8Array): string {
    return mintSessionId(random, this.#slotOf(user));
  }

  #slotOf(key: string): number {
    return slotOf(this.#hasher, key);
  }
}
