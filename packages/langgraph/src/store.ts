import {
  BaseStore,
  type GetOperation,
  InvalidNamespaceError,
  type Item,
  type ListNamespacesOperation,
  type Operation,
  type OperationResults,
  type PutOperation,
  type SearchItem,
  type SearchOperation,
} from "@langchain/langgraph-checkpoint";
import { type Hasher, nobleHasher } from "@tidemark/core";
import {
  decodeKey,
  encodeKey,
  type Kv,
  type KvCheck,
  type KvItem,
  type KvKey,
  type Partition,
  prefixRange,
  scanPages,
} from "@tidemark/kv";
import { guardPrefix, randomBytes } from "@tidemark/session-store";
import { Directory } from "./directory.ts";
import { LangGraphError } from "./errors.ts";
import { matchesItem } from "./item-filter.ts";
import { decodeItem, encodeItem } from "./item-record.ts";
import { guardNamespace, literalPrefix, matchesCondition } from "./namespace-match.ts";
import { openRecords, type Records } from "./records.ts";

const ATTEMPTS_MAX = 16;
const NAMED_KEY: KvKey = encodeKey(["namespace"]);

/** Options of {@link TidemarkStore}. */
export interface TidemarkStoreOptions {
  /** Where the items are. It is borrowed: the store never closes it. */
  readonly kv: Kv;
  /** Begins the names of all partitions: 1 to 64 of `a-z`, `0-9` and `-`. @defaultValue `langgraph` */
  readonly prefix?: string;
  /** @defaultValue `nobleHasher` of `@tidemark/core` */
  readonly hasher?: Hasher;
  /** Fresh random bytes. @defaultValue those of `crypto` */
  readonly random?: (length: number) => Uint8Array;
}

/**
 * LangGraph's long-term memory in a key-value store: one namespace is one partition.
 *
 * Values are kept as JSON. There are no vectors: `query` and `index` change nothing, as in an `InMemoryStore` that was
 * given no embeddings. Items come in the order of namespaces and keys; namespaces without items are not listed.
 */
export class TidemarkStore extends BaseStore {
  readonly #kv: Kv;
  readonly #prefix: string;
  readonly #records: Records;
  readonly #directory: Directory;
  readonly #random: (length: number) => Uint8Array;

  constructor(options: TidemarkStoreOptions) {
    super();
    const { kv, prefix = "langgraph", hasher = nobleHasher, random = randomBytes } = options;
    guardPrefix(prefix);
    this.#kv = kv;
    this.#prefix = prefix;
    this.#random = random;
    this.#records = openRecords(hasher);
    const partition = `${prefix}.namespaces`;
    this.#directory = new Directory({ kv, records: this.#records, hasher, random, partition });
  }

  /**
   * Reads, then writes: what is read is as it was before the batch. Of several puts of one key the last counts. Puts
   * of one namespace are one commit, if the store takes so many keys at once; those of several are several.
   *
   * @throws `InvalidNamespaceError`; `LangGraphError` `LANGGRAPH_BUSY`
   */
  override async batch<Op extends Operation[]>(operations: Op): Promise<OperationResults<Op>> {
    for (const operation of operations) guardOperation(operation);
    const results: unknown[] = await Promise.all(
      operations.map(async (operation) => {
        if ("namespacePrefix" in operation) return this.#search(operation);
        if (isPut(operation)) return null;
        return "key" in operation ? this.#get(operation) : this.#list(operation);
      }),
    );
    const puts = new Map<Partition, Map<string, PutOperation>>();
    for (const operation of operations) {
      if (!isPut(operation)) continue;
      const partition = this.#partition(operation.namespace);
      const ofPartition = puts.get(partition) ?? new Map<string, PutOperation>();
      puts.set(partition, ofPartition.set(operation.key, operation));
    }
    // One key more is the namespace's own row.
    const keysMax = this.#kv.capabilities.keysPerCommitMax - 1;
    for (const ofPartition of puts.values()) {
      const all = [...ofPartition.values()];
      for (let at = 0; at < all.length; at += keysMax) await this.#put(all.slice(at, at + keysMax));
    }
    return results as OperationResults<Op>;
  }

