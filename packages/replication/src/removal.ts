import type { RegionId } from "@tidemark/core";

/** Another member, and for how long nothing was heard of it. */
export interface Sighting {
  readonly region: RegionId;
  readonly silentMs: number;
}

/** What decides about a removal. */
export interface RemovalView {
  readonly self: RegionId;
  /** Every other member. */
  readonly sightings: readonly Sighting[];
  /** Silent for so long, a member is given up. */
  readonly removeAfterMs: number;
  /** Silent for so long, a member cannot be asked. */
  readonly peerSilentMs: number;
}

/**
 * Whom to propose to remove: everybody who was silent for too long, if this is the member to say so.
 *
 * The others must all be there to agree, and be more than half of the list: of two sides of a partition at most one
 * can say so, and two members never remove each other. Of those who remain the one with the lowest id proposes.
 */
export function decideRemoval(view: RemovalView): RegionId[] {
  const { self, sightings, removeAfterMs, peerSilentMs } = view;
  const gone = sightings.filter(({ silentMs }) => silentMs >= removeAfterMs).map(({ region }) => region);
  const rest = sightings.filter(({ silentMs }) => silentMs < removeAfterMs);
  const remaining = rest.length + 1;
  if (gone.length === 0 || remaining * 2 <= sightings.length + 1) return [];
  if (rest.some(({ region, silentMs }) => silentMs >= peerSilentMs || region < self)) return [];
  return gone;
}

/** Whether this region agrees that the others named are gone: it has not heard of any of them for too long. */
export function agreesToRemoval(view: RemovalView, gone: readonly RegionId[]): boolean {
  const { sightings, removeAfterMs } = view;
  const remaining = sightings.length + 1 - gone.length;
  if (gone.length === 0 || remaining * 2 <= sightings.length + 1) return false;
  return gone.every((region) =>
    sightings.some((seen) => seen.region === region && seen.silentMs >= removeAfterMs),
  );
}
