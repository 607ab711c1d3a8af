import type { Hasher } from "@tidemark/core";
import { type Kv, KvError, type KvItem, type KvKey, type Partition } from "@tidemark/kv";
import type { RecordCommits, SessionTurns } from "@tidemark/session-store";
import { OpenAiAgentsError, type OpenAiAgentsErrorCode, type OpenAiAgentsErrorOptions } from "./errors.ts";
import {
  type Entry,
  type HistoryEnd,
  HistoryRows,
  type Horizon,
  joinSeen,
  type Seen,
} from "./history-rows.ts";

const ATTEMPTS_MAX = 16;
/** Items of one call share an entry up to so many bytes of text. */
const ENTRY_CHARACTERS = 64 * 1_024;
const CHANGE_BYTES = 8;

/** What a {@link History} is made of. */
export interface HistoryOptions {
  readonly kv: Kv;
  readonly commits: RecordCommits;
  readonly turns: SessionTurns;
  readonly id: string;
  readonly partition: Partition;
  /** The name of this region; empty without a journal. */
  readonly region: string;
  readonly hasher: Hasher;
  readonly random: (length: number) => Uint8Array;
}

/** An operation that counts once. */
export interface Operation {
  /** As the caller names it. */
  readonly name: string;
  readonly hash: string;
  /** Of what it does, hashed. */
  readonly transaction: string;
}

/** What one change writes. Items are JSON texts. */
interface Change {
  readonly appended?: readonly string[];
  readonly puts?: readonly KvItem[];
  readonly deletes?: readonly KvKey[];
  readonly horizon?: Horizon;
}

/** The items of one session: each change is one commit, decided by what is there. */
export class History {
  readonly #options: HistoryOptions;
  readonly #rows: HistoryRows;

  constructor(options: HistoryOptions) {
    this.#options = options;
    this.#rows = new HistoryRows(options.kv, options.partition, options.hasher);
  }

