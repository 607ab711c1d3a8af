import { type Kv, type KvCheck, type KvItem, type KvKey, type Partition, scanPages } from "@tidemark/kv";
import type { RecordCommits } from "@tidemark/session-store";
import { bytesOf, inBatches } from "./batches.ts";
import type { Directory } from "./directory.ts";
import { LangGraphError } from "./errors.ts";
import type { Records } from "./records.ts";
import type { Part } from "./stored-value.ts";
import { partKey, REGISTER_KEY, ROW_RANGES } from "./thread-keys.ts";
import { encodeRegister, lifeOf, nextRegister, type ThreadState } from "./thread-register.ts";
import { ThreadRows } from "./thread-rows.ts";

const ATTEMPTS_MAX = 16;
/** How many rows one commit of a deletion removes. */
const SWEEP_ROWS = 500;

/** What a {@link Thread} is made of. */
export interface ThreadOptions {
  readonly kv: Kv;
  readonly commits: RecordCommits;
  readonly records: Records;
  readonly directory: Directory;
  readonly id: string;
  readonly partition: Partition;
  readonly random: (length: number) => Uint8Array;
  /** How many bytes one change may write. */
  readonly bytesPerCallMax: number;
}

/** What one change of a thread writes. */
export interface ThreadChange {
  /** Stored first if not all fits in one commit: under its digest a part harms nobody. */
  readonly parts: readonly Part[];
  readonly item: KvItem;
  /** Whether the row read at `keys[0]` must still be the same. */
  readonly exact: boolean;
}

/** Changes one thread: each change is one commit where it fits, and counts only while the thread is alive. */
export class Thread {
  readonly rows: ThreadRows;
  readonly #options: ThreadOptions;

  constructor(options: ThreadOptions) {
    this.#options = options;
    this.rows = new ThreadRows(options.kv, options.records, options.partition);
  }

