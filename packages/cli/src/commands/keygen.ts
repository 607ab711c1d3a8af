import { randomBytes } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { resolve } from "node:path";
import type { Command } from "commander";
import { defineCommand } from "../define.ts";
import type { Run } from "../define.ts";
import { CliError } from "../errors.ts";

/** What `keygen --json` prints. */
export interface KeygenJson {
  /** `null` where it was written to a file instead. */
  readonly key: string | null;
  readonly encoding: "base64url" | "hex";
  readonly bytes: 32;
  /** Where it was written, with mode 0600. */
  readonly file: string | null;
}

const KEY_BYTES = 32;

/** `tidemark keygen`: a new cluster key. */
export function keygenCommand(run: Run): Command {
  return defineCommand<{ readonly hex?: boolean; readonly out?: string }>(run, {
    name: "keygen",
    summary: "Makes a cluster key: 32 random bytes that every member of a cluster holds.",
    examples: ["tidemark keygen", "tidemark keygen --hex --out cluster.key"],
    configure: (command) =>
      command
        .option("--hex", "64 hexadecimal digits instead of base64url")
        .option("--out <file>", "write it to a new file that only you can read, instead of printing it"),
    run: async ({ options, io, output }) => {
      const encoding = options.hex === true ? "hex" : "base64url";
      const key = randomBytes(KEY_BYTES).toString(encoding);
      const file = options.out === undefined ? null : resolve(io.cwd, options.out);
      if (file !== null) await writeNew(file, `${key}\n`);
      const json: KeygenJson = { key: file === null ? key : null, encoding, bytes: KEY_BYTES, file };
      await output.result(json, () => `${file ?? key}\n`);
      if (file !== null) output.note("Give it to every member, and to nobody else.");
    },
  });
}

async function writeNew(file: string, text: string): Promise<void> {
  try {
    await writeFile(file, text, { mode: 0o600, flag: "wx" });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    throw new CliError("CLI_FILE_EXISTS", `Cannot write ${file}: it is there, and may be a key in use`, {
      cause: error,
    });
  }
}
