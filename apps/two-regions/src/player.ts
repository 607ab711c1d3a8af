import { GroupPlayer } from "./group-player.ts";
import { HiddenCheck } from "./hidden-check.ts";
import type { Link } from "./link.ts";
import { Model } from "./model.ts";
import type { Pacer } from "./pacer.ts";
import type { Plan } from "./plan.ts";
import type { Crash } from "./crash.ts";
import type { RegionDriver } from "./region-driver.ts";
import type { Recording } from "./recording.ts";
import { GROUPS_AT_WORK } from "./schedule.ts";
import { EVERYWHERE, Sightings } from "./sightings.ts";
import type { Survey } from "./survey.ts";

/** What a player plays, and where. */
export interface PlayerOptions {
  readonly recording: Recording;
  readonly survey: Survey;
  readonly plan: Plan;
  /** By number: the two that are written to, then the follower. */
  readonly regions: readonly RegionDriver[];
  readonly link: Link;
  /** Left out where no region has a process of its own. */
  readonly crash?: Crash | undefined;
  readonly pacer: Pacer;
  /** What event times are counted from, Unix milliseconds. */
  readonly startedMs: number;
  readonly nowMs: () => number;
  /** Called after each operation with how many have been played. */
  readonly onPlayed: (played: number) => void;
}

/** What all groups count together. */
export interface Tally {
  played: number;
  roamed: number;
  roamedDuringPartition: number;
  deferred: number;
  ownWritesMissing: number;
  /** Operations refused that the recording accepts, and the other way round. */
  unexpectedRefusals: number;
  unexpectedAccepts: number;
  /** By region: most items withheld at one read. */
  readonly withheld: number[];
}

/** Plays a recording through the regions and checks every promise on the way. */
export class Player {
  readonly #options: PlayerOptions;
  readonly model: Model = new Model();
  readonly hidden: HiddenCheck = new HiddenCheck();
  readonly sightings: Sightings;
  readonly tally: Tally = {
    played: 0,
    roamed: 0,
    roamedDuringPartition: 0,
    deferred: 0,
    ownWritesMissing: 0,
    unexpectedRefusals: 0,
    unexpectedAccepts: 0,
    withheld: [0, 0, 0],
  };
  #isStopped = false;

  constructor(options: PlayerOptions) {
    this.#options = options;
    this.sightings = new Sightings(options.recording.lineCount, options.nowMs, (line, region) => {
      this.hidden.applied(line, region, this.sightings.regionsOf(line) === EVERYWHERE);
    });
  }

  /** Whether something stands between the regions that has nothing to do with how quick they are. */
  get isInterrupted(): boolean {
    const { link, crash } = this.#options;
    return link.isCut || crash?.isDown === true;
  }

  /** Plays everything. Groups begin in the order of the recording and overlap in time; a failure ends all. */
  async play(): Promise<void> {
    const { survey, regions } = this.#options;
    const stops = regions.map((region, number) =>
      region.onApplied((place) => this.sightings.saw(number, place)),
    );
    let next = 0;
    const work = async (): Promise<void> => {
      while (next < survey.heads.length && !this.#isStopped) await this.#playGroup(next++);
    };
    try {
      await Promise.all(Array.from({ length: GROUPS_AT_WORK }, work));
    } finally {
      this.#isStopped = true;
      for (const stop of stops) stop();
    }
  }

  async #playGroup(group: number): Promise<void> {
    const { survey, pacer, link, crash, onPlayed } = this.#options;
    const player = new GroupPlayer(this.#options, this, group);
    for (let line = survey.heads[group]!; line !== 0 && !this.#isStopped; line = survey.next[line]!) {
      await pacer.wait();
      await player.play(line);
      link.played();
      onPlayed(++this.tally.played);
      crash?.played();
    }
  }
}
