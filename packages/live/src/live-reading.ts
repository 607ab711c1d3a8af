import { isLiveError, LiveError } from "./errors.ts";
import type { LiveChannel, LiveContext } from "./live-channel.ts";
import type { LiveCursor } from "./live-cursor.ts";
import type { LiveEvent, LiveGapReason } from "./live-event.ts";
import { replayBehind } from "./live-replay.ts";
import type { LiveCommit, LiveItem } from "./live.ts";
import { ReaderPlace } from "./reader-place.ts";
import type { LiveSubscription } from "./replay-store.ts";
import { TwoIterators } from "./two-iterators.ts";

/** Gaps in a row, with no event between them, after which a store is taken for broken. */
const GAPS_MAX = 16;

/** Reads one watch, item by item. What is waited for is let go of when the signal is aborted. */
export class LiveReading<View> {
  readonly #channel: LiveChannel<View>;
  readonly #context: LiveContext<View>;
  readonly #after: LiveCursor | undefined;
  readonly #onLag: "gap" | "throw";
  readonly #signal: AbortSignal;
  #gaps = 0;

  constructor(
    channel: LiveChannel<View>,
    after: LiveCursor | undefined,
    onLag: "gap" | "throw",
    signal: AbortSignal,
  ) {
    this.#channel = channel;
    this.#context = channel.context;
    this.#after = after;
    this.#onLag = onLag;
    this.#signal = signal;
  }

