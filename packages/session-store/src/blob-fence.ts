/**
 * The fence of one digest: whether its bytes may be referred to, are suspected to be garbage, or are going.
 * It lies in the same partition as the digest's holders, so every step below is one atomic step that decides
 * about both. Each step gives the fence a stamp that was never used before: whoever decided on an older stamp has
 * lost, also where the state is the same again.
 */
export interface BlobFence {
  readonly digest: string;
  readonly state: "free" | "condemned" | "deleting";
  /**
   * Which life of the digest this is. Bytes are stored under digest and incarnation, and an incarnation is never
   * used again: a deletion that comes late hits only what was dead already, and bytes that come late are garbage
   * that the listing of the blob store shows.
   */
  readonly incarnation: string;
  /** Unique per step. */
  readonly stamp: string;
  /** Whether some writer saw the bytes of this incarnation durably stored. */
  readonly stored: boolean;
}

/** That a session refers to a digest or is about to. Written before the session's own row, removed after it. */
export interface BlobHolder {
  readonly digest: string;
  readonly session: string;
  /** When the session last announced itself, in Unix ms of the store's clock. */
  readonly atMs: number;
}

/** What a step wants to be written. */
export interface FenceStep<Outcome extends string> {
  readonly outcome: Outcome;
  /** The fence from now on, or that it goes; absent if it stays as it is. */
  readonly fence?: BlobFence | "removed";
  readonly addHolder?: BlobHolder;
  readonly dropHolders?: readonly BlobHolder[];
}

/**
 * Step 1 of a writer: announces the session as a holder. Revokes a condemnation; `wait` while the bytes of the
 * digest's last life are being deleted.
 *
 * @param fresh - A name never used before, for the stamp and, in a new life, the incarnation.
 */
export function decideHold(
  fence: BlobFence | undefined,
  holder: BlobHolder,
  fresh: string,
): FenceStep<"held" | "wait"> {
  if (fence?.state === "deleting") return { outcome: "wait" };
  const { incarnation, stored } = fence ?? { incarnation: fresh, stored: false };
  return {
    outcome: "held",
    fence: { digest: holder.digest, state: "free", incarnation, stamp: fresh, stored },
    addHolder: holder,
  };
}

/**
 * Last step of a writer, after its session's row and after the bytes: from here on the attachment is safe. `again`
 * if the life it wrote into is over or ending: everything is done anew, the row stays.
 *
 * A fence that is free and stored and still holds the session needs no write.
 */
export function decideConfirm(
  fence: BlobFence | undefined,
  held: boolean,
  incarnation: string,
  fresh: string,
): FenceStep<"safe" | "again"> {
  if (fence === undefined || fence.state === "deleting" || fence.incarnation !== incarnation || !held)
    return { outcome: "again" };
  if (fence.state === "free" && fence.stored) return { outcome: "safe" };
  return { outcome: "safe", fence: { ...fence, state: "free", stamp: fresh, stored: true } };
}

/**
 * Step 1 of the collector: condemns. `resume` if an earlier collector died while it deleted; `gone` if there is
 * nothing to collect.
 */
export function decideCondemn(
  fence: BlobFence | undefined,
  fresh: string,
): FenceStep<"condemned" | "resume" | "gone"> {
  if (fence === undefined) return { outcome: "gone" };
  if (fence.state === "deleting") return { outcome: "resume" };
  return { outcome: "condemned", fence: { ...fence, state: "condemned", stamp: fresh } };
}

/**
 * Step 2 of the collector, after it looked at every holder's session. With a holder left the fence is free again
 * without the dead ones; without any the digest goes into deletion. `lost` if a writer came in between: nothing
 * it looked at counts.
 *
 * @param condemned - The fence its own step 1 wrote.
 * @param dead - Holders whose sessions were seen to hold no row.
 * @param alive - How many holders live or could not be looked at.
 */
export function decideVerdict(
  fence: BlobFence | undefined,
  condemned: BlobFence,
  dead: readonly BlobHolder[],
  alive: number,
  fresh: string,
): FenceStep<"kept" | "deleting" | "lost"> {
  if (fence?.stamp !== condemned.stamp) return { outcome: "lost" };
  if (alive === 0) return { outcome: "deleting", fence: { ...fence, state: "deleting", stamp: fresh } };
  return { outcome: "kept", fence: { ...fence, state: "free", stamp: fresh }, dropHolders: dead };
}

/**
 * Last step of the deletion, after the bytes of the incarnation are gone: the last holders are forgotten, and with
 * them the digest, unless `more` of them are left for another such step.
 */
export function decideGone(
  fence: BlobFence | undefined,
  incarnation: string,
  last: readonly BlobHolder[],
  more: boolean,
): FenceStep<"gone" | "more" | "lost"> {
  if (fence?.state !== "deleting" || fence.incarnation !== incarnation) return { outcome: "lost" };
  if (more) return { outcome: "more", dropHolders: last };
  return { outcome: "gone", fence: "removed", dropHolders: last };
}
