import type { CheckpointPendingWrite, DeltaChannelHistory } from "@langchain/langgraph-checkpoint";
import type { CheckpointRows, ThreadRows } from "./thread-rows.ts";
import type { TupleReader } from "./tuple-reader.ts";
import { inRunOrder } from "./writes-record.ts";

/** Where to begin, and what is asked for. */
export interface DeltaHistoryQuery {
  /** What the ancestors are of. */
  readonly target: CheckpointRows | undefined;
  readonly channels: readonly string[];
}

/**
 * For each channel the writes of the ancestors of a checkpoint, oldest first, back to the nearest that holds a value
 * of the channel, and that value. One walk for all channels; ancestors that follow one another in the store, as they
 * do but for forks, are read a page at a time.
 */
export async function deltaHistory(
  rows: ThreadRows,
  reader: TupleReader,
  { target, channels }: DeltaHistoryQuery,
): Promise<Record<string, DeltaChannelHistory>> {
  const remaining = new Set(channels);
  const backwards = new Map<string, CheckpointPendingWrite[]>(channels.map((channel) => [channel, []]));
  const seeds = new Map<string, unknown>();
  for await (const ancestor of ancestors(rows, target)) {
    const loaded = await reader.values(ancestor, (found) => {
      const { writes, held } = chosen(found, remaining);
      return [...writes.map(({ write }) => write.value), ...held.map(({ value }) => value)];
    });
    if (loaded === undefined) break;
    const { writes, held } = chosen(loaded.rows, remaining);
    for (let index = writes.length - 1; index >= 0; index--) {
      const { task, write } = writes[index]!;
      backwards.get(write.channel)!.push([task, write.channel, loaded.values[index]]);
    }
    for (const [index, { channel }] of held.entries()) {
      const seed = loaded.values[writes.length + index];
      if (seed === undefined) continue;
      seeds.set(channel, seed);
      remaining.delete(channel);
    }
    if (remaining.size === 0) break;
  }
  return Object.fromEntries(
    channels.map((channel) => {
      const history: DeltaChannelHistory = { writes: backwards.get(channel)!.toReversed() };
      if (seeds.has(channel)) history.seed = seeds.get(channel);
      return [channel, history];
    }),
  );
}

/** What of a checkpoint counts for the channels still asked for. */
function chosen({ record, writes }: CheckpointRows, remaining: ReadonlySet<string>) {
  return {
    writes: inRunOrder(writes).filter(({ write }) => remaining.has(write.channel)),
    held: record.channels.filter(({ channel }) => remaining.has(channel)),
  };
}

/** The checkpoints from which one was made, nearest first. */
async function* ancestors(
  rows: ThreadRows,
  target: CheckpointRows | undefined,
): AsyncGenerator<CheckpointRows> {
  let parent = target?.record.parent;
  if (target === undefined || parent === undefined) return;
  const { namespace } = target;
  for await (const found of rows.newestFirst(namespace, target.id)) {
    if (found.id !== parent) {
      if (found.id > parent) continue;
      break;
    }
    yield found;
    parent = found.record.parent;
    if (parent === undefined) return;
  }
  // A parent that does not come later in the order of ids: its makers had clocks apart.
  while (parent !== undefined) {
    const found: CheckpointRows | undefined = await rows.checkpoint(namespace, parent);
    if (found === undefined) return;
    yield found;
    parent = found.record.parent;
  }
}
