import { formatLogId, parseLogId } from "@tidemark/core";
import type { LogId } from "@tidemark/core";
import { dumpLog } from "@tidemark/wal";
import type { DumpedRecord } from "@tidemark/wal";
import { nodeFs } from "@tidemark/wal/node";
import { InvalidArgumentError } from "commander";
import type { Command } from "commander";
import { defineCommand, directoryOf } from "../define.ts";
import type { Run } from "../define.ts";
import { CliError } from "../errors.ts";
import type { Output } from "../output.ts";
import { requireLogs, walOptions } from "../survey.ts";

/** One record of what `wal dump --json` prints: an array of these. */
export type WalDumpJson = Omit<DumpedRecord, "body">;

interface DumpOptions {
  readonly log?: LogId;
  readonly from?: number;
  readonly to?: number;
  readonly hex?: boolean;
}

/** Written at once: a line a write would be slow. */
const PIECE_CHARS = 64 * 1024;

/** `tidemark wal dump`: the records of the logs. */
export function walDumpCommand(run: Run): Command {
  return defineCommand<DumpOptions>(run, {
    name: "dump",
    summary:
      "Prints the records of the logs, one a line: log, LSN, type, length. Bodies are personal data: see --hex.",
    examples: [
      "tidemark wal dump data/us-east",
      "tidemark wal dump data/us-east --from 2 --to 3 --hex --json",
    ],
    configure: (command) =>
      command
        .argument("[dir]", "a directory with logs")
        .option("--log <id>", "only this log, as `wal inspect` names it", parseLog)
        .option("--from <lsn>", "the first LSN (default: the first held)", parseLsn)
        .option("--to <lsn>", "the last LSN (default: the last held)", parseLsn)
        .option("--hex", "with the body of each record, in hexadecimal"),
    run: async ({ args: [argument], options, io, output }) => {
      const dir = directoryOf(argument, io);
      const { logs } = await requireLogs(dir);
      const ids = logs.map(({ id }) => id).filter((id) => isWanted(id, options.log));
      if (options.log !== undefined && ids.length === 0)
        throw new CliError(
          "CLI_USAGE",
          `${dir} holds no log ${formatLogId(options.log)}: see \`tidemark wal inspect\``,
        );
      const sink = new RecordSink(output);
      try {
        for (const id of ids) {
          const { from, to, hex } = options;
          const records = dumpLog(nodeFs(), dir, id, {
            ...walOptions(),
            signal: io.signal,
            ...(from === undefined ? {} : { from: Math.max(from, firstOf(logs, id)) }),
            ...(to === undefined ? {} : { to }),
            body: hex === true ? "hex" : "length",
          });
          for await (const record of records) await sink.add(record);
        }
      } finally {
        // Also after damage: what stands there is one whole document.
        await sink.end();
      }
    },
  });
}

function isWanted(id: LogId, wanted: LogId | undefined): boolean {
  return wanted === undefined || formatLogId(wanted) === formatLogId(id);
}

function firstOf(logs: readonly { readonly id: LogId; readonly first: number }[], wanted: LogId): number {
  return logs.find(({ id }) => isWanted(id, wanted))?.first ?? 1;
}

/** Prints records as they come: lines, or one JSON array. */
class RecordSink {
  readonly #output: Output;
  #pending = "";
  #count = 0;

  constructor(output: Output) {
    this.#output = output;
  }

  async add(record: DumpedRecord): Promise<void> {
    const { log, lsn, type, bytes, hex } = record;
    if (this.#output.json) this.#pending += `${this.#count === 0 ? "[\n" : ",\n"}${JSON.stringify(record)}`;
    else {
      const body = hex === undefined ? "" : `  ${hex}`;
      this.#pending += `${log}  ${lsn}  type ${type}  ${bytes} B${body}\n`;
    }
    this.#count += 1;
    if (this.#pending.length > PIECE_CHARS) await this.#flush();
  }

  async end(): Promise<void> {
    if (this.#output.json) this.#pending += this.#count === 0 ? "[]\n" : "\n]\n";
    await this.#flush();
  }

  async #flush(): Promise<void> {
    const text = this.#pending;
    this.#pending = "";
    if (text !== "") await this.#output.write(text);
  }
}

function parseLog(text: string): LogId {
  const id = parseLogId(text);
  if (id === undefined)
    throw new InvalidArgumentError("It must look like sessions:r00001-s00000-e1790000000.");
  return id;
}

function parseLsn(text: string): number {
  const lsn = Number(text);
  if (!/^\d+$/.test(text) || lsn < 1 || !Number.isSafeInteger(lsn))
    throw new InvalidArgumentError("It must be a whole number from 1.");
  return lsn;
}
