import type { KvBounds, KvCommit } from "@tidemark/kv";
import { PAGE_BYTES_TARGET } from "@tidemark/kv";
import type { Argument } from "@tidemark/redis-connection";
import { REDIS_KV_FORMAT } from "./scripts.ts";

const MARK_RANDOM_BYTES = 8;

/** What a commit leaves in its partition: the format, and bytes that no other commit leaves. */
export function newMark(): Uint8Array {
  const mark = globalThis.crypto.getRandomValues(new Uint8Array(1 + MARK_RANDOM_BYTES));
  mark[0] = REDIS_KV_FORMAT;
  return mark;
}

/** Arguments of the script that commits, with copies of all bytes: they may wait for a connection. */
export function commitArguments({ checks = [], puts = [], deletes = [] }: KvCommit): Argument[] {
  const counts = [checks, puts, deletes].map((each) => `${each.length}`);
  const expected = checks.map(({ value }) => (value === undefined ? "0" : "1")).join("");
  const pairs = [...checks, ...puts].flatMap(({ key, value }) => [key.slice(), value?.slice() ?? ""]);
  return [newMark(), ...counts, expected, ...pairs, ...deletes.map((key) => key.slice())];
}

/** Arguments of the script that scans. */
export function scanArguments({ start, end, reverse, limit }: KvBounds): Argument[] {
  const low = start.length === 0 ? "-" : bound("[", start);
  const high = end === undefined ? "+" : bound("(", end);
  const walk = reverse ? ["1", high, low] : ["0", low, high];
  return [...walk, `${limit}`, `${PAGE_BYTES_TARGET}`];
}

/** A bound as `ZRANGEBYLEX` takes it. */
function bound(side: "[" | "(", key: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(1 + key.length);
  bytes[0] = side.charCodeAt(0);
  bytes.set(key, 1);
  return bytes;
}

/** How many bytes arguments hold. */
export function bytesOf(args: readonly Argument[]): number {
  return args.reduce((sum, each) => sum + each.length, 0);
}
