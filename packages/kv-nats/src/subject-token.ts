import type { KvKey, Partition } from "@tidemark/kv";

const utf8 = new TextEncoder();
const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/** A key of the bucket: partition and key as base64url without padding, joined by a dot. So both are single tokens. */
export function bucketKey(partition: Partition, key: KvKey): string {
  return `${encodeToken(utf8.encode(partition))}.${encodeToken(key)}`;
}

/** RFC 4648 §5, without padding. */
export function encodeToken(bytes: Uint8Array): string {
  let token = "";
  for (let at = 0; at < bytes.length; at += 3) {
    const group = (bytes[at]! << 16) | ((bytes[at + 1] ?? 0) << 8) | (bytes[at + 2] ?? 0);
    const digits = Math.min(4, bytes.length - at + 1);
    for (let digit = 0; digit < digits; digit++) token += ALPHABET[(group >> (18 - 6 * digit)) & 63];
  }
  return token;
}
