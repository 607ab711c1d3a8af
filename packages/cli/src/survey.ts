import { createBlake3Hasher } from "@tidemark/blake3-wasm";
import type { Hasher } from "@tidemark/core";
import { MEMBERS_FILE, STATUS_FILE } from "@tidemark/region";
import { inspectDirectory } from "@tidemark/wal";
import type { DirectoryInspection, DirectoryOptions, FindingKind } from "@tidemark/wal";
import { nodeFs } from "@tidemark/wal/node";
import { requireKnownVersion } from "./directory.ts";
import { CliError } from "./errors.ts";

/** What a region keeps beside its logs. */
export const REGION_NAMES: readonly string[] = [
  "region.json",
  "clock",
  "keys",
  "cold",
  "snapshot.part",
  MEMBERS_FILE,
  STATUS_FILE,
];

/** What a crash, or a write under way, leaves behind: opening deals with it, and nothing acknowledged is in it. */
export const HARMLESS: ReadonlySet<FindingKind> = new Set(["torn-tail", "unfinished", "begun-anew"]);

let hasher: Hasher | undefined;

/** What the tools of the log are given: made when it is first needed, the engine has to be compiled. */
export function walOptions(): DirectoryOptions {
  hasher ??= createBlake3Hasher();
  return { hasher, known: REGION_NAMES };
}

/**
 * What a directory holds, if it holds logs: a region's, or those of `@tidemark/wal` alone.
 *
 * @throws CliError `CLI_NO_DIRECTORY`, `CLI_NOT_A_REGION`, `CLI_NEWER_VERSION`.
 */
export async function requireLogs(dir: string): Promise<DirectoryInspection> {
  await requireKnownVersion(dir);
  const found = await inspectDirectory(nodeFs(), dir, walOptions());
  if (found.state === "missing") throw new CliError("CLI_NO_DIRECTORY", `There is no directory ${dir}`);
  if (found.state === "file") throw new CliError("CLI_NO_DIRECTORY", `${dir} is no directory`);
  if (found.state === "empty")
    throw new CliError("CLI_NOT_A_REGION", `${dir} is empty: no log was written in it`);
  if (found.state === "foreign")
    throw new CliError(
      "CLI_NOT_A_REGION",
      `${dir} holds no logs, but ${found.unknown.slice(0, 3).join(", ")}`,
    );
  if (found.newerVersion !== undefined) {
    throw new CliError(
      "CLI_NEWER_VERSION",
      `Cannot read ${dir}: a newer version of Tidemark wrote it (format ${found.newerVersion}); use its tidemark`,
    );
  }
  return found;
}
