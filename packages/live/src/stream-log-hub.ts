import { StreamLogError } from "./stream-log-errors.ts";
import { StreamTail, type StreamTailOptions } from "./stream-log-tail.ts";

/** A stream that is followed, until it is let go. */
export interface FollowedStream extends Disposable {
  readonly tail: StreamTail;
}

interface Shared {
  readonly tail: StreamTail;
  followers: number;
}

/** The streams that are followed in this process, over one subscription to the journal. */
export class StreamHub {
  readonly #options: StreamTailOptions;
  readonly #followedMax: number;
  readonly #sessions: Map<string, Map<string, Shared>> = new Map();
  #count: number = 0;
  #watch: AbortController | undefined;

  constructor(options: StreamTailOptions, followedMax: number) {
    this.#options = options;
    this.#followedMax = followedMax;
  }

  /** Follows a stream; what has arrived of it is read when this returns. @throws StreamLogError `STREAM_LIMIT`. */
  follow(session: string, stream: string): FollowedStream {
    const shared = this.#shared(session, stream);
    shared.followers += 1;
    let following = true;
    const letGo = (): void => {
      if (!following) return;
      following = false;
      shared.followers -= 1;
      if (shared.followers === 0) this.#forget(session, stream, shared);
    };
    try {
      this.#watchJournal();
      shared.tail.sync();
    } catch (error) {
      letGo();
      throw error;
    }
    return { tail: shared.tail, [Symbol.dispose]: letGo };
  }

  #shared(session: string, stream: string): Shared {
    let streams = this.#sessions.get(session);
    const known = streams?.get(stream);
    if (known !== undefined) return known;
    if (this.#count >= this.#followedMax)
      throw new StreamLogError(
        "STREAM_LIMIT",
        `Cannot follow ${stream}: ${this.#followedMax} streams are followed here`,
        { stream, limit: this.#followedMax },
      );
    const shared: Shared = {
      tail: new StreamTail(this.#options, session, stream),
      followers: 0,
    };
    if (streams === undefined) this.#sessions.set(session, (streams = new Map()));
    streams.set(stream, shared);
    this.#count += 1;
    return shared;
  }

  #forget(session: string, stream: string, shared: Shared): void {
    const streams = this.#sessions.get(session);
    // After a failure of the journal another may be in its place.
    if (streams?.get(stream) !== shared) return;
    streams.delete(stream);
    this.#count -= 1;
    if (streams.size === 0) this.#sessions.delete(session);
    if (this.#count > 0) return;
    this.#watch?.abort();
    this.#watch = undefined;
  }

  /** Begins to listen before it returns: what arrives from now on is told of. */
  #watchJournal(): void {
    if (this.#watch !== undefined) return;
    const watch = new AbortController();
    this.#watch = watch;
    void this.#run(watch);
  }

  async #run(watch: AbortController): Promise<void> {
    let failure: StreamLogError;
    try {
      for await (const session of this.#options.journal.changes(watch.signal)) {
        for (const { tail } of this.#sessions.get(session)?.values() ?? []) tail.sync();
      }
      if (watch.signal.aborted) return;
      failure = new StreamLogError("STREAM_UNAVAILABLE", "The journal tells of no more changes");
    } catch (cause) {
      failure = new StreamLogError("STREAM_UNAVAILABLE", "The journal failed", { cause });
    }
    if (this.#watch === watch) this.#watch = undefined;
    // Who follows is told, and the next who comes begins anew.
    const followed = [...this.#sessions.values()].flatMap((streams) => [...streams.values()]);
    this.#sessions.clear();
    this.#count = 0;
    for (const { tail } of followed) tail.fail(failure);
  }
}
