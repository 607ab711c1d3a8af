import { appOperations, checkReducer, reduceApps } from "@tidemark/session";
import type { AppReducer, SessionFold } from "@tidemark/session";
import { absent } from "./absent.ts";
import type { RegionHealth } from "./health.ts";

/** The reducers a region was opened with, and how often each failed. */
export class RegionReducers {
  readonly #reducers: Map<string, AppReducer<unknown>>;
  readonly #failures: Map<string, number> = new Map();

  /** @throws SessionError `INVALID_INPUT`, `TypeError` for reducers that cannot be. */
  constructor(reducers: object = {}) {
    this.#reducers = new Map<string, AppReducer<unknown>>(Object.entries(reducers));
    for (const [namespace, reducer] of this.#reducers) checkReducer(namespace, reducer);
  }

  /**
   * Reduces what is known of a namespace of a session.
   *
   * @throws SessionError `REDUCER_FAILED`, `SESSION_UNKNOWN`, `SESSION_PURGED`.
   * @throws `TypeError` for a namespace without a reducer.
   */
  read(fold: SessionFold, session: string, namespace: string): unknown {
    const reducer = this.#reducers.get(namespace);
    if (reducer === undefined) {
      const known = [...this.#reducers.keys()].join(", ") || "none";
      throw new TypeError(`The region was opened without a reducer of ${namespace}: it has ${known}`);
    }
    const operations = appOperations(fold, session, namespace);
    if (operations === undefined) throw absent(fold, session, `read ${namespace} of session ${session}`);
    try {
      return reduceApps(namespace, reducer, operations);
    } catch (error) {
      this.#failures.set(namespace, (this.#failures.get(namespace) ?? 0) + 1);
      throw error;
    }
  }

  health(): RegionHealth["reducers"] {
    return Object.fromEntries(
      [...this.#reducers].map(([namespace, { version }]) => [
        namespace,
        { version, failures: this.#failures.get(namespace) ?? 0 },
      ]),
    );
  }

  /** What is wrong, a sentence each. */
  reasons(): string[] {
    return [...this.#failures].map(
      ([namespace, count]) =>
        `The reducer of ${namespace} failed ${count} times: its state could not be read`,
    );
  }
}
