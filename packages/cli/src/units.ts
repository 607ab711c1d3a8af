import { CliError } from "./errors.ts";
import { InvalidArgumentError } from "commander";

const SECONDS: Readonly<Record<string, number>> = { ms: 0.001, s: 1, m: 60, h: 3_600, d: 86_400 };

/** Reads a span such as `2s`, `500ms` or `1.5m` into seconds; a number alone is seconds. */
export function parseSpan(text: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)?$/.exec(text);
  if (match === null) throw new InvalidArgumentError("It must be a span such as 2s, 500ms or 1m.");
  return Number(match[1]) * (SECONDS[match[2] ?? "s"] as number);
}

/** Reads a number of things, 1 or more. */
export function parseCount(text: string): number {
  const count = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(count) || count < 1)
    throw new InvalidArgumentError("It must be 1 or more.");
  return count;
}

/** A span of seconds for people. */
export function formatSpan(seconds: number): string {
  if (seconds < 1) return `${Math.round(seconds * 1_000)} ms`;
  if (seconds < 120) return `${trim(seconds)} s`;
  if (seconds < 7_200) return `${trim(seconds / 60)} min`;
  if (seconds < 172_800) return `${trim(seconds / 3_600)} h`;
  return `${trim(seconds / 86_400)} days`;
}

/** Bytes for people. */
export function formatBytes(bytes: number): string {
  for (const [unit, size] of [
    ["GiB", 2 ** 30],
    ["MiB", 2 ** 20],
    ["KiB", 2 ** 10],
  ] as const) {
    if (bytes >= size) return `${trim(bytes / size)} ${unit}`;
  }
  return `${bytes} B`;
}

function trim(value: number): string {
  return String(Number(value.toFixed(1)));
}

/** Reads a moment: a date, Unix milliseconds, or a span ago. */
export function parseTime(text: string, nowMs: number): number {
  if (/^\d{11,}$/.test(text)) return Number(text);
  if (/^\d+(?:\.\d+)?(?:ms|s|m|h|d)$/.test(text)) return nowMs - parseSpan(text) * 1_000;
  const time = /^\d{4}-\d\d-\d\d/.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isFinite(time)) return time;
  throw new CliError("CLI_USAGE", `${JSON.stringify(text)} is no time: give 2026-11-21, 1790000000000 or 7d`);
}
