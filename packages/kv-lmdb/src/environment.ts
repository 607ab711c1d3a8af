import { KvError } from "@tidemark/kv";
import { ABORT, open, type RootDatabase } from "lmdb";
import { failureOf } from "./failure.ts";
import type { Gate } from "./gate.ts";

/** What the typings of lmdb leave out. */
interface Rows extends RootDatabase<Uint8Array, Uint8Array> {
  readonly env: { info(): { readonly lastTxnId: number } };
}

/** One row of a scan, its key as LMDB has it. */
export interface Row {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

/** Rows from `start`, inclusive, to `end`, exclusive; both are keys of LMDB. */
export interface RowRange {
  readonly start: Uint8Array;
  readonly end: Uint8Array;
  readonly reverse: boolean;
}

/**
 * LMDB as this package uses it. Everything is synchronous: a read sees one snapshot and ends it, a write transaction
 * is synced when the call returns. Nothing here keeps a transaction open across a turn of the event loop, because one
 * that is open holds up every other process (if it writes) or the reuse of pages (if it reads).
 */
export class Environment {
  /** What `getBinaryFast` gives is overwritten by the next read, and behind its `length` lie other bytes. */
  readonly #rows: Rows;
  readonly #canary: Row;
  readonly #gate: Gate;
  #broken = false;
  /** Whether the transaction under way has written. */
  #wrote = false;

  /**
   * @param gate - Is closed with the environment.
   * @param canary - A row that never changes once it is there: see `#requireOwnMemory`.
   * @throws {@link KvError} `KV_CORRUPT`, `KV_UNAVAILABLE`
   */
  constructor(dir: string, mapBytes: number, gate: Gate, canary: Row) {
    this.#gate = gate;
    this.#canary = canary;
    const options = {
      path: dir,
      // By default a directory with a dot in its name is taken for a file.
      noSubdir: false,
      encoding: "binary",
      keyEncoding: "binary",
      // By default a commit is reported before it is synced.
      overlappingSync: false,
      noSync: false,
      noMetaSync: false,
      // Writes of the map could not be told from a stray pointer.
      useWritemap: false,
      compression: false,
      cache: false,
      mapSize: mapBytes,
      maxDbs: 1,
      maxReaders: 512,
    } as const;
    try {
      this.#rows = gate.alone(() => open<Uint8Array, Uint8Array>(options) as Rows);
    } catch (cause) {
      throw failureOf(`open ${dir}`, cause, "no");
    }
  }

  /** Reads within one snapshot: the newest, also of what other processes have committed. */
  read<Result>(what: string, work: () => Result): Result {
    try {
      this.#requireOwnMemory();
      const result = work();
      // The next read begins anew, and this snapshot no longer keeps pages from being reused.
      this.#rows.resetReadTxn();
      return result;
    } catch (cause) {
      // There may be no snapshot to end: lmdb throws of another kind then.
      this.#dropSnapshot();
      throw failureOf(what, cause, "no");
    }
  }

  /** A copy of the value. Only within `read` or `write`. */
  get(key: Uint8Array): Uint8Array | undefined {
    const value = this.#rows.getBinaryFast(key);
    return value && plainBytes(value).slice();
  }

  /** Whether the stored value is this one, or absent. Only within `read` or `write`. */
  holds(key: Uint8Array, expected: Uint8Array | undefined): boolean {
    const value = this.#rows.getBinaryFast(key);
    if (value === undefined || expected === undefined) return value === expected;
    if (value.length !== expected.length) return false;
    for (let at = 0; at < expected.length; at++) if (value[at] !== expected[at]) return false;
    return true;
  }

