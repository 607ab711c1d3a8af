import type { Region, User } from "@tidemark/region";
import type { Link } from "./link.ts";
import type { Place } from "./plan.ts";

/** A ticket as the device keeps it: the text alone, and whether it stands without the region that minted it. */
export interface KeptTicket {
  readonly token: string;
  readonly complete: boolean;
}

/**
 * What the users of one group carry: one device that is in one region at a time, with a ticket for each user.
 *
 * A user whose turn comes after a roam hands in the ticket then; until then it waits in the device.
 */
export class Device {
  readonly #regions: readonly Region[];
  readonly #link: Link;
  readonly #tickets = new Map<string, KeptTicket>();
  /** Where each user's ticket was last handed in, or minted. */
  readonly #places = new Map<string, Place>();
  /** Users whose ticket was not complete when it was minted. */
  readonly #incomplete = new Set<string>();
  #place: Place;

  constructor(regions: readonly Region[], link: Link, home: Place) {
    this.#regions = regions;
    this.#link = link;
    this.#place = home;
  }

  /** Where the device is. */
  get place(): Place {
    return this.#place;
  }

  get region(): Region {
    return this.#regions[this.#place]!;
  }

  get otherRegion(): Region {
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

  /** The user where the device is, read with the ticket. */
  async read(user: string): Promise<User> {
    const handle = await this.region.users.resume(user, { ticket: this.#tickets.get(user)!.token });
    this.#places.set(user, this.#place);
    return handle;
  }

  /** Takes the ticket of what the user has seen where the device is. */
  carry(user: string): void {
    this.keep(user, keep(this.region.users.get(user)));
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
   * @returns The user there; `undefined` if the device had to stay, because the link is cut and a ticket
   * does not stand alone.
   */
  async roam(user: string): Promise<User | undefined> {
    this.#remint();
    const there = this.otherRegion;
    for (const waiting of this.#incomplete) {
      if ((await this.present(there, waiting, this.#tickets.get(waiting))) === undefined) return undefined;
    }
    const arrived = await this.present(there, user, this.#tickets.get(user));
    if (arrived === undefined) return undefined;
    this.#place = this.#place === 0 ? 1 : 0;
    for (const presented of [...this.#incomplete, user]) this.#places.set(presented, this.#place);
    return arrived;
  }

  /**
   * Hands a ticket in at a region, and waits for what is missing as long as the link is up.
   *
   * @returns `undefined` if the link was cut before the region had it all.
   */
  async present(region: Region, user: string, ticket: KeptTicket | undefined): Promise<User | undefined> {
    if (ticket === undefined) return region.users.get(user);
    if (ticket.complete) return region.users.resume(user, { ticket: ticket.token });
    if (this.#link.isCut) return undefined;
    const signal = this.#link.untilCut;
    try {
      return await region.users.resume(user, { ticket: ticket.token, timeoutMs: RESUME_TIMEOUT_MS, signal });
    } catch (error) {
      if (signal.aborted) return undefined;
      throw error;
    }
  }

  /** Mints the tickets again that did not stand alone: what they rest on may have become known everywhere. */
  #remint(): void {
    for (const user of this.#incomplete) if (this.#places.get(user) === this.#place) this.carry(user);
  }
}

/** The ticket of a user as a device keeps it. */
export function keep(user: User): KeptTicket {
  const ticket = user.ticket();
  return { token: ticket.toString(), complete: ticket.complete };
}

/** Waits this long for what a ticket rests on; far beyond what a link that is up needs. */
const RESUME_TIMEOUT_MS = 60_000;
