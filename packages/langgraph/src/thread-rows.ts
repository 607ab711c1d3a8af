import { equalBytes, concatBytes } from "@tidemark/core";
import type { Kv, KvKey, KvRange, Partition } from "@tidemark/kv";
import { type CheckpointRecord, decodeCheckpoint } from "./checkpoint-record.ts";
import { mergeSorted } from "./merge-sorted.ts";
import type { Records } from "./records.ts";
import { partsOf, type StoredValue } from "./stored-value.ts";
import {
  afterNamespace,
  checkpointRange,
  checkpointsRange,
  checkpointStart,
  namespaceRange,
  parseCheckpointKey,
  partKey,
  REGISTER_KEY,
} from "./thread-keys.ts";
import { decodeRegister, type ThreadRegister } from "./thread-register.ts";
import { decodeWrites, type TaskWrites } from "./writes-record.ts";

/** How many parts one read asks for: up to 8 MiB. */
const PARTS_PER_READ = 512;
/** How many rows the first page of a walk asks for, and by how much further ones grow. */
const FIRST_PAGE = 8;
const PAGE_GROWTH = 4;
const PAGE_MAX = 512;

/** A checkpoint with the writes to it, as one read found them. */
export interface CheckpointRows {
  readonly namespace: string;
  readonly id: string;
  readonly record: CheckpointRecord;
  readonly writes: readonly TaskWrites[];
}

/** What became of a read of values: their bytes in the order asked for, or why there are none. */
export type ValuesRead =
  | { readonly found: readonly Uint8Array[] }
  /** The thread is not there, or no longer. */
  | { readonly found: undefined; readonly reason: "deleted" }
  /** The thread is there, and a part is not. */
  | { readonly found: undefined; readonly reason: "missing" };

/** Reads the rows of one thread. */
export class ThreadRows {
  readonly #kv: Kv;
  readonly #records: Records;
  readonly #partition: Partition;

  constructor(kv: Kv, records: Records, partition: Partition) {
    this.#kv = kv;
    this.#records = records;
    this.#partition = partition;
  }

  /** What a register that was read says. */
  registerOf(register: Uint8Array | undefined): ThreadRegister | undefined {
    if (register === undefined) return undefined;
    return this.#records.open("langgraph-thread", this.#partition, REGISTER_KEY, register, decodeRegister);
  }

  /** A checkpoint's record that was read at a key. */
  checkpointOf(key: KvKey, value: Uint8Array): CheckpointRecord {
    return this.#records.open("langgraph-checkpoint", this.#partition, key, value, decodeCheckpoint);
  }

  /** The writes of a task that were read at a key. */
  writesOf(key: KvKey, value: Uint8Array): TaskWrites["writes"] {
    return this.#records.open("langgraph-writes", this.#partition, key, value, decodeWrites);
  }

  /** One checkpoint and its writes. */
  async checkpoint(namespace: string, id: string): Promise<CheckpointRows | undefined> {
    const range = { ...checkpointRange(namespace, id), reverse: true };
    for await (const rows of this.#groups(range, PAGE_MAX)) return rows;
    return undefined;
  }

  /** The checkpoints of a namespace from the newest on, or from the newest whose id is below `before`. */
  newestFirst(namespace: string, before?: string): AsyncGenerator<CheckpointRows> {
    const end = before === undefined ? {} : { end: checkpointStart(namespace, before) };
    return this.#groups({ ...namespaceRange(namespace), ...end, reverse: true }, FIRST_PAGE);
  }

  /** The checkpoints of all namespaces, newest first. */
  async *newestFirstOfAll(before?: string): AsyncGenerator<CheckpointRows> {
    const sources: AsyncGenerator<CheckpointRows>[] = [];
    for await (const namespace of this.#namespaces()) sources.push(this.newestFirst(namespace, before));
    yield* mergeSorted(sources, newestFirst);
  }

  /** Whether a checkpoint of the namespace holds the channel at that version. */
  async holds(namespace: string, channel: string, version: string): Promise<boolean> {
    for await (const { record } of this.newestFirst(namespace)) {
      if (record.channels.some((one) => one.channel === channel && one.version === version)) return true;
    }
    return false;
  }

  /** The namespaces that hold rows, in their order. */
  async *#namespaces(): AsyncGenerator<string> {
    let start: KvKey | undefined;
    for (;;) {
      const range = { ...checkpointsRange(), limit: 1, ...(start === undefined ? {} : { start }) };
      const { items } = await this.#kv.scan(this.#partition, range);
      if (items.length === 0) return;
      const { namespace } = parseCheckpointKey(items[0]!.key);
      yield namespace;
      start = afterNamespace(namespace);
    }
  }

  /** The bytes of values, and whether the thread is in that life: each read asks both at one moment. */
  async values(life: Uint8Array, values: readonly StoredValue[]): Promise<ValuesRead> {
    const digests = new Map<string, Uint8Array>();
    for (const digest of values.flatMap(partsOf)) digests.set(digest.toString(), digest);
    const parts = new Map<string, Uint8Array>();
    const wanted = [...digests];
    let at = 0;
    do {
      const batch = wanted.slice(at, at + PARTS_PER_READ);
      const keys = batch.map(([, digest]) => partKey(digest));
      const [register, ...bodies] = await this.#kv.get(this.#partition, [REGISTER_KEY, ...keys]);
      const read = this.registerOf(register);
      if (read?.state !== "live" || !equalBytes(read.life, life))
        return { found: undefined, reason: "deleted" };
      for (const [index, [text]] of batch.entries()) {
        const body = bodies[index];
        if (body === undefined) return { found: undefined, reason: "missing" };
        parts.set(
          text,
          this.#records.open("langgraph-part", this.#partition, keys[index]!, body, (bytes) => bytes),
        );
      }
      at += PARTS_PER_READ;
    } while (at < wanted.length);
    return {
      found: values.map((value) =>
        "bytes" in value
          ? value.bytes
          : concatBytes(value.parts.map((digest) => parts.get(digest.toString())!)),
      ),
    };
  }

  /** The rows of a range in reverse, a checkpoint at a time; writes whose checkpoint is not there are passed over. */
  async *#groups(range: KvRange, firstPage: number): AsyncGenerator<CheckpointRows> {
    let rest: KvRange | undefined = { ...range, limit: firstPage };
    let writes: TaskWrites[] = [];
    let of: string | undefined;
    while (rest !== undefined) {
      const page = await this.#kv.scan(this.#partition, rest);
      for (const { key, value } of page.items) {
        const { namespace, id, task } = parseCheckpointKey(key);
        if (id !== of) writes = [];
        of = id;
        if (task === undefined) yield { namespace, id, record: this.checkpointOf(key, value), writes };
        else writes.push({ task, writes: this.writesOf(key, value) });
      }
      const limit: number = Math.min((rest.limit ?? FIRST_PAGE) * PAGE_GROWTH, PAGE_MAX);
      rest = page.next === undefined ? undefined : { ...range, end: page.next, limit };
    }
  }
}

/** Orders checkpoints by id, the greatest first; those of one id by namespace. */
export function newestFirst(a: CheckpointRows, b: CheckpointRows): number {
  if (a.id !== b.id) return a.id < b.id ? 1 : -1;
  return a.namespace < b.namespace ? -1 : 1;
}
