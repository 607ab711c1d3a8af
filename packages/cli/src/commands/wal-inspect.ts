import { formatLogId } from "@tidemark/core";
import type { DirectoryInspection } from "@tidemark/wal";
import type { Command } from "commander";
import { defineCommand, directoryOf } from "../define.ts";
import type { Run } from "../define.ts";
import { requireLogs } from "../survey.ts";
import { formatFields, formatTable } from "../table.ts";
import { formatBytes } from "../units.ts";

/** What `wal inspect --json` prints. */
export interface WalInspectJson {
  readonly dir: string;
  /** The live process that has the directory open; `null` if nobody has. */
  readonly holder: string | null;
  /** Of all segments and checkpoints. */
  readonly bytes: number;
  readonly watermark: { readonly durability: number; readonly clean: boolean } | "damaged" | null;
  readonly logs: readonly {
    readonly log: string;
    readonly first: number;
    readonly last: number;
    readonly bytes: number;
    /** What the watermark knows to be durable. */
    readonly durable: number | null;
    /** Its owner opened a later epoch, or has to. */
    readonly ended: boolean;
    readonly segments: readonly {
      readonly file: string;
      readonly firstLsn: number;
      readonly lastLsn: number;
      readonly bytes: number;
    }[];
  }[];
  readonly checkpoints: readonly {
    readonly file: string;
    readonly sequence: number;
    readonly bytes: number;
    /** Log to LSN; `null` if it cannot be read. */
    readonly vector: Readonly<Record<string, number>> | null;
  }[];
  /** Left behind by a crash, or in use by the holder. */
  readonly temporary: readonly string[];
  /** Names that are nobody's. */
  readonly unknown: readonly string[];
}

/** `tidemark wal inspect`: what the logs hold, by names and headers. */
export function walInspectCommand(run: Run): Command {
  return defineCommand<object>(run, {
    name: "inspect",
    summary:
      "Says what logs, segments and checkpoints a directory holds, from names and headers: quick, and no proof.",
    examples: ["tidemark wal inspect data/us-east", "tidemark wal inspect data/us-east --json"],
    configure: (command) => command.argument("[dir]", "a directory with logs"),
    run: async ({ args: [argument], io, output }) => {
      const dir = directoryOf(argument, io);
      const json = toJson(dir, await requireLogs(dir));
      await output.result(json, () => render(json));
    },
  });
}

function toJson(dir: string, found: DirectoryInspection): WalInspectJson {
  const { holder, bytes, watermark, temporary, unknown } = found;
  return {
    dir,
    holder: holder ?? null,
    bytes,
    watermark: watermark ?? null,
    logs: found.logs.map(({ id, first, last, bytes: size, segments, watermark: known }) => ({
      log: formatLogId(id),
      first,
      last,
      bytes: size,
      durable: known?.lsn ?? null,
      ended: known?.ended ?? false,
      segments,
    })),
    checkpoints: found.checkpoints.map(({ file, sequence, bytes: size, vector }) => ({
      file,
      sequence,
      bytes: size,
      vector:
        vector === undefined
          ? null
          : Object.fromEntries(vector.entries().map(({ log, lsn }) => [formatLogId(log), lsn])),
    })),
    temporary,
    unknown,
  };
}

function render({ holder, bytes, watermark, logs, checkpoints, temporary, unknown }: WalInspectJson): string {
  const run =
    watermark === null
      ? "no watermark"
      : watermark === "damaged"
        ? "the watermark is damaged"
        : watermark.clean
          ? "closed in good order"
          : "not closed in good order";
  const fields: [string, string][] = [
    ["held by", holder ?? "nobody"],
    ["last run", holder === null ? run : "under way"],
    ["size", formatBytes(bytes)],
  ];
  if (temporary.length > 0) fields.push(["temporary", temporary.join(", ")]);
  if (unknown.length > 0) fields.push(["unknown", unknown.join(", ")]);
  const parts = [formatFields(fields)];
  if (logs.length > 0) {
    const rows = logs.map((log) => [
      log.log,
      String(log.first),
      String(log.last),
      log.durable === null ? "-" : String(log.durable),
      String(log.segments.length),
      formatBytes(log.bytes),
    ]);
    parts.push(formatTable(["LOG", "FIRST", "LAST", "DURABLE", "SEGMENTS", "SIZE"], rows));
    const segments = logs.flatMap((log) =>
      log.segments.map(({ file, firstLsn, lastLsn, bytes: size }) => [
        file,
        String(firstLsn),
        String(lastLsn),
        formatBytes(size),
      ]),
    );
    parts.push(formatTable(["SEGMENT", "FIRST", "LAST", "SIZE"], segments));
  }
  if (checkpoints.length > 0) {
    const rows = checkpoints.map(({ file, bytes: size, vector }) => [
      file,
      formatBytes(size),
      vector === null
        ? "cannot be read"
        : Object.entries(vector)
            .map(([log, lsn]) => `${log} ${lsn}`)
            .join(", "),
    ]);
    parts.push(formatTable(["CHECKPOINT", "SIZE", "COVERS"], rows));
  }
  return parts.join("\n");
}
