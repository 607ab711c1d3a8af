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
  readonly #subscriptions: Set<PushedSubscription> = new Set();
  #place: LiveFollowerPlace<At> | undefined;

  constructor(session: string) {
    this.session = session;
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
    this.#subscriptions.add(subscription);
  }

  remove(subscription: PushedSubscription): void {
    this.#subscriptions.delete(subscription);
  }

  /** A subscription has begun at a place; those of another life of the buffer are over. */
  begin(place: LiveFollowerPlace<At>): void {
    if (this.#place !== undefined && this.#place.incarnation !== place.incarnation)
      this.lose(place.incarnation);
    this.#place ??= place;
  }

  /** Hands on what was read up to a place. */
  take(events: readonly LiveEvent[], place: LiveFollowerPlace<At>): void {
    if (this.#place !== undefined && this.#place.incarnation !== place.incarnation)
      this.lose(place.incarnation);
    for (const event of events) for (const subscription of this.#subscriptions) subscription.push(event);
    this.#place = place;
  }

  /** Ends every subscription with `CLOSED`. */
  close(): void {
    for (const subscription of [...this.#subscriptions]) subscription.close();
  }

  /** The buffer was lost: ends every subscription but for those that have begun in the life of it that is now. */
  lose(incarnation?: string): void {
    this.#place = undefined;
    for (const subscription of [...this.#subscriptions])
      if (incarnation === undefined || subscription.incarnation !== incarnation) subscription.lose();
  }
}
