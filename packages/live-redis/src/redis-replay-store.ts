import {
  AppendQueue,
  LiveCursor,
  LiveError,
  LiveFollower,
  type LiveFollowerPlace,
  type LiveEvent,
  type LiveGap,
  type LivePayload,
  type LivePositionOptions,
  type LiveReplay,
  type LiveReplayStore,
  type LiveSubscribeOptions,
  type LiveSubscription,
  PushedSubscription,
  replayGap,
} from "@tidemark/live";
import {
  Caller,
  connectorFor,
  lacksRight,
  monotonicMs,
  Supervisor,
  compareEntryIds,
  type EntryId,
} from "@tidemark/redis-connection";
import { Buffers, newIncarnation } from "./buffers.ts";
import { liveErrorOf, RedisLiveError } from "./errors.ts";
import { wakeKey } from "./keys.ts";
import { limitsOf, type RedisLiveLimits, type RedisReplayStoreOptions } from "./options.ts";
import { type Follower, Reader } from "./reader.ts";
import { loadScripts } from "./scripts.ts";

/**
 * Opens a replay store in one Redis or a Redis Cluster, which any number of processes share.
 *
 * It is refused unless the server is there and lets the user do all that a store does.
 *
 * @throws {@link RedisLiveError} or `RedisConnectionError` for what cannot work, `RangeError` for a limit that is none,
 * `LiveError` `STORE_UNAVAILABLE` if the server is away.
 */
export async function openRedisReplayStore(options: RedisReplayStoreOptions): Promise<LiveReplayStore> {
  const limits = limitsOf(options);
  const [commands, reads] = await Promise.all([
    connectorFor(options.connection, limits),
    connectorFor(options.connection, { ...limits, blockMs: limits.blockMs + limits.replyTimeoutMs }),
  ]);
  const scripts = await loadScripts();
  let refuse: (why: unknown) => void = () => undefined;
  const refused = new Promise<never>((_, reject) => (refuse = reject));
  refused.catch(() => undefined);
  const supervisor = new Supervisor(commands, limits, () => {
    if (supervisor.unauthorized) refuse(supervisor.failure);
  });
  const caller = new Caller(supervisor, { timeoutMs: limits.timeoutMs, errorOf: liveErrorOf });
  const buffers = new Buffers(caller, limits, scripts, options.monotonicMs ?? monotonicMs);
  const handle = newIncarnation();
  const key = wakeKey(limits.prefix, commands.cluster ? undefined : handle);
  try {
    await Promise.race([rehearse(buffers, caller, key, handle), refused]);
  } catch (error) {
    supervisor.close();
    const { cause = error } = error as Error;
    if (lacksRight(cause)) throw new RedisLiveError("UNAUTHORIZED", String(cause), { cause: error });
    throw error;
  }
  const reader = new Reader({
    supervisor: new Supervisor(reads, limits, () => undefined),
    commands: supervisor,
    prefix: limits.prefix,
    blockMs: limits.blockMs,
    wakeKey: key,
    cluster: commands.cluster,
    look: async (session) => (await buffers.read(session, "look"))?.incarnation,
    onError: options.onError ?? (() => undefined),
  });
  return new RedisReplayStore(buffers, reader, supervisor, limits, commands.cluster);
}

/** Does once what a store does, in a place of its own: a right that is missing is found now. */
async function rehearse(buffers: Buffers, caller: Caller, key: string, handle: string): Promise<void> {
  const session = `rehearsal:${handle}`;
  const draft = {
    session,
    revision: 0,
    payload: { kind: "turn_activity", activity: null },
    text: "null",
  } as const;
  await buffers.append(session, [{ ...draft, committed: undefined }]);
  await buffers.read(session, "trim");
  const call = { doing: "open the store", repeatable: true };
  await caller.command(call, ["XADD", key, "MAXLEN", "~", "1000", "*", "s", ""]);
  await caller.command(call, ["PEXPIRE", key, "3600000"]);
  await caller.command(call, ["XREAD", "COUNT", "1", "STREAMS", key, "0"]);
  // A buffer as young as this one is not trimmed.
  await caller.command(call, ["XTRIM", key, "MINID", "0"]);
  await caller.command(call, ["PING"]);
  await buffers.drop(session);
}

/** How often a replay is read that others overtook; what is missing then is told as a lag. */
const READS_MAX = 4;

class RedisReplayStore implements LiveReplayStore {
  readonly name = "redis";
  readonly #buffers: Buffers;
  readonly #reader: Reader;
  readonly #supervisor: Supervisor;
  readonly #limits: RedisLiveLimits;
  readonly #queue: AppendQueue;
  #closed = false;

