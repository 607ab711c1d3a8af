import { setTimeout as pause } from "node:timers/promises";
import { readSessionRows, type SessionRow, type SessionRows } from "@tidemark/region";
import { nodeFs } from "@tidemark/wal/node";
import { InvalidArgumentError } from "commander";
import type { Command } from "commander";
import { defineCommand, directoryOf } from "../define.ts";
import type { Run } from "../define.ts";
import { requireSoundIdentity } from "../directory.ts";
import { CliError } from "../errors.ts";
import type { Output } from "../output.ts";
import { requireLogs, walOptions } from "../survey.ts";

/** What `tail --json` prints: an array of these; with `--follow`, one a line. */
export type TailJson = SessionRow;

interface TailOptions {
  readonly from?: string;
  readonly lines: number;
  readonly follow?: boolean;
  readonly content?: boolean;
}

const LINES_MAX = 100_000;
const POLL_MS = 250;
/** Logs are read again and again: a tenth of the time at most. */
const REST = 9;

/** `tidemark tail`: the operations of one session. */
export function tailCommand(run: Run): Command {
  return defineCommand<TailOptions>(run, {
    name: "tail",
    summary:
      "Prints the operations of one session, one a line: time, kind, lane and number. Contents are personal data: see --content.",
    examples: [
      "tidemark tail the-session data/us-east",
      "tidemark tail the-session data/us-east --lines 1 --content --json",
    ],
    configure: (command) =>
      command
        .argument("<session>", "the id of the session")
        .argument("[dir]", "the directory of a region; it may run")
        .option("--from <cursor>", "only what lies behind this cursor: of a row, or of a region", cursorText)
        .option("-n, --lines <count>", "the latest so many", parseLines, 1_000)
        .option("-f, --follow", "go on with what is written, until it is interrupted")
        .option("--content", "with what each operation says, opened with the keys in the directory"),
    run: async ({ args: [session, argument], options, io, output }) => {
      const dir = directoryOf(argument, io);
      await requireLogs(dir);
      await requireSoundIdentity(dir);
      const read = (from: string | undefined, rowsMax: number = LINES_MAX): Promise<SessionRows> =>
        readSessionRows(
          { fs: nodeFs(), dir, hasher: walOptions().hasher },
          {
            session: session!,
            rowsMax,
            content: options.content === true,
            signal: io.signal,
            ...(from === undefined ? {} : { after: from }),
          },
        );
      const { rows, malformed } = await read(options.from, options.lines).catch(usageOf);
      if (malformed > 0) output.note(`${malformed} records cannot be read; they may be of the session`);
      if (options.follow !== true) {
        await output.result(rows satisfies readonly TailJson[], () => rows.map(lineOf).join(""));
        if (rows.length === 0) output.note(`There is nothing of the session ${session} in ${dir}`);
        return;
      }
      await follow(rows, options.from, read, output, io.signal);
    },
  });
}

async function follow(
  first: readonly SessionRow[],
  begin: string | undefined,
  read: (from: string | undefined) => Promise<SessionRows>,
  output: Output,
  signal: AbortSignal,
): Promise<void> {
  let [rows, from, tookMs] = [first, begin, 0];
  for (;;) {
    for (const row of rows) await output.write(output.json ? `${JSON.stringify(row)}\n` : lineOf(row));
    const last = rows.at(-1);
    if (last?.cursor === null)
      throw new CliError("CLI_FAILED", "Cannot follow: the session is in too many logs");
    from = last?.cursor ?? from;
    await pause(Math.max(POLL_MS, tookMs * REST), undefined, { signal });
    const begun = performance.now();
    ({ rows } = await read(from));
    tookMs = performance.now() - begun;
  }
}

function lineOf({ timeMs, kind, lane, seqno, content }: SessionRow): string {
  const said = content === null ? "" : `  ${JSON.stringify(content)}`;
  return `${new Date(timeMs).toISOString()}  ${kind.padEnd(8)}  ${lane} ${seqno}${said}\n`;
}

/** A cursor that cannot be read is a mistake of the command line. */
function usageOf(error: unknown): never {
  const { code, message } = error as { readonly code?: unknown; readonly message?: string };
  if (typeof code !== "string" || !code.startsWith("CURSOR_")) throw error;
  throw new CliError("CLI_USAGE", `${message}: see --from`, { cause: error });
}

function cursorText(text: string): string {
  if (text === "") throw new InvalidArgumentError("It must be a cursor.");
  return text;
}

function parseLines(text: string): number {
  const count = Number(text);
  if (!/^\d+$/.test(text) || count < 1 || count > LINES_MAX)
    throw new InvalidArgumentError(`It must be a whole number from 1 to ${LINES_MAX}.`);
  return count;
}
