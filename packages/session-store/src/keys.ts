import { encodeKey, type KvKey, type Partition } from "@tidemark/kv";

/**
 * Where the records of a session lie, in the partition {@link sessionPartition}. A register is one record that
 * decisions check, so that what does not concern the same register does not contend.
 *
 * | key                    | record                                                                      |
 * | :--------------------- | :-------------------------------------------------------------------------- |
 * | `gate`                 | register: whether the session is open, archived or deleted; absent: unknown |
 * | `meta`                 | session meta                                                                |
 * | `lease`                | register: the execution lease                                               |
 * | `head`                 | register: the head without its graph; absent before the first commit        |
 * | `frame`, id            | an agent frame                                                              |
 * | `node`, sequence       | a node of the graph                                                         |
 * | `node-id`, id          | the sequence of a node                                                      |
 * | `turn`, id             | stamp and result of a turn                                                  |
 * | `part`, digest         | raw bytes of a checkpoint's component                                       |
 * | `anchors`              | register: nodes that are kept for somebody                                  |
 * | `queue`                | register: counter and version of queued work                                |
 * | `work`, sequence       | a work batch, as it was queued                                              |
 * | `open-work`, sequence  | the part of an open batch that changes                                      |
 * | `settled-work`, sequence | how a batch ended                                                         |
 * | `work-id`, id          | the sequence of a work batch                                                |
 * | `source`, key          | what was queued under a source key                                          |
 * | `claim`, id            | a claim of work                                                             |
 * | `attachment`, id       | an attachment's row                                                         |
 */
export const sessionKeys: {
  readonly gate: KvKey;
  readonly meta: KvKey;
  readonly lease: KvKey;
  readonly head: KvKey;
  readonly anchors: KvKey;
  readonly queue: KvKey;
  frame(id: string): KvKey;
  node(sequence: number): KvKey;
  nodeId(id: string): KvKey;
  turn(id: string): KvKey;
  part(digest: string): KvKey;
  work(sequence: number): KvKey;
  openWork(sequence: number): KvKey;
  settledWork(sequence: number): KvKey;
  workId(id: string): KvKey;
  source(key: string): KvKey;
  claim(id: string): KvKey;
  attachment(id: string): KvKey;
} = {
  gate: encodeKey(["gate"]),
  meta: encodeKey(["meta"]),
  lease: encodeKey(["lease"]),
  head: encodeKey(["head"]),
  anchors: encodeKey(["anchors"]),
  queue: encodeKey(["queue"]),
  frame: (id) => encodeKey(["frame", id]),
  node: (sequence) => encodeKey(["node", sequence]),
  nodeId: (id) => encodeKey(["node-id", id]),
  turn: (id) => encodeKey(["turn", id]),
  part: (digest) => encodeKey(["part", digest]),
  work: (sequence) => encodeKey(["work", sequence]),
  openWork: (sequence) => encodeKey(["open-work", sequence]),
  settledWork: (sequence) => encodeKey(["settled-work", sequence]),
  workId: (id) => encodeKey(["work-id", id]),
  source: (key) => encodeKey(["source", key]),
  claim: (id) => encodeKey(["claim", id]),
  attachment: (id) => encodeKey(["attachment", id]),
};

/** The kinds of records of which a session has many, for ranges: `prefixRange([kind])`. */
export type SessionRowKind =
  | "frame"
  | "node"
  | "node-id"
  | "turn"
  | "part"
  | "work"
  | "open-work"
  | "settled-work"
  | "work-id"
  | "source"
  | "claim"
  | "attachment";

/** The partition that holds everything of a session: what one commit can change together. */
export function sessionPartition(session: string): Partition {
  return `session/${session}`;
}

/** One of the 256 partitions in which sessions are listed. */
export function directoryPartition(bucket: number): Partition {
  return `directory/${bucket.toString(16).padStart(2, "0")}`;
}

/** Where a session is listed in its directory partition. */
export function directoryKey(session: string): KvKey {
  return encodeKey(["session", session]);
}