  /** Everything from the store. */
  async *ofStore(): AsyncGenerator<LiveItem<View>, void, undefined> {
    let place: ReaderPlace;
    if (this.#after === undefined) {
      const observation = await this.#unlessEnded(this.#channel.observe());
      place = new ReaderPlace(observation.cursor);
      yield { kind: "observation", observation };
    } else {
      place = new ReaderPlace(this.#after);
      const answer = await this.#unlessEnded(replayBehind(this.#channel, place));
      if (answer.kind === "gap") {
        place = new ReaderPlace(answer.observation.cursor);
        yield answer;
      } else for (const event of answer.events) yield { kind: "event", event };
    }
    while (!this.#signal.aborted) {
      const subscription = await this.#subscribe(place);
      const lost =
        subscription.kind === "gap"
          ? subscription.gap.reason
          : yield* this.#events(subscription.events, place);
      if (lost === undefined) return;
      yield await this.#gap(place, lost);
    }
  }

  /** Commits from the source, all else from the store. */
  async *ofBoth(): AsyncGenerator<LiveItem<View>, void, undefined> {
    let place: ReaderPlace;
    if (this.#after?.committed !== undefined) place = new ReaderPlace(this.#after);
    else if (this.#after === undefined) {
      const observation = await this.#unlessEnded(this.#channel.observe());
      place = new ReaderPlace(observation.cursor);
      yield { kind: "observation", observation };
    } else {
      const answer = await this.#unlessEnded(this.#channel.gap(this.#after, "unavailable"));
      place = new ReaderPlace(answer.observation.cursor);
      yield answer;
    }
    let commits = this.#commits(place);
    const both = new TwoIterators<LiveEvent, LiveCommit<View>>(nothing(), commits);
    let events: AsyncIterableIterator<LiveEvent> | undefined;
    try {
      while (!this.#signal.aborted) {
        if (events === undefined) {
          const subscription = await this.#subscribe(place);
          if (subscription.kind === "gap") {
            yield await this.#gap(place, subscription.gap.reason, true);
            continue;
          }
          events = subscription.events;
          both.replaceOne(events);
        }
        const outcome = await both.next();
        if ("error" in outcome) {
          if (outcome.from === "other") {
            if (!isLiveError(outcome.error, "COMMITS_MISSING")) throw outcome.error;
            // They go on behind a fresh observation.
            yield await this.#gap(place, "unavailable");
            commits = this.#commits(place);
            both.replaceOther(commits);
          } else {
            const reason = this.#lossOf(outcome.error);
            await events.return?.();
            events = undefined;
            yield await this.#gap(place, reason, true);
          }
        } else if (outcome.step.done === true) {
          if (outcome.from === "other" && !this.#signal.aborted) throw sourceEnded();
          return;
        } else if (outcome.from === "other") yield { kind: "event", event: place.commit(outcome.step.value) };
        else {
          this.#gaps = 0;
          this.#channel.hear(outcome.step.value);
          // A commit that somebody told of here comes from the source.
          const isCommit = outcome.step.value.payload.kind === "committed";
          const event = isCommit ? undefined : place.take(outcome.step.value);
          if (event !== undefined) yield { kind: "event", event };
        }
      }
    } finally {
      await events?.return?.();
      // Not waited for: it may be asked for a step, and ends with the signal.
      void commits.return?.()?.catch(() => undefined);
    }
  }

  /** The events of a subscription, until it has ended, or the reader has lost some. */
  async *#events(
    events: AsyncIterableIterator<LiveEvent>,
    place: ReaderPlace,
  ): AsyncGenerator<LiveItem<View>, LiveGapReason | undefined, undefined> {
    try {
      for (;;) {
        const step = await events.next().catch((error: unknown) => this.#lossOf(error));
        if (typeof step === "string") return step;
        if (step.done === true) return undefined;
        this.#gaps = 0;
        this.#channel.hear(step.value);
        const event = place.take(step.value);
        if (event !== undefined) yield { kind: "event", event };
      }
    } finally {
      await events.return?.();
    }
  }

  /** A gap, and the reader is behind its observation. */
  async #gap(
    place: ReaderPlace,
    reason: LiveGapReason,
    keepCommits: boolean = false,
  ): Promise<LiveItem<View>> {
    this.#gaps += 1;
    if (this.#gaps > GAPS_MAX) {
      throw new LiveError("STORE_UNAVAILABLE", `Cannot watch: the store gave ${GAPS_MAX} gaps in a row`);
    }
    const answer = await this.#unlessEnded(this.#channel.gap(place.cursor, reason));
    place.observed(answer.observation.cursor, keepCommits);
    if (!keepCommits) return answer;
    // Who comes back with it is given the commits that follow this gap, as this reader is.
    const { cursor } = place;
    const { gap, observation } = answer;
    return { kind: "gap", gap: { ...gap, latest: cursor }, observation: { ...observation, cursor } };
  }

  #commits(place: ReaderPlace): AsyncIterator<LiveCommit<View>> {
    const { session } = this.#channel;
    const committed = place.cursor.committed ?? "";
    return this.#context.source.committedAfter!(session, committed, { signal: this.#signal })[
      Symbol.asyncIterator
    ]();
  }

  #subscribe(place: ReaderPlace): Promise<LiveSubscription> {
    const signal = this.#signal;
    return this.#unlessEnded(this.#context.store.subscribeAfter(place.cursor, { signal }));
  }

  /** What a promise gives, unless the watch has ended before: then nobody waits for it any more. */
  #unlessEnded<Value>(promise: Promise<Value>): Promise<Value> {
    const signal = this.#signal;
    return new Promise((resolve, reject) => {
      const ended = (): void => reject(signal.reason);
      if (signal.aborted) ended();
      signal.addEventListener("abort", ended);
      const settled = (): void => signal.removeEventListener("abort", ended);
      promise.then(resolve, reject).finally(settled);
    });
  }

  /** Why a lag, or a medium that lost the buffer, is a gap; what else fails is thrown, and a lag where the caller wants that. */
  #lossOf(error: unknown): LiveGapReason {
    if (isLiveError(error, "STORE_UNAVAILABLE")) return "unavailable";
    if (this.#onLag === "throw" || !isLiveError(error, "SUBSCRIBER_LAGGED")) throw error;
    return "lagged";
  }
}

function sourceEnded(): LiveError {
  return new LiveError("CLOSED", "Cannot watch the session: its source tells of no more commits");
}

/** An iterator that never gives anything. */
function nothing(): AsyncIterator<never, unknown> {
  return { next: () => new Promise(() => undefined) };
}
