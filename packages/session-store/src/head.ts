import type { LoadedCheckpoint, StoredCheckpoint } from "./checkpoint.ts";
import type { ModelChoice, StoredFrame } from "./agent-frame.ts";
import type { SessionGraph } from "./graph.ts";
import { recordCodec, type RecordCodec } from "./records.ts";
import type { SessionRelation } from "./session-meta.ts";
import type { UsageEntry } from "./usage-ledger.ts";

/** A node and where it lies. */
export interface NodePosition {
  readonly id: string;
  readonly sequence: number;
}

/**
 * The head register: all of a session's state but its nodes, its frames and the bytes of its components. It does not
 * grow with the graph. Whatever changes the graph changes it, so that a check of the head is a check of the graph.
 */
export interface HeadRecord {
  readonly session: string;
  /** 1 after the first commit; one more for each. */
  readonly revision: number;
  readonly config: ModelChoice;
  readonly currentFrame?: string;
  readonly graph: {
    /** Nodes below this sequence were replaced: they are no longer of the graph. */
    readonly floor: number;
    /** The sequence of the next node. */
    readonly next: number;
    /** Nodes that can be read: tombstones do not count. */
    readonly count: number;
    readonly leaf?: NodePosition;
  };
  readonly checkpoint?: StoredCheckpoint;
  readonly usage: readonly UsageEntry[];
  readonly messages: MessageCounts;
}

/** What picker info tells of the conversation, kept so that no graph is read for it. */
export interface MessageCounts {
  /** The text of the first user message of the graph, cut. */
  readonly first?: string;
  /** User messages of the graph, on all its branches, hidden ones included. */
  readonly user: number;
}

/** How the head is stored. */
export const headRecord: RecordCodec<HeadRecord> = recordCodec("head", 1);

/** The state of a session after its last turn. */
export interface Head {
  readonly session: string;
  readonly revision: number;
  readonly config: ModelChoice;
  /** By creation, then id. */
  readonly frames: readonly StoredFrame[];
  readonly currentFrame?: string;
  /** All of it, or the path that was asked for. */
  readonly graph: SessionGraph;
  readonly checkpoint?: LoadedCheckpoint;
  readonly usage: readonly UsageEntry[];
}

/** The head without its graph and without the bytes of its components. */
export interface HeadMeta extends Omit<Head, "graph" | "checkpoint"> {
  readonly checkpoint?: StoredCheckpoint;
  readonly leaf?: string;
  /** Nodes that can be read. */
  readonly nodeCount: number;
}

/** What a list of sessions shows of one. */
export interface PickerInfo {
  readonly id: string;
  readonly workingDirectory?: string;
  readonly relation: SessionRelation;
  /** Its text, cut to 256 UTF-16 units. */
  readonly firstUserMessage?: string;
  readonly userMessageCount: number;
}
