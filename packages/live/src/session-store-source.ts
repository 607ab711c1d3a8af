import type { LiveSource } from "./live.ts";

/** The part of a session of `@tidemark/session-store` that is observed. */
export interface LiveSessionStore<Head> {
  load(): Promise<Head | undefined>;
  headMeta(): Promise<{ readonly revision: number } | undefined>;
}

/** The part of the session stores of `@tidemark/session-store` that is observed. */
export interface LiveSessionStores<Head> {
  open(id: string): Promise<LiveSessionStore<Head> | undefined>;
}

/** What a head has at least. */
export interface LiveSessionHead {
  readonly revision: number;
  readonly currentFrame?: string;
}

/** Options of {@link sessionStoreSource}. */
export interface SessionStoreSourceOptions<View, Head> {
  /** The read view of a head, a JSON value; `undefined` for a session that is not there, or has no turn yet. */
  readonly view: (head: Head | undefined) => View;
}

/**
 * The sessions of a store as a source: the revision is that of the head, the view is made of the head. Whoever commits a
 * turn tells of it with `await live.session(id).committed()`, behind the commit; if it dies in between, the next reader to
 * come back finds out.
 */
export function sessionStoreSource<View, Head extends LiveSessionHead>(
  stores: LiveSessionStores<Head>,
  { view }: SessionStoreSourceOptions<View, Head>,
): LiveSource<View> {
  return {
    async observe(session) {
      const head = await (await stores.open(session))?.load();
      const { revision = 0, currentFrame: frame } = head ?? {};
      const observed = { revision, view: view(head) };
      return frame === undefined ? observed : { ...observed, frame };
    },
    async revision(session) {
      return (await (await stores.open(session))?.headMeta())?.revision ?? 0;
    },
  };
}
