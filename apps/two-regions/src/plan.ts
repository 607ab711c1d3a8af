import { chance } from "./random.ts";
import type { Recording } from "./recording.ts";
import { progressOf } from "./schedule.ts";
import { LINE, type Survey } from "./survey.ts";

/** One of the two places a device can be: 0 is `us-east`, 1 is `eu-west`. */
export type Place = 0 | 1;

/** What happens at a line besides playing it; bits of {@link Plan.marks}. */
export const MARK: {
  readonly roam: 1;
  readonly retryThere: 2;
  readonly retryHere: 4;
  readonly settle: 8;
} = {
  /** Before the line, the device goes to the other region. */
  roam: 1,
  /** After the line, it is sent again in the other region, by a client that never saw the answer. */
  retryThere: 2,
  /** After the line, it is sent again in the same region. */
  retryHere: 4,
  /** The line's write waits until every region has it. */
  settle: 8,
};

/** One cut of the link. */
export interface Cut {
  /** The cut happens before this line is played; 0 if it follows the cut before. */
  readonly line: number;
  /** With `line` 0: operations played between the last heal and this cut. */
  readonly after: number;
  /** Operations played before it is healed. */
  readonly operations: number;
  /** The side on which the follower stays. */
  readonly follower: Place;
}

/** What a seed decides. The same recording and seed give the same plan. */
export interface Plan {
  readonly seed: number;
  /** By line: {@link MARK} bits. */
  readonly marks: Uint8Array;
  /** In order; the first is there whenever a session has two accepted operations. */
  readonly cuts: readonly Cut[];
  /** By group: where it begins. */
  readonly homes: Uint8Array;
  /** Which region is killed on the way, where regions are processes. */
  readonly crash: CrashPlan;
}

/** One `kill -9`. */
export interface CrashPlan {
  readonly region: Place;
  /** Not before so many operations have been played. */
  readonly after: number;
}

const TOPIC = { home: 1, roams: 2, where: 3, retry: 4, witness: 5, tail: 6, cut: 7, side: 8, crash: 9 };
const ROAM_SHARE = 0.8;
const RETRY_THERE_SHARE = 0.1;
const RETRY_HERE_SHARE = 0.05;
/** What the witness writes between the cut and its roam fits a ticket (64 KiB) with room to spare. */
const TAIL_BYTES_MAX = 24 * 1024;
const OPERATION_OVERHEAD_BYTES = 512;
const CUT_OPERATIONS_MAX = 20_000;

/** Decides where sessions roam, when the link is cut, and what is retried. */
export function planRun(recording: Recording, survey: Survey, seed: number): Plan {
  const marks = new Uint8Array(survey.status.length);
  let roams = markRoams(survey, seed, marks, ROAM_SHARE);
  // In a small recording the dice may have left every session where it was.
  if (roams.length === 0) roams = markRoams(survey, seed, marks, 1);
  markRetries(survey, seed, marks);
  const homes = Uint8Array.from(survey.heads, (_, group) => (chance(seed, TOPIC.home, group) < 0.5 ? 0 : 1));
  const crash: CrashPlan = {
    region: chance(seed, TOPIC.crash, 0) < 0.5 ? 0 : 1,
    after: Math.ceil(survey.operations * (0.5 + 0.25 * chance(seed, TOPIC.crash, 1))),
  };
  return { seed, marks, cuts: planCuts(recording, survey, seed, marks, roams), homes, crash };
}

/**
 * Marks about half-way of sessions as roams and returns the lines.
 *
 * A device takes all its sessions with it, so a session roams only where none of the sessions it would
 * take along has roamed already: at most one roam a session.
 */
function markRoams(survey: Survey, seed: number, marks: Uint8Array, share: number): number[] {
  const { status, sessionOf, acceptedOf, lastOf, groupOf, heads } = survey;
  const seen = new Int32Array(acceptedOf.length);
  const moved = new Uint8Array(acceptedOf.length);
  const live = Array.from(heads, () => new Set<number>());
  const movedLive = new Int32Array(heads.length);
  const lines: number[] = [];
  for (let line = 1; line < status.length; line++) {
    if (status[line] !== LINE.accepted) continue;
    const session = sessionOf[line]!;
    const group = groupOf[session]!;
    const here = live[group]!;
    const isHalfWay = seen[session]! > 0 && seen[session] === halfWay(seed, session, acceptedOf[session]!);
    if (isHalfWay && movedLive[group] === 0 && chance(seed, TOPIC.roams, session) < share) {
      marks[line]! |= MARK.roam;
      lines.push(line);
      for (const other of here) moved[other] = 1;
      movedLive[group] = here.size;
    }
    seen[session]!++;
    here.add(session);
    if (lastOf[session] === line) {
      here.delete(session);
      if (moved[session] === 1) movedLive[group]!--;
    }
  }
  return lines;
}

