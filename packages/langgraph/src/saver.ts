import type { RunnableConfig } from "@langchain/core/runnables";
import {
  BaseCheckpointSaver,
  type ChannelVersions,
  type Checkpoint,
  type CheckpointListOptions,
  type CheckpointMetadata,
  type CheckpointTuple,
  copyCheckpoint,
  type DeltaChannelHistory,
  getCheckpointId,
  type PendingWrite,
  type SerializerProtocol,
  WRITES_IDX_MAP,
} from "@langchain/langgraph-checkpoint";
import { type Hasher, nobleHasher, equalBytes } from "@tidemark/core";
import type { Kv } from "@tidemark/kv";
import {
  followSessions,
  type FollowOptions,
  guardPrefix,
  openRecordCommits,
  randomBytes,
  type RecordCommits,
  type SessionJournal,
} from "@tidemark/session-store";
import {
  type ChannelValue,
  type CheckpointRecord,
  encodeCheckpoint,
  inheritedValue,
  newParts,
} from "./checkpoint-record.ts";
import { deltaHistory } from "./delta-history.ts";
import { Directory } from "./directory.ts";
import { matchesMetadata } from "./metadata-filter.ts";
import { mergeSorted } from "./merge-sorted.ts";
import { migratePendingSends } from "./pending-sends.ts";
import { openRecords, type Records } from "./records.ts";
import { type Part, type StoredValue, storeValue } from "./stored-value.ts";
import { checkpointKey, writesKey } from "./thread-keys.ts";
import { type CheckpointRows, newestFirst } from "./thread-rows.ts";
import { Thread } from "./thread.ts";
import { type LoadedRows, TupleReader } from "./tuple-reader.ts";
import { encodeWrites, mergeWrites, type StoredWrite } from "./writes-record.ts";

/** Options of {@link TidemarkSaver}. */
export interface TidemarkSaverOptions {
  /** Where the checkpoints are. It is borrowed: the saver never closes it. */
  readonly kv: Kv;
  /** Serializes checkpoints, metadata and values. @defaultValue LangGraph's own JSON */
  readonly serde?: SerializerProtocol;
  /** Begins the names of all partitions: 1 to 64 of `a-z`, `0-9` and `-`. @defaultValue `langgraph` */
  readonly prefix?: string;
  /** How many bytes one `put` or `putWrites` may write. @defaultValue 16 MiB */
  readonly bytesPerCallMax?: number;
  /** @defaultValue `nobleHasher` of `@tidemark/core` */
  readonly hasher?: Hasher;
  /** Fresh random bytes. @defaultValue those of `crypto` */
  readonly random?: (length: number) => Uint8Array;
  /**
   * Carries the checkpoints to other regions: a region, see `regionJournal` of `@tidemark/session-store`. A thread is
   * the session of that id. `kv` is then this region's own, and nothing but this saver writes to its partitions.
   */
  readonly journal?: SessionJournal;
}

/**
 * LangGraph checkpoints in a key-value store: one thread is one partition, one checkpoint is one commit.
 *
 * A value that did not change is not written again, and a list that grows at its end costs what was added. Values
 * that are named and not there are `LANGGRAPH_VALUE_MISSING`, records that are damaged the `KvError` `KV_CORRUPT`;
 * nothing is ever left out in silence.
 */
export class TidemarkSaver extends BaseCheckpointSaver {
  readonly #options: Required<Omit<TidemarkSaverOptions, "serde" | "journal">>;
  readonly #journal: SessionJournal | undefined;
  readonly #commits: RecordCommits;
  readonly #records: Records;
  readonly #directory: Directory;

  constructor(options: TidemarkSaverOptions) {
    super(options.serde);
    const {
      kv,
      prefix = "langgraph",
      bytesPerCallMax = 16 * 1_024 * 1_024,
      hasher = nobleHasher,
      random = randomBytes,
      journal,
    } = options;
    guardPrefix(prefix);
    if (!Number.isSafeInteger(bytesPerCallMax) || bytesPerCallMax < 1) {
      throw new RangeError(`bytesPerCallMax must be a positive integer: ${bytesPerCallMax}`);
    }
    this.#options = { kv, prefix, bytesPerCallMax, hasher, random };
    this.#journal = journal;
    this.#commits = openRecordCommits({ kv, journal, namespace: prefix, hasher, random });
    this.#records = openRecords(hasher);
    const partition = `${prefix}.directory`;
    this.#directory = new Directory({ kv, records: this.#records, hasher, random, partition });
  }

