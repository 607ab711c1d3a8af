import type { LiveEvent } from "./live-event.ts";
import type { PushedSubscription } from "./pushed-subscription.ts";

/** A place in one life of a buffer, as its medium counts. */
export interface LiveFollowerPlace<At> {
  readonly incarnation: string;
  readonly at: At;
}

/** The subscriptions of one handle to one session, which share what is read for them, for who writes a store. */
export class LiveFollower<At> {
  readonly session: string;
  readonly #isBefore: (left: At, right: At) => boolean;
  /** Each with the place behind which everything was handed to it; `undefined` until there is one. */
  readonly #subscriptions: Map<PushedSubscription, LiveFollowerPlace<At> | undefined> = new Map();
  #place: LiveFollowerPlace<At> | undefined;

  /** @param isBefore - Whether one place in the life of a buffer comes before another. */
  constructor(session: string, isBefore: (left: At, right: At) => boolean) {
    this.session = session;
    this.#isBefore = isBefore;
  }

  /** Up to where events were handed on; `undefined` until the first subscription has begun, and when the buffer was lost. */
  get place(): LiveFollowerPlace<At> | undefined {
    return this.#place;
  }

  /** Whether nobody is subscribed. */
  get empty(): boolean {
    return this.#subscriptions.size === 0;
  }

  add(subscription: PushedSubscription): void {
    this.#subscriptions.set(subscription, this.#place);
  }

  remove(subscription: PushedSubscription): void {
    this.#subscriptions.delete(subscription);
  }

  /**
   * Whether a replay up to a place reaches what is handed to a subscription: another may have begun further on while it was
   * read. If not, reading it again does.
   */
  joins(subscription: PushedSubscription, place: LiveFollowerPlace<At>): boolean {
    const from = this.#subscriptions.get(subscription);
    return from === undefined || from.incarnation !== place.incarnation || !this.#isBefore(place.at, from.at);
  }

  /** A subscription has begun at a place; those of another life of the buffer are over. */
  begin(place: LiveFollowerPlace<At>): void {
    if (this.#place !== undefined && this.#place.incarnation !== place.incarnation)
      this.lose(place.incarnation);
    if (this.#place !== undefined) return;
    this.#place = place;
    for (const [subscription, from] of this.#subscriptions)
      if (from === undefined) this.#subscriptions.set(subscription, place);
  }

  /** Hands on what was read up to a place. */
  take(events: readonly LiveEvent[], place: LiveFollowerPlace<At>): void {
    if (this.#place !== undefined && this.#place.incarnation !== place.incarnation)
      this.lose(place.incarnation);
    for (const event of events)
      for (const subscription of this.#subscriptions.keys()) subscription.push(event);
    this.#place = place;
  }

  /** Ends every subscription with `CLOSED`. */
  close(): void {
    for (const subscription of [...this.#subscriptions.keys()]) subscription.close();
  }

  /** The buffer was lost: ends every subscription but for those that have begun in the life of it that is now. */
  lose(incarnation?: string): void {
    this.#place = undefined;
    for (const subscription of [...this.#subscriptions.keys()])
      if (incarnation === undefined || subscription.incarnation !== incarnation) subscription.lose();
  }
}
