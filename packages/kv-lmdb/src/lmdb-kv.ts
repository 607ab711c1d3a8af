import { compareBytes } from "@tidemark/core";
import {
  guardCommit,
  guardGet,
  guardScan,
  guardWatch,
  type Kv,
  type KvCallOptions,
  type KvCapabilities,
  type KvCommit,
  type KvCommitResult,
  KvError,
  type KvItem,
  type KvKey,
  type KvPage,
  type KvRange,
  KvWatch,
  PAGE_BYTES_TARGET,
  type Partition,
} from "@tidemark/kv";
import { Environment } from "./environment.ts";
import { failureOf } from "./failure.ts";
import { GroupCommit } from "./group-commit.ts";
import { Gate } from "./gate.ts";
import { gatePath, removeOldGates } from "./node/boot.ts";
import { inspectFiles } from "./node/data-file.ts";
import { makeDirectory, mediumOf, syncNames } from "./node/directory.ts";
import { DiskSpace } from "./node/disk-space.ts";
import { type LmdbKvOptions, type LmdbKvSettings, settingsOf } from "./options.ts";
import { packCommit } from "./packed-commit.ts";
import { afterRows, rowKey, rowPrefix } from "./row-key.ts";
import { claimStore, VERSION_ROW } from "./store-version.ts";
import { Watches } from "./watches.ts";

/** Well below the 16 MiB from which lmdb hands out its map instead of a copy. */
const VALUE_BYTES_MAX = 8 * 1_024 * 1_024;

/**
 * Opens the store in a directory of this machine, and makes it if there is none. Other handles and other processes may
 * have it open, and write, at the same time.
 *
 * @throws {@link KvError} `KV_UNAVAILABLE` if the directory cannot be made, read or written; `KV_UNSUPPORTED` if it is on
 * a network file system; `KV_STORE_VERSION` if it holds something else, which is left as it is; `KV_CORRUPT` if LMDB
 * makes no sense of it.
 */
export async function openLmdbKv(options: LmdbKvOptions): Promise<Kv> {
  const settings = settingsOf(options);
  const { dir, mapBytes } = settings;
  const { firstMade, medium } = await prepare(dir);
  if (medium === "network") {
    throw new KvError(
      "KV_UNSUPPORTED",
      `Cannot open ${dir}: it is on a network file system, and the store needs a disk of this machine`,
    );
  }
  const environment = await openEnvironment(dir, mapBytes);
  try {
    claimStore(environment, dir);
    await syncNames(dir, firstMade).catch((cause: unknown) => {
      throw failureOf(`open ${dir}`, cause, "no");
    });
  } catch (error) {
    await environment.close();
    throw error;
  }
  return new LmdbKv(environment, settings, medium === "memory" ? "process" : "disk");
}

async function openEnvironment(dir: string, mapBytes: number): Promise<Environment> {
  const gate = await Gate.open(gatePath(dir));
  try {
    return new Environment(dir, mapBytes, gate, VERSION_ROW);
  } catch (error) {
    gate.close();
    throw error;
  }
}

async function prepare(dir: string): Promise<{
  firstMade: string | undefined;
  medium: Awaited<ReturnType<typeof mediumOf>>;
}> {
  try {
    const firstMade = await makeDirectory(dir);
    const medium = await mediumOf(dir);
    if (medium !== "network") {
      await inspectFiles(dir);
      await removeOldGates(dir);
    }
    return { firstMade, medium };
  } catch (cause) {
    throw failureOf(`open ${dir}`, cause, "no");
  }
}

class LmdbKv implements Kv {
  readonly capabilities: KvCapabilities;
  readonly #environment: Environment;
  readonly #commits: GroupCommit;
  readonly #watches: Watches;
  readonly #nowMs: () => number;
  #closing: Promise<void> | undefined;

  constructor(environment: Environment, settings: LmdbKvSettings, durability: "process" | "disk") {
    this.#environment = environment;
    this.#nowMs = settings.nowMs;
    this.#watches = new Watches({
      lastTransaction: () => environment.lastTransaction(),
      pollMs: settings.watchPollMs,
    });
    this.#commits = new GroupCommit({
      environment,
      disk: new DiskSpace(settings.dir),
      onCommits: (transaction, commits) => this.#watches.committed(transaction, commits),
    });
    this.capabilities = {
      name: "lmdb",
      durability,
      sharedBy: "machine",
      keysPerCommitMax: 10_000,
      valueBytesMax: VALUE_BYTES_MAX,
      commitBytesMax: 4 * VALUE_BYTES_MAX,
      scan: true,
      watch: true,
    };
  }

  async nowMs(): Promise<number> {
    this.#requireOpen();
    return this.#nowMs();
  }

  async get(
    partition: Partition,
    keys: readonly KvKey[],
    { signal }: KvCallOptions = {},
  ): Promise<(Uint8Array | undefined)[]> {
    signal?.throwIfAborted();
    this.#requireOpen();
    guardGet(this.capabilities, partition, keys);
    const prefix = rowPrefix(partition);
    return this.#environment.read("read", () =>
      keys.map((key) => this.#environment.get(rowKey(prefix, key))),
    );
  }

  async scan(partition: Partition, range: KvRange, { signal }: KvCallOptions = {}): Promise<KvPage> {
    signal?.throwIfAborted();
    this.#requireOpen();
    const { start, end, reverse, limit } = guardScan(this.capabilities, partition, range);
    const prefix = rowPrefix(partition);
    const bounds = {
      start: rowKey(prefix, start),
      end: end === undefined ? afterRows(prefix) : rowKey(prefix, end),
      reverse,
    };
    if (compareBytes(bounds.start, bounds.end) >= 0) return { items: [] };
    return this.#environment.read("scan", () => {
      const items: KvItem[] = [];
      let bytes = 0;
      for (const row of this.#environment.range(bounds)) {
        const key = new Uint8Array(row.key.subarray(prefix.length));
        const last = items.at(-1);
        if (last !== undefined && (items.length === limit || bytes >= PAGE_BYTES_TARGET)) {
          return { items, next: reverse ? last.key : key };
        }
        items.push({ key, value: row.value });
        bytes += key.length + row.value.length;
      }
      return { items };
    });
  }

  async commit(
    partition: Partition,
    commit: KvCommit,
    { signal }: KvCallOptions = {},
  ): Promise<KvCommitResult> {
    signal?.throwIfAborted();
    this.#requireOpen();
    guardCommit(this.capabilities, partition, commit);
    return this.#commits.add(packCommit(partition, commit), signal);
  }

  watch(partition: Partition, prefix: KvKey, { signal }: KvCallOptions = {}): AsyncIterable<void> {
    return new KvWatch({
      signal,
      begin: (bell) => {
        this.#requireOpen();
        guardWatch(partition, prefix);
        this.#watches.hang(bell, partition, prefix);
      },
      end: (bell) => this.#watches.remove(bell),
    });
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #close(): Promise<void> {
    this.#commits.flush();
    this.#watches.close();
    await this.#environment.close();
  }

  #requireOpen(): void {
    if (this.#closing !== undefined) {
      throw new KvError("KV_CLOSED", "Cannot use the store: it was closed");
    }
  }
}
