export {
  BATCH_DIGEST_BYTES,
  BATCH_HEADER_BYTES,
  BATCH_PAYLOAD_BYTES_MAX,
  BATCH_VERSION,
  decodeBatchHeader,
  type BatchHeader,
} from "./batch-header.ts";
export {
  RECORD_TYPE,
  WalBatch,
  decodeBatch,
  decodeBatches,
  forEachRecord,
  type DecodeBatchOptions,
  type RecordVisitor,
  type WalRecord,
} from "./batch.ts";
export {
  decodeCheckpoint,
  encodeCheckpoint,
  readCheckpoint,
  writeCheckpoint,
  type Checkpoint,
  type StoredCheckpoint,
} from "./checkpoint.ts";
export type { AppendOptions, NewRecord, RecordEncoder } from "./commit-queue.ts";
export type { DirectoryOptions, DirectoryState } from "./directory.ts";
export { directorySource, dumpLog, type BatchSource, type DumpedRecord, type DumpOptions } from "./dump.ts";
export type { Durability } from "./durability.ts";
export * from "./epoch-open.ts";
export * from "./errors.ts";
export { replaceFile, type WalFile, type WalFileMode, type WalFs, type WalLock } from "./file-system.ts";
export * from "./inspect.ts";
export type { LogSegment, RepairOptions, RetentionResult } from "./log-keeping.ts";
export type { RepairFetch, RepairResult } from "./log-repair.ts";
export { type Log, type LogPosition, type QueueState, type ReadOptions } from "./log.ts";
export type { Logger } from "./logger.ts";
export * from "./memory-fs.ts";
export type { Corruption, LogRecovery, NotResumableReason, TornTail } from "./recovery.ts";
export * from "./repair-directory.ts";
export { formatSegmentName, parseSegmentName, type SegmentName } from "./segment-name.ts";
export { readStoredLogs, type StoredLogView } from "./stored-logs.ts";
export type { Timers } from "./timers.ts";
export * from "./vector.ts";
export {
  verifyDirectory,
  type DirectoryProgress,
  type DirectoryVerification,
  type Finding,
  type FindingKind,
  type LogVerification,
  type VerifyOptions,
} from "./verify.ts";
export {
  openWal,
  type CreateLogOptions,
  type EpochOptions,
  type LogFloor,
  type Wal,
  type WalOptions,
} from "./wal.ts";
export { decodeWatermark, encodeWatermark, type Watermark, type WatermarkEntry } from "./watermark.ts";
