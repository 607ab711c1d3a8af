import type { LiveDraft, LivePlace } from "@tidemark/live";
import type { Caller } from "@tidemark/redis-connection";
import { BufferClocks } from "./buffer-clocks.ts";
import { sessionKeys } from "./keys.ts";
import type { RedisLiveLimits } from "./options.ts";
import { placeOf, stateOf, type BufferState } from "./replies.ts";
import type { Scripts } from "./scripts.ts";

const INCARNATION_BYTES = 12;

/** What a buffer is read for: to look at it, to be there from now on, for what is behind a cursor, or to be trimmed. */
export type ReadPurpose = "look" | "current" | "replay" | "trim";

/** The server's side of a store: scripts over the keys of sessions. */
export class Buffers {
  readonly #caller: Caller;
  readonly #limits: RedisLiveLimits;
  readonly #scripts: Scripts;
  readonly #clocks: BufferClocks;

  constructor(caller: Caller, limits: RedisLiveLimits, scripts: Scripts, monotonicMs: () => number) {
    this.#caller = caller;
    this.#limits = limits;
    this.#scripts = scripts;
    this.#clocks = new BufferClocks(monotonicMs);
  }

  async append(session: string, drafts: readonly LiveDraft[]): Promise<LivePlace> {
    const events = drafts.flatMap(({ revision, text, committed = "" }) => [`${revision}`, text, committed]);
    // Sent once: an event that came twice would be one too many.
    const call = { doing: "append", repeatable: false };
    const sentMs = this.#clocks.nowMs();
    const { buffer, events: stream } = sessionKeys(this.#limits.prefix, session);
    const args = [...this.#head(session), ...events];
    const place = placeOf(await this.#caller.script(call, this.#scripts.append, [buffer, stream], args));
    this.#clocks.learn(session, place.incarnation, place.clock, sentMs);
    return place;
  }

  /** `undefined` if there is no buffer, and it was not to be made. */
  async read(
    session: string,
    purpose: ReadPurpose,
    incarnation: string = "",
    position: number = 0,
  ): Promise<BufferState | undefined> {
    const call = { doing: purpose === "trim" ? "trim" : "read", repeatable: true };
    const sentMs = this.#clocks.nowMs();
    const { buffer, events } = sessionKeys(this.#limits.prefix, session);
    const args = [...this.#head(session), purpose, incarnation, `${position}`];
    const reply = await this.#caller.script(call, this.#scripts.read, [buffer, events], args);
    const state = stateOf(session, reply);
    if (state !== undefined) this.#clocks.learn(session, state.incarnation, state.clock, sentMs);
    return state;
  }

  /** Removes a buffer, and what is known of it. */
  async drop(session: string): Promise<void> {
    const { buffer, events } = sessionKeys(this.#limits.prefix, session);
    await this.#caller.command({ doing: "drop", repeatable: true }, ["DEL", buffer, events]);
    this.#clocks.forget(session);
  }

  #head(session: string): string[] {
    const { eventsMax, ageMsMax, bufferedMax, idleMsMax } = this.#limits;
    // What subscribers may be behind is kept for them, whatever can be replayed.
    const keep = Math.max(eventsMax, bufferedMax);
    const bounds = [eventsMax, ageMsMax, keep, idleMsMax].map(String);
    return [newIncarnation(), ...bounds, ...this.#clocks.boundsOf(session)];
  }
}

/** A name that no buffer had before. */
export function newIncarnation(): string {
  const bytes = globalThis.crypto.getRandomValues(new Uint8Array(INCARNATION_BYTES));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
