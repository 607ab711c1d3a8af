import type { JsonValue } from "./canonical-json.ts";
import type { Component } from "./checkpoint.ts";
import { recordCodec, type RecordCodec } from "./records.ts";

/** Who serves a head or a frame. */
export interface ModelChoice {
  readonly provider: string;
  readonly model: string;
}

/**
 * One stretch of an agent's work, between the compactions and continuations of a session. Texts are free: a status or a
 * reason this version does not know comes back as it was.
 */
export interface AgentFrame {
  readonly id: string;
  readonly session: string;
  /** The frame it follows. */
  readonly previous?: string;
  readonly status: string;
  /** Why it began. Known: {@link FRAME_REASONS}. */
  readonly reason: string;
  readonly cause?: string;
  /** ISO 8601; frames are listed by it, then by id. */
  readonly createdAt: string;
  readonly assignment: ModelChoice;
  readonly options?: JsonValue;
  /** What the frame's work is in the middle of: bytes to store, or the reference they have. */
  readonly executionState?: Component;
}

/** An agent frame as it is stored and read: the execution state is a reference. */
export interface StoredFrame extends Omit<AgentFrame, "executionState"> {
  readonly executionState?: { readonly ref: string };
}

/** Reasons of frames that have a meaning here. */
export const FRAME_REASONS: {
  readonly initial: "initial";
  readonly continueAs: "continue-as";
  readonly compaction: "compaction";
} = { initial: "initial", continueAs: "continue-as", compaction: "compaction" };

/** How an agent frame is stored. */
export const agentFrameRecord: RecordCodec<StoredFrame> = recordCodec("agent-frame", 1);

/** The order in which frames are listed. */
export function compareFrames(a: StoredFrame, b: StoredFrame): number {
  if (a.createdAt !== b.createdAt) return a.createdAt < b.createdAt ? -1 : 1;
  return a.id < b.id ? -1 : Number(a.id > b.id);
}
