import { describe, expect, test } from "vitest";
import { parseFlags } from "../src/flags.ts";

const pipe = { cwd: "/here", hasInput: true, env: {} };
const terminal = { cwd: "/here", hasInput: false, env: {} };

const inProcess = { transport: "inprocess", processes: false };

describe("APP-3 the command line", () => {
  test("reads a pipe without FILE, and plays the shipped recording on a terminal", () => {
    const rest = { json: false, seed: 1, wiring: inProcess };
    expect(parseFlags([], pipe)).toEqual({ kind: "run", flags: { ...rest, file: "-" } });
    expect(parseFlags([], terminal)).toEqual({ kind: "run", flags: rest });
    expect(parseFlags(["-"], terminal)).toEqual({ kind: "run", flags: { ...rest, file: "-" } });
  });

  test("resolves paths", () => {
    expect(
      parseFlags(["a", "--json", "--seed", "7", "--speed=0.5", "--state", "b", "--dir", "/c"], pipe),
    ).toEqual({
      kind: "run",
      flags: {
        file: "/here/a",
        json: true,
        seed: 7,
        speed: 0.5,
        state: "/here/b",
        dir: "/c",
        wiring: inProcess,
      },
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

describe("APP-2 the command line", () => {
  const wiringOf = (argv: readonly string[], env = {}): unknown => {
    const line = parseFlags(argv, { ...pipe, env });
    return line.kind === "run" ? line.flags.wiring : line;
  };

  test("takes a broker from a flag, else from the environment, else none", () => {
    const env = { NATS_URL: "nats://there:1", REDIS_URL: "" };
    expect(wiringOf([], env)).toEqual(inProcess);
    expect(wiringOf(["--transport", "nats"], env)).toEqual({
      transport: "nats",
      processes: false,
      url: "nats://there:1",
    });
    expect(wiringOf(["--transport", "nats", "--processes", "--nats", "nats://here:2"], env)).toEqual({
      transport: "nats",
      processes: true,
      url: "nats://here:2",
    });
    expect(wiringOf(["--transport", "redis", "--processes"], env)).toEqual({
      transport: "redis",
      processes: true,
    });
  });

  test.each([
    [["--processes"], /in-process network ends where its process does/],
    [["--transport", "inprocess", "--processes"], /--processes needs --transport nats or redis/],
    [["--transport", "kafka"], /choices are inprocess, nats, redis/],
    [["--transport", "redis", "--nats", "nats://here"], /--nats goes with --transport nats/],
    [["--redis", "redis://here"], /--redis goes with --transport redis/],
  ])("refuses %j", (argv, message) => {
    expect(wiringOf(argv)).toMatchObject({ kind: "error", message: expect.stringMatching(message) });
  });
});
