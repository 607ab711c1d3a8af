import { accessSync, constants, existsSync, readdirSync } from "node:fs";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";

/** A program, such as that of a server. */
export interface ServerBinary {
  readonly path: string;
  /** What it must be started with. */
  readonly env: Readonly<Record<string, string>>;
}

/** Where packages of the distribution are unpacked: a folder that git ignores. */
export const CACHE: string = fileURLToPath(
  new URL("../../../node_modules/.cache/tidemark-servers", import.meta.url),
);
/** Folders that are not on everybody's PATH. */
const FOLDERS = ["/usr/sbin", "/usr/local/sbin", "/usr/local/bin", "/opt/homebrew/bin"];

/** The program that a variable names, else one of these names on this machine. */
export function findProgram(variable: string, names: readonly string[]): string | undefined {
  const named = process.env[variable];
  if (named !== undefined && named !== "") return named;
  const folders = [...(process.env["PATH"] ?? "").split(delimiter), ...FOLDERS];
  return names.flatMap((name) => folders.map((folder) => join(folder, name))).find(executable);
}

/** Folders of libraries below one that packages were unpacked into. */
export function librariesIn(folder: string): string[] {
  const lib = join(folder, "usr", "lib");
  if (!existsSync(lib)) return [];
  return readdirSync(lib, { withFileTypes: true }).flatMap((entry) =>
    entry.isDirectory() && entry.name.includes("-linux-") ? [join(lib, entry.name)] : [],
  );
}

export function executable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
