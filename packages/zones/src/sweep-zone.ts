import { decodeKey, type KvKey, type KvRange, prefixRange } from "@tidemark/kv";
import type { View } from "@tidemark/session-store";
import type { ZoneCommits } from "./zone-commits.ts";
import { logOffset, logRange } from "./read-content.ts";
import { zoneKeys } from "./zone-keys.ts";

/** How many records one step removes at most. */
const STEP_KEYS_MAX = 100;

/** Kinds of records that hold what is of a conversation, besides its head. */
const CONTENT = ["state", "log", "torn"] as const;

/**
 * Removes what is of conversations that are garbage, step by step: the note goes last, so that what a crash leaves is
 * removed by the next sweep.
 *
 * @returns How many conversations went.
 */
export async function sweepGarbage(commits: ZoneCommits, definition: string): Promise<number> {
  const garbage = await commits.read(definition, async (view) =>
    keysOf(view, prefixRange(["garbage"]), 1_000),
  );
  for (const note of garbage) {
    const conversation = decodeKey(note)[1] as string;
    for (const kind of CONTENT) await removeAll(commits, definition, prefixRange([kind, conversation]));
    await remove(commits, definition, [zoneKeys.head(conversation), note]);
  }
  return garbage.length;
}

/** Removes records of a log that end at or before its floor. */
export async function sweepLog(
  commits: ZoneCommits,
  definition: string,
  conversation: string,
  floor: number,
): Promise<void> {
  if (floor === 0) return;
  for (;;) {
    const before = await commits.read(definition, (view) =>
      keysOf(view, logRange(conversation, floor), STEP_KEYS_MAX + 1),
    );
    // The last of them may hold what is behind the floor, too.
    const covered = before.filter((_, index) => {
      const next = before[index + 1];
      return next !== undefined && logOffset(next) <= floor;
    });
    await remove(commits, definition, covered);
    if (covered.length < STEP_KEYS_MAX) return;
  }
}

async function removeAll(commits: ZoneCommits, definition: string, range: KvRange): Promise<void> {
  for (;;) {
    const keys = await commits.read(definition, (view) => keysOf(view, range, STEP_KEYS_MAX));
    if (keys.length === 0) return;
    await remove(commits, definition, keys);
  }
}

async function remove(commits: ZoneCommits, definition: string, keys: readonly KvKey[]): Promise<void> {
  if (keys.length === 0) return;
  await commits.decide(
    definition,
    "log",
    () => Promise.resolve(undefined),
    () => ({ checks: [], puts: [], deletes: keys, result: undefined }),
  );
}

async function keysOf(view: View, range: KvRange, limit: number): Promise<KvKey[]> {
  const { items } = await view.scan({ ...range, limit });
  return items.map(({ key }) => key);
}
