import { createInterface } from "node:readline/promises";
import type { CliIo, CliStream } from "./io.ts";

/** The world as a process of Node has it. Ctrl-C aborts the signal; a second one ends the process. */
export function nodeIo(): CliIo {
  const ending = new AbortController();
  const end = (): void => {
    process.off("SIGINT", end);
    process.off("SIGTERM", end);
    ending.abort(new Error("Interrupted"));
  };
  process.on("SIGINT", end);
  process.on("SIGTERM", end);
  const { stdin, stderr } = process;
  return {
    stdout: streamOf(process.stdout),
    stderr: streamOf(stderr),
    env: process.env,
    cwd: process.cwd(),
    now: Date.now,
    signal: ending.signal,
    ...(stdin.isTTY && stderr.isTTY ? { confirm: ask } : {}),
    ...(stderr.isTTY ? { terminal: stderr } : {}),
  };
}

function streamOf(stream: NodeJS.WriteStream): CliStream {
  // Whoever reads may stop reading, as `head` does: nothing more is wanted then, and nothing has failed.
  stream.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
    process.exit(0);
  });
  return {
    write: (text) => stream.write(text),
    isTTY: stream.isTTY === true,
    ...(stream.columns === undefined ? {} : { columns: stream.columns }),
    drained: () =>
      new Promise((resolve) => {
        if (!stream.writableNeedDrain || stream.destroyed) return resolve();
        const done = (): void => {
          stream.off("drain", done);
          stream.off("close", done);
          resolve();
        };
        stream.on("drain", done);
        stream.on("close", done);
      }),
  };
}

async function ask(question: string): Promise<boolean> {
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return /^y(es)?$/i.test((await lines.question(`${question} [y/N] `)).trim());
  } finally {
    lines.close();
  }
}
