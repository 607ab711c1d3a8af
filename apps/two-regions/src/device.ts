import type { Link } from "./link.ts";
import type { Place } from "./plan.ts";
import type { KeptTicket, RegionDriver } from "./region-driver.ts";

/**
 * What the users of one group carry: one device that is in one region at a time, with a ticket for each user.
 *
 * A user whose turn comes after a roam hands in the ticket then; until then it waits in the device.
 */
export class Device {
  readonly #regions: readonly RegionDriver[];
  readonly #link: Link;
  readonly #tickets = new Map<string, KeptTicket>();
  /** Where each user's ticket was last handed in, or minted. */
  readonly #places = new Map<string, Place>();
  /** Users whose ticket was not complete when it was minted. */
  readonly #incomplete = new Set<string>();
  #place: Place;

  constructor(regions: readonly RegionDriver[], link: Link, home: Place) {
    this.#regions = regions;
    this.#link = link;
    this.#place = home;
  }

  /** Where the device is. */
  get place(): Place {
    return this.#place;
  }

  get region(): RegionDriver {
    return this.#regions[this.#place]!;
  }

  get otherRegion(): RegionDriver {
    return this.#regions[1 - this.#place]!;
  }

  /** The ticket of a user, or `undefined` before their first operation. */
  ticketOf(user: string): KeptTicket | undefined {
    return this.#tickets.get(user);
  }

  /** Hands in the ticket of a user whose turn it is. @returns Whether that was still to be done here. */
  async enter(user: string): Promise<boolean> {
    if (!this.#tickets.has(user) || this.#places.get(user) === this.#place) return false;
    await this.read(user);
    return true;
  }

  /** Hands in the ticket of a user where the device is. */
  async read(user: string): Promise<void> {
    await this.region.resume(user, this.#tickets.get(user)!.token);
    this.#places.set(user, this.#place);
  }

  /** Takes the ticket of what the user has seen where the device is. */
  async carry(user: string): Promise<void> {
    this.keep(user, await this.region.ticket(user));
  }

  /** Keeps a ticket, wherever it was minted. */
  keep(user: string, ticket: KeptTicket): void {
    this.#tickets.set(user, ticket);
    this.#places.set(user, this.#place);
    if (ticket.complete) this.#incomplete.delete(user);
    else this.#incomplete.add(user);
  }

  /**
   * Goes to the other region, with the tickets of all users.
   *
   * @param user - Whose turn it is: the ticket is handed in at once, like all that do not stand alone.
   * @returns False if the device had to stay, because the link is cut and a ticket does not stand alone.
   */
  async roam(user: string): Promise<boolean> {
    await this.#remint();
    const there = this.otherRegion;
    for (const waiting of this.#incomplete) {
      if (!(await this.present(there, waiting, this.#tickets.get(waiting)))) return false;
    }
    if (!(await this.present(there, user, this.#tickets.get(user)))) return false;
    this.#place = this.#place === 0 ? 1 : 0;
    for (const presented of [...this.#incomplete, user]) this.#places.set(presented, this.#place);
    return true;
  }

  /**
   * Hands a ticket in at a region, and waits for what is missing as long as the link is up.
   *
   * @returns False if the link was cut before the region had it all.
   */
  async present(region: RegionDriver, user: string, ticket: KeptTicket | undefined): Promise<boolean> {
    if (ticket === undefined) return true;
    if (!ticket.complete && this.#link.isCut) return false;
    const signal = this.#link.untilCut;
    try {
      await region.resume(
        user,
        ticket.token,
        ticket.complete ? {} : { timeoutMs: RESUME_TIMEOUT_MS, signal },
      );
      return true;
    } catch (error) {
      if (!ticket.complete && signal.aborted) return false;
      throw error;
    }
  }

  /** Mints the tickets again that did not stand alone: what they rest on may have become known everywhere. */
  async #remint(): Promise<void> {
    for (const user of [...this.#incomplete])
      if (this.#places.get(user) === this.#place) await this.carry(user);
  }
}

/** Waits this long for what a ticket rests on; far beyond what a link that is up needs. */
const RESUME_TIMEOUT_MS = 60_000;