  override async getTuple(config: RunnableConfig): Promise<CheckpointTuple | undefined> {
    const threadId = optionalText(config, "thread_id");
    if (threadId === undefined) return undefined;
    const namespace = optionalText(config, "checkpoint_ns") ?? "";
    const id = getCheckpointId(config);
    const { rows } = this.#thread(threadId);
    await this.#commits.arrive(threadId);
    if (id !== "") {
      const found = await rows.checkpoint(namespace, id);
      return found === undefined ? undefined : this.#tuple(threadId, found);
    }
    for await (const found of rows.newestFirst(namespace)) {
      const tuple = await this.#tuple(threadId, found);
      // Rows of a life before this one may be left.
      if (tuple !== undefined) return tuple;
    }
    return undefined;
  }

  /**
   * Checkpoints, newest first, of one thread or of all. A page of a thread is one view; checkpoints that are made
   * while the list is walked are not in it.
   */
  override async *list(
    config: RunnableConfig,
    options: CheckpointListOptions = {},
  ): AsyncGenerator<CheckpointTuple> {
    const { before, filter, limit = Number.POSITIVE_INFINITY } = options;
    const id = optionalText(config, "checkpoint_id");
    const beforeId = before === undefined ? undefined : optionalText(before, "checkpoint_id");
    let count = 0;
    if (limit <= 0) return;
    for await (const { threadId, rows } of this.#walk(config, beforeId)) {
      if (id !== undefined && id !== "" && rows.id !== id) continue;
      if (filter !== undefined) {
        const metadata = await this.#reader(threadId).metadata(rows);
        if (metadata === undefined || !matchesMetadata(metadata, filter)) continue;
      }
      const tuple = await this.#tuple(threadId, rows);
      if (tuple === undefined) continue;
      yield tuple;
      count += 1;
      if (count >= limit) return;
    }
  }

