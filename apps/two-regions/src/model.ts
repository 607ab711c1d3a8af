import { Admission, type Refusal } from "./admission.ts";
import type { Operation } from "./operation.ts";

/** Searches a session remembers. */
export const SEARCHES_MAX = 100;

/** What one signal of one entity adds up to. */
export interface SignalSum {
  readonly count: number;
  /** The plain sum of the weights. */
  readonly weight: number;
  /** The sum of the magnitudes, which bounds the rounding of `weight`. */
  readonly magnitude: number;
}

/** A session as the recording has it. */
export interface ExpectedSession {
  readonly user: string;
  readonly agent: string;
  readonly metadata: ReadonlyMap<string, string>;
  readonly open: boolean;
  readonly signals: ReadonlyMap<string, ReadonlyMap<string, SignalSum>>;
  readonly hints: ReadonlyMap<string, string>;
  readonly annotations: readonly string[];
  readonly searches: readonly string[];
}

type Writable<T> = { -readonly [Key in keyof T]: T[Key] };
interface SessionModel extends Omit<
  Writable<ExpectedSession>,
  "signals" | "hints" | "annotations" | "searches"
> {
  readonly signals: Map<string, Map<string, Writable<SignalSum>>>;
  readonly hints: Map<string, string>;
  readonly annotations: string[];
  readonly searches: string[];
}

/**
 * The recording, read in order: what every region must hold at the end, whatever the seed.
 *
 * Deliberately naive and without a line of the regions' code: it is what they are compared with.
 */
export class Model {
  readonly #admission = new Admission();
  readonly #sessions = new Map<string, SessionModel>();
  readonly #hidden = new Map<string, Set<string>>();

  /** Reads the next operation. */
  read(operation: Operation): Refusal | undefined {
    const refusal = this.#admission.judge(operation);
    if (refusal !== undefined) return refusal;
    if (operation.op === "start") this.#start(operation);
    else this.#apply(operation, this.#sessions.get(operation.session)!);
    return undefined;
  }

  /** Every session with an accepted start. */
  get sessions(): ReadonlyMap<string, ExpectedSession> {
    return this.#sessions;
  }

  /** Every user with an accepted start, and what is hidden from them. */
  get hidden(): ReadonlyMap<string, ReadonlySet<string>> {
    return this.#hidden;
  }

  #start({ session, user, agent, metadata }: Operation & { op: "start" }): void {
    this.#sessions.set(session, {
      user,
      agent,
      metadata,
      open: true,
      signals: new Map(),
      hints: new Map(),
      annotations: [],
      searches: [],
    });
    if (!this.#hidden.has(user)) this.#hidden.set(user, new Set());
  }

  #apply(operation: Exclude<Operation, { op: "start" }>, session: SessionModel): void {
    switch (operation.op) {
      case "signal":
        return addSignal(session, operation);
      case "prefer":
        return void session.hints.set(operation.key, operation.value);
      case "annotate":
        return void session.annotations.push(operation.text);
      case "hide":
        return void this.#hidden.get(session.user)!.add(operation.item);
      case "unhide":
        return void this.#hidden.get(session.user)!.delete(operation.item);
      case "search":
        session.searches.push(operation.query);
        if (session.searches.length > SEARCHES_MAX) session.searches.shift();
        return;
      case "close":
        session.open = false;
    }
  }
}

function addSignal(session: SessionModel, { entity, signal, weight }: Operation & { op: "signal" }): void {
  let signals = session.signals.get(entity);
  if (signals === undefined) session.signals.set(entity, (signals = new Map()));
  let sum = signals.get(signal);
  if (sum === undefined) signals.set(signal, (sum = { count: 0, weight: 0, magnitude: 0 }));
  sum.count++;
  sum.weight += weight;
  sum.magnitude += Math.abs(weight);
}