/** How many operations a session has behind it when it roams: half of them, give or take a sixth. */
function halfWay(seed: number, session: number, accepted: number): number {
  const half = accepted / 2 + (chance(seed, TOPIC.where, session) - 0.5) * (accepted / 3);
  return Math.min(Math.max(Math.round(half), 1), accepted - 1);
}

function markRetries(survey: Survey, seed: number, marks: Uint8Array): void {
  let first = 0;
  let isAnyThere = false;
  for (let line = 1; line < marks.length; line++) {
    if (survey.status[line] !== LINE.accepted) continue;
    if (first === 0) first = line;
    const draw = chance(seed, TOPIC.retry, line);
    if (draw < RETRY_THERE_SHARE) {
      marks[line]! |= MARK.retryThere;
      isAnyThere = true;
    } else if (draw < RETRY_THERE_SHARE + RETRY_HERE_SHARE) marks[line]! |= MARK.retryHere;
  }
  if (!isAnyThere && first !== 0) marks[first]! |= MARK.retryThere;
}

/**
 * The first cut is tied to a *witness*: a session that roams while the link is cut, on the strength of
 * its ticket alone. It writes a little between the cut and the roam, as much as a ticket surely holds;
 * what its device wrote before is everywhere by then.
 */
function planCuts(
  recording: Recording,
  survey: Survey,
  seed: number,
  marks: Uint8Array,
  roams: readonly number[],
): Cut[] {
  if (roams.length === 0) return [];
  const witness = chooseWitness(survey, seed, roams);
  const { cutLine, settleLine } = backFrom(
    recording,
    survey,
    witness,
    Math.floor(1 + 4 * chance(seed, TOPIC.tail, 0)),
  );
  if (settleLine !== 0) marks[settleLine]! |= MARK.settle;

  const cuts: Cut[] = [];
  const count = 1 + (survey.operations < 300 ? 0 : Math.floor(2 * chance(seed, TOPIC.cut, 0)));
  for (let index = 0; index < count; index++) {
    const share = 0.15 + 0.15 * chance(seed, TOPIC.cut, index + 1);
    cuts.push({
      line: index === 0 ? cutLine : 0,
      after: index === 0 ? 0 : Math.ceil(survey.operations * 0.1),
      operations: Math.min(Math.max(Math.round((survey.operations * share) / count), 1), CUT_OPERATIONS_MAX),
      follower: chance(seed, TOPIC.side, index) < 0.5 ? 0 : 1,
    });
  }
  return cuts;
}

/** A roam whose turn comes when about a third of the recording has been played, so that a lot happens on both sides of the cut. */
function chooseWitness(survey: Survey, seed: number, roams: readonly number[]): number {
  const progress = progressOf(survey);
  const wanted = 0.25 + 0.2 * chance(seed, TOPIC.witness, 0);
  const distance = (line: number): number => Math.abs(progress[line]! - wanted);
  return roams.reduce((best, line) => (distance(line) < distance(best) ? line : best));
}

/** Goes back up to `steps` accepted lines of the group, while what lies between stays small. */
function backFrom(
  recording: Recording,
  survey: Survey,
  witness: number,
  steps: number,
): { readonly cutLine: number; readonly settleLine: number } {
  const before: number[] = [];
  const group = survey.groupOf[survey.sessionOf[witness]!]!;
  for (let line = survey.heads[group]!; line !== witness; line = survey.next[line]!) {
    if (survey.status[line] !== LINE.accepted) continue;
    before.push(line);
    if (before.length > steps + 1) before.shift();
  }
  let cutLine = witness;
  let budget = TAIL_BYTES_MAX;
  for (let step = 0; step < steps && before.length > 0; step++) {
    budget -= recording.byteLength(before.at(-1)!) + OPERATION_OVERHEAD_BYTES;
    if (budget < 0) break;
    cutLine = before.pop()!;
  }
  return { cutLine, settleLine: before.at(-1) ?? 0 };
}