  /**
   * Stores a checkpoint in one commit (its long values before it where they do not fit). Of its values those are
   * written that `newVersions` names; the others are those of the checkpoint it was made from.
   *
   * @throws `LangGraphError` `LANGGRAPH_TOO_LARGE`, `LANGGRAPH_BUSY`
   */
  override async put(
    config: RunnableConfig,
    checkpoint: Checkpoint,
    metadata: CheckpointMetadata,
    newVersions: ChannelVersions,
  ): Promise<RunnableConfig> {
    const threadId = requiredText(config, "thread_id", "put a checkpoint");
    const namespace = optionalText(config, "checkpoint_ns") ?? "";
    const parent = optionalText(config, "checkpoint_id");
    const { id } = checkpoint;
    const thread = this.#thread(threadId);
    const { channel_values: values, ...rest } = copyCheckpoint(checkpoint);
    const parts: Part[] = [];
    const stored = new Map<string, StoredValue>();
    const store = async (value: unknown): Promise<StoredValue> =>
      storeValue(await this.serde.dumpsTyped(value), this.#options.hasher, parts);
    const storedCheckpoint = await store({ ...rest, channel_values: {} });
    const storedMetadata = await store(metadata);
    const key = checkpointKey(namespace, id);
    const parentKey = parent === undefined ? undefined : checkpointKey(namespace, parent);
    await thread.change(parentKey, async (row, life) => {
      const found = row === undefined ? undefined : thread.rows.checkpointOf(parentKey!, row);
      const from = found !== undefined && equalBytes(found.life, life) ? found : undefined;
      const channels: ChannelValue[] = [];
      for (const [channel, value] of Object.entries(values)) {
        const version = versionText(checkpoint.channel_versions[channel]);
        let kept = stored.get(channel);
        if (kept === undefined && !Object.hasOwn(newVersions, channel)) {
          const inherited = inheritedValue(from, channel, version);
          if (inherited !== undefined) {
            channels.push({ channel, version, value: inherited });
            continue;
          }
          // Without a parent nothing says where the value is, unless the thread has had it: a copy of its first step.
          if (parent === undefined && !(await thread.rows.holds(namespace, channel, version))) continue;
        }
        kept ??= await store(value);
        stored.set(channel, kept);
        channels.push({ channel, version, value: kept });
      }
      const record: CheckpointRecord = {
        life,
        parent,
        checkpoint: storedCheckpoint,
        metadata: storedMetadata,
        channels,
      };
      const body = encodeCheckpoint(record);
      const item = { key, value: this.#seal("langgraph-checkpoint", threadId, key, body) };
      return { parts: newParts(parts, from), item, exact: false };
    });
    return { configurable: { thread_id: threadId, checkpoint_ns: namespace, checkpoint_id: id } };
  }

  /**
   * Stores what a task wrote, in one commit. What a task wrote at a place stays: a retry changes nothing. Errors,
   * interrupts and resumes are replaced.
   *
   * @throws `LangGraphError` `LANGGRAPH_TOO_LARGE`, `LANGGRAPH_BUSY`
   */
  override async putWrites(
    config: RunnableConfig,
    writes: PendingWrite[],
    taskId: string,
    taskPath?: string,
  ): Promise<void> {
    const threadId = requiredText(config, "thread_id", "put writes");
    const namespace = optionalText(config, "checkpoint_ns") ?? "";
    const id = requiredText(config, "checkpoint_id", "put writes");
    const thread = this.#thread(threadId);
    const key = writesKey(namespace, id, taskId);
    const parts: Part[] = [];
    const given: StoredWrite[] = [];
    for (const [place, [channel, value]] of writes.entries()) {
      const typed = await this.serde.dumpsTyped(value);
      given.push({
        index: Object.hasOwn(WRITES_IDX_MAP, channel) ? WRITES_IDX_MAP[channel]! : place,
        channel,
        path: taskPath ?? "",
        value: storeValue(typed, this.#options.hasher, parts),
      });
    }
    await thread.change(key, async (row) => {
      const merged = mergeWrites(row === undefined ? [] : thread.rows.writesOf(key, row), given);
      const value = this.#seal("langgraph-writes", threadId, key, encodeWrites(merged));
      return { parts: newParts(parts, undefined), item: { key, value }, exact: true };
    });
  }

  /** Removes a thread: from one commit on it is not there. Its rows go after that; a crash in between leaves them to whoever uses the thread next. */
  override async deleteThread(threadId: string): Promise<void> {
    guardThreadId(threadId);
    await this.#thread(threadId).delete();
  }

  /** As the base class says; reads of each ancestor its writes and the values asked for, and no others. */
  override async getDeltaChannelHistory(options: {
    config: RunnableConfig;
    channels: string[];
  }): Promise<Record<string, DeltaChannelHistory>> {
    const { config, channels } = options;
    if (channels.length === 0) return {};
    const threadId = optionalText(config, "thread_id");
    if (threadId === undefined)
      return Object.fromEntries(channels.map((channel) => [channel, { writes: [] }]));
    const namespace = optionalText(config, "checkpoint_ns") ?? "";
    const { rows } = this.#thread(threadId);
    await this.#commits.arrive(threadId);
    const reader = this.#reader(threadId);
    const id = getCheckpointId(config) || (await this.getTuple(config))?.checkpoint.id;
    const target = id === undefined ? undefined : await rows.checkpoint(namespace, id);
    return deltaHistory(rows, reader, { target, channels });
  }

  /**
   * With a journal: applies what arrives from other regions until the signal, so that threads made elsewhere are listed,
   * and this region falls behind in none. What a call reads or changes of one thread it brings up to date by itself.
   *
   * @throws `TypeError` without a journal.
   */
  async follow(options: FollowOptions): Promise<void> {
    await followSessions(this.#journal, options, (threadId) => this.#thread(threadId).arrived());
  }

  async #tuple(threadId: string, rows: CheckpointRows): Promise<CheckpointTuple | undefined> {
    const reader = this.#reader(threadId);
    const loaded = await reader.load(rows);
    if (loaded === undefined) return undefined;
    if (loaded.checkpoint.v < 4 && loaded.parent !== undefined) await this.#migrate(threadId, loaded);
    const { namespace, id, checkpoint, metadata, pendingWrites, parent } = loaded;
    const configOf = (of: string): RunnableConfig => ({
      configurable: { thread_id: threadId, checkpoint_ns: namespace, checkpoint_id: of },
    });
    const tuple: CheckpointTuple = { config: configOf(id), checkpoint, metadata, pendingWrites };
    if (parent !== undefined) tuple.parentConfig = configOf(parent);
    return tuple;
  }

  /** Checkpoints of old formats hold the tasks that were sent as writes to their parent. */
  async #migrate(threadId: string, { namespace, parent, checkpoint }: LoadedRows): Promise<void> {
    const rows = await this.#thread(threadId).rows.checkpoint(namespace, parent!);
    const loaded = rows === undefined ? undefined : await this.#reader(threadId).load(rows);
    migratePendingSends(checkpoint, loaded?.pendingWrites ?? [], this.getNextVersion(undefined));
  }

  async *#walk(
    config: RunnableConfig,
    before: string | undefined,
  ): AsyncGenerator<{ threadId: string; rows: CheckpointRows }> {
    const namespace = optionalText(config, "checkpoint_ns");
    const one = optionalText(config, "thread_id");
    const walkOf = async function* (thread: Thread, threadId: string) {
      const found =
        namespace === undefined
          ? thread.rows.newestFirstOfAll(before)
          : thread.rows.newestFirst(namespace, before);
      for await (const rows of found) yield { threadId, rows };
    };
    if (one !== undefined) {
      await this.#commits.arrive(one);
      yield* walkOf(this.#thread(one), one);
      return;
    }
    const walks = [];
    for await (const [threadId] of this.#directory.names([])) {
      walks.push(walkOf(this.#thread(threadId!), threadId!));
    }
    yield* mergeSorted(walks, (a, b) => newestFirst(a.rows, b.rows));
  }

  #thread(id: string): Thread {
    guardThreadId(id);
    const { kv, random, bytesPerCallMax } = this.#options;
    const partition = this.#partition(id);
    const records = this.#records;
    const [commits, directory] = [this.#commits, this.#directory];
    return new Thread({ kv, commits, records, directory, id, partition, random, bytesPerCallMax });
  }

  #reader(threadId: string): TupleReader {
    const { rows } = this.#thread(threadId);
    return new TupleReader({ rows, serde: this.serde, threadId, merges: this.#commits.merges });
  }

  #partition(threadId: string): string {
    return `${this.#options.prefix}/${threadId}`;
  }

  #seal(
    kind: "langgraph-checkpoint" | "langgraph-writes",
    threadId: string,
    key: Uint8Array,
    body: Uint8Array,
  ): Uint8Array {
    return this.#records.seal(kind, this.#partition(threadId), key, body);
  }
}

function versionText(version: string | number | undefined): string {
  return version === undefined ? "" : JSON.stringify(version);
}

function guardThreadId(threadId: unknown): void {
  if (typeof threadId !== "string") throw new TypeError("thread_id must be a string");
  if (threadId === "") throw new TypeError("thread_id must not be empty");
}

type ConfigField = "thread_id" | "checkpoint_ns" | "checkpoint_id";

function optionalText(config: RunnableConfig, field: ConfigField): string | undefined {
  const value: unknown = config.configurable?.[field];
  if (value === undefined || value === null) return undefined;
  if (typeof value !== "string") throw new TypeError(`configurable.${field} must be a string`);
  return value;
}

function requiredText(config: RunnableConfig, field: ConfigField, what: string): string {
  const value = optionalText(config, field);
  if (value === undefined || value === "") {
    throw new TypeError(`Cannot ${what}: the config has no configurable.${field}`);
  }
  return value;
}
