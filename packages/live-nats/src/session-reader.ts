import type { LiveFollower } from "@tidemark/live";
import type { PushReader } from "./push-reader.ts";
import type { SessionLog } from "./session-log.ts";

/** The subscriptions to one session, up to a sequence of the stream. */
export type Follower = LiveFollower<number>;

const RETRY_MS = 250;

/** Reads what is appended to one session that is followed, from one reader to the next, until nobody follows it. */
export class SessionReader {
  readonly follower: Follower;
  readonly #log: SessionLog;
  readonly #onError: (error: unknown) => void;
  #reader: PushReader | undefined;
  #running: boolean = false;
  #stopped: boolean = false;

  constructor(follower: Follower, log: SessionLog, onError: (error: unknown) => void) {
    this.follower = follower;
    this.#log = log;
    this.#onError = onError;
  }

  /** The follower has a place to read on from. */
  start(): void {
    if (this.#running || this.#stopped) return;
    this.#running = true;
    void this.#run().finally(() => (this.#running = false));
  }

  /** The connection was lost and is back: what was made over it may be gone. */
  renew(): void {
    this.#reader?.stop();
  }

  stop(): void {
    this.#stopped = true;
    this.#reader?.stop();
  }

  async #run(): Promise<void> {
    const { follower } = this;
    while (!this.#stopped && follower.place !== undefined) {
      const { at } = follower.place;
      try {
        const reader = this.#log.follow(follower.session, at + 1, (message) => {
          const { incarnation, sequence, events } = message;
          follower.take(events, { incarnation, at: sequence });
        });
        this.#reader = reader;
        await reader.open();
        await reader.ended;
      } catch (error) {
        if (!this.#stopped) this.#onError(error);
      }
      if (!this.#stopped) await this.#verify();
    }
  }

  /** What fell silent may be another by now: a stream that was lost would let us wait for ever behind our place. */
  async #verify(): Promise<void> {
    const { follower } = this;
    try {
      const state = await this.#log.look(follower.session);
      const { place } = follower;
      if (place === undefined) return;
      const same = state?.incarnation === place.incarnation && state.sequence >= place.at;
      if (!same) follower.lose(state?.incarnation === place.incarnation ? undefined : state?.incarnation);
    } catch (error) {
      if (this.#stopped) return;
      this.#onError(error);
      await new Promise<void>((resolve) => globalThis.setTimeout(resolve, RETRY_MS));
    }
  }
}
