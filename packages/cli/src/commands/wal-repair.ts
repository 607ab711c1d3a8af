import { resolve } from "node:path";
import { formatLogId } from "@tidemark/core";
import { directorySource, repairDirectory } from "@tidemark/wal";
import type { DirectoryRepair, RepairAction } from "@tidemark/wal";
import { nodeFs } from "@tidemark/wal/node";
import type { Command } from "commander";
import { confirmed, defineCommand, directoryOf } from "../define.ts";
import type { Run } from "../define.ts";
import { failureOf } from "../errors.ts";
import { EXIT } from "../exit-codes.ts";
import type { Output } from "../output.ts";
import { ByteProgress } from "../progress.ts";
import { requireLogs, walOptions } from "../survey.ts";
import { exitCodeOf, findingJson, findingsText } from "./wal-verify.ts";
import type { FindingJson } from "./wal-verify.ts";

/** What `wal repair --json` prints. */
export interface WalRepairJson {
  readonly dir: string;
  /** Where good batches came from. */
  readonly from: string | null;
  readonly dryRun: boolean;
  /** The directory was worked on. */
  readonly changed: boolean;
  /** What was to be done, by what was found before. */
  readonly actions: readonly {
    readonly kind: RepairAction["kind"];
    readonly log: string | null;
    readonly file: string;
    readonly offset: number;
    readonly bytes: number | null;
    readonly from: number | null;
    readonly to: number | null;
    /** For `fetch`: whether the source has it. */
    readonly available: boolean | null;
  }[];
  /** What is wrong afterwards or, when nothing was changed, now. */
  readonly remaining: readonly FindingJson[];
  /** Logs that could not be repaired. */
  readonly failures: readonly { readonly log: string; readonly code: string; readonly message: string }[];
}

interface RepairOptions {
  readonly from?: string;
  readonly dryRun?: boolean;
  readonly yes?: boolean;
}

/** `tidemark wal repair`: what a crash left is cut, what is damaged is taken from a copy. */
export function walRepairCommand(run: Run): Command {
  return defineCommand<RepairOptions>(run, {
    name: "repair",
    summary:
      "Cuts what a crash left of a last write, and replaces damage by verified batches of another directory. The region must be closed.",
    examples: [
      "tidemark wal repair data/us-east --dry-run",
      "tidemark wal repair data/us-east --from data/eu-west --yes",
    ],
    configure: (command) =>
      command
        .argument("[dir]", "a directory with logs that nobody has open")
        .option("--from <dir>", "where good batches are: the directory of another member, or a backup")
        .option("-n, --dry-run", "say what would be done, and change nothing")
        .option("-y, --yes", "do not ask"),
    run: async ({ args: [argument], options, io, output }) => {
      const { dryRun = false, yes = false } = options;
      const dir = directoryOf(argument, io);
      const from = options.from === undefined ? null : resolve(io.cwd, options.from);
      await requireLogs(dir);
      if (from !== null) await requireLogs(from);
      const progress = new ByteProgress(io, output);
      const fs = nodeFs();
      const repair = async (dry: boolean): Promise<DirectoryRepair> => {
        try {
          return await repairDirectory(fs, dir, {
            ...walOptions(),
            dryRun: dry,
            signal: io.signal,
            onProgress: (at) => progress.show(at),
            ...(from === null ? {} : { fetch: directorySource(fs, from, walOptions()) }),
          });
        } finally {
          progress.stop();
        }
      };
      let done = await repair(true);
      if (!dryRun && done.actions.length > 0) {
        if (!yes) await confirmed(`${actionsText(done)}Repair ${dir}?`, io);
        done = await repair(false);
      }
      const json = toJson(dir, from, dryRun, done);
      await output.result(json, () => render(json, output));
      const code = exitCodeOf(done.remaining);
      return code === EXIT.ok && done.failures.length > 0 ? EXIT.corrupt : code;
    },
  });
}

function toJson(dir: string, from: string | null, dryRun: boolean, done: DirectoryRepair): WalRepairJson {
  return {
    dir,
    from,
    dryRun,
    changed: done.changed,
    actions: done.actions.map(({ kind, log, file, offset, bytes, from: first, to, available }) => ({
      kind,
      log: log === undefined ? null : formatLogId(log),
      file,
      offset,
      bytes: bytes ?? null,
      from: first ?? null,
      to: to ?? null,
      available: available ?? null,
    })),
    remaining: done.remaining.map(findingJson),
    failures: done.failures.map(({ log, error }) => {
      const { code, message } = failureOf(error);
      return { log: formatLogId(log), code, message };
    }),
  };
}

function actionsText({ actions }: Pick<WalRepairJson, "actions"> | DirectoryRepair): string {
  return actions
    .map(({ kind, file, offset, from, to, available }) => {
      const lsns = from === null || from === undefined ? "" : `, LSN ${from} to ${to ?? "the end"}`;
      return `${kind}  ${file} at ${offset}${lsns}${available === false ? ": nobody has it" : ""}\n`;
    })
    .join("");
}

function render({ actions, changed, dryRun, remaining, failures }: WalRepairJson, output: Output): string {
  const verdict =
    actions.length === 0
      ? "nothing to repair"
      : dryRun
        ? "nothing was changed"
        : changed
          ? "repaired"
          : "nothing was changed";
  const failed = failures
    .map(({ log, message }) => `${output.paint("bad", "failed")}  ${log}: ${message}\n`)
    .join("");
  const left =
    remaining.length === 0 || (dryRun && actions.length > 0)
      ? ""
      : `Still wrong:\n${findingsText(remaining, output)}`;
  return `${actionsText({ actions })}${failed}${left}${verdict}\n`;
}
