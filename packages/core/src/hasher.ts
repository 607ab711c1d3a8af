import { blake3 } from "@noble/hashes/blake3.js";

/**
 * BLAKE3 behind one seam, synchronous. `context` is one of {@link HASH_CONTEXTS}; a result is a fresh
 * array of `length` bytes (default 32; a shorter result is a prefix of a longer one).
 */
export interface Hasher {
  /** `derive_key` mode. */
  digest(context: string, bytes: Uint8Array, length?: number): Uint8Array;
  /** Keyed mode; the key has 32 bytes. */
  keyedDigest(key: Uint8Array, bytes: Uint8Array, length?: number): Uint8Array;
}

/**
 * Every use of a hash has a context of its own, and this is the one place that lists them. A preimage is
 * each field as u32-LE length and bytes, in the order given in docs/formats.md; the batch digests are raw.
 */
export const HASH_CONTEXTS: {
  readonly walBatchV1: "tidemark 2026 wal-batch v1";
  readonly walBatchV2: "tidemark 2026 wal-batch v2";
  readonly idempotencyKey: "tidemark 2026 idempotency-key v1";
  readonly operationTag: "tidemark 2026 operation-tag v1";
  readonly request: "tidemark 2026 request v1";
  readonly frameMac: "tidemark 2026 frame-mac v1";
  readonly frame: "tidemark 2026 frame v1";
  readonly clusterId: "tidemark 2026 cluster-id v1";
  readonly cursorMac: "tidemark 2026 cursor-mac v1";
  readonly ticketMac: "tidemark 2026 ticket-mac v1";
  readonly binding: "tidemark 2026 binding v1";
  readonly membership: "tidemark 2026 membership v1";
  readonly checkpoint: "tidemark 2026 checkpoint v1";
  readonly watermark: "tidemark 2026 watermark v1";
  readonly slot: "tidemark 2026 slot v1";
  readonly state: "tidemark 2026 state v1";
  readonly keyTree: "tidemark 2026 key-tree v1";
  readonly userSecret: "tidemark 2026 user-secret v1";
  readonly userNext: "tidemark 2026 user-next v1";
  readonly userSeal: "tidemark 2026 user-seal v1";
  readonly userNonce: "tidemark 2026 user-nonce v1";
  readonly userPseudonym: "tidemark 2026 user-pseudonym v1";
  readonly keyFile: "tidemark 2026 key-file v1";
  readonly keyWrap: "tidemark 2026 key-wrap v1";
  readonly sessionPolicy: "tidemark 2026 session-policy v1";
  readonly signalSchema: "tidemark 2026 signal-schema v1";
  readonly signalTag: "tidemark 2026 signal-tag v1";
  readonly signalRequest: "tidemark 2026 signal-request v1";
  readonly journalMessage: "tidemark 2026 journal-message v1";
  readonly turnCommit: "tidemark 2026 turn-commit v1";
  readonly checkpointManifest: "tidemark 2026 checkpoint-manifest v1";
  readonly attachment: "tidemark 2026 attachment v1";
  readonly checkpointComponent: "tidemark 2026 checkpoint-component v1";
  readonly sessionDirectory: "tidemark 2026 session-directory v1";
  readonly kvRecord: "tidemark 2026 kv-record v1";
  readonly langgraphPart: "tidemark 2026 langgraph-part v1";
  readonly langgraphDirectory: "tidemark 2026 langgraph-directory v1";
  readonly expressSessionShard: "tidemark 2026 express-session-shard v1";
  readonly zoneContent: "tidemark 2026 zone-content v1";
  readonly openaiAgentsOperation: "tidemark 2026 openai-agents-operation v1";
  readonly openaiAgentsTransaction: "tidemark 2026 openai-agents-transaction v1";
} = {
  walBatchV1: "tidemark 2026 wal-batch v1",
  walBatchV2: "tidemark 2026 wal-batch v2",
  idempotencyKey: "tidemark 2026 idempotency-key v1",
  operationTag: "tidemark 2026 operation-tag v1",
  request: "tidemark 2026 request v1",
  frameMac: "tidemark 2026 frame-mac v1",
  frame: "tidemark 2026 frame v1",
  clusterId: "tidemark 2026 cluster-id v1",
  cursorMac: "tidemark 2026 cursor-mac v1",
  ticketMac: "tidemark 2026 ticket-mac v1",
  binding: "tidemark 2026 binding v1",
  membership: "tidemark 2026 membership v1",
  checkpoint: "tidemark 2026 checkpoint v1",
  watermark: "tidemark 2026 watermark v1",
  slot: "tidemark 2026 slot v1",
  state: "tidemark 2026 state v1",
  keyTree: "tidemark 2026 key-tree v1",
  userSecret: "tidemark 2026 user-secret v1",
  userNext: "tidemark 2026 user-next v1",
  userSeal: "tidemark 2026 user-seal v1",
  userNonce: "tidemark 2026 user-nonce v1",
  userPseudonym: "tidemark 2026 user-pseudonym v1",
  keyFile: "tidemark 2026 key-file v1",
  keyWrap: "tidemark 2026 key-wrap v1",
  sessionPolicy: "tidemark 2026 session-policy v1",
  signalSchema: "tidemark 2026 signal-schema v1",
  signalTag: "tidemark 2026 signal-tag v1",
  signalRequest: "tidemark 2026 signal-request v1",
  journalMessage: "tidemark 2026 journal-message v1",
  turnCommit: "tidemark 2026 turn-commit v1",
  checkpointManifest: "tidemark 2026 checkpoint-manifest v1",
  attachment: "tidemark 2026 attachment v1",
  checkpointComponent: "tidemark 2026 checkpoint-component v1",
  sessionDirectory: "tidemark 2026 session-directory v1",
  kvRecord: "tidemark 2026 kv-record v1",
  langgraphPart: "tidemark 2026 langgraph-part v1",
  langgraphDirectory: "tidemark 2026 langgraph-directory v1",
  expressSessionShard: "tidemark 2026 express-session-shard v1",
  zoneContent: "tidemark 2026 zone-content v1",
  openaiAgentsOperation: "tidemark 2026 openai-agents-operation v1",
  openaiAgentsTransaction: "tidemark 2026 openai-agents-transaction v1",
};

const ascii = new TextEncoder();

/** The portable engine and the reference: `@noble/hashes`. A key of another length than 32 is a `RangeError`. */
export const nobleHasher: Hasher = {
  digest: (context, bytes, length = 32) => blake3(bytes, { context: ascii.encode(context), dkLen: length }),
  keyedDigest(key, bytes, length = 32) {
    if (key.length !== 32) throw new RangeError(`key must have 32 bytes: ${key.length}`);
    return blake3(bytes, { key, dkLen: length });
  },
};

/**
 * The bytes of several fields, so that no two lists of fields give the same: each as u32-LE length and bytes.
 *
 * @example
 * ```ts
 * assert.deepEqual(preimage([Uint8Array.of(7)]), Uint8Array.of(1, 0, 0, 0, 7));
 * ```
 */
export function preimage(fields: readonly Uint8Array[]): Uint8Array {
  let length = 0;
  for (const field of fields) length += 4 + field.length;
  const bytes = new Uint8Array(length);
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const field of fields) {
    view.setUint32(at, field.length, true);
    bytes.set(field, at + 4);
    at += 4 + field.length;
  }
  return bytes;
}