  /** The rows of a range, copied one by one as they are asked for. Only within `read` or `write`. */
  *range({ start, end, reverse }: RowRange): Generator<Row> {
    const bounds = reverse
      ? { start: end, end: start, exclusiveStart: true, inclusiveEnd: true, reverse }
      : { start, end };
    for (const { key, value } of this.#rows.getRange(bounds)) yield { key, value: plainBytes(value) };
  }

  /** Only within `write`. */
  put(key: Uint8Array, value: Uint8Array): void {
    this.#wrote = true;
    this.#rows.putSync(key, value);
  }

  /** Only within `write`. To delete what is not there is no failure. */
  delete(key: Uint8Array): void {
    this.#wrote = true;
    this.#rows.removeSync(key);
  }

  /**
   * Runs `work` in one write transaction and returns its number. It is on the disk when this returns; if `work`
   * wrote nothing, nothing is synced and the number is used again.
   *
   * @throws {@link KvError} `KV_UNAVAILABLE`: `committed` is `no` unless the engine failed to write its root page, in
   * which case the environment takes no call any more.
   */
  write(what: string, work: () => void): number {
    try {
      return this.#gate.alone(() => this.#write(what, work));
    } catch (cause) {
      throw failureOf(what, cause, "no");
    }
  }

  /**
   * One that wrote nothing is given up, not committed: a commit of nothing uses its number up in this process alone, and
   * once another process has used that number the list of free pages here, as it was before, would be taken for the newest.
   */
  #write(what: string, work: () => void): number {
    if (this.#broken) throw this.#brokenError(what);
    let worked = false;
    let transaction = 0;
    try {
      this.#rows.transactionSync(() => {
        transaction = this.#beginning();
        this.#requireOwnMemory();
        this.#wrote = false;
        const result: unknown = work();
        // A promise would keep the transaction open for ever, and `close` with it.
        if (result !== undefined) throw new TypeError("A transaction must not return anything");
        worked = true;
        return this.#wrote ? undefined : ABORT;
      });
      return transaction;
    } catch (cause) {
      if (worked && !this.#canBegin()) {
        this.#broken = true;
        throw failureOf(what, cause, "unknown");
      }
      throw failureOf(what, cause, "no");
    }
  }

  /** The number of the newest transaction of any process. */
  lastTransaction(): number {
    return this.#rows.env.info().lastTxnId;
  }

  async close(): Promise<void> {
    await this.#gate.alone(() => this.#rows.close());
    this.#gate.close();
  }

  /**
   * lmdb reads through one piece of memory, and a second copy of it in this process that shares its binary file, as
   * installs of pnpm do, moves that piece elsewhere without a word: reads then give what was read before. So a row that is
   * known is read first, and the memory is spoilt, so that what is read next cannot be old.
   */
  #requireOwnMemory(): void {
    const { key, value } = this.#canary;
    const found = this.#rows.getBinaryFast(key);
    if (found === undefined) return;
    const same = found.length === value.length && value.every((byte, at) => found[at] === byte);
    found[0] = ~value[0]!;
    if (same || this.#rows.getBinaryFast(key)?.[0] === value[0]) return;
    throw new KvError(
      "KV_UNAVAILABLE",
      "Cannot read: another copy of lmdb was loaded in this process and took over its memory; install one copy",
      { committed: "no", retryable: false },
    );
  }

  /**
   * The number of the transaction that was just begun. lmdb does not look at what LMDB answers to a begin: without
   * this a transaction that was never begun would read from an old snapshot. Nor does LMDB look whether the number is
   * used already: a program that opened the environment past the {@link Gate} may have set it back.
   */
  #beginning(): number {
    const transaction = this.#rows.getWriteTxnId();
    if (transaction === 0) throw new Error("the engine began no transaction");
    const last = this.lastTransaction();
    if (transaction <= last)
      throw new Error(`transaction ${transaction} would overwrite transaction ${last}`);
    return transaction;
  }

  /**
   * Whether the engine still works. It gives up for good if, and only if, the write of the root page failed: any
   * failure before that leaves the old root, hence nothing committed.
   */
  #canBegin(): boolean {
    try {
      this.#rows.transactionSync(() => {
        this.#beginning();
        return ABORT;
      });
      return true;
    } catch {
      return false;
    }
  }

  #dropSnapshot(): void {
    try {
      this.#rows.resetReadTxn();
    } catch {
      // It was never begun.
    }
  }

  #brokenError(what: string): KvError {
    return new KvError(
      "KV_UNAVAILABLE",
      `Cannot ${what}: the disk failed while a commit was written; close the store and open it again`,
      { committed: "no", retryable: false },
    );
  }
}

/** lmdb gives Buffers, some longer than they say. */
function plainBytes(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
}
