/** What a region is in the list of members: `returning` was removed, or away for too long, and is one again. */
export type Standing = "member" | "returning" | "removed";

/** How far a region is on its way back. */
export type FenceState =
  /** It serves and writes. */
  | { readonly stage: "open" }
  /** Members fetch of its own logs what they lack: nothing it acknowledged is discarded. */
  | { readonly stage: "shipping"; readonly next: "return" | "removed" }
  /** The state of a member replaces what it derived from what it knew. */
  | { readonly stage: "restoring" }
  /** Its own logs are applied on top of that. */
  | { readonly stage: "replaying" }
  /** All of it is at a member, and it is none. */
  | { readonly stage: "removed" };

/** What happened to a region that is fenced, or is about to be. */
export type FenceEvent =
  | { readonly kind: "listed"; readonly standing: Standing }
  /** Members no longer hold what it would need to catch up. */
  | { readonly kind: "behind" }
  /** One member holds all of its own logs. */
  | { readonly kind: "shipped" }
  | { readonly kind: "restored" }
  | { readonly kind: "replayed" };

const SHIP_THEN_RETURN: FenceState = { stage: "shipping", next: "return" };

/**
 * The way back of a region that was away for too long: first it ships, then it takes a member's state, then it
 * replays its own tail, and only then it serves. A removed one ends when everything is shipped.
 *
 * An event that does not belong to the stage changes nothing.
 */
export function stepFence(state: FenceState, event: FenceEvent): FenceState {
  switch (event.kind) {
    case "listed":
      return listed(state, event.standing);
    case "behind":
      return state.stage === "open" ? SHIP_THEN_RETURN : state;
    case "shipped":
      if (state.stage !== "shipping") return state;
      return state.next === "removed" ? { stage: "removed" } : { stage: "restoring" };
    case "restored":
      return state.stage === "restoring" ? { stage: "replaying" } : state;
    case "replayed":
      return state.stage === "replaying" ? { stage: "open" } : state;
  }
}

function listed(state: FenceState, standing: Standing): FenceState {
  const wasRemoved = state.stage === "removed" || (state.stage === "shipping" && state.next === "removed");
  if (standing === "removed") return wasRemoved ? state : { stage: "shipping", next: "removed" };
  // Whoever was told that it is no member has been away, whatever the list says of it now.
  if (wasRemoved) return SHIP_THEN_RETURN;
  return standing === "returning" && state.stage === "open" ? SHIP_THEN_RETURN : state;
}
