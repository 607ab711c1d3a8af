import { describe, expect, test } from "vitest";
import { BAD_DAYS } from "./bad-days.ts";
import { cli, Place, treeOf } from "./harness.ts";

/** What a command says to a directory: an exit code and a code, or that it works. */
type Answer = readonly [exit: number, code: string] | "works";

const NO_DIRECTORY: Answer = [1, "CLI_NO_DIRECTORY"];
const NOT_A_REGION: Answer = [1, "CLI_NOT_A_REGION"];
const DAMAGED: Answer = [5, "CLI_DAMAGED"];
const NEWER: Answer = [1, "CLI_NEWER_VERSION"];

/** Every command that takes a directory, against every directory something is wrong with. */
const ANSWERS: Readonly<Record<string, Readonly<Record<string, Answer>>>> = {
  missing: { status: NO_DIRECTORY, doctor: NO_DIRECTORY },
  "a file": { status: NO_DIRECTORY, doctor: NO_DIRECTORY },
  empty: { status: NOT_A_REGION, doctor: NOT_A_REGION },
  "not ours": { status: NOT_A_REGION, doctor: NOT_A_REGION },
  "without region.json": { status: DAMAGED, doctor: DAMAGED },
  "with region.json damaged": { status: DAMAGED, doctor: DAMAGED },
  "from a newer version": { status: NEWER, doctor: NEWER },
  "with status.json damaged": { status: DAMAGED, doctor: DAMAGED },
  "with a status of a newer version": { status: NEWER, doctor: NEWER },
  "with a status that is something else": { status: DAMAGED, doctor: DAMAGED },
  "held by a live process": { status: "works", doctor: "works" },
};

/** A running region replaces its own status meanwhile. */
function withoutStatus(tree: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(tree).filter(([name]) => !name.includes("status.json")));
}

describe.each(BAD_DAYS.map((day) => [day.name, day] as const))("CLI-6 on a directory %s", (name, day) => {
  test.each(Object.entries(ANSWERS[name] ?? {}))(
    "`tidemark %s` says so and changes nothing",
    async (command, answer) => {
      using place = new Place();
      const dir = place.path("data");
      const end = await day.make(dir);
      try {
        const held = end !== undefined;
        const look = (): Record<string, string> =>
          held ? withoutStatus(treeOf(place.dir)) : treeOf(place.dir);
        const before = look();
        const argv = [...command.split(" "), dir];
        const text = await cli(argv);
        const json = await cli([...argv, "--json"]);
        expect(look()).toEqual(before);
        if (answer === "works") {
          expect(text).toMatchObject({ code: 0, stderr: "" });
          expect(JSON.parse(json.stdout)).toBeDefined();
          return;
        }
        const [exit, code] = answer;
        expect(text).toMatchObject({ code: exit, stdout: "" });
        expect(text.stderr).toMatch(/^tidemark: [^\n]+\n$/);
        expect(text.stderr).toContain(`(${code})`);
        expect(text.stderr).toContain(place.dir);
        expect(json).toMatchObject({ code: exit, stdout: "" });
        expect(JSON.parse(json.stderr)).toMatchObject({ error: { code, exitCode: exit } });
      } finally {
        await end?.();
      }
    },
  );
});

test("CLI-6 the table has every directory something is wrong with", () => {
  expect(Object.keys(ANSWERS)).toEqual(BAD_DAYS.map(({ name }) => name));
});
