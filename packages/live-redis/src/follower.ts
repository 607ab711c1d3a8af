import type { LiveEvent, PushedSubscription } from "@tidemark/live";
import type { EntryId } from "@tidemark/redis-connection";

/** A place in one life of the buffer of a session, up to which events were handed on. */
export interface FollowedPlace {
  readonly incarnation: string;
  readonly id: EntryId;
}

/** The subscriptions of one handle to one session, which share what is read for them. */
export class Follower {
  readonly session: string;
  readonly #subscriptions: Set<PushedSubscription> = new Set();
  #place: FollowedPlace | undefined;

  constructor(session: string) {
    this.session = session;
  }

  /** Where to read on; `undefined` until the first subscription has begun. */
  get place(): FollowedPlace | undefined {
    return this.#place;
  }

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
  begin(place: FollowedPlace): void {
    if (this.#place !== undefined && this.#place.incarnation !== place.incarnation)
      this.lose(place.incarnation);
    this.#place ??= place;
  }

  /** Hands on what was read behind the place. */
  take(events: readonly LiveEvent[], id: EntryId): void {
    for (const event of events) for (const subscription of this.#subscriptions) subscription.push(event);
    const incarnation = events.at(-1)?.cursor.incarnation;
    if (incarnation !== undefined) this.#place = { incarnation, id };
  }

  /** Ends every subscription with `CLOSED`, but for those that have begun in the life of the buffer that is now. */
  lose(incarnation?: string): void {
    this.#place = undefined;
    for (const subscription of [...this.#subscriptions])
      if (incarnation === undefined || subscription.incarnation !== incarnation) subscription.fail();
  }
}
