import type { Kv, KvCheck, KvItem, KvKey, Partition } from "@tidemark/kv";
import { bytesOf, inBatches } from "./batches.ts";
import type { Directory } from "./directory.ts";
import { LangGraphError } from "./errors.ts";
import type { Records } from "./records.ts";
import type { Part } from "./stored-value.ts";
import { partKey, REGISTER_KEY, ROW_RANGES } from "./thread-keys.ts";
import { encodeRegister, type ThreadState } from "./thread-register.ts";
import { ThreadRows } from "./thread-rows.ts";

const ATTEMPTS_MAX = 16;
const NONCE_BYTES = 8;
/** How many rows one commit of a deletion removes. */
const SWEEP_ROWS = 500;

/** What a {@link Thread} is made of. */
export interface ThreadOptions {
  readonly kv: Kv;
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
   * @param decide - What to write, or nothing to leave the thread as it is.
   */
  async change(
    key: KvKey | undefined,
    decide: (
      row: Uint8Array | undefined,
      state: ThreadState | undefined,
    ) => Promise<ThreadChange | undefined>,
  ): Promise<void> {
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
      const keys = key === undefined ? [REGISTER_KEY] : [REGISTER_KEY, key];
      const [register, row] = await this.#options.kv.get(this.#options.partition, keys);
      const state = this.rows.stateOf(register);
      if (state === "deleting") {
        await this.#sweep(register!);
        continue;
      }
      const change = await decide(state === "live" ? row : undefined, state);
      if (change === undefined) return;
      if (await this.#write(change, register, state, key === undefined ? undefined : { key, value: row }))
        return;
    }
    throw this.#busy();
  }

  /** Removes the thread: from one commit on it is not there, then its rows go. */
  async delete(): Promise<void> {
    const { kv, partition, directory, id } = this.#options;
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
      const [register] = await kv.get(partition, [REGISTER_KEY]);
      const state = this.rows.stateOf(register);
      const row = await directory.row([id]);
      if (row === undefined && state !== "live" && state !== "deleting") return;
      let deleting = register;
      // Also if there is but a name: what a change has announced and not yet written is then decided anew.
      if (register === undefined || state !== "deleting") {
        deleting = this.#register("deleting");
        const checks = [{ key: REGISTER_KEY, value: register }];
        const puts = [{ key: REGISTER_KEY, value: deleting }];
        const { committed } = await kv.commit(partition, { checks, puts });
        if (!committed) continue;
      }
      await this.#sweep(deleting!);
      if (row !== undefined) await directory.forget([id], row);
      return;
    }
    throw this.#busy();
  }

  /** Whether it was written; false if it must be decided anew. */
  async #write(
    change: ThreadChange,
    register: Uint8Array | undefined,
    state: ThreadState | undefined,
    read: KvCheck | undefined,
  ): Promise<boolean> {
    const { kv, partition, directory, id, bytesPerCallMax } = this.#options;
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
    if (state !== "live") {
      await directory.intend([id]);
      created = [{ key: REGISTER_KEY, value: this.#register("live") }];
    }
    const { keysPerCommitMax, commitBytesMax } = kv.capabilities;
    // Beside its items a commit has the register, and a last one the row that was read.
    const besides = bytesOf([
      ...created,
      ...(register === undefined ? [] : [{ key: REGISTER_KEY, value: register }]),
    ]);
    const batches = inBatches([...parts, change.item], {
      items: keysPerCommitMax - 2,
      bytes:
        commitBytesMax - besides - (read === undefined ? 0 : read.key.length + (read.value?.length ?? 0)),
    });
    for (const [index, batch] of batches.entries()) {
      const last = index === batches.length - 1;
      const exact = last && change.exact && read !== undefined ? [read] : [];
      const puts = [...created, ...batch];
      const { committed } = await kv.commit(partition, { checks: [...checks, ...exact], puts });
      if (!committed) return false;
      if (created.length > 0) checks[0] = { key: REGISTER_KEY, value: created[0]!.value };
      created = [];
    }
    return true;
  }

  /** Removes all rows, then says so, if the register is still this one. */
  async #sweep(register: Uint8Array): Promise<void> {
    const { kv, partition } = this.#options;
    const checks = [{ key: REGISTER_KEY, value: register }];
    const limit = Math.min(kv.capabilities.keysPerCommitMax - 1, SWEEP_ROWS);
    for (const range of ROW_RANGES) {
      for (;;) {
        const { items } = await kv.scan(partition, { ...range, limit });
        if (items.length === 0) break;
        const deletes = items.map(({ key }) => key);
        const { committed } = await kv.commit(partition, { checks, deletes });
        if (!committed) return;
      }
    }
    await kv.commit(partition, {
      checks,
      puts: [{ key: REGISTER_KEY, value: this.#register("deleted") }],
    });
  }

  #partItem(digest: Uint8Array, bytes: Uint8Array): KvItem {
    const { records, partition } = this.#options;
    const key = partKey(digest);
    return { key, value: records.seal("langgraph-part", partition, key, bytes) };
  }

  #register(state: ThreadState): Uint8Array {
    const { records, partition, random } = this.#options;
    return records.seal(
      "langgraph-thread",
      partition,
      REGISTER_KEY,
      encodeRegister(state, random(NONCE_BYTES)),
    );
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
