import { SCAN_ITEMS_MAX } from "@tidemark/kv";
import {
  followSessions,
  type FollowOptions,
  guardPrefix,
  randomBytes,
  type SessionJournal,
} from "@tidemark/session-store";
import type { SessionCookie, SessionOutcome, SweepReport, TidemarkStoreOptions } from "./options.ts";
import { type LoadedSession, type SessionContent, SessionTable } from "./session-table.ts";

const TTL_SECONDS = 86_400;
const GRACE_MS = 86_400_000;
const SWEEP_EVERY_MS = 60_000;
/** How many sessions one save looks at, at most, beside its own. */
const SWEPT_BESIDE = 100;
/** How many sessions `sweep()` looks at if nobody says. */
const SWEEP_LIMIT = 1_000;

/** What {@link Sessions} give and take: objects with a cookie. */
export interface PlainSession {
  cookie?: SessionCookie;
}

/** A session as it was loaded, and what saves of it are compared with. */
export interface LoadedPlain<Session> {
  readonly session: Session;
  readonly loaded: LoadedSession;
}

/** The sessions of a store, whatever framework asks for them. Calls reject; nothing is told twice. */
export class Sessions<Session extends object> {
  readonly #table: SessionTable;
  readonly #journal: SessionJournal | undefined;
  readonly #ttl: number | ((session: Session) => number);
  readonly #disableTouch: boolean;
  readonly #sweepEveryMs: number;
  readonly #onError: (error: unknown) => void;
  readonly #nowMs: () => number;
  #sweptMs: number;
  #sweep: Promise<unknown> | undefined;

  constructor(options: TidemarkStoreOptions<Session>) {
    const { kv, prefix = "sess", journal, hasher, random = randomBytes, ttl = TTL_SECONDS } = options;
    const { disableTouch = false, sweepEveryMs = SWEEP_EVERY_MS, graceMs = GRACE_MS } = options;
    // Express dates its cookies by the clock of the machine; whoever drives time gives another.
    // oxlint-disable-next-line no-restricted-properties
    const { onError = () => undefined, nowMs = Date.now } = options;
    guardPrefix(prefix);
    if (typeof ttl === "number" && !(ttl > 0)) throw new RangeError(`ttl must be positive: ${ttl}`);
    if (!(sweepEveryMs > 0)) throw new RangeError(`sweepEveryMs must be positive: ${sweepEveryMs}`);
    if (!Number.isSafeInteger(graceMs) || graceMs < 0)
      throw new RangeError(`graceMs must be an integer: ${graceMs}`);
    const grace = journal === undefined ? 0 : graceMs;
    this.#table = new SessionTable({ kv, prefix, journal, hasher, random, graceMs: grace });
    this.#journal = journal;
    this.#ttl = ttl;
    this.#disableTouch = disableTouch;
    this.#sweepEveryMs = sweepEveryMs;
    this.#onError = onError;
    this.#nowMs = nowMs;
    this.#sweptMs = nowMs();
  }

  async get(id: string): Promise<LoadedPlain<Session> | undefined> {
    const found = await this.#table.load(id);
    if (found === undefined) return undefined;
    const { life, fields, cookie } = found;
    // Defined, not assigned: a field may be named `__proto__`.
    const session = Object.fromEntries(
      [...fields].map(([name, json]) => [name, JSON.parse(json) as unknown]),
    );
    if (cookie !== "") session["cookie"] = JSON.parse(cookie) as unknown;
    return { session: session as Session, loaded: { life, fields } };
  }

  async set(
    id: string,
    session: Session,
    loaded: LoadedSession | undefined,
  ): Promise<{ readonly outcome: SessionOutcome; readonly loaded: LoadedSession | undefined }> {
    const lastsMs = this.#lastsMs(session);
    if (lastsMs <= 0) {
      await this.destroy(id);
      return { outcome: "gone", loaded };
    }
    const saved = await this.#table.save(id, contentOf(session), { lastsMs, loaded });
    this.#sweepBeside();
    return { outcome: saved.loaded === undefined ? "gone" : "stored", loaded: saved.loaded ?? loaded };
  }

  async touch(id: string, session: Session, loaded: LoadedSession | undefined): Promise<SessionOutcome> {
    if (this.#disableTouch) return "skipped";
    const lastsMs = this.#lastsMs(session);
    if (lastsMs <= 0) {
      await this.destroy(id);
      return "gone";
    }
    const stored = await this.#table.touch(id, contentOf(session).cookie, { lastsMs, loaded });
    this.#sweepBeside();
    return stored ? "stored" : "gone";
  }

  destroy(id: string): Promise<void> {
    return this.#table.destroy(id);
  }

  async all(): Promise<Record<string, Session>> {
    const sessions: [string, Session][] = [];
    for await (const id of this.#table.ids()) {
      const found = await this.get(id);
      if (found !== undefined) sessions.push([id, found.session]);
    }
    return Object.fromEntries(sessions);
  }

  async length(): Promise<number> {
    let count = 0;
    for await (const id of this.#table.ids()) if (await this.#table.has(id)) count += 1;
    return count;
  }

  async clear(): Promise<void> {
    for await (const id of this.#table.ids()) await this.#table.destroy(id);
  }

  async sweep(limit: number = SWEEP_LIMIT): Promise<SweepReport> {
    if (!Number.isSafeInteger(limit) || limit < 1 || limit > SCAN_ITEMS_MAX)
      throw new RangeError(`limit must be an integer from 1 to ${SCAN_ITEMS_MAX}: ${limit}`);
    const { removed, looked } = await this.#table.sweep(limit);
    return { removed, more: looked === limit };
  }

  async follow(options: FollowOptions): Promise<void> {
    await followSessions(this.#journal, options, (id) => this.#table.arrived(id));
  }

  /** Resolves once no sweep is under way. */
  async idle(): Promise<void> {
    await this.#sweep;
  }

  #sweepBeside(): void {
    const nowMs = this.#nowMs();
    if (this.#sweep !== undefined || nowMs - this.#sweptMs < this.#sweepEveryMs) return;
    this.#sweptMs = nowMs;
    this.#sweep = this.sweep(SWEPT_BESIDE)
      .catch(this.#onError)
      .finally(() => (this.#sweep = undefined));
  }

  #lastsMs(session: Session): number {
    if (typeof this.#ttl === "function") return Math.ceil(this.#ttl(session) * 1_000);
    const { expires } = (session as PlainSession).cookie ?? {};
    const untilMs = expires === undefined || expires === null ? Number.NaN : Number(new Date(expires));
    return Math.ceil(Number.isNaN(untilMs) ? this.#ttl * 1_000 : untilMs - this.#nowMs());
  }
}

/** What JSON says of a session. */
function contentOf(session: object): SessionContent {
  const { cookie, ...fields } = JSON.parse(JSON.stringify(session)) as Record<string, unknown>;
  return {
    cookie: cookie === undefined ? "" : JSON.stringify(cookie),
    fields: new Map(Object.entries(fields).map(([name, value]) => [name, JSON.stringify(value)])),
  };
}
