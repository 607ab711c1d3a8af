import { describe, expect, test } from "vitest";
import { parseFlags } from "../src/flags.ts";

const pipe = { cwd: "/here", isTerminal: false };
const terminal = { cwd: "/here", isTerminal: true };

describe("APP-3 the command line", () => {
  test("reads a pipe without FILE, and plays the shipped recording on a terminal", () => {
    const rest = { json: false, seed: 1 };
    expect(parseFlags([], pipe)).toEqual({ kind: "run", flags: { ...rest, file: "-" } });
    expect(parseFlags([], terminal)).toEqual({ kind: "run", flags: rest });
    expect(parseFlags(["-"], terminal)).toEqual({ kind: "run", flags: { ...rest, file: "-" } });
  });

  test("resolves paths", () => {
    expect(
      parseFlags(["a", "--json", "--seed", "7", "--speed=0.5", "--state", "b", "--dir", "/c"], pipe),
    ).toEqual({
      kind: "run",
      flags: { file: "/here/a", json: true, seed: 7, speed: 0.5, state: "/here/b", dir: "/c" },
    });
  });

  test.each([
    [["--seed", "x"]],
    [["--seed", "1.5"]],
    [["--seed", "9007199254740993"]],
    [["--seed"]],
    [["--speed", "0"]],
    [["--speed", "-1"]],
    [["--speed", "Infinity"]],
    [["--speed", ""]],
    [["--sede", "1"]],
    [["a", "b"]],
  ])("refuses %j", (argv) => {
    expect(parseFlags(argv, pipe)).toMatchObject({
      kind: "error",
      message: expect.stringMatching(/^error: /),
    });
  });

  test("has help with two examples", () => {
    const help = parseFlags(["--help"], pipe);
    expect(help.kind === "help" && help.text.match(/^ {2}\$ npm run/gm)).toHaveLength(2);
  });
});
