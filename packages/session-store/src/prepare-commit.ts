import { guardSafe, type Hasher } from "@tidemark/core";
import type { AgentFrame, ModelChoice, StoredFrame } from "./agent-frame.ts";
import { type Bodies, nameCheckpoint, nameComponent, type StoredCheckpoint } from "./checkpoint.ts";
import { guardDelta } from "./graph-delta.ts";
import { guardId } from "./limits.ts";
import type { TurnCommit } from "./turn-commit.ts";
import { turnHash, turnProjection } from "./turn-hash.ts";

/** A commit whose arguments were judged, whose bytes have become references, and whose content has its hash. */
export interface PreparedCommit {
  readonly commit: TurnCommit;
  readonly frames: readonly StoredFrame[];
  readonly checkpoint?: StoredCheckpoint;
  readonly bodies: Bodies;
  readonly hash: string;
}

/**
 * Judges the arguments of a commit and prepares what does not depend on what is stored.
 *
 * @throws `TypeError` or `RangeError` if an argument is not what it must be.
 */
export function prepareCommit(commit: TurnCommit, hasher: Hasher): PreparedCommit {
  const guarded = guardCommit(commit);
  const bodies: Bodies = new Map();
  const frames = (guarded.frames ?? []).map(({ executionState, ...frame }): StoredFrame => {
    if (executionState === undefined) return frame;
    return { ...frame, executionState: { ref: nameComponent(executionState, hasher, bodies) } };
  });
  const { checkpoint: hydrated } = guarded;
  const checkpoint = hydrated && nameCheckpoint(hydrated, hasher, bodies);
  const named = { frames, ...(checkpoint === undefined ? {} : { manifest: checkpoint.manifest }) };
  const hash = turnHash(turnProjection(guarded, named), hasher);
  return { commit: guarded, frames, bodies, hash, ...(checkpoint === undefined ? {} : { checkpoint }) };
}

/** The fields of a commit and no others. */
function guardCommit(commit: TurnCommit): TurnCommit {
  const { session, expected, lease, release, config, frames, currentFrame, turn } = commit;
  guardId(session, "session");
  if (typeof expected === "number") guardSafe(expected, "expected", 1);
  else if (expected !== undefined && expected !== "absent" && expected !== "any") {
    throw new TypeError(`expected must be a revision, absent or any: ${String(expected)}`);
  }
  if (release === true && lease === undefined) throw new TypeError("release needs the lease to release");
  guardChoice(config, "config");
  for (const frame of frames ?? []) guardFrame(frame, session);
  if (currentFrame !== undefined) guardId(currentFrame, "currentFrame");
  if (turn !== undefined) {
    guardId(turn.session, "turn.session");
    guardId(turn.turn, "turn.turn");
  }
  for (const id of commit.attachments ?? []) guardId(id, "attachment");
  return { ...commit, graph: guardDelta(commit.graph) };
}

function guardChoice({ provider, model }: ModelChoice, what: string): void {
  if (typeof provider !== "string" || typeof model !== "string") {
    throw new TypeError(`${what} must name provider and model`);
  }
}

function guardFrame(frame: AgentFrame, session: string): void {
  guardId(frame.id, "frame.id");
  guardChoice(frame.assignment, "frame.assignment");
  if (frame.session !== session)
    throw new RangeError(`A frame must be of session ${session}: ${frame.session}`);
}
