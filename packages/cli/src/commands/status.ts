import { Option } from "commander";
import type { Command } from "commander";
import { defineCommand, directoryOf } from "../define.ts";
import type { Run } from "../define.ts";
import { requireRegion } from "../directory.ts";
import { CliError } from "../errors.ts";
import { EXIT } from "../exit-codes.ts";
import type { Output } from "../output.ts";
import { judgeStatus, readStatus } from "../status-report.ts";
import type { StatusJson } from "../status-report.ts";
import { formatFields, formatTable } from "../table.ts";
import { formatBytes, formatSpan, parseSpan } from "../units.ts";

export type { StatusJson } from "../status-report.ts";

interface StatusOptions {
  readonly check?: boolean;
  readonly maxLag: number;
  readonly maxAge: number;
}

/** `tidemark status`: how a region is, as it told a moment ago. */
export function statusCommand(run: Run): Command {
  return defineCommand<StatusOptions>(run, {
    name: "status",
    summary: "Says how a region is, from the status it keeps in its directory, and how old that is.",
    examples: ["tidemark status data/us-east", "tidemark status data/us-east --check --max-lag 2s"],
    configure: (command) =>
      command
        .argument("[dir]", "the region's directory")
        .option("--check", "exit with 3 if something is wrong or the status is too old")
        .addOption(span("--max-lag <span>", "how far any member may be behind", 2))
        .addOption(span("--max-age <span>", "how old the status may be", 10)),
    run: async ({ args: [argument], options, io, output }) => {
      const dir = directoryOf(argument, io);
      await requireRegion(dir);
      const status = await readStatus(dir);
      if (status === undefined) {
        const error = new CliError(
          "CLI_NO_STATUS",
          `No region has told its status in ${dir}: none was opened in it yet`,
        );
        if (options.check !== true) throw error;
        output.failure({ code: error.code, message: error.message, exitCode: EXIT.unhealthy });
        return EXIT.unhealthy;
      }
      const limits = { maxLagSeconds: options.maxLag, maxAgeSeconds: options.maxAge };
      const json = judgeStatus(dir, status, limits, io.now());
      await output.result(json, () => render(json, output));
      return options.check === true && !json.healthy ? EXIT.unhealthy : EXIT.ok;
    },
  });
}

function span(flags: string, text: string, seconds: number): Option {
  return new Option(flags, text).default(seconds, formatSpan(seconds)).argParser(parseSpan);
}

function render({ status, problems, ageSeconds, healthy }: StatusJson, output: Output): string {
  const { health, metrics, name, id, pid, version } = status;
  const word = output.paint(healthy ? "good" : "bad", health.status);
  const fields: [string, string][] = [
    ["region", `${name} (${id}), ${health.role}`],
    ["status", `${word}, told ${ageSeconds < 0 ? "just now" : `${formatSpan(ageSeconds)} ago`}`],
    ["process", `${pid}, version ${version || "unknown"}`],
    ["operations", `${metrics.opsApplied} applied, ${health.duplicates} duplicates`],
    ["writes", `${sum(metrics.refused)} refused, ${sum(metrics.fenced)} fenced`],
    ["hides", `${metrics.withheld} withheld, ${metrics.unhidesPending} unhides pending`],
    ["queue", `${metrics.queue.records} records, ${metrics.queue.waiting} callers wait`],
    ["disk", `${formatBytes(metrics.wal.bytes)} in ${metrics.wal.segments} segments`],
  ];
  const parts = [formatFields(fields)];
  if (problems.length > 0)
    parts.push(problems.map((problem) => `${output.paint("bad", "!")} ${problem}\n`).join(""));
  if (metrics.peers.length > 0) {
    const rows = metrics.peers.map((peer) => [
      peer.peer,
      peer.state,
      formatSpan(peer.lagSeconds),
      String(peer.lagRecords),
      peer.skewSeconds === undefined ? "-" : formatSkew(peer.skewSeconds),
    ]);
    parts.push(formatTable(["MEMBER", "STATE", "LAG", "RECORDS", "SKEW"], rows));
  }
  if (metrics.logs.length > 0) {
    const rows = metrics.logs.map((log) => [
      log.log,
      log.state,
      ...[log.durableLsn, log.shippedLsn, log.appliedLsn, log.stableLsn].map((lsn) => String(lsn ?? "-")),
      String(log.gapRecords),
    ]);
    parts.push(formatTable(["LOG", "STATE", "DURABLE", "SHIPPED", "APPLIED", "STABLE", "GAP"], rows));
  }
  return parts.join("\n");
}

function formatSkew(seconds: number): string {
  return `${seconds < 0 ? "-" : ""}${formatSpan(Math.abs(seconds))}`;
}

function sum(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((total, count) => total + count, 0);
}
