export * from "./ack-schedule.ts";
export * from "./ack.ts";
export * from "./certificate.ts";
export type { CoverageNeed, CoveragePosition } from "./coverage.ts";
export type { DigestDetail, DigestDetails, DigestObjectEntry } from "./digest-parts.ts";
export type { DivergedObject, DivergenceReport } from "./divergence.ts";
export * from "./epoch-decision.ts";
export * from "./errors.ts";
export * from "./fenced-return.ts";
export { fetchKeys, type FetchKeysOptions, KEYS_BYTES_MAX } from "./fetch-keys.ts";
export * from "./frame.ts";
export * from "./frontier.ts";
export type { ReplicationEvents } from "./events.ts";
export * from "./health.ts";
export * from "./join-cluster.ts";
export * from "./limits.ts";
export * from "./log-receiver.ts";
export * from "./logger.ts";
export * from "./membership-change.ts";
export { NO_MEMBERSHIP_DIGEST, type MembershipPromise, type MembershipStore } from "./membership-in-force.ts";
export * from "./membership.ts";
export { openReplication } from "./open-replication.ts";
export * from "./poison.ts";
export type { ForkEvidence } from "./receiver.ts";
export * from "./reconciliation-plan.ts";
export { ReconciliationEngine, type ReconciliationTarget } from "./reconciliation.ts";
export * from "./removal.ts";
export * from "./replicated.ts";
export * from "./replication-state.ts";
export * from "./replication.ts";
export * from "./reply.ts";
export * from "./request.ts";
export * from "./retention-policy.ts";
export type { RetainOptions } from "./retention.ts";
export * from "./shard-router.ts";
export * from "./ship-window.ts";
export {
  decodeSnapshotBody,
  encodeSnapshotBody,
  type LogEnd,
  restoreSnapshotBody,
  type SnapshotBody,
  takeSnapshot,
} from "./snapshot-body.ts";
export { finishInstall, openSnapshot, type CheckpointPlace } from "./snapshot-install.ts";
export * from "./snapshot-provider.ts";
export * from "./snapshot-token.ts";
export * from "./snapshot-transfer.ts";
export * from "./stability.ts";
export * from "./subject.ts";
export type { WaitOptions } from "./wait-set.ts";
