import type { AgentFrame, ModelChoice } from "./agent-frame.ts";
import type { HydratedCheckpoint, StoredCheckpoint } from "./checkpoint.ts";
import type { GraphDelta, SessionGraph } from "./graph.ts";
import type { LeaseFence } from "./lease.ts";
import type { UsageEntry } from "./usage-ledger.ts";
import type { WorkCompletion } from "./work-claim.ts";

/** What makes a commit one turn: tried again with the same stamp and content it counts once. */
export interface TurnStamp {
  readonly session: string;
  readonly turn: string;
}

/** Everything one turn changes, written in one atomic step. */
export interface TurnCommit {
  readonly session: string;
  /**
   * The revision of the head this rests on; `absent`: there must be none yet; `any`: whatever it is.
   *
   * @defaultValue `absent`
   */
  readonly expected?: number | "absent" | "any";
  /** The lease it is made under. Only a turn that was committed already is answered without. */
  readonly lease?: LeaseFence;
  /** Whether the lease is released in the same step. @defaultValue false */
  readonly release?: boolean;
  /** Who serves the session from now on. */
  readonly config: ModelChoice;
  /** Agent frames that are new or changed. The others stay. */
  readonly frames?: readonly AgentFrame[];
  /** The frame the session is in. @defaultValue the one it is in */
  readonly currentFrame?: string;
  readonly graph: GraphDelta;
  /** The agent's state. @defaultValue what it is */
  readonly checkpoint?: HydratedCheckpoint;
  /** What was used since the last commit. */
  readonly usage?: readonly UsageEntry[];
  /** Makes a retry safe. A commit without it counts as often as it is made. */
  readonly turn?: TurnStamp;
  /** Claims of queued work that this turn answers. */
  readonly completed?: readonly WorkCompletion[];
  /** Ids of attachments the turn refers to. */
  readonly attachments?: readonly string[];
}

/** What a turn came to. */
export interface TurnResult {
  /** The revision of the head with this turn. */
  readonly revision: number;
  /** The agent's state with this turn. */
  readonly checkpoint?: StoredCheckpoint;
}

/** The answer to a commit. */
export interface TurnCommitResult extends TurnResult {
  /** `replayed`: the turn was committed earlier, and this changed nothing. */
  readonly outcome: "committed" | "replayed";
}

/** What decides how a graph goes into a commit. */
export interface GraphDeltaOptions {
  /** The revision of the head; absent before the first commit. */
  readonly revision?: number;
  /** Whether nodes that are stored were changed, so that all are written anew. @defaultValue false */
  readonly replace?: boolean;
}

/**
 * The delta of a graph that is held whole: `replace` for a first commit, or if asked for, else `unchanged`. Who knows
 * which nodes are new appends them.
 */
export function graphDelta(
  graph: SessionGraph,
  { revision, replace = false }: GraphDeltaOptions,
): GraphDelta {
  if (revision === undefined || revision === 0 || replace) return { type: "replace", graph };
  return { type: "unchanged", ...(graph.leaf === undefined ? {} : { leaf: graph.leaf }) };
}