  /**
   * Reads one row, decides by it, and writes. Decided anew if others changed what it rests on. A thread that is not
   * there is made; one that is being deleted is first deleted to the end.
   *
   * @param decide - Says of the row, and of the life the thread has or begins, what to write.
   */
  change(
    key: KvKey | undefined,
    decide: (row: Uint8Array | undefined, life: Uint8Array) => Promise<ThreadChange>,
  ): Promise<void> {
    const { commits, id } = this.#options;
    return commits.inTurn(id, () => this.#change(key, decide));
  }

  /** Removes the thread: from one commit on it is not there, then its rows go. */
  delete(): Promise<void> {
    const { commits, id } = this.#options;
    return commits.inTurn(id, () => this.#delete());
  }

  async #change(
    key: KvKey | undefined,
    decide: (row: Uint8Array | undefined, life: Uint8Array) => Promise<ThreadChange>,
  ): Promise<void> {
    const { commits, id } = this.#options;
    await commits.arrive(id);
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
      const keys = key === undefined ? [REGISTER_KEY] : [REGISTER_KEY, key];
      const [register, row] = await this.#options.kv.get(this.#options.partition, keys);
      const before = this.rows.registerOf(register);
      if (before?.state === "deleting") {
        await this.#sweep(register!);
        continue;
      }
      // Elsewhere somebody may have written who had not seen the deletion.
      if (before?.state === "deleted" && commits.merges) await this.#removeRows(register!);
      const change = await decide(before?.state === "live" ? row : undefined, lifeOf(before));
      if (await this.#write(change, register, key === undefined ? undefined : { key, value: row })) return;
    }
    throw this.#busy();
  }

  async #delete(): Promise<void> {
    const { kv, commits, partition, directory, id } = this.#options;
    await commits.arrive(id);
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
      const [register] = await kv.get(partition, [REGISTER_KEY]);
      const state = this.rows.registerOf(register)?.state;
      const row = await directory.row([id]);
      if (row === undefined && state !== "live" && state !== "deleting") return;
      let deleting = register;
      // Also if there is but a name: what a change has announced and not yet written is then decided anew.
      if (register === undefined || state !== "deleting") {
        deleting = this.#next(register, "deleting");
        const checks = [{ key: REGISTER_KEY, value: register }];
        const puts = [{ key: REGISTER_KEY, value: deleting }];
        if (!(await commits.commit(id, partition, { checks, puts }))) continue;
      }
      await this.#sweep(deleting!);
      if (row !== undefined) await directory.forget([id], row);
      return;
    }
    throw this.#busy();
  }

  /** Names the thread if it came from elsewhere: what arrives brings no name. */
  async arrived(): Promise<void> {
    const { kv, commits, directory, partition, id } = this.#options;
    await commits.arrive(id);
    const [register] = await kv.get(partition, [REGISTER_KEY]);
    if (this.rows.registerOf(register)?.state === "live" && (await directory.row([id])) === undefined) {
      await directory.intend([id]);
    }
  }

  /** Whether it was written; false if it must be decided anew. */
  async #write(
    change: ThreadChange,
    register: Uint8Array | undefined,
    read: KvCheck | undefined,
  ): Promise<boolean> {
    const { commits, partition, directory, id, bytesPerCallMax } = this.#options;
    const parts = change.parts.map(({ digest, bytes }) => this.#partItem(digest, bytes));
    const actual = bytesOf([...parts, change.item]);
    if (actual > bytesPerCallMax) {
      throw new LangGraphError(
        "LANGGRAPH_TOO_LARGE",
        `Cannot write ${actual} bytes to thread ${id}: the limit is ${bytesPerCallMax}`,
        { limit: bytesPerCallMax, actual },
      );
    }
    const checks: KvCheck[] = [{ key: REGISTER_KEY, value: register }];
    let created: KvItem[] = [];
    if (this.rows.registerOf(register)?.state !== "live") {
      await directory.intend([id]);
      created = [{ key: REGISTER_KEY, value: this.#next(register, "live") }];
    }
    // Beside its items a commit has the register, and a last one the row that was read.
    const besides: KvItem[] = [...created];
    for (const { key, value = new Uint8Array() } of [...checks, ...(read === undefined ? [] : [read])]) {
      besides.push({ key, value });
    }
    const batches = inBatches([...parts, change.item], {
      items: commits.limits.items - 2,
      bytes: commits.limits.bytes - bytesOf(besides),
    });
    for (const [index, batch] of batches.entries()) {
      const last = index === batches.length - 1;
      const exact = last && change.exact && read !== undefined ? [read] : [];
      const puts = [...created, ...batch];
      if (!(await commits.commit(id, partition, { checks: [...checks, ...exact], puts }))) return false;
      if (created.length > 0) checks[0] = { key: REGISTER_KEY, value: created[0]!.value };
      created = [];
    }
    return true;
  }

  /** Removes all rows, then says so, if the register is still this one. */
  async #sweep(register: Uint8Array): Promise<void> {
    const { commits, partition, id } = this.#options;
    if (!(await this.#removeRows(register))) return;
    const checks = [{ key: REGISTER_KEY, value: register }];
    const puts = [{ key: REGISTER_KEY, value: this.#next(register, "deleted") }];
    await commits.commit(id, partition, { checks, puts });
  }

  /** Whether all rows are removed; false if the register was no longer this one. */
  async #removeRows(register: Uint8Array): Promise<boolean> {
    const { kv, commits, partition, id } = this.#options;
    const checks = [{ key: REGISTER_KEY, value: register }];
    const limit = Math.min(commits.limits.items - 1, SWEEP_ROWS);
    for (const range of ROW_RANGES) {
      for await (const items of scanPages(kv, partition, { ...range, limit })) {
        const deletes = items.map(({ key }) => key);
        if (deletes.length > 0 && !(await commits.commit(id, partition, { checks, deletes }))) return false;
      }
    }
    return true;
  }

  #partItem(digest: Uint8Array, bytes: Uint8Array): KvItem {
    const { records, partition } = this.#options;
    const key = partKey(digest);
    return { key, value: records.seal("langgraph-part", partition, key, bytes) };
  }

  #next(register: Uint8Array | undefined, state: ThreadState): Uint8Array {
    const { records, partition, random } = this.#options;
    const body = encodeRegister(nextRegister(this.rows.registerOf(register), state, random));
    return records.seal("langgraph-thread", partition, REGISTER_KEY, body);
  }

  #busy(): LangGraphError {
    const { id } = this.#options;
    return new LangGraphError(
      "LANGGRAPH_BUSY",
      `Cannot change thread ${id}: others changed it ${ATTEMPTS_MAX} times meanwhile`,
      {
        thread: id,
      },
    );
  }
}
