import { KvError } from "@tidemark/kv";

/** What LMDB says of a file that it cannot make sense of. */
const CORRUPT: ReadonlySet<number> = new Set([
  -30_797, // MDB_PAGE_NOTFOUND
  -30_796, // MDB_CORRUPTED
  -30_794, // MDB_VERSION_MISMATCH
  -30_793, // MDB_INVALID
  -30_784, // MDB_INCOMPATIBLE
  -30_779, // MDB_PROBLEM
]);

/** An error of the engine or the file system as a {@link KvError}. */
export function failureOf(what: string, cause: unknown, committed: "no" | "unknown"): KvError {
  if (cause instanceof KvError) return cause;
  const message = `Cannot ${what}: ${cause instanceof Error ? cause.message : String(cause)}`;
  return CORRUPT.has(numberOf(cause))
    ? new KvError("KV_CORRUPT", message, { cause })
    : new KvError("KV_UNAVAILABLE", message, { cause, committed });
}

function numberOf(cause: unknown): number {
  return cause instanceof Error && "code" in cause && typeof cause.code === "number" ? cause.code : 0;
}
