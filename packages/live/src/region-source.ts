import { LiveError, malformed } from "./errors.ts";
import { type LaneCount, LaneTally } from "./lane-tally.ts";
import { LIVE_COMMITTED_CHARS_MAX } from "./live-cursor.ts";
import type { CommittedAfterOptions, LiveCommit, LiveHead, LiveSource } from "./live.ts";

/** An operation as a session of `@tidemark/region` tells of it. */
export interface LiveRegionChange {
  readonly kind: string;
  readonly position: { readonly lane: string; readonly seqno: number };
}

/** The part of a session of `@tidemark/region` that is observed. */
export interface LiveRegionSession<Change extends LiveRegionChange = LiveRegionChange> {
  cursor(): { toString(): string };
  lanes(): ReadonlyMap<string, LaneCount>;
  changes(options: {
    readonly after?: string;
    readonly follow?: boolean;
    readonly signal?: AbortSignal;
  }): AsyncIterable<Change>;
}

/** The part of a region of `@tidemark/region` that is observed. */
export interface LiveRegion<Session extends LiveRegionSession> {
  readonly sessions: {
    get(id: string): Session | undefined;
    resume(
      id: string,
      options: { readonly cursor: string; readonly timeoutMs?: number; readonly signal?: AbortSignal },
    ): Promise<Session>;
  };
  onChange(listener: (change: { readonly session: string }) => void): () => void;
}

/** Options of {@link regionSource}. */
export interface RegionSourceOptions<View, Session, Change> {
  /**
   * The read view: of a session as it is applied here, `undefined` for one nothing is known of; with the operation that is
   * told of, for a commit. A JSON value.
   */
  readonly view: (session: Session | undefined, change?: Change) => View;
  /** How long to wait until a session cursor of another region is covered here. @defaultValue that of the region */
  readonly timeoutMs?: number;
}

type ChangeOf<Session> = Session extends LiveRegionSession<infer Change> ? Change : never;

/**
 * The sessions of a region as a source: every operation that is applied is a commit, told of once, and a cursor goes on
 * behind it in any region. The revision is the number of operations that the reader was given.
 *
 * `committedAfter` rejects with what the region says of a cursor that it does not cover in time (`NOT_YET_VISIBLE`), and
 * with `COMMITS_MISSING` for one that it does not take, or where segments in between are gone.
 */
export function regionSource<View, Session extends LiveRegionSession>(
  region: LiveRegion<Session>,
  options: RegionSourceOptions<View, Session, ChangeOf<Session>>,
): LiveSource<View> {
  return {
    observe: async (id) => headOf(region.sessions.get(id), options),
    revision: async (id) => countOf(region.sessions.get(id)?.lanes() ?? new Map()),
    committedAfter: (id, committed, reading) => commitsAfter(region, id, committed, options, reading),
  };
}

/** Where a reader stands, as text: the revision, the cursor to read on from, the cursor to cover, the lanes. */
interface Place {
  readonly revision: number;
  /** Everything that was not given is behind it, and is read again; empty for a session nothing was known of. */
  readonly base: string;
  /** Covers what was given. */
  readonly covered: string;
  readonly tally: LaneTally;
}

function formatPlace({ revision, base, covered, tally }: Place): string {
  const cursors = covered === base ? base : `${base}~${covered}`;
  const head = `${revision}|${cursors}|`;
  return head + tally.text(LIVE_COMMITTED_CHARS_MAX - head.length);
}

function parsePlace(text: string): Place {
  const [, revision, base = "", covered = base, lanes = ""] =
    /^(0|[1-9]\d{0,15})\|([^|~]*)(?:~([^|~]+))?\|([^|]*)$/.exec(text) ?? [];
  const tally = LaneTally.parse(lanes);
  if (revision === undefined || tally === undefined) {
    throw missing("the position is not one of a region", malformed("a position", "it is of another form"));
  }
  return { revision: Number(revision), base, covered, tally };
}

function headOf<View, Session extends LiveRegionSession>(
  session: Session | undefined,
  { view }: RegionSourceOptions<View, Session, never>,
): LiveHead<View> {
  const lanes = session?.lanes() ?? new Map<string, LaneCount>();
  const base = session?.cursor().toString() ?? "";
  const revision = countOf(lanes);
  const committed = formatPlace({ revision, base, covered: base, tally: new LaneTally(lanes) });
  return { revision, view: view(session), committed };
}

