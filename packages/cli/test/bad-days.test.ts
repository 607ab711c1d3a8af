import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { programOf } from "../src/run-cli.ts";
import { BAD_DAYS } from "./bad-days.ts";
import { DAMAGE } from "./damage.ts";
import { cli, commandsBelow, NOWHERE, Place, treeOf } from "./harness.ts";
import type { Ran } from "./harness.ts";

/**
 * What a command says to a directory: that it works; an exit code and a code in one line; a result and an exit code
 * that says what is wrong with it; or a part of a result, and why it ends.
 */
type Answer =
  | "works"
  | readonly [exit: number, code: string]
  | { readonly finds: number }
  | { readonly stops: readonly [exit: number, code: string] };

const NO_DIRECTORY: Answer = [1, "CLI_NO_DIRECTORY"];
const NOT_A_REGION: Answer = [1, "CLI_NOT_A_REGION"];
const DAMAGED: Answer = [5, "CLI_DAMAGED"];
const NEWER: Answer = [1, "CLI_NEWER_VERSION"];
const ALONE: Answer = [1, "CLI_MEMBERS_REFUSED"];
const CORRUPT: Answer = { stops: [5, "WAL_CORRUPT"] };
const NO_LIST: Answer = [5, "REGION_DAMAGED"];
const FOUND: Answer = { finds: 5 };

/** `DIR` is where the directory goes. */
const COMMANDS = [
  "status DIR",
  "doctor DIR",
  "wal inspect DIR",
  "wal verify DIR",
  "wal repair DIR --dry-run",
  "wal dump DIR",
  "export DIR --since 2026-01-01",
  "tail the-session DIR",
  "members ls DIR",
  "members add ap-south DIR",
  "members remove eu-west DIR --yes",
] as const;

const EXPORT = COMMANDS.indexOf("export DIR --since 2026-01-01");
const TAIL = COMMANDS.indexOf("tail the-session DIR");

const same = (answer: Answer): Answer[] => COMMANDS.map(() => answer);

/** In the order of the commands. What reads the records, and what changes the list of members, answers alike. */
function answers(
  ...[status, doctor, inspect, verify, repair, records, list, change]: readonly [
    Answer,
    Answer,
    Answer,
    Answer,
    Answer,
    Answer,
    Answer,
    Answer,
  ]
): Answer[] {
  return [status, doctor, inspect, verify, repair, records, records, records, list, change, change];
}

const sound: Answer[] = answers("works", "works", "works", "works", "works", "works", "works", ALONE);
/** What the logs hold cannot all be read. */
const damaged: Answer[] = answers("works", FOUND, "works", FOUND, FOUND, CORRUPT, "works", ALONE);
/** It can, and something else is not what was written. */
const readable: Answer[] = answers("works", FOUND, "works", FOUND, FOUND, "works", "works", ALONE);

/** Every directory something is wrong with: what each of the commands says to it, in their order. */
const ANSWERS: Readonly<Record<string, readonly Answer[]>> = {
  missing: same(NO_DIRECTORY),
  "a file": same(NO_DIRECTORY),
  empty: same(NOT_A_REGION),
  "not ours": same(NOT_A_REGION),
  // The logs tell what they hold without it.
  "without region.json": answers(DAMAGED, DAMAGED, "works", "works", "works", "works", DAMAGED, DAMAGED),
  // It says whose keys lie there: nothing is exported, and nothing told of people, on a guess.
  "with region.json damaged": answers(DAMAGED, DAMAGED, "works", "works", "works", "works", DAMAGED, DAMAGED)
    .with(EXPORT, DAMAGED)
    .with(TAIL, DAMAGED),
  "from a newer version": same(NEWER),
  "with status.json damaged": answers(DAMAGED, DAMAGED, "works", "works", "works", "works", "works", ALONE),
  "with a status of a newer version": answers(
    NEWER,
    NEWER,
    "works",
    "works",
    "works",
    "works",
    "works",
    ALONE,
  ),
  "with a status that is something else": answers(
    DAMAGED,
    DAMAGED,
    "works",
    "works",
    "works",
    "works",
    "works",
    ALONE,
  ),
  "with members.json damaged": answers(
    "works",
    NO_LIST,
    "works",
    "works",
    "works",
    "works",
    NO_LIST,
    NO_LIST,
  ),
  "with members.json of a newer version": answers(
    "works",
    NEWER,
    "works",
    "works",
    "works",
    "works",
    NEWER,
    NEWER,
  ),
  "held by a live process": sound,
  "with a torn tail": sound,
  "with a torn segment before a valid one": damaged,
  "with a flipped bit in a sealed segment": damaged,
  "with the version of a batch changed": damaged,
  "with damage below the watermark": damaged,
  "with a watermark of a newer version": answers("works", NEWER, NEWER, NEWER, NEWER, NEWER, "works", ALONE),
  "with a damaged watermark": readable,
  "with a damaged checkpoint": readable,
};

