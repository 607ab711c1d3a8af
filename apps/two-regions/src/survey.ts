import { Admission } from "./admission.ts";
import { MalformedLine } from "./operation.ts";
import { readLine, type Recording } from "./recording.ts";

/** What a line is, before anything is played. */
export const LINE: { readonly blank: 0; readonly malformed: 1; readonly refused: 2; readonly accepted: 3 } = {
  blank: 0,
  malformed: 1,
  refused: 2,
  accepted: 3,
};

/**
 * A first reading of the recording: what counts, and what belongs together.
 *
 * A *group* is what has to happen in the order of the recording: a user's sessions, and the users who
 * share a session id. Groups know nothing of each other and overlap in time. Arrays are indexed by line
 * (from 1), by session, or by group.
 */
export interface Survey {
  readonly operations: number;
  readonly refused: number;
  readonly malformed: number;
  readonly accepted: number;
  /** By line: one of {@link LINE}. */
  readonly status: Uint8Array;
  /** By line: the session's number. */
  readonly sessionOf: Int32Array;
  /** By line: the next line of the same group, or 0. */
  readonly next: Int32Array;
  /** By session: accepted operations, the first line and the last line of them. */
  readonly acceptedOf: Int32Array;
  readonly firstOf: Int32Array;
  readonly lastOf: Int32Array;
  /** By session: the group's number. */
  readonly groupOf: Int32Array;
  /** By group: its first line. Groups are in the order of these. */
  readonly heads: Int32Array;
}

/**
 * Surveys a recording.
 *
 * @param report - Called for each malformed line, in order, with what was expected.
 */
export function surveyRecording(
  recording: Recording,
  report: (line: number, expected: string) => void,
): Survey {
  const size = recording.lineCount + 1;
  const status = new Uint8Array(size);
  const sessionOf = new Int32Array(size).fill(-1);
  const admission = new Admission();
  const sessions = new Numbering();
  const users = new Numbering();
  const unions = new Unions();
  const count = { operations: 0, refused: 0, malformed: 0, accepted: 0 };

  for (let line = 1; line < size; line++) {
    const operation = readLine(recording, line);
    if (operation === undefined) continue;
    if (operation instanceof MalformedLine) {
      status[line] = LINE.malformed;
      count.malformed++;
      report(line, operation.message);
      continue;
    }
    count.operations++;
    const session = sessions.number(operation.session);
    sessionOf[line] = session;
    // Sessions have even numbers in the union, users odd ones.
    if (operation.op === "start") unions.join(session * 2, users.number(operation.user) * 2 + 1);
    const refusal = admission.judge(operation);
    status[line] = refusal === undefined ? LINE.accepted : LINE.refused;
    count[refusal === undefined ? "accepted" : "refused"]++;
  }
  return { ...count, status, sessionOf, ...arrange(status, sessionOf, sessions.size, unions) };
}

/** Chains the lines of each group and sums up each session. */
function arrange(
  status: Uint8Array,
  sessionOf: Int32Array,
  sessionCount: number,
  unions: Unions,
): Pick<Survey, "next" | "acceptedOf" | "firstOf" | "lastOf" | "groupOf" | "heads"> {
  const next = new Int32Array(status.length);
  const acceptedOf = new Int32Array(sessionCount);
  const firstOf = new Int32Array(sessionCount);
  const lastOf = new Int32Array(sessionCount);
  const groupOf = new Int32Array(sessionCount);
  const heads: number[] = [];
  const tails: number[] = [];
  const groups = new Map<number, number>();

  for (let line = 1; line < status.length; line++) {
    const session = sessionOf[line]!;
    if (session === -1) continue;
    const root = unions.root(session * 2);
    let group = groups.get(root);
    if (group === undefined) {
      groups.set(root, (group = heads.length));
      heads.push(line);
    } else {
      next[tails[group]!] = line;
    }
    tails[group] = line;
    groupOf[session] = group;
    if (status[line] !== LINE.accepted) continue;
    if (acceptedOf[session]! === 0) firstOf[session] = line;
    acceptedOf[session]!++;
    lastOf[session] = line;
  }
  return { next, acceptedOf, firstOf, lastOf, groupOf, heads: Int32Array.from(heads) };
}

/** Numbers names in the order they appear. */
class Numbering {
  readonly #numbers = new Map<string, number>();

  get size(): number {
    return this.#numbers.size;
  }

  number(name: string): number {
    let number = this.#numbers.get(name);
    if (number === undefined) this.#numbers.set(name, (number = this.#numbers.size));
    return number;
  }
}

/** Disjoint sets with path halving; an element that was never joined is a set of its own. */
class Unions {
  readonly #parents = new Map<number, number>();

  root(element: number): number {
    let current = element;
    for (;;) {
      const parent = this.#parents.get(current);
      if (parent === undefined) return current;
      const grandparent = this.#parents.get(parent);
      if (grandparent === undefined) return parent;
      this.#parents.set(current, grandparent);
      current = grandparent;
    }
  }

  join(a: number, b: number): void {
    const [from, to] = [this.root(a), this.root(b)];
    if (from !== to) this.#parents.set(from, to);
  }
}
