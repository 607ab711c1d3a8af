import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { cli, makeRegion, Place } from "./harness.ts";

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

test.each(documented.map(({ command, shape }) => [command, shape] as const))(
  "CLI-2 `%s` prints the shape that the README documents",
  async (command, shape) => {
    using place = new Place();
    await (await makeRegion(place.path("data/us-east"))).close();
    const { code, stdout, stderr } = await cli(command.split(" ").slice(1), { cwd: place.dir });
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(differences(JSON.parse(stdout), shape, "")).toEqual([]);
  },
);
