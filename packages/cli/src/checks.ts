import { constants } from "node:fs";
import { access, readdir, statfs } from "node:fs/promises";
import { join } from "node:path";
import { readIfThere } from "./directory.ts";
import { changedAtMs, judgeStatus, readStatus } from "./status-report.ts";
import { formatBytes, formatSpan } from "./units.ts";

/** One thing that was looked at. */
export interface DoctorCheck {
  /** Names it, in one word. */
  readonly check: string;
  readonly result: "ok" | "warn" | "fail";
  /** What was found and, unless it is ok, what to do. */
  readonly message: string;
}

/** What a check looks at. */
export interface Patient {
  readonly dir: string;
  readonly nowMs: number;
  /** The live process that holds the directory. */
  readonly holder: string | undefined;
}

const NODE_MIN = [20, 19] as const;
const FREE_WARN_BYTES = 1024 ** 3;
const FREE_FAIL_BYTES = 64 * 1024 ** 2;
/** A region notes how far ahead it may stamp; more than that and the bound of drift means that a clock went back. */
const CLOCK_AHEAD_MS = 10_000;
const STATUS_LIMITS = { maxLagSeconds: 2, maxAgeSeconds: 10 };

/** Whether this Node is one that Tidemark runs on. */
export function checkNode(version: string): DoctorCheck {
  const [major = 0, minor = 0] = version.replace(/^v/, "").split(".").map(Number);
  const old = major < NODE_MIN[0] || (major === NODE_MIN[0] && minor < NODE_MIN[1]);
  return {
    check: "node",
    result: old ? "fail" : "ok",
    message: old ? `${version} is too old: use ${NODE_MIN.join(".")} or newer` : version,
  };
}

/** Whether there is room to write. */
export async function checkDisk({ dir }: Patient): Promise<DoctorCheck> {
  const { bavail, bsize } = await statfs(dir);
  const free = bavail * bsize;
  const result = free < FREE_FAIL_BYTES ? "fail" : free < FREE_WARN_BYTES ? "warn" : "ok";
  const advice = result === "ok" ? "" : ": make room, a region refuses writes on a full disk";
  return { check: "disk", result, message: `${formatBytes(free)} free${advice}` };
}

/** Whether this user may write there. */
export async function checkRights({ dir }: Patient): Promise<DoctorCheck> {
  try {
    await access(dir, constants.R_OK | constants.W_OK | constants.X_OK);
    return { check: "rights", result: "ok", message: "this user may read and write" };
  } catch {
    return {
      check: "rights",
      result: "fail",
      message: "this user may not write: change the owner or the mode",
    };
  }
}

/** Whether somebody has the directory open. */
export function checkLock({ holder }: Patient): DoctorCheck {
  const message = holder === undefined ? "nobody has the directory open" : `${holder} has the directory open`;
  return { check: "lock", result: "ok", message };
}

/** Whether the wall clock is behind what this region has stamped. */
export async function checkClock({ dir, nowMs }: Patient): Promise<DoctorCheck> {
  const text = await readIfThere(join(dir, "clock"));
  const bounds = [...(text ?? "").matchAll(/\d+/g)].map(([digits]) => Number(digits));
  if (text === undefined) return { check: "clock", result: "ok", message: "no stamp was issued yet" };
  if (bounds.length === 0)
    return {
      check: "clock",
      result: "warn",
      message: "the clock file cannot be read: the next start writes it anew",
    };
  const aheadMs = Math.max(...bounds) - nowMs;
  if (aheadMs > CLOCK_AHEAD_MS) {
    const span = formatSpan(aheadMs / 1_000);
    return {
      check: "clock",
      result: "warn",
      message: `this machine's clock is ${span} behind stamps issued here: look at its time service`,
    };
  }
  return { check: "clock", result: "ok", message: "ahead of every stamp issued here" };
}

/** How old the newest checkpoint is: what a start replays. */
export async function checkCheckpoint({ dir, nowMs }: Patient): Promise<DoctorCheck> {
  const names = (await readdir(dir)).filter((name) => /^checkpoint-\d+\.tmcp$/.test(name)).toSorted();
  const newest = names.at(-1);
  if (newest === undefined)
    return {
      check: "checkpoint",
      result: "ok",
      message: "none: a start replays the logs from their beginning",
    };
  const changed = (await changedAtMs(join(dir, newest))) ?? nowMs;
  return { check: "checkpoint", result: "ok", message: `written ${ago(nowMs - changed)}` };
}

/** What the region last told of itself. */
export async function checkStatus({ dir, nowMs, holder }: Patient): Promise<DoctorCheck> {
  const status = await readStatus(dir);
  if (status === undefined)
    return { check: "status", result: "warn", message: "no region has told its status here yet" };
  const { problems, ageSeconds } = judgeStatus(dir, status, STATUS_LIMITS, nowMs);
  const told = `told ${ago(ageSeconds * 1_000)}`;
  if (status.health.status === "closed")
    return { check: "status", result: "ok", message: `closed in good order, ${told}` };
  if (ageSeconds > STATUS_LIMITS.maxAgeSeconds) {
    const message =
      holder === undefined
        ? `${told}, and nobody has the directory open: process ${status.pid} ended without closing the region; opening it recovers`
        : `${told}, though ${holder} has the directory open: it hangs, or its disk does`;
    return { check: "status", result: holder === undefined ? "warn" : "fail", message };
  }
  const result = problems.length === 0 ? "ok" : "warn";
  return { check: "status", result, message: [`${status.health.status}, ${told}`, ...problems].join("; ") };
}

function ago(ms: number): string {
  return ms < 0 ? "just now" : `${formatSpan(ms / 1_000)} ago`;
}
