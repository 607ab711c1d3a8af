import { join } from "node:path";
import { verifyDirectory } from "@tidemark/wal";
import type { DirectoryInspection } from "@tidemark/wal";
import { nodeFs } from "@tidemark/wal/node";
import { changedAtMs } from "./status-report.ts";
import type { DoctorCheck, Patient } from "./checks.ts";
import { describeMembers } from "./members-list.ts";
import { HARMLESS, walOptions } from "./survey.ts";
import { formatBytes, formatSpan } from "./units.ts";

/** Logs up to this size are read whole: a doctor's visit is short. */
export const READ_BYTES_MAX: number = 64 * 1024 * 1024;

/** Whether the last run of the logs is known. */
export async function checkWatermark(
  { dir, nowMs, holder }: Patient,
  { watermark, logs }: DirectoryInspection,
): Promise<DoctorCheck> {
  const check = "watermark";
  if (watermark === "damaged" || (watermark === undefined && logs.length > 0)) {
    const what = watermark === undefined ? "is missing" : "is damaged";
    return { check, result: "warn", message: `it ${what}: the next start begins new epochs` };
  }
  if (watermark === undefined) return { check, result: "ok", message: "nothing was written yet" };
  const changed = (await changedAtMs(join(dir, "watermark"))) ?? nowMs;
  const run =
    holder !== undefined
      ? "under way"
      : watermark.clean
        ? "closed in good order"
        : "not closed: the next start recovers";
  return {
    check,
    result: "ok",
    message: `written ${formatSpan(Math.max(0, nowMs - changed) / 1_000)} ago, last run ${run}`,
  };
}

/** Whether the logs are what was written. Small ones are read whole, large ones are left to `wal verify`. */
export async function checkLogs(
  { dir }: Patient,
  { logs, bytes }: DirectoryInspection,
  signal: AbortSignal,
): Promise<DoctorCheck & { readonly corrupt: boolean }> {
  const size = `${formatBytes(bytes)} in ${logs.length} ${logs.length === 1 ? "log" : "logs"}`;
  if (bytes > READ_BYTES_MAX) {
    const message = `${size}, not read: \`tidemark wal verify\` does`;
    return { check: "logs", result: "ok", message, corrupt: false };
  }
  const { findings } = await verifyDirectory(nodeFs(), dir, { ...walOptions(), signal });
  const [first] = findings.filter(({ kind }) => !HARMLESS.has(kind));
  if (first !== undefined) {
    const message = `${first.kind} in ${first.file} at ${first.offset}: see \`tidemark wal verify\``;
    return { check: "logs", result: "fail", message, corrupt: first.kind !== "newer-version" };
  }
  const torn = findings.some(({ kind }) => kind !== "unfinished");
  const message = torn
    ? `${size}; a crash left the last write half done, and opening completes or cuts it`
    : `${size}, every byte read`;
  return { check: "logs", result: torn ? "warn" : "ok", message, corrupt: false };
}

/** Who belongs to the cluster. */
export async function checkMembers({ dir }: Patient): Promise<DoctorCheck> {
  const { version, members } = await describeMembers(dir);
  const names = members.map(({ name }) => name).join(", ");
  return { check: "members", result: "ok", message: version === 0 ? "alone" : `list ${version}: ${names}` };
}
