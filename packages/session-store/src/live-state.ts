import { FRAME_REASONS, type ModelChoice, type StoredFrame } from "./agent-frame.ts";
import type { LoadedCheckpoint, TurnState } from "./checkpoint.ts";
import type { SessionGraph } from "./graph.ts";
import type { Head } from "./head.ts";
import type { ReadScope } from "./read-session.ts";
import type { SessionStore } from "./session-store.ts";
import type { UsageEntry } from "./usage-ledger.ts";

/** What a worker decides for itself, and what of it comes with the session. */
export interface LivePolicy extends ModelChoice {
  /** The session the worker works in: its own matter, never the store's. */
  readonly session: string;
  /** How many turns it may take: its own matter too. */
  readonly turnsMax: number;
}

/** The state a worker holds in memory. */
export interface LiveState {
  readonly policy: LivePolicy;
  /** What the next commit expects; 0 before the first. */
  readonly revision: number;
  /** At least one. */
  readonly frames: readonly StoredFrame[];
  readonly currentFrame: string;
  readonly graph: SessionGraph;
  readonly turnState: TurnState;
  /** The components; absent if the session has no checkpoint. */
  readonly checkpoint?: LoadedCheckpoint;
  readonly usage: readonly UsageEntry[];
}

/** The turn state of a session without a checkpoint. */
export const EMPTY_TURN_STATE: TurnState = { turnIndex: 0, usage: {} };

/** The id of the frame that a session without frames is in. */
export const INITIAL_FRAME: string = "initial";

/** The state of a session nothing was committed to. */
export function newLiveState(policy: LivePolicy, createdAt: string): LiveState {
  const frames = [initialFrame(policy, createdAt)];
  return {
    policy,
    revision: 0,
    frames,
    currentFrame: INITIAL_FRAME,
    graph: { nodes: [] },
    turnState: EMPTY_TURN_STATE,
    usage: [],
  };
}

/**
 * A live state as its session was stored: all of it but the policy's session and turn limit, which are the worker's. The
 * stored provider and model go into the policy and into every frame. Nothing stored: the state stays as it is.
 */
export function refreshLiveState(live: LiveState, head: Head | undefined): LiveState {
  if (head === undefined) return live;
  const { provider, model } = head.config;
  const policy = { ...live.policy, provider, model };
  const createdAt = live.frames[0]?.createdAt ?? "";
  const stored = head.frames.length === 0 ? [initialFrame(policy, createdAt)] : head.frames;
  const frames = stored.map((frame) => ({ ...frame, assignment: { provider, model } }));
  const { checkpoint, graph, revision, usage } = head;
  return {
    policy,
    revision,
    frames,
    currentFrame: head.currentFrame ?? frames.at(-1)!.id,
    graph,
    turnState: checkpoint?.turnState ?? EMPTY_TURN_STATE,
    usage,
    ...(checkpoint === undefined ? {} : { checkpoint }),
  };
}

/** A session's stored state, in full or along a path, over a live one; `undefined` if nothing is stored. */
export async function loadLiveState(
  session: SessionStore,
  live: LiveState,
  scope?: ReadScope,
): Promise<LiveState | undefined> {
  const head = await session.load(scope);
  return head === undefined ? undefined : refreshLiveState(live, head);
}

function initialFrame({ session, provider, model }: LivePolicy, createdAt: string): StoredFrame {
  return {
    id: INITIAL_FRAME,
    session,
    status: "active",
    reason: FRAME_REASONS.initial,
    createdAt,
    assignment: { provider, model },
  };
}
