import { KvError } from "@tidemark/kv";
import type { Environment, Row } from "./environment.ts";

/** The version of the store that this package reads and writes: exactly this one. */
export const LMDB_STORE_VERSION: number = 1;

/** Two zeros: no partition has an empty name. */
const VERSION_KEY = Uint8Array.of(0, 0, ...new TextEncoder().encode("version"));
const FIRST_KEY = Uint8Array.of(0);
const AFTER_ALL_KEYS = Uint8Array.of(0xff, 0xff);

/** ASCII "TKV" and the version. */
const MAGIC = [0x54, 0x4b, 0x56];

/** The row of the version. */
export const VERSION_ROW: Row = {
  key: VERSION_KEY,
  value: Uint8Array.of(...MAGIC, LMDB_STORE_VERSION),
};

/**
 * Gives an empty store its version, in one write transaction, and refuses every other that is not of it. Two who open
 * a new store at once agree: the second finds the version of the first.
 *
 * @throws {@link KvError} `KV_STORE_VERSION`: `actual` is 0 for data that has no version.
 */
export function claimStore(environment: Environment, dir: string): void {
  const found = environment.read(`open ${dir}`, () => environment.get(VERSION_KEY));
  if (found !== undefined) {
    requireVersion(found, dir);
    return;
  }
  environment.write(`open ${dir}`, () => {
    const newer = environment.get(VERSION_KEY);
    if (newer !== undefined) {
      requireVersion(newer, dir);
    } else if (isEmpty(environment)) {
      environment.put(VERSION_KEY, VERSION_ROW.value);
    } else {
      throw versionError(dir, 0);
    }
  });
}

function isEmpty(environment: Environment): boolean {
  for (const _ of environment.range({ start: FIRST_KEY, end: AFTER_ALL_KEYS, reverse: false })) return false;
  return true;
}

function requireVersion(found: Uint8Array, dir: string): void {
  const ours = found.length === MAGIC.length + 1 && MAGIC.every((byte, at) => found[at] === byte);
  const version = ours ? found[MAGIC.length]! : 0;
  if (version !== LMDB_STORE_VERSION) throw versionError(dir, version);
}

function versionError(dir: string, actual: number): KvError {
  return new KvError(
    "KV_STORE_VERSION",
    `Cannot open ${dir}: the store has version ${actual}, this program reads ${LMDB_STORE_VERSION}`,
    { actual, expected: LMDB_STORE_VERSION },
  );
}
