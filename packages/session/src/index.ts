export * from "./admission.ts";
export { appOperations } from "./app-operations.ts";
export * from "./app-reducer.ts";
export type { MergeFilter, MergeItem } from "./carry.ts";
export * from "./cold-store.ts";
export * from "./cursor.ts";
export { EffectIds, formatEffectId, OPERATION_TAG_BYTES } from "./effect-id.ts";
export * from "./effect-table.ts";
export type { Erasure, RecordPlace } from "./erasure.ts";
export * from "./errors.ts";
export type { FoldStats } from "./fold-counts.ts";
export type { SessionFoldOptions, SignalRules, SignalSink, StableFrontier } from "./fold-options.ts";
export * from "./idempotency-store.ts";
export { laneBytesOf } from "./lane-bytes.ts";
export type { LaneProgress } from "./lane.ts";
export * from "./lane-id.ts";
export { KeyTree } from "./key-tree.ts";
export * from "./limits.ts";
export { encodeOp, OP_VERSION } from "./op-codec.ts";
export { OpDraft, type OpPlace } from "./op-draft.ts";
export * from "./op-kinds.ts";
export * from "./op-request.ts";
export { decodeOp, erasedBy, OpView } from "./op-view.ts";
export * from "./op.ts";
export * from "./sealer.ts";
export * from "./policy-book.ts";
export * from "./policy-gate.ts";
export { RATES_MAX, RateLimits } from "./rate-limits.ts";
export { type Applied, SessionFold } from "./session-fold.ts";
export * from "./session-keeper.ts";
export * from "./session-policy.ts";
export { mintSessionId, slotOfSessionId } from "./session-id.ts";
export type { ForkedNumber } from "./session-entry.ts";
export type {
  Annotation,
  SessionChange,
  SessionConflicts,
  SessionState,
  SignalState,
} from "./session-state.ts";
export * from "./ticket.ts";
export type { TokenKey, TokenSeal, TokenTrust } from "./token.ts";
export * from "./token-positions.ts";
export * from "./user-keys.ts";
export { associatedData, erasureSession, UserSeal, UserSeals, type UserSealsOptions } from "./user-seal.ts";
export { type UserSessionsOptions, UserView } from "./user-view.ts";
export type { LogPlace } from "./unstable-op.ts";
export type { UnstableOps } from "./unstable-ops.ts";
