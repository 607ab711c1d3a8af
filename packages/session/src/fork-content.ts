import { ByteWriter, laterHlc } from "@tidemark/core";
import { type MergeFilter, filterPart, partsOf, unionParts } from "./carry.ts";
import { type CarriedPart, carriedDigest, carriedStamp, encodeCarried } from "./carried-state.ts";
import type { SessionErrorCode } from "./errors.ts";
import { CARRIED_DIGEST_BYTES } from "./fork-parts.ts";
import { METADATA_COUNT_MAX, OP_BYTES_MAX } from "./limits.ts";
import type { ForkContent } from "./op-content.ts";
import type { RequestOf } from "./op-request.ts";
import { writeSealed } from "./op-parts.ts";
import type { SessionEntry, StartEffect } from "./session-entry.ts";
import type { SessionFold } from "./session-fold.ts";

/** Header, clear part without its vector, and lengths. */
const ROOM_BYTES = 1024;
/** A log id and the longest LSN. */
const POSITION_BYTES = 17;

/** Why a fork or merge is not accepted. */
type ForkRefusal = Extract<
  SessionErrorCode,
  | "SESSION_UNKNOWN"
  | "SESSION_PURGED"
  | "SESSION_USERS_DIFFER"
  | "SESSION_TOO_LARGE"
  | "SESSION_STATES_CROSSED"
>;

/** What a fork or merge says, from what is folded here now, or why it cannot be. */
export function forkContent(
  fold: SessionFold,
  request: RequestOf<"fork"> | RequestOf<"merge">,
):
  | { readonly type: "content"; readonly content: ForkContent }
  | { readonly type: "refused"; readonly code: ForkRefusal; readonly message: string } {
  const { kind } = request;
  const ids = kind === "fork" ? [request.parent] : request.parents;
  const parents: { readonly entry: SessionEntry; readonly start: StartEffect }[] = [];
  for (const id of ids) {
    const entry = fold.sessions.get(id);
    if (fold.purged(id)) return refuse("SESSION_PURGED", `Cannot ${kind} session ${id}: it was purged`);
    if (entry?.start === undefined)
      return refuse("SESSION_UNKNOWN", `Cannot ${kind} session ${id}: its start is not known here`);
    // Under the key of one, what is of the other would outlive their erasure.
    if ((entry.owners?.length ?? 0) > 1)
      return refuse(
        "SESSION_USERS_DIFFER",
        `Cannot ${kind} session ${id}: it holds something of several users`,
      );
    parents.push({ entry, start: entry.start });
  }
  const [{ start }, other] = parents as [(typeof parents)[0], (typeof parents)[0] | undefined];
  const { user } = start.sealed;
  if (other !== undefined && other.start.sealed.user !== user)
    return refuse("SESSION_USERS_DIFFER", `Cannot merge ${ids.join(" and ")}: they are of different users`);
  const union = unionParts(parents.flatMap(({ entry }) => partsOf(entry)));
  if ("crossed" in union) {
    return refuse(
      "SESSION_STATES_CROSSED",
      `Cannot merge ${ids.join(" and ")}: each carries something of session ${union.crossed} that the other lacks`,
    );
  }
  const allows = kind === "merge" ? request.allows : undefined;
  const state = encodeCarried(filtered(union.parts, allows));
  const sealed = {
    user,
    agent: request.agent ?? start.sealed.agent,
    metadata: request.metadata ?? { ...other?.start.sealed.metadata, ...start.sealed.metadata },
    digest: new Uint8Array(CARRIED_DIGEST_BYTES),
    state,
  };
  const { policy, policyVersion } = start.clear;
  const vector = fold.lastUserPositions(user);
  const writer = new ByteWriter(state.length + ROOM_BYTES);
  writeSealed(writer, { kind, clear: { policy, policyVersion, vector, parents: ids }, sealed });
  const bytes = writer.length + ROOM_BYTES + vector.length * POSITION_BYTES;
  if (bytes > OP_BYTES_MAX || Object.keys(sealed.metadata).length > METADATA_COUNT_MAX) {
    return refuse(
      "SESSION_TOO_LARGE",
      `Cannot ${kind} ${ids.join(" and ")}: ${bytes} bytes would have to be carried, the limit is ${OP_BYTES_MAX}`,
    );
  }
  let stamp = carriedStamp(union.parts);
  for (const { entry } of parents) stamp = laterHlc(stamp, entry.maxStamp);
  return {
    type: "content",
    content: {
      clear: { policy, policyVersion, vector, parents: ids },
      sealed: { ...sealed, digest: carriedDigest(fold.hasher, state) },
      stamp,
    },
  };
}

function filtered(parts: readonly CarriedPart[], allows: MergeFilter | undefined): readonly CarriedPart[] {
  return allows === undefined ? parts : parts.map((part) => filterPart(part, allows));
}

function refuse<Code extends ForkRefusal>(
  code: Code,
  message: string,
): { readonly type: "refused"; readonly code: Code; readonly message: string } {
  return { type: "refused", code, message };
}
