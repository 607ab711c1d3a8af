import { jetstream } from "@nats-io/jetstream";
import type { JetStreamClient, JetStreamManager } from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/nats-core";
import { type LiveDraft, LiveError, type LivePlace } from "@tidemark/live";
import { isConflict, isMissingStream, isPassing, liveErrorOf, wasNotTaken } from "./errors.ts";
import { bodyOf, headersOf, type LiveMessage, messageOf } from "./message.ts";
import type { NatsLiveLimits, NatsLiveStreamOptions } from "./options.ts";
import { PushReader } from "./push-reader.ts";
import { SessionMemory, type SessionState } from "./session-memory.ts";
import { ensureStream } from "./stream.ts";
import { subjectOf } from "./subject.ts";

const INCARNATION_BYTES = 12;
/** How often an append is decided anew because others appended between. */
const ATTEMPTS_MAX = 64;
const RETRY_MS = 50;

/** What a {@link SessionLog} is made of. */
export interface SessionLogOptions {
  readonly connection: NatsConnection;
  readonly manager: JetStreamManager;
  readonly limits: NatsLiveLimits;
  readonly make: NatsLiveStreamOptions;
  readonly monotonicMs: () => number;
  readonly nowMs: () => number;
}

/** The servers' side of a store: messages of sessions in one stream. */
export class SessionLog {
  readonly memory: SessionMemory;
  readonly #options: SessionLogOptions;
  readonly #client: JetStreamClient;

  constructor(options: SessionLogOptions) {
    this.#options = options;
    this.memory = new SessionMemory(options.monotonicMs, options.nowMs);
    this.#client = jetstream(options.connection, { timeout: options.limits.answerTimeoutMs });
  }

