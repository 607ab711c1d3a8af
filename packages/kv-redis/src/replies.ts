import { KvError, type KvCommitResult, type KvItem, type KvPage } from "@tidemark/kv";
import { textOfReply } from "@tidemark/redis-connection";
import { REDIS_KV_FORMAT, STATUS } from "./scripts.ts";

/** What a script answers: a status, then what goes with it. */
type Reply = readonly [status: number, ...rest: unknown[]];

/** @throws `KvError` `KV_CORRUPT`, `KV_STORE_VERSION` */
function replyOf(reply: unknown, doing: string): Reply {
  if (!Array.isArray(reply)) throw malformed(doing);
  const [status, detail] = reply as [unknown, unknown];
  if (Number(status) === STATUS.corrupt) {
    throw new KvError(
      "KV_CORRUPT",
      `Cannot ${doing}: the values and the names of its partition do not agree`,
    );
  }
  if (Number(status) === STATUS.otherFormat) throw otherFormat(doing, Number(detail));
  return [Number(status), ...(reply as unknown[]).slice(1)];
}

export function otherFormat(doing: string, actual: number): KvError {
  return new KvError(
    "KV_STORE_VERSION",
    `Cannot ${doing}: the store is of format ${actual}, this program reads ${REDIS_KV_FORMAT}`,
    { actual, expected: REDIS_KV_FORMAT },
  );
}

export function commitResultOf(reply: unknown): KvCommitResult {
  const [status, failed] = replyOf(reply, "commit");
  if (status === STATUS.done) return { committed: true };
  if (status === STATUS.failedCheck) return { committed: false, failed: Number(failed) };
  throw malformed("commit");
}

export function valuesOf(reply: unknown): (Uint8Array | undefined)[] {
  const [, found] = replyOf(reply, "get");
  if (!Array.isArray(found)) throw malformed("get");
  return found.map((value: unknown) => (value === null ? undefined : bytesOfReply(value, "get")));
}

export function pageOf(reply: unknown, reverse: boolean): KvPage {
  const [, found, more] = replyOf(reply, "scan");
  if (!Array.isArray(found)) throw malformed("scan");
  const items: KvItem[] = [];
  for (let at = 0; at < found.length; at += 2)
    items.push({ key: bytesOfReply(found[at], "scan"), value: bytesOfReply(found[at + 1], "scan") });
  if (more === undefined) return { items };
  // Bounds are inclusive below and exclusive above.
  return { items, next: reverse ? items.at(-1)!.key.slice() : bytesOfReply(more, "scan") };
}

/** Seconds and microseconds. */
export function timeOf(reply: unknown): number {
  if (!Array.isArray(reply)) throw malformed("read the clock");
  const [seconds, microseconds] = reply.map((part) => Number(textOfReply(part))) as [number, number];
  return seconds * 1_000 + Math.floor(microseconds / 1_000);
}

/** A copy: clients give views of memory that they share. */
function bytesOfReply(value: unknown, doing: string): Uint8Array {
  if (!(value instanceof Uint8Array)) throw malformed(doing);
  return new Uint8Array(value);
}

function malformed(doing: string): KvError {
  return new KvError("KV_CORRUPT", `Cannot ${doing}: the server answers what our script does not`);
}
