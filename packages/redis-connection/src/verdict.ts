import { ConnectionLostError, isUnauthorized, textOf } from "./errors.ts";

/** What an error of a command says about what became of it. */
export type Verdict =
  /** It was not run, and may be soon. */
  | "again"
  /** It was not run: this server takes no writes. Another connection may lead to one that does. */
  | "elsewhere"
  /** It was not run, and is not worth trying at once. */
  | "refused"
  /** It failed, perhaps in the middle: what it did until then is unknown, and it would fail again. */
  | "failed"
  /** A key of ours holds something that we did not put there. */
  | "corrupt"
  /** It may have run. */
  | "unknown";

/** Words a server answers with before it runs anything of a script, or at its first write. */
const AGAIN = new Set(["LOADING", "CLUSTERDOWN", "MASTERDOWN", "TRYAGAIN", "BUSY"]);
const REFUSED = new Set([
  "OOM",
  "MISCONF",
  "NOREPLICAS",
  "NOPERM",
  "NOAUTH",
  "WRONGPASS",
  "NOSCRIPT",
  "CROSSSLOT",
]);

export function verdictOf(error: unknown): Verdict {
  if (error instanceof ConnectionLostError) return error.sent ? "unknown" : "again";
  // What ioredis says of a connection that has ended before anything was written.
  if (textOf(error).includes("enableOfflineQueue options is false")) return "again";
  const word = wordOf(error);
  if (AGAIN.has(word)) return "again";
  if (word === "READONLY") return "elsewhere";
  if (word === "WRONGTYPE") return "corrupt";
  if (REFUSED.has(word)) return "refused";
  return word === "ERR" ? "failed" : "unknown";
}

export function isMissingScript(error: unknown): boolean {
  return wordOf(error) === "NOSCRIPT";
}

/** Whether the user lacks a right, also one for what a script calls, which servers say in words of their own. */
export function lacksRight(error: unknown): boolean {
  return isUnauthorized(error) || /user executing the script can't|-NOPERM/.test(textOf(error));
}

/** The word an answer of the server begins with; Redis 6.2 wraps what a script meets. */
function wordOf(error: unknown): string {
  return /^(?:ERR Error running script.*?: -)?([A-Z]+)\b/.exec(textOf(error))?.[1] ?? "";
}
