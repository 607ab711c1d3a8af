import { LiveCursor, LiveError, type LiveEvent, type LiveReplay, type LiveReplayStore } from "@tidemark/live";
import type { Planted } from "./memory-fixture.ts";

type Append = LiveReplayStore["append"];
type Events = AsyncIterableIterator<LiveEvent>;

/** Lets everything else that is ready go first. */
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

const planted = (store: NonNullable<Planted["store"]>) => (): Planted => ({ store });
const options = (make: NonNullable<Planted["options"]>) => (): Planted => ({ options: make });
const appends = (make: (inner: LiveReplayStore, ...given: Parameters<Append>) => ReturnType<Append>) =>
  planted((inner) => ({ append: async (...given) => make(inner, ...given) }));
const replays = (make: (inner: LiveReplayStore, cursor: LiveCursor) => Promise<LiveReplay>) =>
  planted((inner) => ({ replayAfter: async (cursor) => make(inner, cursor) }));
const current = (make: (cursor: LiveCursor) => LiveCursor) =>
  planted((inner) => ({ currentCursor: async (...given) => make(await inner.currentCursor(...given)) }));

/** A store that asks with another cursor than it was given. */
const asking = (change: (inner: LiveReplayStore, cursor: LiveCursor) => Promise<LiveCursor>) =>
  planted((inner) => ({
    replayAfter: async (cursor) => inner.replayAfter(await change(inner, cursor)),
    subscribeAfter: async (cursor, given) => inner.subscribeAfter(await change(inner, cursor), given),
  }));

/** A store whose subscriptions are made otherwise. */
const events = (make: (events: Events, cursor: LiveCursor) => Events) =>
  planted((inner) => ({
    subscribeAfter: async (cursor, given) => {
      const subscription = await inner.subscribeAfter(cursor, given);
      if (subscription.kind === "gap") return subscription;
      return { kind: "subscribed", events: make(subscription.events, cursor) };
    },
  }));