const DAYS = [...BAD_DAYS, ...DAMAGE];
/** Each names the scenario it is an instance of. */
const SCENARIOS: Readonly<Record<string, string>> = {
  "with a torn tail": "scenario 3",
  "with a torn segment before a valid one": "scenario 4",
  "with a flipped bit in a sealed segment": "scenario 5",
  "with damage below the watermark": "scenario 6",
};

/** A running region replaces its own status meanwhile. */
function withoutStatus(tree: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(tree).filter(([name]) => !name.includes("status.json")));
}

describe.each(DAYS.map((day) => [SCENARIOS[day.name] ?? "", day.name, day] as const))(
  "CLI-6 %s on a directory %s",
  (_, name, day) => {
    // Made once: no command changes it.
    let place: Place;
    let end: void | (() => Promise<void>);
    beforeAll(async () => {
      place = new Place();
      end = await day.make(place.path("data"));
    });
    afterAll(async () => {
      await end?.();
      place[Symbol.dispose]();
    });

    test.each(COMMANDS.map((command, index) => [command, ANSWERS[name]![index]!] as const))(
      "`tidemark %s` says so and changes nothing",
      async (command, answer) => {
        const dir = place.path("data");
        const look = (): Record<string, string> =>
          end === undefined ? treeOf(place.dir) : withoutStatus(treeOf(place.dir));
        const before = look();
        const argv = command.split(" ").map((word) => (word === "DIR" ? dir : word));
        const text = await cli(argv);
        const json = await cli([...argv, "--json"]);
        expect(look()).toEqual(before);
        expectAnswer(command, answer, dir, text, json);
      },
    );
  },
);

function expectAnswer(command: string, answer: Answer, dir: string, text: Ran, json: Ran): void {
  const error = Array.isArray(answer)
    ? answer
    : typeof answer === "object" && "stops" in answer
      ? answer.stops
      : undefined;
  if (error === undefined) {
    const code = typeof answer === "object" && "finds" in answer ? answer.finds : 0;
    expect(text.code).toBe(code);
    expect(json.code).toBe(code);
    // There are no rows where nothing was signalled, or nothing is of the session, and it says so beside them.
    if (command.startsWith("export") || command.startsWith("tail")) return;
    expect(text.stdout.length).toBeGreaterThan(0);
    expect([text.stderr, json.stderr]).toEqual(["", ""]);
    expect(JSON.parse(json.stdout)).toBeDefined();
    return;
  }
  const [code, name] = error as readonly [number, string];
  expect(text.code).toBe(code);
  expect(text.stderr).toMatch(/^tidemark: [^\n]+\n$/);
  expect(text.stderr).toContain(`(${name})`);
  expect(json.code).toBe(code);
  expect(JSON.parse(json.stderr)).toMatchObject({ error: { code: name, exitCode: code } });
  if (Array.isArray(answer)) {
    expect(text.stderr).toContain(dir);
    expect([text.stdout, json.stdout]).toEqual(["", ""]);
  } else if (command.startsWith("wal dump")) {
    // What stands there is whole: an array of the records before the damage.
    expect(Array.isArray(JSON.parse(json.stdout))).toBe(true);
  }
}

test("CLI-6 the table has every directory something is wrong with, and every command that takes one", () => {
  expect(Object.keys(ANSWERS)).toEqual(DAYS.map(({ name }) => name));
  for (const answers of Object.values(ANSWERS)) expect(answers).toHaveLength(COMMANDS.length);
  const leaves = commandsBelow(programOf(NOWHERE, "0")).map((words) => words.join(" "));
  const missing = leaves.filter(
    (name) =>
      !["", "wal", "members", "keygen"].includes(name) &&
      !name.startsWith("provision") &&
      // They take a store, see zones.test.ts.
      !name.startsWith("zones") &&
      !COMMANDS.some((one) => one.startsWith(name)),
  );
  expect(missing).toEqual([]);
});
