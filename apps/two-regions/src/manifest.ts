import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  readdirSync,
  renameSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";

/** What a directory was made for; kept in {@link MANIFEST_FILE}. */
export interface Manifest {
  /** SHA-256 of the recording, in hexadecimal. */
  readonly recording: string;
  readonly seed: number;
}

/** A directory taken into use. */
export interface Claim {
  /** Whether a run had begun in it before. */
  readonly isResumed: boolean;
  /** When the first run began, Unix milliseconds: what an operation's event time is counted from. */
  readonly startedMs: number;
}

/** The file at the top of the directory that says whose it is. */
export const MANIFEST_FILE = "two-regions.json";

interface StoredManifest extends Manifest {
  readonly startedMs: number;
}

const FORMAT = 1;
const PARTIAL_FILE = `${MANIFEST_FILE}.partial`;

/** The directory holds something else: another recording, another seed, or files that are not ours. */
export class ForeignDirectory extends Error {
  override readonly name = "ForeignDirectory";
}

/**
 * Takes a directory into use, or goes on in one that a run with the same recording and seed has left.
 *
 * @param nowMs - Kept as the start of the first run.
 * @throws ForeignDirectory, with nothing changed.
 */
export function claimDirectory(dir: string, manifest: Manifest, nowMs: number): Claim {
  const found = readManifest(dir);
  if (found !== undefined) {
    if (found.recording !== manifest.recording) throw foreign(dir, "it holds another recording");
    if (found.seed !== manifest.seed) throw foreign(dir, `it was made with --seed ${found.seed}`);
    return { isResumed: true, startedMs: found.startedMs };
  }
  mkdirSync(dir, { recursive: true });
  if (readdirSync(dir).some((name) => name !== PARTIAL_FILE)) throw foreign(dir, "it holds other files");
  writeManifest(dir, { ...manifest, startedMs: nowMs });
  return { isResumed: false, startedMs: nowMs };
}

function readManifest(dir: string): StoredManifest | undefined {
  const path = join(dir, MANIFEST_FILE);
  if (!existsSync(path)) return undefined;
  let found: Partial<StoredManifest & { format: number }> | null;
  try {
    found = JSON.parse(readFileSync(path, "utf8"));
  } catch {
    throw foreign(dir, `${MANIFEST_FILE} is not of this demo`);
  }
  const { format, recording, seed, startedMs } = found ?? {};
  if (format !== FORMAT || recording === undefined || seed === undefined || startedMs === undefined) {
    throw foreign(dir, `${MANIFEST_FILE} is not of this demo`);
  }
  return { recording, seed, startedMs };
}

/** Written whole or not at all, before anything else: a kill at any moment leaves ours or an empty directory. */
function writeManifest(dir: string, manifest: StoredManifest): void {
  const partial = join(dir, PARTIAL_FILE);
  const descriptor = openSync(partial, "w", 0o600);
  try {
    writeFileSync(descriptor, `${JSON.stringify({ format: FORMAT, ...manifest }, null, 2)}\n`);
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
  renameSync(partial, join(dir, MANIFEST_FILE));
}

function foreign(dir: string, why: string): ForeignDirectory {
  return new ForeignDirectory(`Cannot use ${dir}: ${why}`);
}
