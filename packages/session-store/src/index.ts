export * from "./abandon-work.ts";
export * from "./agent-frame.ts";
export * from "./cancel-work.ts";
export * from "./canonical-json.ts";
export * from "./checkpoint.ts";
export * from "./claim-work.ts";
export * from "./decision.ts";
export * from "./enqueue.ts";
export * from "./errors.ts";
export * from "./graph-delta.ts";
export * from "./graph.ts";
export * from "./head.ts";
export * from "./keys.ts";
export * from "./lease-guard.ts";
export * from "./lease-limits.ts";
export * from "./lease.ts";
export * from "./limits.ts";
export * from "./records.ts";
export { scanAll } from "./scan-all.ts";
export * from "./session-context.ts";
export * from "./session-gate.ts";
export * from "./session-lease.ts";
export * from "./session-meta.ts";
export * from "./settle-work.ts";
export * from "./turn-commit.ts";
export * from "./turn-hash.ts";
export * from "./turn-record.ts";
export * from "./usage-ledger.ts";
export * from "./vacuum-work.ts";
export * from "./work-batch.ts";
export * from "./work-change.ts";
export * from "./work-claim.ts";
export * from "./work-draft.ts";
export * from "./work-queue-record.ts";
export * from "./work-queue.ts";
export { appendMessage, type JournalMessage, MESSAGE_PARTS_MAX, MessageReader } from "./journal-parts.ts";
export {
  type CommitLimits,
  openRecordCommits,
  type RecordCommits,
  type RecordCommitsOptions,
} from "./record-commits.ts";
export { followSessions, type FollowOptions } from "./follow-sessions.ts";
export { guardPrefix, randomBytes } from "./adapter-options.ts";
export { SealedRecords } from "./sealed-records.ts";
export { base64, bytesOfBase64 } from "./base64.ts";
export { hex } from "./hex.ts";
export { SessionTurns } from "./session-turns.ts";
export * from "./record-journal.ts";
export * from "./record-message.ts";
export * from "./region-journal.ts";
export * from "./session-journal.ts";
export * from "./commit.ts";
export * from "./session-store.ts";
export * from "./session-stores.ts";
export type { ReadScope } from "./read-session.ts";
export {
  type AttachmentCommit,
  type AttachmentDraft,
  type AttachmentIntentDraft,
  type AttachmentManifest,
  noAttachmentManifest,
} from "./attachment-manifest.ts";
export { attachmentId } from "./attachment-keeper.ts";
export { type AttachmentRow, attachmentRecord, decideStamp, type Stamped } from "./attachment-rows.ts";
export { type Anchor, ANCHORS_MAX, type SessionAnchors } from "./anchors.ts";
export type { ComponentReport } from "./graph-vacuum.ts";
export type { Attachments } from "./attachments.ts";
export type { BlobName, BlobPage, BlobStore, DigestOf } from "./blob-store.ts";
export type { BlobReport } from "./blob-collector.ts";
export { BLOB_CHUNK_BYTES, KvBlobStore } from "./kv-blob-store.ts";
export { MemoryBlobStore } from "./memory-blob-store.ts";
export * from "./live-state.ts";
export * from "./migrate-records.ts";
export * from "./replicated-lease.ts";
export * from "./replicated-session.ts";
export * from "./replicated-sessions.ts";
export * from "./replicated-work.ts";
