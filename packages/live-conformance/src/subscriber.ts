import {
  LiveCursor,
  LiveError,
  type LiveEvent,
  type LiveReplayStore,
  type LiveSubscription,
} from "@tidemark/live";
import { expectThat, within } from "./assertions.ts";

/** One subscription, read step by step, each within a deadline. */
export class Subscriber {
  readonly #events: AsyncIterableIterator<LiveEvent>;
  readonly #deadlineMs: number;

  constructor(events: AsyncIterableIterator<LiveEvent>, deadlineMs: number) {
    this.#events = events;
    this.#deadlineMs = deadlineMs;
  }

  /** The next event; `undefined` at the end. Rejects as the subscription does. */
  async next(what: string): Promise<LiveEvent | undefined> {
    const { done, value } = await within(this.#deadlineMs, this.#events.next(), what);
    return done === true ? undefined : value;
  }

  /** So many events, which must come. */
  async take(count: number, what: string): Promise<LiveEvent[]> {
    const events: LiveEvent[] = [];
    while (events.length < count) {
      const event = await this.next(`${what}, event ${events.length + 1} of ${count}`);
      expectThat(event !== undefined, `${what}: it ended after ${events.length} of ${count} events`);
      events.push(event);
    }
    return events;
  }

  /** The next step: how many were missed, or the event. */
  async step(what: string): Promise<{ readonly missed: number } | LiveEvent> {
    try {
      const event = await this.next(what);
      expectThat(event !== undefined, `${what}: it ended`);
      return event;
    } catch (error) {
      if (!(error instanceof LiveError) || error.code !== "SUBSCRIBER_LAGGED") throw error;
      return { missed: error.missed ?? Number.NaN };
    }
  }

  /** Leaves it, which must not wait for anything. */
  async leave(): Promise<void> {
    await within(this.#deadlineMs, Promise.resolve(this.#events.return?.()), "leaving a subscription");
  }
}

/** Subscribes where there must be no gap. */
export async function subscribe(
  { store, deadlineMs }: { readonly store: LiveReplayStore; readonly deadlineMs: number },
  cursor: LiveCursor,
  options: { readonly signal?: AbortSignal } = {},
): Promise<Subscriber> {
  const subscription = await within(deadlineMs, store.subscribeAfter(cursor, options), "subscribeAfter()");
  return new Subscriber(eventsOf(subscription), deadlineMs);
}

/** The events of a subscription that must not be a gap. */
export function eventsOf(subscription: LiveSubscription): AsyncIterableIterator<LiveEvent> {
  expectThat(subscription.kind === "subscribed", "subscribeAfter() gave a gap where there is none");
  return subscription.events;
}

/** A cursor like another, at another position, or otherwise changed. */
export function cursorLike(
  cursor: LiveCursor,
  changes: { readonly position?: number; readonly revision?: number; readonly incarnation?: string },
): LiveCursor {
  const { session, revision, position, incarnation } = cursor;
  return LiveCursor.of({ session, revision, position, incarnation, ...changes });
}
