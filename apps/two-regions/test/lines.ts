import { Recording } from "../src/recording.ts";
import { chance } from "../src/random.ts";

/** A recording of these lines; an operation becomes its JSON. */
export function recordingOf(lines: readonly (string | object)[]): Recording {
  return new Recording(new TextEncoder().encode(textOf(lines)));
}

/** The text of a recording. */
export function textOf(lines: readonly (string | object)[]): string {
  return lines.map((line) => `${typeof line === "string" ? line : JSON.stringify(line)}\n`).join("");
}

const WORDS = ["a", "b", "é", "😀", "__proto__", "constructor", "10", "2", "Ａ"];

/** Operations as they come: most take effect, some are refused; sessions of a user interleave. */
export function someOperations(seed: number, count: number, users = 4): object[] {
  const open: string[] = [];
  let started = 0;
  return Array.from({ length: count }, (_, index) => {
    const draw = (topic: number, below: number): number =>
      Math.floor(chance(seed, 100 + topic, index) * below);
    const word = (topic: number): string => WORDS[draw(topic, WORDS.length)]!;
    const kind = draw(1, 21);
    if (open.length === 0 || kind === 0) {
      const session = `s${started++}`;
      open.push(session);
      return {
        op: "start",
        session,
        user: `user ${draw(2, users)}`,
        agent: word(3),
        metadata: { [word(4)]: word(5), k: "" },
      };
    }
    const session = open[draw(6, open.length)]!;
    if (kind === 1) return { op: "close", session };
    // Users who share an id have to be played in one order.
    if (kind === 20) return { op: "start", session, user: `user ${draw(19, users)}`, agent: "second" };
    if (kind === 2) return { op: "search", session, query: word(7) };
    if (kind <= 4) return { op: "prefer", session, key: word(8), value: word(9) };
    if (kind <= 7) return { op: "annotate", session, text: `${word(10)} ${index}`, entity: word(11) };
    if (kind <= 11) return { op: "hide", session, item: word(12) };
    if (kind <= 14) return { op: "unhide", session, item: word(13) };
    if (kind === 15)
      return { op: "signal", session: `unknown ${draw(14, 3)}`, entity: "e", signal: "s", weight: 1 };
    return {
      op: "signal",
      session,
      entity: word(15),
      signal: word(16),
      weight: draw(17, 50) === 0 ? 2 ** 41 : draw(18, 1000) / 7,
    };
  });
}
