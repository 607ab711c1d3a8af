import type { Hasher } from "@tidemark/core";
import type { Kv } from "@tidemark/kv";
import { AttachmentTable } from "../src/attachment-table.ts";
import { Attachments } from "../src/attachments.ts";
import { BlobCollector } from "../src/blob-collector.ts";
import { BlobLedger } from "../src/blob-ledger.ts";
import { sessionKeys, sessionPartition } from "../src/keys.ts";
import { sessionGateRecord } from "../src/session-gate.ts";
import type { Hands } from "./interleavings.ts";

/** A hash that is quick to make, so that many histories can be run; nothing here tries to fool it. */
export const quickHasher: Hasher = {
  digest: (_context, bytes, length = 32) => quickHash(bytes, length),
  keyedDigest: (_key, bytes, length = 32) => quickHash(bytes, length),
};

function quickHash(bytes: Uint8Array, length: number): Uint8Array {
  let hash = 0x811c9dc5;
  for (const byte of bytes) hash = Math.imul(hash ^ byte, 0x01000193);
  const digest = new Uint8Array(length);
  for (let index = 0; index < length; index++) {
    digest[index] = hash >>> 24;
    hash = Math.imul(hash ^ index, 0x01000193);
  }
  return digest;
}

/** The id of bytes under {@link quickHasher}. */
export function digestOf(bytes: Uint8Array): string {
  return quickHash(bytes, 32).reduce((text, byte) => text + byte.toString(16).padStart(2, "0"), "");
}

/** Makes a session that is open, and has no lease. */
export async function makeSession({ kv }: Pick<Hands, "kv">, session: string): Promise<void> {
  const partition = sessionPartition(session);
  const gate = { state: "open", sinceMs: 0 } as const;
  const puts = [sessionGateRecord.item(gate, sessionKeys.gate, { partition, hasher: quickHasher })];
  await kv.commit(partition, { puts });
}

/** The attachments of a session over somebody's hands. */
export function attachmentsOf({ kv, blobs, fresh }: Hands, session: string): Attachments {
  return new Attachments({
    session,
    table: tableOf({ kv }, session),
    ledger: new BlobLedger(kv, quickHasher),
    blobs,
    digestOf,
    fresh,
  });
}

/** The rows of a session over somebody's hands. */
export function tableOf({ kv }: Pick<Hands, "kv">, session: string): AttachmentTable {
  return new AttachmentTable(kv, quickHasher, session);
}

/** A collector over somebody's hands that grants no grace. */
export function collectorOf({ kv, blobs, fresh }: Hands): BlobCollector {
  return new BlobCollector({
    ledger: new BlobLedger(kv, quickHasher),
    blobs,
    fresh,
    graceMs: 0,
    nowMs: () => kv.nowMs(),
    holdsRow: async (session, digest) => (await tableOf({ kv }, session).row(digest)) !== undefined,
  });
}

/** A key-value store whose methods are others where they are given. */
export function kvWith(kv: Kv, other: Partial<Kv>): Kv {
  return {
    capabilities: kv.capabilities,
    nowMs: () => kv.nowMs(),
    get: (partition, keys) => kv.get(partition, keys),
    scan: (partition, range) => kv.scan(partition, range),
    commit: (partition, commit) => kv.commit(partition, commit),
    close: () => kv.close(),
    [Symbol.asyncDispose]: () => kv.close(),
    ...other,
  };
}
