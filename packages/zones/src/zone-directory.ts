import type { Hasher } from "@tidemark/core";
import { decodeKey, type Kv, prefixRange } from "@tidemark/kv";
import { asSessionStoreError, recordCodec, type RecordCodec, scanAll, viewOf } from "@tidemark/session-store";
import { definitionKey, DIRECTORY_PARTITION } from "./zone-keys.ts";

/** How many definitions a directory remembers to have listed; one more, and all are listed anew when they come. */
const REMEMBERED_MAX = 10_000;

const definitionRecord: RecordCodec<Readonly<Record<string, never>>> = recordCodec("zone-definition", 1);

/** The list of agents that may have zones: written before their first record. */
export class ZoneDirectory {
  readonly #kv: Kv;
  readonly #hasher: Hasher;
  readonly #listed: Set<string> = new Set();

  constructor(kv: Kv, hasher: Hasher) {
    this.#kv = kv;
    this.#hasher = hasher;
  }

  /** Lists an agent that is about to get a zone. */
  async intend(definition: string): Promise<void> {
    if (this.#listed.has(definition)) return;
    const records = { partition: DIRECTORY_PARTITION, hasher: this.#hasher };
    try {
      const puts = [definitionRecord.item({}, definitionKey(definition), records)];
      await this.#kv.commit(DIRECTORY_PARTITION, { puts });
    } catch (error) {
      throw asSessionStoreError(error);
    }
    if (this.#listed.size >= REMEMBERED_MAX) this.#listed.clear();
    this.#listed.add(definition);
  }

  /** Agents that may have zones, in order. */
  async definitions(): Promise<string[]> {
    const items = await scanAll(viewOf(this.#kv, DIRECTORY_PARTITION), prefixRange(["definition"]));
    return items.map(({ key }) => decodeKey(key)[1] as string);
  }
}
