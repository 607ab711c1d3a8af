/** Every bound of replication: bytes, counts and milliseconds. */
export interface ReplicationLimits {
  /** Bytes published and not acknowledged by a follower; beyond it the follower catches up by asking. @defaultValue 4 MiB */
  readonly shipWindowBytes: number;
  /** Frames of one log under way to the medium at once. @defaultValue 8 */
  readonly publishesInFlightMax: number;
  /** Bytes kept of one log that arrived ahead of a hole; beyond it frames are dropped and asked for again. @defaultValue 8 MiB */
  readonly receiveAheadBytes: number;
  /** An ack goes out this long after the vector moved. @defaultValue 5 */
  readonly ackDelayMs: number;
  /** An ack goes out at once when this many records are unacknowledged. @defaultValue 256 */
  readonly ackRecords: number;
  /** An ack goes out at least this often. @defaultValue 1,000 */
  readonly heartbeatMs: number;
  /** A peer not heard from for this long is called silent. @defaultValue 5,000 */
  readonly peerSilentMs: number;
  /** How long one question to a peer may take. @defaultValue 10,000 */
  readonly requestTimeoutMs: number;
  /** How long a hole may be filled by frames under way before it is asked for. @defaultValue 10 */
  readonly repairDelayMs: number;
  /** Questions for ranges under way at once. @defaultValue 4 */
  readonly requestsInFlightMax: number;
  /** First and last pause between attempts of something that failed (doubled in between). @defaultValue 50 and 2,000 */
  readonly retryMs: { readonly min: number; readonly max: number };
  /** The largest snapshot that is taken of a member. @defaultValue 4 GiB */
  readonly snapshotBytesMax: number;
  /** A snapshot that nobody has asked for so long is dropped. @defaultValue 30,000 */
  readonly snapshotIdleMs: number;
  /** How often the state is compared with that of a member that holds the same; 0 for never. @defaultValue 30,000 */
  readonly certificateMs: number;
  /** Frames in a row of one subject that may fail before its source is called quarantined. @defaultValue 8 */
  readonly poisonFramesMax: number;
  /** Bytes of each poison frame kept as evidence. @defaultValue 256 */
  readonly poisonEvidenceBytes: number;
}

/** The defaults, in one place. Change them by measurement. */
export const DEFAULT_REPLICATION_LIMITS: ReplicationLimits = {
  shipWindowBytes: 4 * 1024 * 1024,
  publishesInFlightMax: 8,
  receiveAheadBytes: 8 * 1024 * 1024,
  ackDelayMs: 5,
  ackRecords: 256,
  heartbeatMs: 1_000,
  peerSilentMs: 5_000,
  requestTimeoutMs: 10_000,
  repairDelayMs: 10,
  requestsInFlightMax: 4,
  retryMs: { min: 50, max: 2_000 },
  snapshotBytesMax: 4 * 1024 * 1024 * 1024,
  snapshotIdleMs: 30_000,
  certificateMs: 30_000,
  poisonFramesMax: 8,
  poisonEvidenceBytes: 256,
};
