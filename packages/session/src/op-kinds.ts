import type { HideKind } from "@tidemark/core";

/**
 * Every kind of operation and its number on the wire: the one table. A number is never used again.
 * `erase` is reserved: it is carried and kept whole, and folds to nothing yet.
 */
export const OP_KIND_CODE: {
  readonly start: 1;
  readonly signal: 2;
  readonly prefer: 3;
  readonly annotate: 4;
  readonly hide: 5;
  readonly unhide: 6;
  readonly mute: 7;
  readonly unmute: 8;
  readonly block: 9;
  readonly unblock: 10;
  readonly search: 11;
  readonly close: 12;
  readonly app: 13;
  readonly fork: 14;
  readonly merge: 15;
  readonly purge: 16;
  readonly erase: 17;
} = {
  start: 1,
  signal: 2,
  prefer: 3,
  annotate: 4,
  hide: 5,
  unhide: 6,
  mute: 7,
  unmute: 8,
  block: 9,
  unblock: 10,
  search: 11,
  close: 12,
  app: 13,
  fork: 14,
  merge: 15,
  purge: 16,
  erase: 17,
};

/** The kinds this version folds. */
export type OpKind = keyof typeof OP_KIND_CODE;
/** The kinds that begin a session: it has the user, policy and metadata they name. */
export type BeginKind = "start" | "fork" | "merge";
/** The kinds that lift a hide. */
export type UnhideKind = "unhide" | "unmute" | "unblock";

/** The reason of a close that its agent or user asked for. */
export const CLOSE_ASKED = 0;
/** The reason of a close by the owner because nothing happened for so long as the policy allows. */
export const CLOSE_IDLE = 1;
/** The reason of a close by the owner because the session has lasted as long as the policy allows. */
export const CLOSE_DURATION = 2;

/** The version of the fold: grows when a kind is added, or folds differently. */
export const FOLD_VERSION = 2;

const FOLDED: readonly (OpKind | undefined)[] = [
  undefined,
  "start",
  "signal",
  "prefer",
  "annotate",
  "hide",
  "unhide",
  "mute",
  "unmute",
  "block",
  "unblock",
  "search",
  "close",
  "app",
  "fork",
  "merge",
  "purge",
  "erase",
];

/** The kind of a number, or `undefined` if this version does not fold it. */
export function opKindOf(code: number): OpKind | undefined {
  return FOLDED[code];
}

/** The hide that a removal lifts. */
export const HIDE_OF: Readonly<Record<UnhideKind, HideKind>> = {
  unhide: "hide",
  unmute: "mute",
  unblock: "block",
};

/** The first fold version that knows a kind: an unhide or a purge waits until every member knows it. */
export function foldVersionOf(kind: OpKind): number {
  return kind === "fork" || kind === "merge" || kind === "purge" || kind === "erase" ? 2 : 1;
}

/** Whether a kind begins a session. */
export function beginsSession(kind: string): kind is BeginKind {
  return kind === "start" || kind === "fork" || kind === "merge";
}
