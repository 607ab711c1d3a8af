import type { RunnableConfig } from "@langchain/core/runnables";
import {
  type BaseCheckpointSaver,
  type ChannelVersions,
  type Checkpoint,
  type CheckpointTuple,
  emptyCheckpoint,
  uuid6,
} from "@langchain/langgraph-checkpoint";
import type { Kv, KvCommit } from "@tidemark/kv";

/** A config of a thread, without and with a checkpoint. */
export function configOf(thread: string, checkpoint?: string, namespace = ""): RunnableConfig {
  const of = { thread_id: thread, checkpoint_ns: namespace };
  return { configurable: checkpoint === undefined ? of : { ...of, checkpoint_id: checkpoint } };
}

let clock = 0;

/** An id greater than all before. */
export function nextId(): string {
  return uuid6(clock++ % 16_384);
}

/** A checkpoint of these values at these versions. */
export function checkpointOf(
  values: Record<string, unknown>,
  versions: ChannelVersions = Object.fromEntries(Object.keys(values).map((channel) => [channel, 1])),
): Checkpoint {
  return { ...emptyCheckpoint(), id: nextId(), channel_values: values, channel_versions: versions };
}

/** What a step stores: its values, of which `changed` have a new version. */
export async function putStep(
  saver: BaseCheckpointSaver,
  from: RunnableConfig,
  values: Record<string, unknown>,
  changed: readonly string[] = Object.keys(values),
  step = 0,
): Promise<RunnableConfig> {
  const before = (await saver.get(from))?.channel_versions ?? {};
  const versions = { ...before };
  const next = Math.max(0, ...Object.values(before).map(Number)) + 1;
  for (const channel of changed) versions[channel] = next;
  const newVersions = Object.fromEntries(changed.map((channel) => [channel, next]));
  const metadata = { source: "loop", step, parents: {} } as const;
  return saver.put(from, checkpointOf(values, versions), metadata, newVersions);
}

export async function collected(tuples: AsyncGenerator<CheckpointTuple>): Promise<CheckpointTuple[]> {
  const all: CheckpointTuple[] = [];
  for await (const tuple of tuples) all.push(tuple);
  return all;
}

/** The id of the checkpoint that a config names. */
export function idOf(config: RunnableConfig): string {
  return config.configurable?.["checkpoint_id"] as string;
}

/** A store that notes its commits and can be told to fail before one. */
export class WatchedKv implements Kv {
  readonly capabilities: Kv["capabilities"];
  readonly commits: { partition: string; commit: KvCommit }[] = [];
  /** Called before each commit; what it throws is what the commit rejects with. */
  beforeCommit: (partition: string, commit: KvCommit) => void | Promise<void> = () => undefined;
  readonly #kv: Kv;

  constructor(kv: Kv) {
    this.#kv = kv;
    this.capabilities = kv.capabilities;
  }

  /** Bytes put since the last time this was asked. */
  bytesPut(): number {
    const items = this.commits.splice(0).flatMap(({ commit }) => commit.puts ?? []);
    return items.reduce((sum, { key, value }) => sum + key.length + value.length, 0);
  }

  nowMs(): Promise<number> {
    return this.#kv.nowMs();
  }

  get(...call: Parameters<Kv["get"]>): ReturnType<Kv["get"]> {
    return this.#kv.get(...call);
  }

  scan(...call: Parameters<Kv["scan"]>): ReturnType<Kv["scan"]> {
    return this.#kv.scan(...call);
  }

  async commit(...call: Parameters<Kv["commit"]>): ReturnType<Kv["commit"]> {
    const [partition, commit] = call;
    await this.beforeCommit(partition, commit);
    this.commits.push({ partition, commit });
    return this.#kv.commit(...call);
  }

  close(): Promise<void> {
    return this.#kv.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
