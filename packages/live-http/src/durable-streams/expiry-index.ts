import { decodeKey, encodeKey, type Kv, type KvKey, SCAN_ITEMS_MAX } from "@tidemark/kv";

/** A life of a path, and when to look whether it is over. */
export interface DueStream {
  readonly path: string;
  readonly incarnation: string;
  readonly dueMs: number;
}

const SHARDS = "0123456789abcdef";
const EMPTY = new Uint8Array(0);

/**
 * When to look at which stream, since a key-value store lists no partitions: in sixteen partitions, by the first digit of
 * the incarnation. An entry may be too early, and then is moved; it may be of a life that never began or is over.
 */
export class ExpiryIndex {
  readonly #kv: Kv;
  readonly #namespace: string;

  constructor(kv: Kv, namespace: string) {
    this.#kv = kv;
    this.#namespace = namespace;
  }

  /** Looks at a life at that time. Written before the life begins, so that none is forgotten. */
  async add(due: DueStream): Promise<void> {
    await this.#kv.commit(this.#shardOf(due), { puts: [{ key: dueKey(due), value: EMPTY }] });
  }

  /** Looks at a life again at another time. */
  async move(due: DueStream, dueMs: number): Promise<void> {
    const puts = [{ key: dueKey({ ...due, dueMs }), value: EMPTY }];
    const deletes = dueMs === due.dueMs ? [] : [dueKey(due)];
    await this.#kv.commit(this.#shardOf(due), { puts, deletes });
  }

  async remove(due: DueStream): Promise<void> {
    await this.#kv.commit(this.#shardOf(due), { deletes: [dueKey(due)] });
  }

  /** Up to so many entries whose time has come. */
  async due(nowMs: number, limit: number): Promise<DueStream[]> {
    const found: DueStream[] = [];
    for (const shard of SHARDS) {
      if (found.length >= limit) break;
      const range = { prefix: encodeKey(["due"]), end: encodeKey(["due", nowMs + 1]) };
      const { items } = await this.#kv.scan(this.#partition(shard), {
        ...range,
        limit: Math.min(limit - found.length, SCAN_ITEMS_MAX),
      });
      for (const { key } of items) {
        const [, dueMs, path, incarnation] = decodeKey(key) as [string, number, string, string];
        found.push({ path, incarnation, dueMs });
      }
    }
    return found;
  }

  #shardOf({ incarnation }: DueStream): string {
    return this.#partition(incarnation.charAt(0));
  }

  #partition(shard: string): string {
    return `${this.#namespace}.expiry/${shard}`;
  }
}

function dueKey({ path, incarnation, dueMs }: DueStream): KvKey {
  return encodeKey(["due", dueMs, path, incarnation]);
}
