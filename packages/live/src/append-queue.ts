import { guardSafe } from "@tidemark/core";
import { closed } from "./buffer-subscription.ts";
import { LiveError } from "./errors.ts";
import { encodeLivePayload } from "./live-codec.ts";
import { LiveCursor } from "./live-cursor.ts";
import type { LiveEvent, LivePayload } from "./live-event.ts";
import type { LivePositionOptions } from "./replay-store.ts";

/** An event that has no position yet. */
export interface LiveDraft {
  readonly session: string;
  readonly revision: number;
  readonly payload: LivePayload;
  /** The payload as `encodeLivePayload` gives it. */
  readonly text: string;
  /** @defaultValue none */
  readonly committed: string | undefined;
}

/** Where a draft became an event. */
export interface LivePlace {
  readonly incarnation: string;
  readonly position: number;
}

/** Options of an {@link AppendQueue}. */
export interface AppendQueueOptions {
  /** Appends drafts of one session, in order, and says where the first of them is; the others follow it. */
  readonly send: (session: string, drafts: readonly LiveDraft[]) => Promise<LivePlace>;
  /** Of one payload, as UTF-8. */
  readonly eventBytesMax: number;
  /** Characters that go out at once, at most, if it is more than one event. @defaultValue 1 MiB */
  readonly batchCharsMax?: number;
}

/** Drafts that go out at once, at most. */
const BATCH_EVENTS_MAX = 128;
/** What an event needs beside its texts. */
const EVENT_CHARS = 32;
const BATCH_CHARS_MAX = 1024 * 1024;
/** Characters of all drafts that wait or are under way, above which more are refused. */
const PENDING_CHARS_MAX = 32 * 1024 * 1024;

interface Pending {
  readonly draft: LiveDraft;
  readonly resolve: (event: LiveEvent) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Keeps the appends of each session in the order they were called in over a medium that takes time, for who writes a store:
 * one batch of a session is under way, and what is called meanwhile goes out in the next.
 */
export class AppendQueue {
  readonly #options: AppendQueueOptions;
  readonly #waiting: Map<string, Pending[]> = new Map();
  #chars: number = 0;
  #closed: boolean = false;

  constructor(options: AppendQueueOptions) {
    this.#options = options;
  }

  /**
   * @throws {@link LiveError} `EVENT_TOO_LARGE`; `STORE_UNAVAILABLE` while too much waits; whatever `send` rejects with;
   * `TypeError` or `RangeError` for what is no payload, session or revision.
   */
  async append(
    session: string,
    revision: number,
    payload: LivePayload,
    { committed }: LivePositionOptions = {},
  ): Promise<LiveEvent> {
    if (this.#closed) throw closed();
    guardSafe(revision, "revision");
    // Refuses what is no session and no session cursor.
    LiveCursor.of({
      session,
      revision,
      position: 0,
      incarnation: "0",
      ...(committed === undefined ? {} : { committed }),
    });
    const text = encodeLivePayload(payload, { bytesMax: this.#options.eventBytesMax });
    if (this.#chars > 0 && this.#chars + text.length > PENDING_CHARS_MAX) {
      const message = `Cannot append: ${this.#chars} characters of other events are under way`;
      throw new LiveError("STORE_UNAVAILABLE", message);
    }
    this.#chars += text.length;
    return new Promise<LiveEvent>((resolve, reject) => {
      const pending = { draft: { session, revision, payload, text, committed }, resolve, reject };
      const waiting = this.#waiting.get(session);
      if (waiting !== undefined) waiting.push(pending);
      else {
        this.#waiting.set(session, [pending]);
        void this.#run(session);
      }
    });
  }

  /** Rejects what waits with `CLOSED`, and whatever is called later. */
  close(): void {
    this.#closed = true;
    for (const pending of this.#waiting.values()) this.#reject(pending.splice(0), closed());
  }

  async #run(session: string): Promise<void> {
    const waiting = this.#waiting.get(session) as Pending[];
    while (waiting.length > 0) {
      const batch = this.#nextBatch(waiting);
      const drafts = batch.map(({ draft }) => draft);
      try {
        const { incarnation, position } = await this.#options.send(session, drafts);
        for (const [index, { draft, resolve }] of batch.entries()) {
          this.#chars -= draft.text.length;
          resolve(eventOf(draft, { incarnation, position: position + index }));
        }
      } catch (error) {
        this.#reject(batch, error);
      }
    }
    this.#waiting.delete(session);
  }

  #nextBatch(waiting: Pending[]): Pending[] {
    let [count, chars] = [0, 0];
    while (count < Math.min(waiting.length, BATCH_EVENTS_MAX)) {
      const { text, committed = "" } = (waiting[count] as Pending).draft;
      chars += text.length + committed.length + EVENT_CHARS;
      if (count > 0 && chars > (this.#options.batchCharsMax ?? BATCH_CHARS_MAX)) break;
      count += 1;
    }
    return waiting.splice(0, count);
  }

  #reject(pending: readonly Pending[], error: unknown): void {
    for (const { draft, reject } of pending) {
      this.#chars -= draft.text.length;
      reject(error);
    }
  }
}

function eventOf({ session, revision, payload, committed }: LiveDraft, place: LivePlace): LiveEvent {
  const fields = { session, revision, ...place };
  const cursor = LiveCursor.of(committed === undefined ? fields : { ...fields, committed });
  return { session, revision, cursor, payload };
}
