import type { Hlc } from "@tidemark/core";
import { SessionError } from "./errors.ts";
import { checkName } from "./limits.ts";
import type { OpPlace } from "./op-draft.ts";

/** An operation of an application, as a reducer is given it. */
export interface AppOperation {
  /** A copy, the reducer's own. */
  readonly bytes: Uint8Array;
  /** When it was written, by the clock of the region whose id is `clockId`. */
  readonly stamp: Hlc;
  /** The session it was written in: this one, or one that this one was forked from or merged of. */
  readonly session: string;
  /** Whose session it is; absent until the start is known. */
  readonly user?: string;
  /** 32 hexadecimal digits that name the effect in every region; absent from what a fork or merge brought along. */
  readonly effectId?: string;
  /** Its place in the session; absent from what a fork or merge brought along. */
  readonly position?: OpPlace;
}

/**
 * Makes a state of the operations of one namespace of a session. It is pure: the same operations in the same order give
 * the same state, and nothing else takes part, no clock, no randomness, nothing outside.
 */
export interface AppReducer<State> {
  /** A number from 1, another one whenever it makes another state of the same operations: errors and health say it. */
  readonly version: number;
  /** The state before the first operation, a new one each time. */
  empty(): State;
  /** The state behind one more operation. One that it cannot read it passes by, giving back the state that it got. */
  reduce(state: State, operation: AppOperation): State;
}

/** Reducers by their namespaces, of the states they make. */
export type AppReducers<States extends object> = {
  readonly [Namespace in keyof States]: AppReducer<States[Namespace]>;
};

/**
 * Checks a reducer and the namespace it is for.
 *
 * @throws SessionError `INVALID_INPUT` for the namespace. @throws `TypeError` for what is no reducer.
 */
export function checkReducer(namespace: string, reducer: AppReducer<unknown>): void {
  checkName(namespace, "A namespace");
  const { version, empty, reduce } = reducer;
  if (!Number.isSafeInteger(version) || version < 1)
    throw new TypeError(`The reducer of ${namespace} needs a version, a whole number from 1`);
  if (typeof empty !== "function" || typeof reduce !== "function")
    throw new TypeError(`The reducer of ${namespace} needs empty() and reduce(state, operation)`);
}

/**
 * The state of operations in their order.
 *
 * @throws SessionError `REDUCER_FAILED` if the reducer throws, which is the cause, or gives a promise.
 */
export function reduceApps<State>(
  namespace: string,
  reducer: AppReducer<State>,
  operations: Iterable<AppOperation>,
): State {
  let at = "empty()";
  const settled = (state: State): State => {
    if (typeof state === "object" && state !== null && "then" in state && typeof state.then === "function")
      throw failed(namespace, reducer, `gave a promise at ${at}`);
    return state;
  };
  try {
    let state = settled(reducer.empty());
    for (const operation of operations) {
      const { session, position, stamp } = operation;
      at = `the operation ${position === undefined ? `of ${session} at ${stamp.wallMs}` : `${position.lane} ${position.seqno}`}`;
      state = settled(reducer.reduce(state, operation));
    }
    return state;
  } catch (error) {
    if (error instanceof SessionError && error.code === "REDUCER_FAILED") throw error;
    throw failed(namespace, reducer, `threw at ${at}`, error);
  }
}

function failed(
  namespace: string,
  { version }: AppReducer<unknown>,
  what: string,
  cause?: unknown,
): SessionError {
  return new SessionError(
    "REDUCER_FAILED",
    `Cannot read the state of ${namespace}: its reducer (version ${version}) ${what}`,
    cause === undefined ? {} : { cause },
  );
}
