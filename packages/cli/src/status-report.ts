import { stat } from "node:fs/promises";
import { join } from "node:path";
import { STATUS_FILE } from "@tidemark/region";
import type { RegionStatus } from "@tidemark/region";
import { parseObject, readIfThere, requireFormat } from "./directory.ts";
import { CliError } from "./errors.ts";
import { formatSpan } from "./units.ts";

/** When a status counts as bad. */
export interface StatusLimits {
  /** Of the lag of any member, in seconds. */
  readonly maxLagSeconds: number;
  /** Of the status itself, in seconds. */
  readonly maxAgeSeconds: number;
}

/** What `status --json` prints. */
export interface StatusJson {
  readonly dir: string;
  /** `true`: nothing is wrong. */
  readonly healthy: boolean;
  /** What is wrong, a sentence each; empty if nothing is. */
  readonly problems: readonly string[];
  /** How old the status is, by this machine's clock. */
  readonly ageSeconds: number;
  /** `status.json` as the region wrote it; see docs/formats.md. */
  readonly status: RegionStatus;
}

/**
 * Reads what a region last told of itself; `undefined` if it never did.
 *
 * @throws CliError `CLI_DAMAGED`, `CLI_NEWER_VERSION`.
 */
export async function readStatus(dir: string): Promise<RegionStatus | undefined> {
  const path = join(dir, STATUS_FILE);
  const text = await readIfThere(path);
  if (text === undefined) return undefined;
  const value = parseObject(text, path);
  requireFormat(value, path);
  const { writtenAtMs, name, id, pid, health, metrics } = value;
  const known =
    typeof writtenAtMs === "number" &&
    typeof name === "string" &&
    typeof id === "number" &&
    typeof pid === "number" &&
    isObject(health) &&
    Array.isArray(health["reasons"]) &&
    isObject(metrics) &&
    Array.isArray(metrics["logs"]) &&
    Array.isArray(metrics["peers"]) &&
    isObject(metrics["wal"]) &&
    isObject(metrics["queue"]);
  if (!known) throw new CliError("CLI_DAMAGED", `Cannot read ${path}: it is not what Tidemark writes there`);
  return value as unknown as RegionStatus;
}

/** Judges a status. */
export function judgeStatus(
  dir: string,
  status: RegionStatus,
  limits: StatusLimits,
  nowMs: number,
): StatusJson {
  const { health, metrics, pid } = status;
  const ageSeconds = (nowMs - status.writtenAtMs) / 1_000;
  const problems: string[] = [];
  if (health.status === "closed") problems.push("The region is closed");
  else if (ageSeconds > limits.maxAgeSeconds)
    problems.push(`The status is ${formatSpan(ageSeconds)} old: process ${pid} writes it no more`);
  if (ageSeconds < -limits.maxAgeSeconds)
    problems.push(`The status is ${formatSpan(-ageSeconds)} ahead of this machine's clock`);
  if (health.status !== "ready" && health.status !== "closed")
    problems.push(...(health.reasons.length > 0 ? health.reasons : [`The region is ${health.status}`]));
  for (const { peer, lagSeconds, lagRecords, needsSnapshot } of metrics.peers) {
    if (needsSnapshot) problems.push(`${peer} lacks what is not kept any more: it needs a snapshot`);
    if (lagSeconds > limits.maxLagSeconds)
      problems.push(`${peer} is ${formatSpan(lagSeconds)} and ${lagRecords} records behind`);
  }
  for (const { log, state, reason, gapRecords } of metrics.logs) {
    if (state === "stopped") problems.push(`Log ${log} is stopped: ${reason ?? "no reason given"}`);
    else if (gapRecords > 0) problems.push(`Log ${log} misses ${gapRecords} records`);
  }
  const distinct = [...new Set(problems)];
  return { dir, healthy: distinct.length === 0, problems: distinct, ageSeconds, status };
}

/** When a file was changed last, in milliseconds; `undefined` if it is not there. */
export async function changedAtMs(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).mtimeMs;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
