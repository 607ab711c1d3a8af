import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const FOLDER = fileURLToPath(new URL("../corpus", import.meta.url));
const PACKAGES = fileURLToPath(new URL("../../../packages", import.meta.url));

/** Inputs that broke a promise once, and are tried first ever since. */
export function keptOf(target: string): Uint8Array[] {
  const folder = join(FOLDER, target);
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .toSorted()
    .map((name) => new Uint8Array(readFileSync(join(folder, name))));
}

/** Keeps an input under the name of its digest, and returns the path. */
export function keep(target: string, input: Uint8Array): string {
  const folder = join(FOLDER, target);
  mkdirSync(folder, { recursive: true });
  const path = join(folder, `${createHash("sha256").update(input).digest("hex").slice(0, 12)}.bin`);
  writeFileSync(path, input);
  return path;
}

/** The golden files of a package whose names match. */
export function golden(packageName: string, pattern: RegExp): Uint8Array[] {
  const folder = join(PACKAGES, packageName, "test", "golden");
  return readdirSync(folder)
    .filter((name) => pattern.test(name))
    .toSorted()
    .map((name) => new Uint8Array(readFileSync(join(folder, name))));
}

/** The same for files in hexadecimal, one input a line. */
export function goldenHex(packageName: string, pattern: RegExp): Uint8Array[] {
  return golden(packageName, pattern).flatMap((file) =>
    new TextDecoder()
      .decode(file)
      .trim()
      .split("\n")
      .map((line) => new Uint8Array(Buffer.from(line, "hex"))),
  );
}

/** The same for the values of a file in JSON. */
export function goldenJson(packageName: string, pattern: RegExp): Record<string, string>[] {
  return golden(packageName, pattern).map(
    (file) => JSON.parse(new TextDecoder().decode(file)) as Record<string, string>,
  );
}
