import { HASH_CONTEXTS } from "@tidemark/core";
import { decodeKey, type Kv, prefixRange } from "@tidemark/kv";
import { viewOf } from "./decision.ts";
import { directoryKey, directoryPartition, sessionKeys, sessionPartition } from "./keys.ts";
import { recordCodec, type RecordCodec, type RecordContext } from "./records.ts";
import { type SessionGate, sessionGateRecord } from "./session-gate.ts";

/** Where a session may be: written before its first record, so that what is there can be found. */
export interface DirectoryRow {
  readonly session: string;
  /** Unix ms of the store's clock. */
  readonly intendedAtMs: number;
}

/** How a row of the directory is stored. */
export const directoryRecord: RecordCodec<DirectoryRow> = recordCodec("directory", 1);

/** How many buckets the directory has. */
const BUCKETS = 256;

/**
 * The list of all sessions of a store, spread over partitions by a hash of the id. A row says that a session may be
 * there: its gate says whether it is.
 */
export class SessionDirectory {
  readonly #kv: Kv;
  readonly #hasher: RecordContext["hasher"];

  constructor(kv: Kv, hasher: RecordContext["hasher"]) {
    this.#kv = kv;
    this.#hasher = hasher;
  }

  /** Writes the row of a session that is about to be made. */
  async intend(session: string): Promise<void> {
    const records = this.#records(this.#bucketOf(session));
    const row = { session, intendedAtMs: await this.#kv.nowMs() };
    await this.#kv.commit(records.partition, {
      puts: [directoryRecord.item(row, directoryKey(session), records)],
    });
  }

  /** Removes the row of a session that is no longer there. */
  async forget(session: string): Promise<void> {
    await this.#kv.commit(directoryPartition(this.#bucketOf(session)), { deletes: [directoryKey(session)] });
  }

  /** Ids in the directory's own order, after one of them: of sessions that may be there. */
  async *ids(after?: string): AsyncIterable<string> {
    for (let bucket = after === undefined ? 0 : this.#bucketOf(after); bucket < BUCKETS; bucket++) {
      const view = viewOf(this.#kv, directoryPartition(bucket));
      const first = after !== undefined && bucket === this.#bucketOf(after) ? directoryKey(after) : undefined;
      let start = first;
      for (;;) {
        const range = { ...prefixRange(["session"]), ...(start === undefined ? {} : { start }) };
        const { items, next } = await view.scan(range);
        for (const { key } of items) {
          const id = decodeKey(key)[1] as string;
          if (id !== after) yield id;
        }
        if (next === undefined) break;
        start = next;
      }
    }
  }

  /** The gate of a session: whether it is there. */
  async gate(session: string): Promise<SessionGate | undefined> {
    const records = { partition: sessionPartition(session), hasher: this.#hasher };
    const [bytes] = await this.#kv.get(records.partition, [sessionKeys.gate]);
    return sessionGateRecord.read(bytes, sessionKeys.gate, records);
  }

  /**
   * Removes rows, written at or before `atMs`, of sessions that were never made or are deleted. A session made just then
   * gets its row back.
   *
   * @returns How many rows went.
   */
  async sweep(atMs: number): Promise<number> {
    let swept = 0;
    for await (const session of this.ids()) {
      const records = this.#records(this.#bucketOf(session));
      const key = directoryKey(session);
      const [value] = await this.#kv.get(records.partition, [key]);
      const row = directoryRecord.read(value, key, records);
      if (row === undefined || row.intendedAtMs > atMs || isThere(await this.gate(session))) continue;
      const { committed } = await this.#kv.commit(records.partition, {
        checks: [{ key, value }],
        deletes: [key],
      });
      if (!committed) continue;
      if (isThere(await this.gate(session))) await this.intend(session);
      else swept += 1;
    }
    return swept;
  }

  #records(bucket: number): RecordContext {
    return { partition: directoryPartition(bucket), hasher: this.#hasher };
  }

  #bucketOf(session: string): number {
    return this.#hasher.digest(HASH_CONTEXTS.sessionDirectory, new TextEncoder().encode(session), 1)[0]!;
  }
}

/** Whether a gate is that of a session that can be read. */
export function isThere(gate: SessionGate | undefined): boolean {
  return gate?.state === "open" || gate?.state === "archived";
}
