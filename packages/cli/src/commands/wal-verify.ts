import { formatLogId } from "@tidemark/core";
import { verifyDirectory } from "@tidemark/wal";
import type { DirectoryVerification, Finding } from "@tidemark/wal";
import { nodeFs } from "@tidemark/wal/node";
import type { Command } from "commander";
import { defineCommand, directoryOf } from "../define.ts";
import type { Run } from "../define.ts";
import { EXIT } from "../exit-codes.ts";
import type { ExitCode } from "../exit-codes.ts";
import type { Output } from "../output.ts";
import { ByteProgress } from "../progress.ts";
import { HARMLESS, requireLogs, walOptions } from "../survey.ts";
import { formatTable } from "../table.ts";
import { formatBytes } from "../units.ts";

/** One thing that is not as it should be, as `wal verify --json` and `wal repair --json` print it. */
export interface FindingJson {
  readonly kind: Finding["kind"];
  readonly file: string;
  readonly offset: number;
  readonly bytes: number | null;
  readonly log: string | null;
  readonly from: number | null;
  readonly to: number | null;
  /** Opening the directory would leave the log failed. */
  readonly blocks: boolean;
  readonly message: string;
}

/** What `wal verify --json` prints. */
export interface WalVerifyJson {
  readonly dir: string;
  readonly holder: string | null;
  /** Every byte is what was written; a last write that a crash tore is no damage. */
  readonly sound: boolean;
  /** Opening it would serve everything that was acknowledged. */
  readonly openable: boolean;
  readonly bytes: number;
  readonly logs: readonly {
    readonly log: string;
    readonly first: number;
    readonly last: number;
    readonly bytes: number;
    readonly verdict: DirectoryVerification["logs"][number]["verdict"];
  }[];
  readonly findings: readonly FindingJson[];
}

/** `tidemark wal verify`: every byte of every log. */
export function walVerifyCommand(run: Run): Command {
  return defineCommand<object>(run, {
    name: "verify",
    summary: "Reads every batch of every log and says what is not as it was written. Changes nothing.",
    examples: ["tidemark wal verify data/us-east", "tidemark wal verify data/us-east --json"],
    configure: (command) => command.argument("[dir]", "a directory with logs"),
    run: async ({ args: [argument], io, output }) => {
      const dir = directoryOf(argument, io);
      await requireLogs(dir);
      const progress = new ByteProgress(io, output);
      try {
        const found = await verifyDirectory(nodeFs(), dir, {
          ...walOptions(),
          signal: io.signal,
          onProgress: (at) => progress.show(at),
        });
        progress.stop();
        const json = toJson(dir, found);
        await output.result(json, () => render(json, output));
        return exitCodeOf(found.findings);
      } finally {
        progress.stop();
      }
    },
  });
}

/** 5 for damage, 1 for what only a newer version can read. */
export function exitCodeOf(findings: readonly Finding[]): ExitCode {
  if (findings.some(({ kind }) => !HARMLESS.has(kind) && kind !== "newer-version")) return EXIT.corrupt;
  return findings.some(({ kind }) => kind === "newer-version") ? EXIT.failure : EXIT.ok;
}

/** A finding as JSON. */
export function findingJson({
  kind,
  file,
  offset,
  bytes,
  log,
  from,
  to,
  blocks,
  message,
}: Finding): FindingJson {
  return {
    kind,
    file,
    offset,
    bytes: bytes ?? null,
    log: log === undefined ? null : formatLogId(log),
    from: from ?? null,
    to: to ?? null,
    blocks,
    message,
  };
}

/** Findings as text, a line each. */
export function findingsText(findings: readonly FindingJson[], output: Output): string {
  const line = ({ kind, file, offset, from, to, message }: FindingJson): string => {
    const tone = HARMLESS.has(kind) ? "warn" : "bad";
    const lsns = from === null ? "" : `, LSN ${from}${to === null ? " and up" : ` to ${to}`}`;
    return `${output.paint(tone, kind)}  ${file} at ${offset}${lsns}: ${message}\n`;
  };
  return findings.map(line).join("");
}

function toJson(
  dir: string,
  { holder, openable, findings, logs, bytes }: DirectoryVerification,
): WalVerifyJson {
  return {
    dir,
    holder: holder ?? null,
    sound: findings.every(({ kind }) => HARMLESS.has(kind)),
    openable,
    bytes,
    logs: logs.map(({ id, first, last, bytes: size, verdict }) => ({
      log: formatLogId(id),
      first,
      last,
      bytes: size,
      verdict,
    })),
    findings: findings.map(findingJson),
  };
}

function render({ sound, openable, logs, findings, bytes }: WalVerifyJson, output: Output): string {
  const rows = logs.map((log) => [
    log.log,
    String(log.first),
    String(log.last),
    formatBytes(log.bytes),
    output.paint(log.verdict === "sound" ? "good" : log.verdict === "torn" ? "warn" : "bad", log.verdict),
  ]);
  const verdict = sound
    ? output.paint("good", findings.length === 0 ? "sound" : "sound, but for what a crash left")
    : output.paint(
        "bad",
        openable ? "damaged, and can be opened" : "damaged: opening it would leave logs stopped",
      );
  const table =
    rows.length === 0 ? "" : `${formatTable(["LOG", "FIRST", "LAST", "SIZE", "VERDICT"], rows)}\n`;
  const found = findings.length === 0 ? "" : `${findingsText(findings, output)}\n`;
  return `${table}${found}${formatBytes(bytes)} read: ${verdict}\n`;
}
