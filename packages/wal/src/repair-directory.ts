import type { LogId } from "@tidemark/core";
import type { DirectoryState } from "./directory.ts";
import type { BatchSource } from "./dump.ts";
import { WalError } from "./errors.ts";
import type { WalFs } from "./file-system.ts";
import { verifyDirectory, type Finding, type VerifyOptions } from "./verify.ts";
import { openWal } from "./wal.ts";

/**
 * Something that a repair does.
 *
 * - `cut`: a torn tail goes, and the epoch has ended.
 * - `fetch`: damaged or missing LSNs are replaced by verified batches; nothing is cut for it.
 * - `begin-anew`: what a crash interrupted is completed.
 * - `write-watermark`: the damaged or missing watermark is written anew, and every epoch has ended.
 */
export interface RepairAction {
  readonly kind: "cut" | "fetch" | "begin-anew" | "write-watermark";
  readonly log: LogId | undefined;
  /** Below the directory. */
  readonly file: string;
  readonly offset: number;
  /** Bytes that are cut. */
  readonly bytes: number | undefined;
  /** The LSNs concerned; `to` is unknown where nothing good follows. */
  readonly from: number | undefined;
  readonly to: number | undefined;
  /** For `fetch`: whether the source has the first of them. */
  readonly available: boolean | undefined;
}

/** What {@link repairDirectory} would do, or has done. */
export interface DirectoryRepair {
  readonly state: DirectoryState;
  readonly holder: string | undefined;
  /** What was to be done, by what was found before. */
  readonly actions: readonly RepairAction[];
  /** The directory was opened and worked on; false for a dry run, and where there was nothing to do. */
  readonly changed: boolean;
  /** What is wrong now, after the repair, or, when nothing was changed, before it. */
  readonly remaining: readonly Finding[];
  /** Why a log could not be repaired. */
  readonly failures: readonly { readonly log: LogId; readonly error: unknown }[];
}

/** Options of {@link repairDirectory}. */
export interface RepairDirectoryOptions extends VerifyOptions {
  /** Only say what would be done. @defaultValue false */
  readonly dryRun?: boolean;
  /** Where good batches come from, such as `directorySource`; without it corruption stays as it is. */
  readonly fetch?: BatchSource;
}

/**
 * Repairs a directory that nobody has open: cuts torn tails, and replaces what is damaged by verified batches.
 *
 * Nothing is ever cut on suspicion, and a directory of a newer version, or that is none of ours, is left alone. A dry
 * run changes nothing and needs no lock.
 *
 * @throws {@link WalError} `WAL_LOCKED` that names the holder, but for a dry run.
 */
export async function repairDirectory(
  fs: WalFs,
  dir: string,
  options: RepairDirectoryOptions,
): Promise<DirectoryRepair> {
  const { hasher, fetch, signal, dryRun = false } = options;
  const { state, holder, findings } = await verifyDirectory(fs, dir, options);
  const newer = findings.some((finding) => finding.kind === "newer-version");
  const actions: RepairAction[] = [];
  if (state === "wal" && !newer)
    for (const finding of findings) actions.push(...(await actionOf(finding, fetch)));
  if (dryRun || actions.length === 0)
    return { state, holder, actions, changed: false, remaining: findings, failures: [] };

  const wal = await openWal({ fs, dir, hasher });
  const failures: { log: LogId; error: unknown }[] = [];
  try {
    for (const { id, failed } of fetch === undefined ? [] : wal.logs()) {
      if (failed === undefined) continue;
      try {
        await wal.repair(id, async (from, to) => fetch?.(id, from, to), { ...(signal && { signal }) });
      } catch (error) {
        signal?.throwIfAborted();
        failures.push({ log: id, error });
      }
    }
  } finally {
    await wal.close();
  }
  const after = await verifyDirectory(fs, dir, { ...options, onProgress: () => {} });
  return { state, holder, actions, changed: true, remaining: after.findings, failures };
}

async function actionOf(finding: Finding, fetch: BatchSource | undefined): Promise<RepairAction[]> {
  const { kind, log, file, offset, bytes, from, to } = finding;
  const action = { log, file, offset, bytes, from, to, available: undefined };
  if (kind === "torn-tail") return [{ ...action, kind: "cut" }];
  if (kind === "begun-anew") return [{ ...action, kind: "begin-anew" }];
  if (kind === "watermark-damaged") return [{ ...action, kind: "write-watermark" }];
  if ((kind !== "corruption" && kind !== "gap") || log === undefined || from === undefined) return [];
  return [{ ...action, kind: "fetch", available: await has(fetch, log, from, to ?? from) }];
}

async function has(fetch: BatchSource | undefined, log: LogId, from: number, to: number): Promise<boolean> {
  try {
    return (await fetch?.(log, from, to)) !== undefined;
  } catch (error) {
    if (error instanceof WalError) return false;
    throw error;
  }
}
