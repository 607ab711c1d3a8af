import { expect, test } from "vitest";
import { Trace, TRACE_LINES_MAX } from "../src/index.ts";

test("Trace has a hash that every part of every line changes, and their order", () => {
  const hashOf = (lines: readonly [number, string, string, string, number][]): string => {
    let now = 0;
    const trace = new Trace(() => now);
    for (const [at, ...line] of lines) {
      now = at;
      trace.note(...line);
    }
    return trace.hash;
  };
  const base = hashOf([[1, "us", "write", "data/a", 7]]);
  expect(base).toMatch(/^[0-9a-f]{32}$/);
  expect(hashOf([[1, "us", "write", "data/a", 7]])).toBe(base);
  const others = [
    hashOf([[1.001, "us", "write", "data/a", 7]]),
    hashOf([[1, "eu", "write", "data/a", 7]]),
    hashOf([[1, "us", "sync", "data/a", 7]]),
    hashOf([[1, "us", "write", "data/b", 7]]),
    hashOf([[1, "us", "write", "data/a", 8]]),
    hashOf([]),
    hashOf([
      [1, "us", "write", "data/a", 7],
      [1, "us", "write", "data/a", 7],
    ]),
    hashOf([
      [1, "us", "write", "data/a", 7],
      [1, "us", "sync", "data/a", 7],
    ]),
    hashOf([
      [1, "us", "sync", "data/a", 7],
      [1, "us", "write", "data/a", 7],
    ]),
  ];
  expect(new Set([base, ...others]).size).toBe(others.length + 1);
});

test("Trace keeps its last lines in order", () => {
  const trace = new Trace(() => 12.5);
  for (let number = 0; number < TRACE_LINES_MAX + 3; number++) trace.note("us", "write", `data/${number}`, 9);
  const lines = trace.lines();
  expect(lines).toHaveLength(TRACE_LINES_MAX);
  expect(lines[0]).toBe("      12.500 us       write data/3 9");
  expect(lines.at(-1)).toContain(`data/${TRACE_LINES_MAX + 2}`);
});
