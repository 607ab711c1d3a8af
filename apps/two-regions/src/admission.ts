import type { Operation } from "./operation.ts";

/** Why the recording, read in order, has an operation refused. */
export type Refusal = "not-started" | "already-started" | "closed" | "weight";

/** A weight of this magnitude or more is refused. */
export const WEIGHT_LIMIT: number = 2 ** 40;

/** Which operations of a recording take effect: the rules alone, read naively from the first line on. */
export class Admission {
  /** Session to whether it is open. */
  readonly #sessions = new Map<string, boolean>();

  /** Judges the next operation of the recording and remembers what it opens or closes. */
  judge(operation: Operation): Refusal | undefined {
    const open = this.#sessions.get(operation.session);
    if (operation.op === "start") {
      if (open !== undefined) return "already-started";
      this.#sessions.set(operation.session, true);
      return undefined;
    }
    if (open === undefined) return "not-started";
    if (!open) return "closed";
    if (operation.op === "signal" && Math.abs(operation.weight) >= WEIGHT_LIMIT) return "weight";
    if (operation.op === "close") this.#sessions.set(operation.session, false);
    return undefined;
  }
}