  async #get({ namespace, key }: GetOperation): Promise<Item | null> {
    const partition = this.#partition(namespace);
    const row = encodeKey(["item", key]);
    const [value] = await this.#kv.get(partition, [row]);
    return value === undefined ? null : this.#item(namespace, row, value);
  }

  async #search(operation: SearchOperation): Promise<SearchItem[]> {
    const { namespacePrefix, filter = {}, limit = 10, offset = 0 } = operation;
    const found: SearchItem[] = [];
    if (limit <= 0) return found;
    let passed = 0;
    for await (const namespace of this.#directory.names(namespacePrefix)) {
      for await (const item of this.#items([...namespace])) {
        if (!matchesItem(item.value, filter) || passed++ < offset) continue;
        found.push(item);
        if (found.length >= limit) return found;
      }
    }
    return found;
  }

  async #list(operation: ListNamespacesOperation): Promise<string[][]> {
    const { matchConditions = [], maxDepth, limit, offset } = operation;
    const found: string[][] = [];
    let passed = 0;
    let last: string | undefined;
    if (limit <= 0) return found;
    for await (const name of this.#directory.names(literalPrefix(matchConditions))) {
      if (!matchConditions.every((condition) => matchesCondition(name, condition))) continue;
      const namespace = name.slice(0, maxDepth);
      const text = namespace.join(".");
      // Names come in order, so those that are equal to a depth follow one another.
      if (text === last || !(await this.#hasItems(name))) continue;
      last = text;
      if (passed++ < offset) continue;
      found.push(namespace);
      if (found.length >= limit) break;
    }
    return found;
  }

  /** Writes items of one namespace in one commit. */
  async #put(operations: readonly PutOperation[]): Promise<void> {
    const { namespace } = operations[0]!;
    const partition = this.#partition(namespace);
    const keys = operations.map(({ key }) => encodeKey(["item", key]));
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
      const [named, ...before] = await this.#kv.get(partition, [NAMED_KEY, ...keys]);
      const nowMs = await this.#kv.nowMs();
      const checks: KvCheck[] = [];
      const puts: KvItem[] = [];
      const deletes: KvKey[] = [];
      for (const [index, { value }] of operations.entries()) {
        const [key, stored] = [keys[index]!, before[index]];
        if (value === null) {
          if (stored !== undefined) deletes.push(key);
          continue;
        }
        const createdMs = stored === undefined ? nowMs : this.#record(partition, key, stored).createdMs;
        const body = encodeItem({ createdMs, updatedMs: nowMs, value });
        checks.push({ key, value: stored });
        puts.push({ key, value: this.#records.seal("langgraph-item", partition, key, body) });
      }
      if (puts.length + deletes.length === 0) return;
      if (named === undefined && puts.length > 0) {
        await this.#directory.intend(namespace);
        const value = this.#records.seal("langgraph-namespace", partition, NAMED_KEY, this.#random(8));
        puts.push({ key: NAMED_KEY, value });
      }
      const { committed } = await this.#kv.commit(partition, { checks, puts, deletes });
      if (committed) return;
    }
    throw new LangGraphError(
      "LANGGRAPH_BUSY",
      `Cannot write to namespace ${namespace.join(".")}: others changed it ${ATTEMPTS_MAX} times meanwhile`,
    );
  }

  async *#items(namespace: string[]): AsyncGenerator<Item> {
    const partition = this.#partition(namespace);
    for await (const items of scanPages(this.#kv, partition, prefixRange(["item"]))) {
      for (const { key, value } of items) yield this.#item(namespace, key, value);
    }
  }

  async #hasItems(namespace: readonly string[]): Promise<boolean> {
    const { items } = await this.#kv.scan(this.#partition(namespace), { ...prefixRange(["item"]), limit: 1 });
    return items.length > 0;
  }

  #item(namespace: string[], row: KvKey, bytes: Uint8Array): Item {
    const { value, createdMs, updatedMs } = this.#record(this.#partition(namespace), row, bytes);
    const [, key] = decodeKey(row) as [string, string];
    return { namespace, key, value, createdAt: new Date(createdMs), updatedAt: new Date(updatedMs) };
  }

  #record(partition: Partition, key: KvKey, bytes: Uint8Array): ReturnType<typeof decodeItem> {
    return this.#records.open("langgraph-item", partition, key, bytes, decodeItem);
  }

  #partition(namespace: readonly string[]): Partition {
    // No label holds a period.
    return `${this.#prefix}.items/${namespace.join(".")}`;
  }
}

function isPut(operation: Operation): operation is PutOperation {
  return "value" in operation;
}

function guardOperation(operation: Operation): void {
  if ("namespacePrefix" in operation) {
    guardNamespace(operation.namespacePrefix);
  } else if ("key" in operation) {
    if (operation.namespace.length === 0) throw new InvalidNamespaceError("A namespace must not be empty");
    guardNamespace(operation.namespace);
  } else {
    // Labels there may be wildcards; what is no label matches nothing.
    if ((operation.maxDepth ?? 1) < 1)
      throw new RangeError(`maxDepth must be at least 1: ${operation.maxDepth}`);
  }
}
