/* oxlint-disable typescript/no-misused-promises -- the vendor declares void where callers are free to await */
import { type FollowOptions } from "@tidemark/session-store";
import { type SessionData, Store } from "express-session";
import { type Callback, deliver } from "./callbacks.ts";
import { ConnectionWatch, setIdleTimer } from "./connection-watch.ts";
import type { SessionOutcome, SweepReport, TidemarkStoreOptions } from "./options.ts";
import type { LoadedSession } from "./session-table.ts";
import { Sessions } from "./sessions.ts";

/** Tells how a call that gives nothing ended. */
type Done = (error?: unknown) => void;

/**
 * The store of `express-session` over a key-value store. Every call takes a callback, gives a promise, or both.
 *
 * A session that was loaded is saved field by field: what the request changed, and nothing else, so that requests at
 * the same time do not overwrite each other's fields. A session that was destroyed does not come back by the save or
 * touch of a request that had loaded it.
 *
 * Emits `disconnect` when the key-value store no longer answers, and `connect` when it does again; the middleware lets
 * requests pass without a session in between.
 */
export class TidemarkStore extends Store {
  readonly #sessions: Sessions<SessionData>;
  readonly #watch: ConnectionWatch;
  /** What the objects that were given out, or saved, are compared with when they are saved. */
  readonly #loaded: WeakMap<object, LoadedSession> = new WeakMap();

  constructor(options: TidemarkStoreOptions<SessionData>) {
    super();
    this.#sessions = new Sessions(options);
    const changed = (connected: boolean): void => void this.emit(connected ? "connect" : "disconnect");
    this.#watch = new ConnectionWatch({ kv: options.kv, changed, setTimer: setIdleTimer });
  }

  /** The session, or `undefined` (with a callback `null` and `undefined`) if it is not there, or over. */
  override async get(
    sid: string,
    callback?: Callback<SessionData | undefined>,
  ): Promise<SessionData | undefined> {
    return this.#deliver(this.#get(sid), callback);
  }

  /** Saves what changed in a session since it was loaded; an object that was not loaded is saved as a whole. */
  override async set(
    sid: string,
    session: SessionData,
    callback?: Done,
  ): Promise<SessionOutcome | undefined> {
    return this.#deliver(this.#set(sid, session), callback);
  }

  /** Removes a session, for good. */
  override async destroy(sid: string, callback?: Done): Promise<void> {
    return this.#deliver(this.#sessions.destroy(sid), callback);
  }

  /** Lets a session last longer, if it is there. */
  override async touch(
    sid: string,
    session: SessionData,
    callback?: Done,
  ): Promise<SessionOutcome | undefined> {
    return this.#deliver(this.#sessions.touch(sid, session, this.#loaded.get(session)), callback);
  }

  /** All sessions by id. Reads each of them; it is no view of one moment. */
  override async all(
    callback?: Callback<Record<string, SessionData>>,
  ): Promise<Record<string, SessionData> | undefined> {
    return this.#deliver(this.#sessions.all(), callback);
  }

  /** How many sessions there are. Reads each of them. */
  override async length(callback?: Callback<number>): Promise<number | undefined> {
    return this.#deliver(this.#sessions.length(), callback);
  }

  /** Destroys all sessions, one after another. */
  override async clear(callback?: Done): Promise<void> {
    return this.#deliver(this.#sessions.clear(), callback);
  }

  override createSession(...given: Parameters<Store["createSession"]>): ReturnType<Store["createSession"]> {
    const created = super.createSession(...given);
    const loaded = this.#loaded.get(given[1]);
    if (loaded !== undefined) this.#loaded.set(created, loaded);
    return created;
  }

  /** Removes sessions that are over: looks at up to `limit` of those whose time came. Saves do so by themselves. */
  sweep(limit?: number): Promise<SweepReport> {
    return this.#watch.watch(this.#sessions.sweep(limit));
  }

  /**
   * With a journal: applies what arrives from other regions until the signal, so that sessions made elsewhere are
   * counted and removed here too. What a call reads or changes it brings up to date by itself.
   *
   * @throws `TypeError` without a journal.
   */
  follow(options: FollowOptions): Promise<void> {
    return this.#sessions.follow(options);
  }

  /** Resolves once nothing runs beside the calls. The key-value store is borrowed and stays open. */
  async close(): Promise<void> {
    await this.#watch.close();
    await this.#sessions.idle();
  }

  #deliver<Result>(call: Promise<Result>, callback: Callback<Result> | undefined): Promise<Result> {
    // With a callback nothing is promised but that it was called.
    return deliver(this.#watch.watch(call), callback) as Promise<Result>;
  }

  async #get(sid: string): Promise<SessionData | undefined> {
    const found = await this.#sessions.get(sid);
    if (found !== undefined) this.#loaded.set(found.session, found.loaded);
    return found?.session;
  }

  async #set(sid: string, session: SessionData): Promise<SessionOutcome> {
    const { outcome, loaded } = await this.#sessions.set(sid, session, this.#loaded.get(session));
    if (loaded !== undefined) this.#loaded.set(session, loaded);
    return outcome;
  }
}