  /** The last items, at most so many, in their order. */
  async items(limit: number): Promise<string[]> {
    const { commits, turns, id } = this.#options;
    if (limit <= 0) return [];
    const read = async (): Promise<string[]> => {
      await commits.arrive(id);
      const items = (await this.#read(this.#atLeast(limit))).entries.flatMap((entry) => entry.items);
      return limit < items.length ? items.slice(-limit) : items;
    };
    // What arrives of other regions need not change the tail, so nothing may arrive between two pages.
    if (commits.merges) return turns.run(id, read);
    await turns.idle(id);
    return read();
  }

  /** Adds items at the end. */
  append(items: readonly string[], operation?: Operation): Promise<void> {
    return this.#change(1, operation, () => ({ appended: items }));
  }

  /** Replaces the last items, if they are those that are expected. @throws `OPENAI_AGENTS_SUFFIX_MISMATCH` */
  replaceSuffix(
    expected: readonly string[],
    replacement: readonly string[],
    {
      operation,
      isEqual,
    }: { readonly operation: Operation; readonly isEqual: (a: string, b: string) => boolean },
  ): Promise<void> {
    return this.#change(this.#atLeast(expected.length), operation, (end) => {
      const { taken, ...change } = this.#without(end, expected.length);
      if (taken.length !== expected.length || taken.some((item, at) => !isEqual(item, expected[at]!))) {
        const message = `Cannot replace the last ${expected.length} items: the history ends with others`;
        throw this.#error("OPENAI_AGENTS_SUFFIX_MISMATCH", message);
      }
      return { ...change, appended: replacement };
    });
  }

  /** Removes the last item. */
  async pop(): Promise<string | undefined> {
    let popped: string | undefined;
    await this.#change(this.#atLeast(1), undefined, (end) => {
      const { taken, ...change } = this.#without(end, 1);
      [popped] = taken;
      return popped === undefined ? undefined : change;
    });
    return popped;
  }

  /** Rewrites items one by one, in their order; without a result an item goes. */
  rewrite(each: () => (item: string) => string | undefined): Promise<void> {
    return this.#change(Number.POSITIVE_INFINITY, undefined, (end) => {
      const rewritten = each();
      const puts: KvItem[] = [];
      const deletes: KvKey[] = [];
      for (const entry of end.entries) {
        const items = entry.items.flatMap((item) => rewritten(item) ?? []);
        if (items.length === entry.items.length && items.every((item, at) => item === entry.items[at]))
          continue;
        if (items.length === 0) deletes.push(...withCopies([entry], end));
        else puts.push(this.#entryItem(entry, items));
      }
      return puts.length + deletes.length === 0 ? undefined : { puts, deletes };
    });
  }

  /** Puts items in the place of all that are there. What was applied stays applied. */
  compact(items: readonly string[]): Promise<void> {
    return this.#change(Number.POSITIVE_INFINITY, undefined, ({ horizon, seen }) => ({
      appended: items,
      horizon: { ...horizon, entries: joinSeen(horizon.entries, seen) },
    }));
  }

  /** Removes all items, and forgets which operations were applied. */
  clear(): Promise<void> {
    const { region } = this.#options;
    return this.#change(Number.POSITIVE_INFINITY, undefined, (end) => {
      if (end.tail === undefined && end.entries.length === 0) return undefined;
      // Operations that wrote no items have positions too.
      const seen = joinSeen(end.seen, { [region]: this.#lastPosition(end) });
      const { entries, operations } = end.horizon;
      return { horizon: { entries: joinSeen(entries, seen), operations: joinSeen(operations, seen) } };
    });
  }

  /** As many items must be read to be sure of the last `count`. */
  #atLeast(count: number): number {
    // A copy that does not count shows itself only beside the one that does.
    return this.#options.commits.merges ? Number.POSITIVE_INFINITY : count;
  }

  #change(
    itemsMin: number,
    operation: Operation | undefined,
    decide: (end: HistoryEnd) => Change | undefined,
  ): Promise<void> {
    const { commits, turns, id } = this.#options;
    return turns.run(id, async () => {
      await commits.arrive(id);
      for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
        const end = await this.#read(itemsMin);
        if (operation !== undefined && (await this.#isApplied(operation, end.horizon))) return;
        const change = decide(end);
        if (change === undefined) return;
        if (!(await this.#commit(end, change, operation))) continue;
        if (change.horizon !== undefined) await this.#removeStale(change.horizon);
        return;
      }
      throw this.#busy();
    });
  }

  async #read(itemsMin: number): Promise<HistoryEnd> {
    const end = await this.#rows.read(itemsMin);
    if (end === undefined) throw this.#busy();
    return end;
  }

  async #isApplied({ name, hash, transaction }: Operation, horizon: Horizon): Promise<boolean> {
    const applied = await this.#rows.applied(hash, horizon);
    if (applied === undefined) return false;
    if (applied.transaction === transaction) return true;
    const message = `Cannot apply operation ${name}: it was applied with another transaction`;
    throw this.#error("OPENAI_AGENTS_OPERATION_CONFLICT", message, { operation: name });
  }

  async #commit(end: HistoryEnd, change: Change, operation: Operation | undefined): Promise<boolean> {
    const { commits, partition, id, region, random } = this.#options;
    const { appended = [], deletes = [], horizon } = change;
    const puts: KvItem[] = [...(change.puts ?? [])];
    let position = this.#lastPosition(end) + (appended.length === 0 && operation !== undefined ? 1 : 0);
    for (const items of inEntries(appended)) {
      const body = operation === undefined ? { items } : { items, operation: operation.hash };
      puts.push(this.#rows.entryItem((position += 1), region, body));
    }
    if (operation !== undefined) {
      const { hash, transaction } = operation;
      puts.push(this.#rows.appliedItem(hash, { transaction, position, region }));
    }
    if (horizon !== undefined) puts.push(this.#rows.horizonItem(region, horizon));
    const named = random(CHANGE_BYTES).join("-");
    puts.push(this.#rows.tailItem({ position, change: named }));
    this.#guard(puts, deletes);
    const checks = [this.#rows.tailCheck(end.tail)];
    try {
      return await commits.commit(id, partition, { checks, puts, deletes });
    } catch (error) {
      if (!(error instanceof KvError) || error.committed !== "unknown") throw error;
      // The answer was lost: if the tail names this change, it is there.
      const tail = this.#rows.tailOf(await this.#rows.tail().catch(() => undefined));
      if (tail.change === named) return true;
      throw error;
    }
  }

  /** Removes what no longer counts. Cut off, the rest goes with the next change that moves the horizon. */
  async #removeStale(horizon: Horizon): Promise<void> {
    const { commits, partition, id } = this.#options;
    const limit = commits.limits.items;
    for await (const keys of this.#rows.stale(horizon)) {
      for (let at = 0; at < keys.length; at += limit) {
        await commits.commit(id, partition, { deletes: keys.slice(at, at + limit) });
      }
    }
  }

  /** The history without its last items, and these. */
  #without(
    end: HistoryEnd,
    count: number,
  ): { readonly taken: string[]; readonly puts: KvItem[]; readonly deletes: KvKey[] } {
    const taken: string[] = [];
    const gone: Entry[] = [];
    const puts: KvItem[] = [];
    for (const entry of end.entries.toReversed()) {
      const left = count - taken.length;
      if (left === 0) break;
      const kept = Math.max(entry.items.length - left, 0);
      taken.unshift(...entry.items.slice(kept));
      if (kept === 0) gone.push(entry);
      else puts.push(this.#entryItem(entry, entry.items.slice(0, kept)));
    }
    return { taken, puts, deletes: withCopies(gone, end) };
  }

  #entryItem({ position, region, operation }: Entry, items: readonly string[]): KvItem {
    return this.#rows.entryItem(position, region, operation === undefined ? { items } : { items, operation });
  }

  /** The greatest position of all that was read. */
  #lastPosition({ tail, seen, horizon }: HistoryEnd): number {
    const greatest = (one: Seen): number => Math.max(0, ...Object.values(one));
    const { entries, operations } = horizon;
    return Math.max(
      this.#rows.tailOf(tail).position,
      greatest(seen),
      greatest(entries),
      greatest(operations),
    );
  }

  #guard(puts: readonly KvItem[], deletes: readonly KvKey[]): void {
    const { items, bytes } = this.#options.commits.limits;
    const count = puts.length + deletes.length;
    if (count > items) throw this.#tooLarge(`${count} rows`, items, count);
    const actual = puts.reduce((sum, { key, value }) => sum + key.length + value.length, 0);
    if (actual > bytes) throw this.#tooLarge(`${actual} bytes`, bytes, actual);
  }

  #tooLarge(what: string, limit: number, actual: number): OpenAiAgentsError {
    return this.#error("OPENAI_AGENTS_TOO_LARGE", `Cannot write ${what} at once: the limit is ${limit}`, {
      limit,
      actual,
    });
  }

  #busy(): OpenAiAgentsError {
    const { id } = this.#options;
    const message = `Cannot use session ${id}: others changed it ${ATTEMPTS_MAX} times meanwhile`;
    return this.#error("OPENAI_AGENTS_BUSY", message);
  }

  #error(
    code: OpenAiAgentsErrorCode,
    message: string,
    facts: Omit<OpenAiAgentsErrorOptions, "session"> = {},
  ): OpenAiAgentsError {
    return new OpenAiAgentsError(code, message, { ...facts, session: this.#options.id });
  }
}

/** Keys of entries that go, and of the copies that would count in their place. */
function withCopies(gone: readonly Entry[], { copies }: HistoryEnd): KvKey[] {
  const operations = new Set(gone.map(({ operation }) => operation));
  const hidden = copies.filter(({ operation }) => operation !== undefined && operations.has(operation));
  return [...gone, ...hidden].map(({ key }) => key);
}

/** Items in as few entries as take them. */
function* inEntries(items: readonly string[]): Generator<string[]> {
  let entry: string[] = [];
  let characters = 0;
  for (const item of items) {
    if (entry.length > 0 && characters + item.length > ENTRY_CHARACTERS) {
      yield entry;
      entry = [];
      characters = 0;
    }
    entry.push(item);
    characters += item.length;
  }
  if (entry.length > 0) yield entry;
}
