import { ByteReader, ByteWriter, compareHlc, type Hlc, readHlc, writeHlc } from "@tidemark/core";
import { encodeKey, type KvKey } from "@tidemark/kv";
import type { RecordMode } from "./record-message.ts";

/** Where a write stands among all writes of its record, wherever they were made: a total order. */
export interface RecordOrder {
  readonly mode: RecordMode;
  readonly stamp: Hlc;
  /** Of the message, so that nothing is left to chance where stamps were carried over. */
  readonly digest: string;
}

/** Where the order of a record's last write is kept, beside the record. */
export function orderKey(key: KvKey): KvKey {
  return encodeKey(["~order", key]);
}

/** Whether a write takes the place of the one that is there: the first of `keep`, the last of `replace`, and `replace` before `keep`. */
export function winsOver(order: RecordOrder, present: RecordOrder): boolean {
  if (order.mode !== present.mode) return order.mode === "replace";
  const later =
    compareHlc(order.stamp, present.stamp) ||
    (order.digest < present.digest ? -1 : order.digest > present.digest ? 1 : 0);
  return order.mode === "replace" ? later > 0 : later < 0;
}

/** u8 mode (1 for `replace`), 10 bytes of stamp, the digest as text. */
export function encodeOrder({ mode, stamp, digest }: RecordOrder): Uint8Array {
  const out = new ByteWriter(48);
  out.u8(mode === "replace" ? 1 : 0);
  writeHlc(out, stamp);
  out.text(digest);
  return out.take();
}

/** @throws CoreError `DECODE_FAILED` */
export function decodeOrder(bytes: Uint8Array): RecordOrder {
  const input = new ByteReader(bytes);
  const mode = input.u8() === 1 ? "replace" : "keep";
  const stamp = readHlc(input);
  const digest = input.text();
  input.finish();
  return { mode, stamp, digest };
}
