import { isLiveError } from "./errors.ts";
import type { LiveChannel } from "./live-channel.ts";
import type { LiveCursor } from "./live-cursor.ts";
import type { LiveEvent } from "./live-event.ts";
import type { LiveCommit, LiveResume } from "./live.ts";
import { ReaderPlace } from "./reader-place.ts";

/** Commits that one answer holds. */
const COMMITS_MAX = 2_048;

/** What the store holds behind a reader's cursor, if it bridges the cursor's revision to the present one. */
export async function replayBehind<View>(
  channel: LiveChannel<View>,
  place: ReaderPlace,
): Promise<LiveResume<View>> {
  const requested = place.cursor;
  // Asked before the replay: a commit that is told of in between is in it.
  const revision = await channel.revision();
  const replay = await channel.context.store.replayAfter(requested);
  if (replay.kind === "gap") return channel.gap(requested, replay.gap.reason);
  const bridged =
    requested.revision >= revision ||
    replay.events.some((event) => event.payload.kind === "committed" && event.revision >= revision);
  if (!bridged) return channel.gap(requested, "unavailable");
  return { kind: "replayed", events: taken(channel, replay.events, place) };
}

/** The same over a source that tells of commits, which are merged in by their revisions. */
export async function replayBoth<View>(
  channel: LiveChannel<View>,
  requested: LiveCursor,
): Promise<LiveResume<View>> {
  if (requested.committed === undefined) return channel.gap(requested, "unavailable");
  const commits = await commitsBehind(channel, requested.committed);
  if (commits === undefined) return channel.gap(requested, "unavailable");
  const replay = await channel.context.store.replayAfter(requested);
  const place = new ReaderPlace(requested);
  if (replay.kind === "gap") {
    const committed = commits.map((commit) => place.commit(commit));
    return { ...(await channel.gap(requested, replay.gap.reason)), committed };
  }
  const events: LiveEvent[] = [];
  for (const event of replay.events) {
    while (commits.length > 0 && commits[0]!.revision <= event.revision)
      events.push(place.commit(commits.shift()!));
    if (event.payload.kind !== "committed") events.push(...taken(channel, [event], place));
  }
  events.push(...commits.map((commit) => place.commit(commit)));
  return { kind: "replayed", events };
}

/** The commits up to now; `undefined` if they cannot be told, or are too many for one answer. */
async function commitsBehind<View>(
  { session, context }: LiveChannel<View>,
  committed: string,
): Promise<LiveCommit<View>[] | undefined> {
  const stop = new AbortController();
  const commits: LiveCommit<View>[] = [];
  try {
    const options = { signal: stop.signal, follow: false };
    for await (const commit of context.source.committedAfter!(session, committed, options)) {
      if (commits.push(commit) > COMMITS_MAX) return undefined;
    }
    return commits;
  } catch (error) {
    if (isLiveError(error, "COMMITS_MISSING")) return undefined;
    throw error;
  } finally {
    stop.abort();
  }
}

function taken<View>(
  channel: LiveChannel<View>,
  events: readonly LiveEvent[],
  place: ReaderPlace,
): LiveEvent[] {
  return events.flatMap((event) => {
    channel.hear(event);
    return place.take(event) ?? [];
  });
}