  /** Appends events behind whatever is the last one, or as the first ones of a new buffer. */
  append(session: string, drafts: readonly LiveDraft[]): Promise<LivePlace> {
    const last = drafts.at(-1)!;
    return this.#again("append", wasNotTaken, async () => {
      for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
        const before = this.memory.get(session) ?? (await this.#look(session));
        const alive = before !== undefined && !this.#idle(session);
        const incarnation = alive ? before.incarnation : newIncarnation();
        const position = alive ? before.tail + 1 : 1;
        const state = {
          incarnation,
          tail: position + drafts.length - 1,
          writtenMs: alive ? this.memory.clockOf(session) : 0,
          revision: last.revision,
          committed: last.committed,
        };
        if (await this.#store(session, state, position, drafts, before?.sequence))
          return { incarnation, position };
      }
      throw new LiveError("STORE_UNAVAILABLE", `Cannot append: others did ${ATTEMPTS_MAX} times meanwhile`);
    });
  }

  /** Where a session is; made if it is not there, which leaves a record of where it begins. */
  current(session: string): Promise<SessionState> {
    return this.#again("read", isPassing, async () => {
      for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
        const before = await this.#look(session);
        if (before !== undefined && !this.#idle(session)) return before;
        const made = {
          incarnation: newIncarnation(),
          tail: 0,
          writtenMs: 0,
          revision: undefined,
          committed: undefined,
        };
        if (await this.#store(session, made, 1, [], before?.sequence)) return this.memory.get(session)!;
      }
      throw new LiveError(
        "STORE_UNAVAILABLE",
        `Cannot read: others appended ${ATTEMPTS_MAX} times meanwhile`,
      );
    });
  }

  /** Where a session is, if it is anywhere. */
  look(session: string): Promise<SessionState | undefined> {
    return this.#again("read", isPassing, async () => {
      const found = await this.#look(session);
      return found === undefined || this.#idle(session) ? undefined : found;
    });
  }

  /** The messages of a buffer up to one that is there, as far as they are. */
  messages(session: string, upTo: SessionState): Promise<LiveMessage[]> {
    return this.#again("read", isPassing, async () => {
      const messages: LiveMessage[] = [];
      const reader = this.follow(session, 1, (message) => {
        if (message.incarnation === upTo.incarnation && message.sequence <= upTo.sequence)
          messages.push(message);
        if (message.sequence >= upTo.sequence) reader.stop();
      });
      await reader.open();
      await reader.ended;
      // It may have ended before it came so far: what was pushed out meanwhile is not there any more.
      if (messages.at(-1)?.sequence === upTo.sequence) return messages;
      const now = await this.#look(session);
      if (now !== undefined && now.sequence > upTo.sequence) return messages;
      throw new Error("The consumer fell silent");
    });
  }

  /** A reader of what is stored from a sequence on, that has to be opened. */
  follow(session: string, from: number, take: (message: LiveMessage) => void): PushReader {
    const { connection, manager, limits } = this.#options;
    return new PushReader({
      connection,
      manager,
      stream: limits.stream,
      subject: subjectOf(limits.stream, session),
      from,
      heartbeatMs: limits.heartbeatMs,
      take: (message, sequence) => take(messageOf(session, sequence, message.headers, message.data)),
    });
  }

  /** Removes messages of a session below a sequence; the last one always stays. */
  async purge(session: string, below: number): Promise<void> {
    const { manager, limits } = this.#options;
    const filter = subjectOf(limits.stream, session);
    await this.#again("trim", isPassing, () => manager.streams.purge(limits.stream, { filter, seq: below }));
  }

  /** Whether nothing was appended for so long that the session is gone. */
  #idle(session: string): boolean {
    const state = this.memory.get(session);
    return (
      state !== undefined && this.memory.clockOf(session) - state.writtenMs > this.#options.limits.idleMsMax
    );
  }

  async #look(session: string): Promise<SessionState | undefined> {
    const { manager, limits } = this.#options;
    const found = await manager.streams.getMessage(limits.stream, {
      last_by_subj: subjectOf(limits.stream, session),
    });
    if (found === null) {
      this.memory.forget(session);
      return undefined;
    }
    const { incarnation, position, clock, events, sequence } = messageOf(
      session,
      found.seq,
      found.header,
      found.data,
    );
    const last = events.at(-1);
    const state: SessionState = {
      incarnation,
      sequence,
      tail: position + events.length - 1,
      writtenMs: clock,
      revision: last?.revision,
      committed: last?.cursor.committed,
    };
    this.memory.learn(session, state, found.time.getTime());
    return state;
  }

  /** Stores a message if its subject is still where it was, and says whether. */
  async #store(
    session: string,
    state: Omit<SessionState, "sequence">,
    position: number,
    drafts: readonly LiveDraft[],
    lastSequence: number = 0,
  ): Promise<boolean> {
    const { incarnation, writtenMs: clock } = state;
    const headers = headersOf({ incarnation, position, clock }, lastSequence);
    const subject = subjectOf(this.#options.limits.stream, session);
    try {
      const { seq } = await this.#client.publish(subject, bodyOf(drafts), { headers });
      this.memory.learn(session, { ...state, sequence: seq });
      return true;
    } catch (error) {
      // Whatever became of it: where the session is has to be asked for.
      this.memory.forget(session);
      if (isConflict(error)) return false;
      throw error;
    }
  }

  /** Tries again what is worth it, for as long as a call may take; a stream that is missing is made if it may be. */
  async #again<T>(doing: string, worthIt: (error: unknown) => boolean, run: () => Promise<T>): Promise<T> {
    const { limits, manager, make, connection } = this.#options;
    const late = AbortSignal.timeout(limits.timeoutMs);
    for (;;) {
      try {
        return await run();
      } catch (error) {
        const missing = isMissingStream(error) || wasNotTaken(error);
        if (late.aborted || connection.isClosed() || !(missing || worthIt(error)))
          throw liveErrorOf(error, doing);
        if (missing) await ensureStream(manager, limits, make).catch(() => undefined);
        await new Promise<void>((resolve) => globalThis.setTimeout(resolve, RETRY_MS));
      }
    }
  }
}

/** A name that no buffer had before. */
function newIncarnation(): string {
  const bytes = globalThis.crypto.getRandomValues(new Uint8Array(INCARNATION_BYTES));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
