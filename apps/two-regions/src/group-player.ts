import { compareSession, Difference } from "./compare.ts";
import { Device } from "./device.ts";
import type { Operation } from "./operation.ts";
import { MARK, type Place } from "./plan.ts";
import type { Player, PlayerOptions } from "./player.ts";
import type { KeptTicket } from "./region-driver.ts";
import type { SubmitOptions } from "./submit.ts";
import { LINE } from "./survey.ts";

/** Plays the lines of one group, strictly in order, as the users who belong to it would. */
export class GroupPlayer {
  readonly #options: PlayerOptions;
  readonly #shared: Player;
  readonly #device: Device;
  /** Sessions that have begun and go on: number to id. */
  readonly #live = new Map<number, string>();
  /** Of these, the ones that have roamed. */
  readonly #moved = new Set<number>();
  /** A session that was to roam while a ticket was not complete. */
  #deferred: number | undefined;
  /** Whether this run has gone beyond what an earlier run, killed on the way, left behind. */
  #isAhead = false;

  constructor(options: PlayerOptions, shared: Player, group: number) {
    this.#options = options;
    this.#shared = shared;
    this.#device = new Device(options.regions, options.link, options.plan.homes[group] as Place);
  }

  /** Plays the next line of the group. */
  async play(line: number): Promise<void> {
    const { recording, survey, link } = this.#options;
    const operation = recording.operation(line);
    link.beforeLine(line);
    if (survey.status[line] === LINE.refused) return this.#playRefused(line, operation);
    const user =
      operation.op === "start" ? operation.user : this.#shared.model.sessions.get(operation.session)!.user;
    await this.#roamIfDue(line, user);
    await this.#enter(user);
    const before = this.#device.ticketOf(user);
    await this.#write(line, operation, user);
    await this.#retry(line, operation, user, before);
    if (this.#isAhead) await this.#read(operation, user);
    this.#follow(line, operation.session);
  }

  /** An operation that the recording, read in order, has refused: the region has to say so, too. */
  async #playRefused(line: number, operation: Operation): Promise<void> {
    const refusal = this.#shared.model.read(operation);
    // It has been started later in the recording, by an earlier run: submitted now it would be accepted.
    if (
      refusal === "not-started" &&
      (await this.#device.region.sessions([operation.session]))[0] !== undefined
    )
      return;
    // What refuses it may be known to nobody but the device: whoever owns the session hands in the ticket first.
    const owner = this.#shared.model.sessions.get(operation.session)?.user;
    if (owner !== undefined) await this.#enter(owner);
    const { outcome } = await this.#device.region.submit(operation, this.#submitOptions(line));
    if (outcome !== "refused") this.#shared.tally.unexpectedAccepts++;
  }

  async #write(line: number, operation: Operation, user: string): Promise<void> {
    const { plan } = this.#options;
    const { model, sightings, hidden, tally } = this.#shared;
    const marks = plan.marks[line]!;
    const settle = (marks & MARK.settle) === 0 ? {} : { ack: "all" as const };
    const answer = await this.#device.region.submit(operation, { ...this.#submitOptions(line), ...settle });
    if (answer.outcome === "refused") tally.unexpectedRefusals++;
    if (answer.outcome === "applied") this.#isAhead = true;

    model.read(operation);
    // What a killed region had made durable it calls a duplicate: no sign that an earlier run was here.
    if (!this.#isAhead && answer.isRepeated !== true) sightings.knownEverywhere(line);
    // A retry makes it readable over there by itself: that says nothing about the lag.
    else if (answer.position !== undefined) {
      const isMeasured = !this.#shared.isInterrupted && (marks & MARK.retryThere) === 0;
      sightings.acknowledged(line, this.#device.place, answer.position, isMeasured);
    }
    if (operation.op === "hide") hidden.hide(user, operation.item, line, sightings.regionsOf(line));
    if (operation.op === "unhide") hidden.unhide(user, operation.item);
    await this.#device.carry(user);
  }

  async #retry(
    line: number,
    operation: Operation,
    user: string,
    before: KeptTicket | undefined,
  ): Promise<void> {
    const marks = this.#options.plan.marks[line]!;
    if ((marks & MARK.retryThere) !== 0 && (await this.#retryThere(line, operation, user, before))) return;
    if ((marks & (MARK.retryThere | MARK.retryHere)) === 0) return;
    const { outcome } = await this.#device.region.submit(operation, this.#submitOptions(line));
    if (outcome === "refused") this.#shared.tally.unexpectedRefusals++;
    await this.#device.carry(user);
  }

  /**
   * The same call in the other region, by a client that never saw the first answer: it has the ticket
   * from before. Then the device comes back, with what it has seen there.
   *
   * @returns False if the link is cut and the ticket does not stand alone.
   */
  async #retryThere(
    line: number,
    operation: Operation,
    user: string,
    before: KeptTicket | undefined,
  ): Promise<boolean> {
    const there = this.#device.otherRegion;
    if (!(await this.#device.present(there, user, before))) return false;
    const { outcome, position } = await there.submit(operation, this.#submitOptions(line));
    if (outcome === "refused") this.#shared.tally.unexpectedRefusals++;
    if (this.#isAhead && position !== undefined) {
      this.#shared.sightings.acknowledged(line, 1 - this.#device.place, position, false);
    }
    // Where this ticket cannot be handed in the device goes on with the one it had.
    await this.#device.present(this.#device.region, user, await there.ticket(user));
    await this.#device.carry(user);
    return true;
  }

  /** Reads as the device does, with its ticket, and in every region without one. */
  async #read(operation: Operation, user: string): Promise<void> {
    const { regions } = this.#options;
    const { hidden, tally } = this.#shared;
    await this.#device.read(user);
    const item = operation.op === "hide" || operation.op === "unhide" ? operation.item : undefined;
    await hidden.read(user, regions, this.#device.place, item);
    const withheld = await Promise.all(regions.map((region) => region.withheld(user)));
    for (const [number, items] of withheld.entries())
      tally.withheld[number] = Math.max(tally.withheld[number]!, items);
  }

  /** Goes to the other region if the plan says so here, or said so while the device could not. */
  async #roamIfDue(line: number, user: string): Promise<void> {
    const { plan, survey, link } = this.#options;
    const { tally } = this.#shared;
    const isPlanned = (plan.marks[line]! & MARK.roam) !== 0;
    if (!isPlanned && (this.#deferred === undefined || link.isCut)) return;
    const session = isPlanned ? survey.sessionOf[line]! : this.#deferred!;
    // A device takes its sessions along, and each of them roams at most once.
    if (!this.#live.has(session) || this.#moved.size > 0) return void (this.#deferred = undefined);

    const isCut = link.isCut;
    if (!(await this.#device.roam(user))) {
      if (isPlanned) tally.deferred++;
      this.#deferred = session;
      return;
    }
    this.#deferred = undefined;
    tally.roamed += this.#live.size;
    if (isCut) {
      tally.roamedDuringPartition += this.#live.size;
      link.roamed();
    }
    for (const number of this.#live.keys()) this.#moved.add(number);
    await this.#checkOwnWrites(user);
  }

  /** Makes sure that the user's ticket has been handed in where the device is. */
  async #enter(user: string): Promise<void> {
    if (await this.#device.enter(user)) await this.#checkOwnWrites(user);
  }

  /** Looks for everything the device has written for a user so far, where it has just come to. */
  async #checkOwnWrites(user: string): Promise<void> {
    if (!this.#isAhead) return;
    const { model, tally } = this.#shared;
    const { region } = this.#device;
    const difference = new Difference();
    const ids = [...this.#live.values()].filter((id) => model.sessions.get(id)!.user === user);
    const sessions = await region.sessions(ids);
    for (const [index, id] of ids.entries())
      compareSession(sessions[index], model.sessions.get(id)!, difference);
    const hidden = [...(model.hidden.get(user) ?? [])];
    const shown = await region.filterVisible(user, hidden);
    tally.ownWritesMissing += difference.lost + shown.length;
  }

  /** Keeps track of which sessions go on behind a line. */
  #follow(line: number, id: string): void {
    const { survey } = this.#options;
    const session = survey.sessionOf[line]!;
    if (survey.lastOf[session] !== line) return void this.#live.set(session, id);
    this.#live.delete(session);
    this.#moved.delete(session);
  }

  #submitOptions(line: number): SubmitOptions {
    const { recording, startedMs } = this.#options;
    // One millisecond a line, up to the start of the first run: the same at every attempt.
    return { operationId: String(line), eventTimeMs: startedMs - recording.lineCount + line };
  }
}
