import { type FollowOptions } from "@tidemark/session-store";
import { type Callback, deliver } from "./callbacks.ts";
import type { SessionOutcome, SweepReport, TidemarkStoreOptions } from "./options.ts";
import type { LoadedSession } from "./session-table.ts";
import { Sessions } from "./sessions.ts";

export * from "./errors.ts";
export * from "./options.ts";

/** The field that goes with a session through `@fastify/session`, which copies fields and nothing else. JSON never has it. */
const LOADED = "~loaded";

/** What a session was when it was loaded. */
class LoadedMark {
  readonly loaded: LoadedSession;

  constructor(loaded: LoadedSession) {
    this.loaded = loaded;
  }

  toJSON(): undefined {
    return undefined;
  }
}

/**
 * The store of `@fastify/session` over a key-value store: as `TidemarkStore` for `express-session`, whose promises it
 * keeps. A session that was loaded has one field more, `~loaded`, which is not stored.
 */
export class TidemarkFastifyStore {
  // The vendor's types let an application say what its sessions hold; here they are what they are.
  // oxlint-disable-next-line typescript/no-explicit-any
  readonly #sessions: Sessions<any>;
  readonly #saved: WeakMap<object, LoadedSession> = new WeakMap();

  // oxlint-disable-next-line typescript/no-explicit-any
  constructor(options: TidemarkStoreOptions<any>) {
    this.#sessions = new Sessions(options);
  }

  /** The session, or `undefined` if it is not there, or over. */
  // oxlint-disable-next-line typescript/no-explicit-any
  async get(sessionId: string, callback?: Callback<any>): Promise<any> {
    return deliver(this.#get(sessionId), callback);
  }

  /** Saves what changed in a session since it was loaded; an object that was not loaded is saved as a whole. */
  async set(
    sessionId: string,
    session: object,
    callback?: (error?: unknown) => void,
  ): Promise<SessionOutcome | undefined> {
    return deliver(this.#set(sessionId, session), callback);
  }

  /** Removes a session, for good. */
  async destroy(sessionId: string, callback?: (error?: unknown) => void): Promise<void> {
    return deliver(this.#sessions.destroy(sessionId), callback);
  }

  /** Removes sessions that are over: looks at up to `limit` of those whose time came. Saves do so by themselves. */
  sweep(limit?: number): Promise<SweepReport> {
    return this.#sessions.sweep(limit);
  }

  /** With a journal: applies what arrives from other regions until the signal. @throws `TypeError` without a journal. */
  follow(options: FollowOptions): Promise<void> {
    return this.#sessions.follow(options);
  }

  /** Resolves once nothing runs beside the calls. The key-value store is borrowed and stays open. */
  close(): Promise<void> {
    return this.#sessions.idle();
  }

  async #get(sessionId: string): Promise<object | undefined> {
    const found = await this.#sessions.get(sessionId);
    return found === undefined ? undefined : { ...found.session, [LOADED]: new LoadedMark(found.loaded) };
  }

  async #set(sessionId: string, session: object): Promise<SessionOutcome> {
    const mark: unknown = (session as Record<string, unknown>)[LOADED];
    const before = this.#saved.get(session) ?? (mark instanceof LoadedMark ? mark.loaded : undefined);
    const { outcome, loaded } = await this.#sessions.set(sessionId, session, before);
    if (loaded !== undefined) this.#saved.set(session, loaded);
    return outcome;
  }
}
