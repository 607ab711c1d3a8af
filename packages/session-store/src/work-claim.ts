import type { OpenWork, WorkBatch, WorkBoundary } from "./work-batch.ts";

/**
 * Work taken by the holder of a lease, as it is stored. It has no clock of its own: it holds its batches for as long as
 * the lease generation it was taken under is the live one.
 */
export interface ClaimRecord {
  /** From the first batch's sequence and how often that batch was claimed: `7.2`. Never used again. */
  readonly id: string;
  readonly session: string;
  /** Of the lease it was taken under. */
  readonly owner: string;
  /** Of the lease it was taken under. */
  readonly generation: number;
  readonly boundary: WorkBoundary;
  /** Sequences of its batches, in order. */
  readonly sequences: readonly number[];
  /** Unix ms of the store's clock. */
  readonly claimedAtMs: number;
}

/** What a worker gets: the claim and its batches, in order. */
export interface WorkClaim extends ClaimRecord {
  readonly batches: readonly WorkBatch[];
}

/** What a turn's commit shows to settle a claim: the claim without what is told to people. */
export interface WorkCompletion {
  readonly session: string;
  readonly claim: string;
  readonly generation: number;
}

/** The completion of a claim. */
export function workCompletion(claim: ClaimRecord): WorkCompletion {
  return { session: claim.session, claim: claim.id, generation: claim.generation };
}

/** A stored claim and the open rows of its batches, in the claim's order; `undefined` where none is stored. */
export interface ClaimRows {
  readonly claim: ClaimRecord | undefined;
  readonly open: readonly (OpenWork | undefined)[];
}

/**
 * The open batches of a claim, if it holds all of them: it is stored, of this session and generation, the generation is
 * the live one, and each batch is open and has no later claim. `undefined` otherwise.
 */
export function heldWork(
  rows: ClaimRows,
  completion: WorkCompletion,
  generation: number | undefined,
): readonly OpenWork[] | undefined {
  const { claim, open } = rows;
  if (claim === undefined || generation === undefined) return undefined;
  if (claim.session !== completion.session || claim.id !== completion.claim) return undefined;
  if (claim.generation !== completion.generation || claim.generation !== generation) return undefined;
  const held = open.filter((work) => work?.claim?.id === claim.id) as OpenWork[];
  return held.length === claim.sequences.length ? held : undefined;
}
