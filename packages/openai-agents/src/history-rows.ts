import { HASH_CONTEXTS, type Hasher, equalBytes } from "@tidemark/core";
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
import { hex, recordCodec, type RecordContext } from "@tidemark/session-store";

/**
 * Keys in the partition of a session. From the end backwards they say all that is needed of the last items at once.
 *
 * | key                           | row                                                                    |
 * | :---------------------------- | :--------------------------------------------------------------------- |
 * | `("applied", operation)`      | an operation that was applied, under the hash of its id                |
 * | `("entry", position, region)` | items that were written together, in the order of these keys           |
 * | `("horizon", region)`         | up to where entries and operations no longer count, as a region knew it |
 * | `("tail")`                    | changed by every change                                                |
 *
 * Positions of a region only grow, so that "all that was seen" is a position for each region: what another region
 * writes meanwhile is not among it.
 */
const ENTRIES_START: KvKey = encodeKey(["entry"]);
const TAIL_KEY: KvKey = encodeKey(["tail"]);
/** Behind all rows of this package; what a journal keeps beside them comes after it. */
const ROWS_END: KvKey = encodeKey(["~"]);

const ATTEMPTS_MAX = 16;
/** Rows beside entries that a page may hold: horizons and the tail. */
const BESIDE = 16;
const PAGE_MAX = 1_000;
const OPERATION_BYTES = 32;

const utf8 = new TextEncoder();

/** Up to which position things of each region were seen. */
export type Seen = Readonly<Record<string, number>>;

/** Items that were written together. */
export interface EntryBody {
  /** Each as JSON text. */
  readonly items: readonly string[];
  /** The operation that wrote them, by its hash. */
  readonly operation?: string;
}

/** An entry and where it is. */
export interface Entry extends EntryBody {
  readonly key: KvKey;
  readonly position: number;
  readonly region: string;
}

/** What no longer counts. */
export interface Horizon {
  readonly entries: Seen;
  readonly operations: Seen;
}

/** An operation that was applied. */
export interface AppliedBody {
  /** Of the transaction, hashed: the same id with another is refused. */
  readonly transaction: string;
  readonly position: number;
  readonly region: string;
}

/** What every change replaces. */
interface TailBody {
  readonly position: number;
  /** Names the change: no two are equal. */
  readonly change: string;
}

/** The end of a history, or all of it. */
export interface HistoryEnd {
  /** The tail's bytes: as long as they are there, nothing has changed. */
  readonly tail: Uint8Array | undefined;
  /** The entries that count, in their order. All of them, or the last with at least as many items as were wanted. */
  readonly entries: readonly Entry[];
  /** Copies of entries that do not count, since another region applied the same operation. */
  readonly copies: readonly Entry[];
  readonly horizon: Horizon;
  /** The greatest position of each region among what was read. */
  readonly seen: Seen;
}

const entryCodec = recordCodec<EntryBody>("openai-agents-entry", 1);
const horizonCodec = recordCodec<Horizon>("openai-agents-horizon", 1);
const appliedCodec = recordCodec<AppliedBody>("openai-agents-applied", 1);
const tailCodec = recordCodec<TailBody>("openai-agents-tail", 1);

/** Reads and makes the rows of one session. */
export class HistoryRows {
  readonly #kv: Kv;
  readonly #context: RecordContext;

  constructor(kv: Kv, partition: Partition, hasher: Hasher) {
    this.#kv = kv;
    this.#context = { partition, hasher };
  }