/** An iterator some of whose members are others. */
function withSteps(inner: Events, members: Partial<Events>): Events {
  return {
    next: () => inner.next(),
    return: async () => (await inner.return?.()) ?? { done: true, value: undefined },
    ...members,
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}

/** Random bytes that are the same each time: what was lost comes back under its old name. */
const sameAgain = (bytes: Uint8Array): void => void bytes.fill(7);

/** For each check one bug that it must see, made anew for each run: bugs may have state. */
export const DEFECTS: Readonly<Record<string, () => Planted>> = {
  "LIV-7 the store is the one that was pinned": planted(() => ({ name: "another" })),

  "B-11 LIV-3 append() counts each session from 1": appends((inner, session, ...rest) =>
    inner.append(session.replace(/:$/, ""), ...rest),
  ),
  "B-12 replayAfter() gives what was appended, whole": appends((inner, session, revision, payload) =>
    inner.append(session, revision, payload),
  ),
  "B-12 an event's cursor leaves the event out": replays((inner, cursor) =>
    inner.replayAfter(LiveCursor.of({ ...fieldsOf(cursor), position: Math.max(0, cursor.position - 1) })),
  ),
  "B-14 currentCursor() is the tail and misses nothing": current((cursor) =>
    LiveCursor.of({ ...fieldsOf(cursor), revision: 0 }),
  ),
  "B-15 B-30 nobody need be there to hear or to trim": planted(() => ({
    trim: () => Promise.reject(new LiveError("STORE_UNAVAILABLE", "There is no such session")),
  })),
  "B-16 calls take effect in the order they are made in": () => {
    let calls = 0;
    return appends(async (inner, ...given) => {
      if (calls++ % 2 === 0) await turn();
      return inner.append(...given);
    })();
  },
  "B-17 the revision of a cursor is not looked at": replays(async (inner, cursor) => {
    const replay = await inner.replayAfter(cursor);
    if (replay.kind === "gap") return replay;
    return { kind: "replayed", events: replay.events.filter(({ revision }) => revision >= cursor.revision) };
  }),

  "B-18 B-19 LIV-4 gaps follow the table": options(({ eventsMax }) => ({ eventsMax: eventsMax - 1 })),
  "B-8 LIV-5 a gap tells where to go on": replays(async (inner, cursor) => {
    const replay = await inner.replayAfter(cursor);
    return replay.kind === "gap" ? { kind: "gap", gap: { ...replay.gap, latest: cursor } } : replay;
  }),
  "B-39 LIV-1 another incarnation is unavailable": asking(async (inner, cursor) => {
    const { incarnation } = await inner.currentCursor(cursor.session, 0);
    return LiveCursor.of({ ...fieldsOf(cursor), incarnation });
  }),
  "B-39 LIV-1 a loss makes another incarnation": options(() => ({ random: sameAgain })),
  "B-27 an eviction makes another incarnation": () => ({
    options: () => ({ random: sameAgain }),
    fixture: (inner) => ({ evict: async () => void (await inner.forget!()) }),
  }),

  "B-21 LIV-4 2,048 events are held by default": options(() => ({ eventsMax: 2_047 })),
  "B-24 a store of one event": options(() => ({ eventsMax: 2 })),
  "B-26 a store of no event hands on what comes": options(() => ({ eventsMax: 1 })),
  "B-22 events are counted in each session": appends(async (inner, session, ...rest) => {
    if (session !== "a") await inner.append("a", ...rest);
    return inner.append(session, ...rest);
  }),
  "B-22 B-23 B-25 an event that is too old is dropped, the tail stays": options(({ ageMsMax }) => ({
    ageMsMax: ageMsMax - 1,
  })),
  "B-23 trim() drops what is too old": planted((inner, clocks) => ({
    trim: (session) => {
      clocks.monotonicMs += 1;
      return inner.trim(session);
    },
  })),
  "B-22a the clock on the wall neither drops events nor brings them back": options((_, clocks) => ({
    monotonicMs: () => clocks.monotonicMs + clocks.wallMs,
  })),

  "B-13 B-28 a subscription is the replay, then what comes": events((inner) => {
    let count = 0;
    return withSteps(inner, {
      next: async () => (count++ === 2 ? inner.next().then(() => inner.next()) : inner.next()),
    });
  }),
  "B-20 a subscription to nothing gets all there will be": events((inner, { position }) =>
    position === 0 ? withSteps(inner, { next: () => new Promise(() => undefined) }) : inner,
  ),
  "B-28 LIV-3 racing appends leave no hole and no repeat": planted((inner) => ({
    subscribeAfter: async (cursor, given) => {
      const replay = await inner.replayAfter(cursor);
      if (replay.kind === "gap") return replay;
      await turn();
      const rest = await inner.subscribeAfter(await inner.currentCursor(cursor.session, 0), given);
      if (rest.kind === "gap") return rest;
      const first = [...replay.events];
      const next = async (): Promise<IteratorResult<LiveEvent>> => {
        const value = first.shift();
        return value === undefined ? rest.events.next() : { done: false, value };
      };
      return { kind: "subscribed", events: withSteps(rest.events, { next }) };
    },
  })),
  "B-30 LIV-6 each of many subscribers gets everything": () => {
    let shared: Events | undefined;
    return events((inner) => (shared ??= inner))();
  },
  "B-29 LIV-6 a lag says exactly how many were missed, and costs the others nothing": events((inner) =>
    withSteps(inner, {
      next: () =>
        inner.next().catch((error: LiveError) => {
          throw new LiveError(error.code, error.message, { missed: (error.missed ?? 0) + 1 });
        }),
    }),
  ),
  "B-32 a signal ends a subscription": planted((inner) => ({
    subscribeAfter: async (cursor) => inner.subscribeAfter(cursor),
  })),
  "B-32 leaving the loop ends a subscription": events((inner) =>
    withSteps(inner, { return: async () => ({ done: true, value: undefined }) }),
  ),
  "B-29 B-32 close() is terminal, and CLOSED says so": events((inner) =>
    withSteps(inner, { next: () => inner.next().catch(() => ({ done: true, value: undefined })) }),
  ),
  "close() of one handle leaves the other open": planted((_inner, _clocks, closeAll) => ({
    close: closeAll,
  })),
  "B-28 a link that was cut costs no event and repeats none": () => {
    let repeats = 0;
    return {
      ...events((inner) => {
        let last: IteratorResult<LiveEvent> | undefined;
        const next = async (): Promise<IteratorResult<LiveEvent>> => {
          if (last !== undefined && repeats > 0) {
            repeats -= 1;
            return last;
          }
          return (last = await inner.next());
        };
        return withSteps(inner, { next });
      })(),
      fixture: () => ({ cut: async () => void (repeats += 1) }),
    };
  },
  "B-39 a subscription whose buffer was lost ends, and says so": events((inner) =>
    withSteps(inner, { next: () => inner.next().catch(() => new Promise(() => undefined)) }),
  ),
};

function fieldsOf({ session, revision, position, incarnation }: LiveCursor) {
  return { session, revision, position, incarnation };
}
