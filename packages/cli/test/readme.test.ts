import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { programOf } from "../src/run-cli.ts";
import { cli, commandsBelow, makeMember, makeStore, NOWHERE, Place } from "./harness.ts";

const README = readFileSync(new URL("../README.md", import.meta.url), "utf8");
const documented = [...README.matchAll(/```sh\n(tidemark .*--json.*)\n```\n\n```json\n([\s\S]*?)```/g)].map(
  ([, command, json]) => ({ command: command!, shape: JSON.parse(json!) as unknown }),
);

/** What a value has that the documentation does not say, or the other way round. */
function differences(actual: unknown, shape: unknown, path: string): string[] {
  if (shape === "…" || shape === null) return [];
  if (Array.isArray(shape)) {
    if (!Array.isArray(actual)) return [`${path} is no array`];
    if (shape.length === 0) return [];
    return actual.flatMap((one, index) => differences(one, shape[0], `${path}[${index}]`));
  }
  if (typeof shape === "object") {
    if (typeof actual !== "object" || actual === null || Array.isArray(actual))
      return [`${path} is no object`];
    const keys = Object.keys(shape);
    if (keys.length === 0) return [];
    const missing = keys.filter((key) => !(key in actual)).map((key) => `${path}.${key} is not there`);
    const extra = Object.keys(actual).filter((key) => !keys.includes(key));
    return [
      ...missing,
      ...extra.map((key) => `${path}.${key} is not documented`),
      ...keys.flatMap((key) =>
        differences(
          (actual as Record<string, unknown>)[key],
          (shape as Record<string, unknown>)[key],
          `${path}.${key}`,
        ),
      ),
    ];
  }
  return typeof actual === typeof shape ? [] : [`${path} is a ${typeof actual}, not a ${typeof shape}`];
}

test("CLI-2 the README documents the JSON of every command", () => {
  const leaves = commandsBelow(programOf(NOWHERE, "0")).filter((words) => words.length > 0);
  const groups = new Set(leaves.flatMap((words) => (words.length > 1 ? [words[0]] : [])));
  const undocumented = leaves
    .filter((words) => words.length > 1 || !groups.has(words[0]))
    .map((words) => words.join(" "))
    .filter((name) => !documented.some(({ command }) => command.startsWith(`tidemark ${name} `)));
  // It prints what `members add` prints.
  expect(undocumented).toEqual(["members remove"]);
});

test.each(documented.map(({ command, shape }) => [command, shape] as const))(
  "CLI-2 `%s` prints the shape that the README documents",
  async (command, shape) => {
    using place = new Place();
    await makeMember(place.path("data/us-east"));
    if (command.includes("--store")) await makeStore(place);
    const { code, stdout, stderr } = await cli(command.split(" ").slice(1), { cwd: place.dir });
    expect({ code, error: stderr.includes("error") }).toEqual({ code: 0, error: false });
    expect(differences(JSON.parse(stdout), shape, "")).toEqual([]);
  },
);

/** Commands of the shell examples of a page; `# N` behind one is the exit code it says it has. */
function shellExamples(page: string): { line: string; code: number }[] {
  const text = readFileSync(new URL(`../../../${page}`, import.meta.url), "utf8");
  return [...text.matchAll(/```sh\n([\s\S]*?)```/g)].flatMap(([, block]) =>
    block!
      .split("\n")
      .filter((line) => line.startsWith("tidemark "))
      .map((line) => ({ line: line.replace(/ # \d+$/, ""), code: Number(/ # (\d+)$/.exec(line)?.[1] ?? 0) })),
  );
}

test.each(["packages/cli/README.md", "docs/operate.md"])(
  "CLI-2 the commands of %s work, in its order",
  async (page) => {
    using place = new Place();
    for (const name of ["us-east", "eu-west"]) await makeMember(place.path("data", name));
    await makeStore(place);
    const examples = shellExamples(page);
    expect(examples.length).toBeGreaterThan(5);
    for (const { line, code } of examples) {
      const ran = await cli(line.split(" ").slice(1), { cwd: place.dir });
      expect({ line, code: ran.code, stderr: ran.code === 0 ? "" : ran.stderr }).toEqual({
        line,
        code,
        stderr: "",
      });
      expect(ran.stdout.length + ran.stderr.length, line).toBeGreaterThan(0);
    }
  },
);

test("RGN-2 the page on operating has every alert rule, and no other", () => {
  const page = readFileSync(new URL("../../../docs/operate.md", import.meta.url), "utf8");
  const rules = readFileSync(new URL("../../../docs/grafana/alerts.yaml", import.meta.url), "utf8");
  const listed = [...page.matchAll(/^\| `(Tidemark\w+)`/gm)].map(([, name]) => name);
  expect(listed).toEqual([...rules.matchAll(/- alert: (\w+)/g)].map(([, name]) => name));
});
