import type { Hasher, ShardId } from "@tidemark/core";
import { routerOf, ShardRouter, slotOf, type Membership } from "@tidemark/replication";
import { mintSessionId, slotOfSessionId } from "@tidemark/session";

/** Finds the shard of whatever is written: a user and all their sessions share a slot, and so a shard. */
export class SlotMap {
  readonly #list: () => Membership;
  readonly #hasher: Hasher;
  #known: Membership | undefined;
  #router: ShardRouter = ShardRouter.single();

  /** @param list - The list of members in force: slots move when it changes. */
  constructor(list: () => Membership, hasher: Hasher) {
    this.#list = list;
    this.#hasher = hasher;
  }

  get router(): ShardRouter {
    const list = this.#list();
    if (list !== this.#known) {
      this.#known = list;
      this.#router = routerOf(list);
    }
    return this.#router;
  }

  /**
   * The shard of a session. Its user decides; of an operation that has come before the start of its session, a minted
   * id says as much. Where nothing does, the id stands in: any log will carry it.
   */
  shardOfSession(session: string, user: string | undefined): ShardId {
    const { router } = this;
    if (router.shards === 1) return router.shardOf(0);
    return router.shardOf(
      user === undefined ? (slotOfSessionId(session) ?? this.#slotOf(session)) : this.#slotOf(user),
    );
  }

  /** The shard of a user's operations. */
  shardOfUser(user: string): ShardId {
    return this.#shardOf(user);
  }

  /** The shard of what is said of an entity outside of any session. */
  shardOfEntity(entity: string): ShardId {
    return this.#shardOf(entity);
  }

  /** A new id for a session of a user. @param random - 16 bytes. */
  mint(user: string, random: Uint8Array): string {
    return mintSessionId(random, this.#slotOf(user));
  }

  #shardOf(key: string): ShardId {
    const { router } = this;
    return router.shardOf(router.shards === 1 ? 0 : this.#slotOf(key));
  }

  #slotOf(key: string): number {
    return slotOf(this.#hasher, key);
  }
}
