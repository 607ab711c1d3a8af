import { HASH_CONTEXTS, type Hasher } from "@tidemark/core";
import {
  decodeKey,
  encodeKey,
  type Kv,
  type KvKey,
  type Partition,
  prefixRange,
  scanPages,
} from "@tidemark/kv";

const utf8 = new TextEncoder();
const SHARDS = "0123456789abcdef";
/** As many sessions as one process remembers to be in the index; one more, and the oldest is written there again. */
const REMEMBERED_MAX = 10_000;
const EMPTY = new Uint8Array(0);

/** A session whose time may have come. */
export interface DueSession {
  readonly id: string;
  readonly dueMs: number;
}

/**
 * When to look at which session, since a key-value store lists no partitions: in sixteen partitions, under
 * `("due", ms, id)`. An entry may be too early: a session that lasts longer by now is moved when its entry is due, so that
 * a touch costs no write here. Several entries of one session become one by that.
 */
export class ExpiryIndex {
  readonly #kv: Kv;
  readonly #hasher: Hasher;
  readonly #partition: string;
  readonly #remembered: Map<string, number> = new Map();
  #next: number = 0;

  constructor(kv: Kv, hasher: Hasher, partition: string) {
    this.#kv = kv;
    this.#hasher = hasher;
    this.#partition = partition;
  }

  /** Makes sure that a session has an entry that is still to come. */
  async ensure(id: string, dueMs: number, nowMs: number): Promise<void> {
    if ((this.#remembered.get(id) ?? 0) > nowMs) return;
    await this.#kv.commit(this.#shardOf(id), { puts: [{ key: dueKey({ id, dueMs }), value: EMPTY }] });
    this.#remember(id, dueMs);
  }

  /** Looks at a session again at another time. */
  async move({ id, dueMs }: DueSession, toMs: number): Promise<void> {
    const [from, to] = [dueKey({ id, dueMs }), dueKey({ id, dueMs: toMs })];
    if (toMs === dueMs) return;
    await this.#kv.commit(this.#shardOf(id), { puts: [{ key: to, value: EMPTY }], deletes: [from] });
    this.#remember(id, toMs);
  }

  /** Removes an entry of a session that has left nothing. */
  async remove(due: DueSession): Promise<void> {
    await this.#kv.commit(this.#shardOf(due.id), { deletes: [dueKey(due)] });
    this.#remembered.delete(due.id);
  }

  /** Up to so many entries whose time has come, from a partition after the last one looked into. */
  async due(nowMs: number, limit: number): Promise<DueSession[]> {
    const found: DueSession[] = [];
    for (let shards = 0; shards < SHARDS.length && found.length < limit; shards++) {
      const shard = `${this.#partition}/${SHARDS.charAt(this.#next)}`;
      const range = { ...prefixRange(["due"]), end: encodeKey(["due", nowMs + 1]) };
      const { items } = await this.#kv.scan(shard, { ...range, limit: limit - found.length });
      for (const { key } of items) found.push(readDue(key));
      // A partition that holds more is the first next time.
      if (found.length < limit) this.#next = (this.#next + 1) % SHARDS.length;
    }
    return found;
  }

  /** The ids of all sessions that may be there, each once; how many there are is held in memory. */
  async *ids(): AsyncGenerator<string> {
    for (const shard of SHARDS) {
      const seen = new Set<string>();
      for await (const items of scanPages(this.#kv, `${this.#partition}/${shard}`, prefixRange(["due"]))) {
        for (const { key } of items) {
          const { id } = readDue(key);
          if (!seen.has(id)) yield id;
          seen.add(id);
        }
      }
    }
  }

  #remember(id: string, dueMs: number): void {
    this.#remembered.delete(id);
    this.#remembered.set(id, dueMs);
    const [oldest] = this.#remembered.keys();
    if (this.#remembered.size > REMEMBERED_MAX && oldest !== undefined) this.#remembered.delete(oldest);
  }

  #shardOf(id: string): Partition {
    const [byte = 0] = this.#hasher.digest(HASH_CONTEXTS.expressSessionShard, utf8.encode(id), 1);
    return `${this.#partition}/${SHARDS.charAt(byte % SHARDS.length)}`;
  }
}

function dueKey({ id, dueMs }: DueSession): KvKey {
  return encodeKey(["due", dueMs, id]);
}

function readDue(key: KvKey): DueSession {
  const [, dueMs, id] = decodeKey(key) as [string, number, string];
  return { id, dueMs };
}
