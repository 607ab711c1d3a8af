import type { LiveReplayStore } from "@tidemark/live";

/** What a store's tests can do with it, beyond opening and closing it. */
export type LiveStoreHook = "second" | "clock" | "wallClock" | "forget" | "evict" | "cut";

/** The bounds that a check wants a store to be opened with. */
export interface LiveStoreBounds {
  /** Events held for replay, of each session. */
  readonly eventsMax: number;
  /** How old an event may be that is held for replay, in milliseconds. */
  readonly ageMsMax: number;
  /** Events held for each subscriber that has not read them. */
  readonly bufferedMax: number;
}

/** The bounds of a check that names none: the defaults of every store. */
export const LIVE_STORE_BOUNDS: LiveStoreBounds = { eventsMax: 2_048, ageMsMax: 120_000, bufferedMax: 2_048 };

/** A store that its tests opened for one check. Nothing of another check is seen in it. */
export interface LiveStoreFixture {
  /** Open and empty. */
  readonly store: LiveReplayStore;
  /** For hook `second`: opens another handle of the store, with the same bounds, as far from the first as can be. */
  openSecond?(): Promise<LiveReplayStore>;
  /** For hook `clock`: the clock that ages are measured by goes on, for every handle. */
  advance?(ms: number): Promise<void>;
  /** For hook `wallClock`: the clock on the wall is set forward, or back if negative, wherever the store might look at it. */
  stepWallClock?(ms: number): Promise<void>;
  /** For hook `forget`: what the medium held is lost, as by a restart without a disk. Resolves with a handle that is open. */
  forget?(): Promise<LiveReplayStore>;
  /** For hook `evict`: has the store let go of a session that was idle. */
  evict?(session: string): Promise<void>;
  /** For hook `cut`: breaks the connections of the first handle; the medium keeps what it holds. */
  cut?(): Promise<void>;
  /** Closes what is open and removes the store; idempotent. */
  close(): Promise<void>;
}

/** What a store says of itself, pinned: what it drops shows in a diff. */
export interface LiveStoreClaims {
  /** The `name` of the store. */
  readonly name: string;
  /** How far apart handles may be that see each other's events. */
  readonly sharedBy: "instance" | "network";
}

/** What the checks are run over. */
export interface LiveConformanceOptions {
  readonly claims: LiveStoreClaims;
  /** Opens a fresh store for each check. */
  readonly open: (bounds: LiveStoreBounds) => Promise<LiveStoreFixture>;
  /** Checks that need another are skipped, by name. @defaultValue none */
  readonly hooks?: readonly LiveStoreHook[];
  /** How long something that must happen may take. @defaultValue 5,000 */
  readonly deadlineMs?: number;
}

/** What a check is given. */
export interface LiveCheckContext {
  readonly fixture: LiveStoreFixture;
  /** The first handle. */
  readonly store: LiveReplayStore;
  /** A second handle of the store where the fixture opens one, else the first. */
  readonly second: LiveReplayStore;
  readonly claims: LiveStoreClaims;
  readonly hooks: readonly LiveStoreHook[];
  readonly deadlineMs: number;
}

/** One thing every store must do. */
export interface LiveStoreCheck {
  /** The promise, with the cases it holds. */
  readonly name: string;
  /** What it cannot do without. @defaultValue none */
  readonly requires?: readonly LiveStoreHook[];
  /** What the store is opened with, where it matters. */
  readonly bounds?: Partial<LiveStoreBounds>;
  /** Rejects if the promise is broken. */
  readonly run: (context: LiveCheckContext) => Promise<void>;
}

/** What a store's tests lack that a check requires. */
export function missingHooks(check: LiveStoreCheck, { hooks = [] }: LiveConformanceOptions): LiveStoreHook[] {
  return (check.requires ?? []).filter((hook) => !hooks.includes(hook));
}

/** Runs one check over a store of its own, and closes that whatever happens. */
export async function runLiveCheck(check: LiveStoreCheck, options: LiveConformanceOptions): Promise<void> {
  const { claims, hooks = [], deadlineMs = 5_000 } = options;
  const fixture = await options.open({ ...LIVE_STORE_BOUNDS, ...check.bounds });
  try {
    const { store } = fixture;
    const second = hooks.includes("second") ? await hookOf(fixture, "openSecond")() : store;
    await check.run({ fixture, store, second, claims, hooks, deadlineMs });
  } finally {
    await fixture.close();
  }
}

type HookFunction = "openSecond" | "advance" | "stepWallClock" | "forget" | "evict" | "cut";

/** A function of a fixture that a hook promised. @throws `TypeError` if it is not there. */
export function hookOf<Name extends HookFunction>(
  fixture: LiveStoreFixture,
  name: Name,
): NonNullable<LiveStoreFixture[Name]> {
  const hook = fixture[name];
  if (hook === undefined) throw new TypeError(`The fixture must have ${name}(): a hook promises it`);
  return hook.bind(fixture) as NonNullable<LiveStoreFixture[Name]>;
}