  constructor(
    buffers: Buffers,
    reader: Reader,
    supervisor: Supervisor,
    limits: RedisLiveLimits,
    cluster: boolean,
  ) {
    this.#buffers = buffers;
    this.#reader = reader;
    this.#supervisor = supervisor;
    this.#limits = limits;
    this.#queue = new AppendQueue({
      eventBytesMax: limits.eventBytesMax,
      send: async (session, drafts) => {
        const place = await this.#open(buffers.append(session, drafts));
        // Who is not rung hears of it when it looks again, before long.
        if (cluster) reader.ring(session).catch(() => undefined);
        return place;
      },
    });
  }

  append(
    session: string,
    revision: number,
    payload: LivePayload,
    options?: LivePositionOptions,
  ): Promise<LiveEvent> {
    return this.#queue.append(session, revision, payload, options);
  }

  async replayAfter(cursor: LiveCursor): Promise<LiveReplay> {
    this.#guard();
    const found = await this.#open(this.#replay(cursor));
    return "gap" in found ? { kind: "gap", gap: found.gap } : { kind: "replayed", events: found.events };
  }

  async subscribeAfter(cursor: LiveCursor, { signal }: LiveSubscribeOptions = {}): Promise<LiveSubscription> {
    this.#guard();
    signal?.throwIfAborted();
    const follower = this.#follow(cursor.session);
    const subscription = new PushedSubscription({
      bufferedMax: this.#limits.bufferedMax,
      signal,
      onEnd: () => this.#leave(follower, subscription),
    });
    // From here on it is handed what comes; what is read next says how far that is a repeat.
    follower.add(subscription);
    let found: Replay | GapAnswer;
    let reads = 1;
    try {
      do found = await this.#open(this.#replay(cursor));
      while (!("gap" in found) && reads++ < READS_MAX && !follower.joins(subscription, placeOf(found)));
    } catch (error) {
      await subscription.return();
      signal?.throwIfAborted();
      throw error;
    }
    if ("gap" in found) {
      await subscription.return();
      return { kind: "gap", gap: found.gap };
    }
    subscription.begin(found.incarnation, cursor.position, found.events);
    follower.begin(placeOf(found));
    this.#reader.kick(cursor.session);
    return { kind: "subscribed", events: subscription };
  }

  async currentCursor(
    session: string,
    revision: number,
    options: LivePositionOptions = {},
  ): Promise<LiveCursor> {
    this.#guard();
    // Refuses what is no session before anything is asked.
    LiveCursor.of({ ...options, session, revision, position: 0, incarnation: "0" });
    const { incarnation, tail } = (await this.#open(this.#buffers.read(session, "current")))!;
    return LiveCursor.of({ ...options, session, revision, position: tail, incarnation });
  }

  async trim(session: string): Promise<void> {
    this.#guard();
    await this.#open(this.#buffers.read(session, "trim"));
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#queue.close();
    this.#reader.close();
    this.#supervisor.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** What is behind a cursor, page by page. */
  async #replay(cursor: LiveCursor): Promise<Replay | GapAnswer> {
    const events: LiveEvent[] = [];
    for (let { position } = cursor; ; position = events.at(-1)!.cursor.position) {
      const state = (await this.#buffers.read(cursor.session, "replay", cursor.incarnation, position))!;
      const gap = replayGap(position === cursor.position ? cursor : withPosition(cursor, position), state);
      if (gap !== undefined) return { gap: { ...gap, requested: cursor } };
      events.push(...state.events);
      if (state.more) continue;
      const { incarnation, birth } = state;
      return { incarnation, birth, events, position: events.at(-1)?.cursor.position ?? cursor.position };
    }
  }

  #follow(session: string): Follower {
    const found = this.#reader.get(session);
    if (found !== undefined) return found;
    const { followedMax } = this.#limits;
    if (this.#reader.size >= followedMax) {
      throw new LiveError("STORE_UNAVAILABLE", `Cannot follow more than ${followedMax} sessions at once`);
    }
    const follower: Follower = new LiveFollower(session, isBefore);
    this.#reader.set(follower);
    return follower;
  }

  #leave(follower: Follower, subscription: PushedSubscription): void {
    follower.remove(subscription);
    if (follower.empty) this.#reader.delete(follower);
  }

  #guard(): void {
    if (this.#closed) throw closed();
  }

  /** What a call meets while the store closes is `CLOSED`. */
  async #open<T>(calling: Promise<T>): Promise<T> {
    try {
      return await calling;
    } catch (error) {
      throw this.#closed ? closed() : error;
    }
  }
}

interface Replay {
  readonly incarnation: string;
  readonly birth: number;
  readonly events: readonly LiveEvent[];
  /** Of the last of them; that of the cursor if there is none. */
  readonly position: number;
}

function placeOf({ incarnation, birth, position }: Replay): LiveFollowerPlace<EntryId> {
  return { incarnation, at: { major: birth, minor: position } };
}

function isBefore(left: EntryId, right: EntryId): boolean {
  return compareEntryIds(left, right) < 0;
}

interface GapAnswer {
  readonly gap: LiveGap;
}

function withPosition({ session, revision, incarnation }: LiveCursor, position: number): LiveCursor {
  return LiveCursor.of({ session, revision, incarnation, position });
}

function closed(): LiveError {
  return new LiveError("CLOSED", "Cannot use the store of live events: it was closed");
}