  /** The end of the history, with at least so many items if there are. `undefined` if others kept changing it. */
  async read(itemsMin: number): Promise<HistoryEnd | undefined> {
    const { partition } = this.#context;
    const limit = Math.min(Math.max(itemsMin, 1) + BESIDE, PAGE_MAX);
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
      const range = { start: ENTRIES_START, reverse: true, limit };
      const rows: KvItem[] = [];
      let end: KvKey | undefined = ROWS_END;
      let pages = 0;
      let read: HistoryEnd | undefined;
      while (end !== undefined && (read === undefined || itemCount(read.entries) < itemsMin)) {
        const page = await this.#kv.scan(partition, { ...range, end });
        rows.push(...page.items);
        // Who wants all need not be told after each page how much there is.
        if (itemsMin < Number.POSITIVE_INFINITY) read = this.#endOf(rows);
        end = page.next;
        pages += 1;
      }
      read ??= this.#endOf(rows);
      if (pages === 1) return read;
      const [tail] = await this.#kv.get(partition, [TAIL_KEY]);
      if (equalBytes(tail, read.tail)) return read;
    }
    return undefined;
  }

  /** Which change the tail names, and its position. */
  tailOf(tail: Uint8Array | undefined): TailBody {
    return tailCodec.read(tail, TAIL_KEY, this.#context) ?? { position: 0, change: "" };
  }

  /** What a commit of a change rests on. */
  tailCheck(tail: Uint8Array | undefined): KvCheck {
    return { key: TAIL_KEY, value: tail };
  }

  /** The bytes of the tail now. */
  async tail(): Promise<Uint8Array | undefined> {
    const [tail] = await this.#kv.get(this.#context.partition, [TAIL_KEY]);
    return tail;
  }

  /** An operation that was applied and still counts. */
  async applied(id: string, { operations }: Horizon): Promise<AppliedBody | undefined> {
    const key = appliedKey(id);
    const [value] = await this.#kv.get(this.#context.partition, [key]);
    const applied = appliedCodec.read(value, key, this.#context);
    return applied !== undefined && applied.position > (operations[applied.region] ?? 0)
      ? applied
      : undefined;
  }

  /** The keys of entries and operations that no longer count, a page after another. */
  async *stale({ entries, operations }: Horizon): AsyncGenerator<KvKey[]> {
    const { partition } = this.#context;
    for await (const items of scanPages(this.#kv, partition, {
      ...prefixRange(["applied"]),
      limit: PAGE_MAX,
    })) {
      const stale = items.filter(({ key, value }) => {
        const { position, region } = appliedCodec.read(value, key, this.#context)!;
        return position <= (operations[region] ?? 0);
      });
      yield stale.map(({ key }) => key);
    }
    for await (const items of scanPages(this.#kv, partition, {
      ...prefixRange(["entry"]),
      limit: PAGE_MAX,
    })) {
      const places = items.map(({ key }) => ({ key, ...placeOf(key) }));
      yield places.filter(({ position, region }) => position <= (entries[region] ?? 0)).map(({ key }) => key);
    }
  }

  entryItem(position: number, region: string, body: EntryBody): KvItem {
    return entryCodec.item(body, encodeKey(["entry", position, region]), this.#context);
  }

  horizonItem(region: string, horizon: Horizon): KvItem {
    return horizonCodec.item(horizon, encodeKey(["horizon", region]), this.#context);
  }

  appliedItem(id: string, body: AppliedBody): KvItem {
    return appliedCodec.item(body, appliedKey(id), this.#context);
  }

  tailItem(body: TailBody): KvItem {
    return tailCodec.item(body, TAIL_KEY, this.#context);
  }

  /** What the rows from the end backwards say. */
  #endOf(rows: readonly KvItem[]): HistoryEnd {
    let tail: Uint8Array | undefined;
    let horizon: Horizon = { entries: {}, operations: {} };
    const all: Entry[] = [];
    for (const { key, value } of rows) {
      const [kind] = decodeKey(key);
      if (kind === "tail") tail = value;
      else if (kind === "horizon")
        horizon = joinHorizons(horizon, horizonCodec.read(value, key, this.#context)!);
      else all.push({ ...entryCodec.read(value, key, this.#context)!, ...placeOf(key), key });
    }
    const seen: Record<string, number> = {};
    /** By operation, the region whose copy counts: that of the last entry. */
    const counted = new Map<string, string>();
    const entries: Entry[] = [];
    const copies: Entry[] = [];
    for (const entry of all) {
      const { position, region, operation } = entry;
      seen[region] = Math.max(seen[region] ?? 0, position);
      if (position <= (horizon.entries[region] ?? 0)) continue;
      if (operation !== undefined && (counted.get(operation) ?? region) !== region) {
        copies.push(entry);
        continue;
      }
      if (operation !== undefined) counted.set(operation, region);
      entries.push(entry);
    }
    return { tail, entries: entries.toReversed(), copies, horizon, seen };
  }
}

/** The hash of an operation's id, which may be long. */
export function operationHash(hasher: Hasher, id: string): string {
  return hex(hasher.digest(HASH_CONTEXTS.openaiAgentsOperation, utf8.encode(id), OPERATION_BYTES));
}

/** The hash of a transaction's text. */
export function transactionHash(hasher: Hasher, text: string): string {
  return hex(hasher.digest(HASH_CONTEXTS.openaiAgentsTransaction, utf8.encode(text), OPERATION_BYTES));
}

/** The later of what two say of each region. */
export function joinSeen(a: Seen, b: Seen): Seen {
  const joined: Record<string, number> = { ...a };
  for (const [region, position] of Object.entries(b))
    joined[region] = Math.max(joined[region] ?? 0, position);
  return joined;
}

/** How many items entries hold. */
export function itemCount(entries: readonly EntryBody[]): number {
  return entries.reduce((count, { items }) => count + items.length, 0);
}

function joinHorizons(a: Horizon, b: Horizon): Horizon {
  return { entries: joinSeen(a.entries, b.entries), operations: joinSeen(a.operations, b.operations) };
}

function placeOf(key: KvKey): { readonly position: number; readonly region: string } {
  const [, position, region] = decodeKey(key) as [string, number, string];
  return { position, region };
}

function appliedKey(id: string): KvKey {
  return encodeKey(["applied", id]);
}