async function* commitsAfter<View, Session extends LiveRegionSession>(
  region: LiveRegion<Session>,
  id: string,
  committed: string,
  options: RegionSourceOptions<View, Session, ChangeOf<Session>>,
  { signal, follow = true }: CommittedAfterOptions,
): AsyncGenerator<LiveCommit<View>, void, undefined> {
  const place = parsePlace(committed);
  if (place.base === "") {
    if (!follow && region.sessions.get(id) === undefined) return;
    await known(region, id, signal);
    if (!signal.aborted) throw missing("it was not known when this was observed");
    return;
  }
  const { timeoutMs } = options;
  const waiting = timeoutMs === undefined ? { signal } : { timeoutMs, signal };
  const session = await region.sessions
    .resume(id, { cursor: place.covered, ...waiting })
    .catch((error: unknown) => {
      throw isOfToken(error) ? missing("its position is not one of this cluster", error) : error;
    });
  const reader = new CommitReader(session, place, options.view);
  // Begun before the past is read, so that nothing is applied in between unseen.
  const coming = follow ? session.changes({ signal }) : undefined;
  const applied = session.lanes();
  for await (const change of session.changes({ after: place.base, follow: false, signal })) {
    const commit = reader.take(change as ChangeOf<Session>);
    if (commit !== undefined) yield commit;
  }
  if (!reader.has(applied)) throw missing("what was committed in between is not stored any more");
  if (coming === undefined) return;
  for await (const change of coming) {
    const commit = reader.take(change as ChangeOf<Session>);
    if (commit !== undefined) yield commit;
  }
}

class CommitReader<View, Session extends LiveRegionSession> {
  readonly #session: Session;
  readonly #view: (session: Session, change: ChangeOf<Session>) => View;
  #tally: LaneTally;
  #revision: number;
  #base: string;

  constructor(session: Session, place: Place, view: (session: Session, change: ChangeOf<Session>) => View) {
    this.#session = session;
    this.#view = view;
    this.#tally = place.tally;
    this.#revision = place.revision;
    this.#base = place.base;
  }

  has(applied: ReadonlyMap<string, LaneCount>): boolean {
    return this.#tally.has(applied);
  }

  /** The commit of an operation; `undefined` for one that was given. */
  take(change: ChangeOf<Session>): LiveCommit<View> | undefined {
    const { lane, seqno } = change.position;
    if (!this.#tally.take(lane, seqno)) return undefined;
    this.#revision += 1;
    const covered = this.#session.cursor().toString();
    const applied = this.#session.lanes();
    if (this.#tally.has(applied)) {
      // Nothing is behind: what comes is read from here.
      this.#base = covered;
      this.#tally = new LaneTally(applied);
    }
    const revision = this.#revision;
    const committed = formatPlace({ revision, base: this.#base, covered, tally: this.#tally });
    return { revision, view: this.#view(this.#session, change), committed };
  }
}

/** Resolves once something of a session is applied here, or the signal is aborted. */
function known<Session extends LiveRegionSession>(
  region: LiveRegion<Session>,
  id: string,
  signal: AbortSignal,
): Promise<void> {
  return new Promise((resolve) => {
    const look = (): void => {
      if (region.sessions.get(id) === undefined && !signal.aborted) return;
      stop();
      signal.removeEventListener("abort", look);
      resolve();
    };
    const stop = region.onChange(({ session }) => {
      if (session === id) look();
    });
    signal.addEventListener("abort", look);
    look();
  });
}

function countOf(lanes: ReadonlyMap<string, LaneCount>): number {
  let sum = 0;
  for (const { count } of lanes.values()) sum += count;
  return sum;
}

/** Whether a region does not take a cursor, for good. */
function isOfToken(error: unknown): boolean {
  const code = (error as { readonly code?: unknown } | null)?.code;
  return (
    typeof code === "string" &&
    (code.startsWith("CURSOR_") || code.startsWith("POSITION_") || code === "SESSION_UNKNOWN")
  );
}

function missing(why: string, cause?: unknown): LiveError {
  return new LiveError("COMMITS_MISSING", `Cannot tell every commit of the session: ${why}`, { cause });
}
