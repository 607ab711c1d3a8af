import type { JsonValue } from "./canonical-json.ts";

/**
 * When work may be handed out. `earliest-safe-boundary`: also between two steps of a running turn.
 * `after-current-turn`: only once no turn runs.
 */
export type DeliveryPolicy = "earliest-safe-boundary" | "after-current-turn";

/** Whether work may share a claim with what is queued directly after it (`join`), or is a claim of its own. */
export type SlotPolicy = "exclusive" | "join";

/** Where a worker stands when it asks for work: between two steps of a running turn, or with no turn running. */
export type WorkBoundary = "active-turn-checkpoint" | "idle";

/**
 * How far a batch is. `pending-active` and `deferred-next-turn` wait, for the next safe boundary or for the end of the
 * turn; `accepted` is held by a live claim; `completed` and `cancelled` are for ever.
 */
export type WorkState = "pending-active" | "deferred-next-turn" | "accepted" | SettledAs;

/** How a batch ended. */
export type SettledAs = "completed" | "cancelled";

/** One piece of input. */
export interface WorkItem {
  readonly id: string;
  /** Any JSON; the queue never looks into it. */
  readonly payload: JsonValue;
}

/** What was queued, written once and never changed. */
export interface WorkBatch {
  /** Its place in the session's queue, from 1; order of enqueuing is order of delivery. */
  readonly sequence: number;
  readonly id: string;
  readonly session: string;
  /** The caller's name for this input: the same key again is the same batch. */
  readonly sourceKey?: string;
  readonly items: readonly WorkItem[];
  readonly delivery: DeliveryPolicy;
  readonly slot: SlotPolicy;
  /** Batches join only those of an equal merge key; no key equals no key. */
  readonly mergeKey?: string;
  /** Not handed out before it: Unix ms of the store's clock. 0 is at once. */
  readonly availableAtMs: number;
  /** Unix ms of the store's clock. */
  readonly enqueuedAtMs: number;
}

/** The part of an open batch that changes, and all that claiming looks at. */
export interface OpenWork {
  readonly sequence: number;
  readonly id: string;
  readonly sourceKey?: string;
  /** As queued, or `after-current-turn` once it was deferred. */
  readonly delivery: DeliveryPolicy;
  readonly slot: SlotPolicy;
  readonly mergeKey?: string;
  readonly availableAtMs: number;
  /** Bytes of its items as canonical JSON. */
  readonly bytes: number;
  /** How many times it was claimed: its own fencing number. */
  readonly claimCount: number;
  /** The latest claim on it, which holds it while the lease generation of that claim is the live one. */
  readonly claim?: { readonly id: string; readonly generation: number };
}

/** What is kept of a batch that ended, until vacuum: the evidence for whoever asks or queues it again. */
export interface SettledWork {
  readonly sequence: number;
  readonly id: string;
  readonly sourceKey?: string;
  readonly as: SettledAs;
  /** How many times it was claimed. */
  readonly claimCount: number;
  /** Unix ms of the store's clock. */
  readonly settledAtMs: number;
}

/** A batch as a caller sees it: what was queued, and how far it is. */
export interface WorkView extends WorkBatch {
  readonly state: WorkState;
  /** How many times it was claimed. */
  readonly claimCount: number;
  /** The live claim that holds it. */
  readonly claim?: string;
}

/** The claim that holds an open batch: the one of the live generation; `undefined` if it is free. */
export function liveClaim(work: OpenWork, generation: number | undefined): string | undefined {
  return work.claim !== undefined && work.claim.generation === generation ? work.claim.id : undefined;
}

/** The claims that are on open batches, live or not, each once. */
export function claimIds(work: readonly OpenWork[]): readonly string[] {
  return [...new Set(work.flatMap(({ claim }) => (claim === undefined ? [] : [claim.id])))];
}

/** How far an open batch is while `generation` is the live one. */
export function openState(work: OpenWork, generation: number | undefined): WorkState {
  if (liveClaim(work, generation) !== undefined) return "accepted";
  return work.delivery === "earliest-safe-boundary" ? "pending-active" : "deferred-next-turn";
}

/** An open batch as a caller sees it. */
export function viewOpen(batch: WorkBatch, work: OpenWork, generation: number | undefined): WorkView {
  const { delivery, claimCount } = work;
  const claim = liveClaim(work, generation);
  const state = openState(work, generation);
  return { ...batch, delivery, state, claimCount, ...(claim === undefined ? {} : { claim }) };
}

/** A batch that ended as a caller sees it. */
export function viewSettled(batch: WorkBatch, settled: SettledWork): WorkView {
  return { ...batch, state: settled.as, claimCount: settled.claimCount };
}
