import { compareUtf8, type SignalSums, type SignalWindow, type WindowSum } from "@tidemark/core";
import { SignalError } from "./errors.ts";
import type { FiniteWindow, SignalKind, SignalSchema } from "./signal-schema.ts";

/** How fast something happens now, and against its own past. */
export interface Velocity {
  /** Contributions an hour in the shortest window of the signal. */
  readonly perHour: number;
  /** That rate over the rate in its longest window: above 1 it is picking up. 0 where nothing happened. */
  readonly trend: number;
}

/** A candidate with its score. */
export interface RankedEntity {
  readonly entity: string;
  readonly score: number;
}

/** What can be read of one ledger. */
export interface LedgerSums {
  /** The sums of a signal by its place in the schema, if anything was folded. */
  sumsOf(entity: string, signal: number): SignalSums | undefined;
}

const WINDOW_HOURS: Readonly<Record<FiniteWindow, number>> = { "1h": 1, "24h": 24, "7d": 168 };

/** Reads one ledger, or several whose sum is the global one: those of a region's shards. */
export class LedgerReader<Name extends string = string> {
  readonly #schema: SignalSchema<Name>;
  readonly #ledgers: readonly LedgerSums[];

  constructor(schema: SignalSchema<Name>, ledgers: readonly LedgerSums[]) {
    this.#schema = schema;
    this.#ledgers = ledgers;
  }

  /** The decayed score, 0 where nothing was folded. @throws {@link SignalError} `SIGNAL_UNKNOWN`. */
  score(entity: string, signal: Name, nowMs: number): number {
    return this.#score(entity, this.#schema.require(signal), nowMs);
  }

  /** What fell into a window. @throws {@link SignalError} `SIGNAL_UNKNOWN`, `WINDOW_UNKNOWN`. */
  window(entity: string, signal: Name, window: SignalWindow, nowMs: number): WindowSum {
    const index = this.#schema.require(signal);
    const kind = this.#kind(index);
    if (window !== "all" && !kind.windows.includes(window)) {
      throw new SignalError(
        "WINDOW_UNKNOWN",
        `Cannot read the window ${String(window)} of ${signal}: it keeps ${[...kind.windows, "all"].join(", ")}`,
        { signal },
      );
    }
    return this.#window(entity, index, window, nowMs);
  }

  /** Its velocity. @throws {@link SignalError} `SIGNAL_UNKNOWN`, `WINDOW_UNKNOWN` if the schema keeps none. */
  velocity(entity: string, signal: Name, nowMs: number): Velocity {
    const index = this.#schema.require(signal);
    const { velocity, windows } = this.#kind(index);
    const [shortest, longest] = [windows[0], windows.at(-1)];
    if (!velocity || shortest === undefined || longest === undefined) {
      throw new SignalError(
        "WINDOW_UNKNOWN",
        `Cannot read the velocity of ${signal}: its schema keeps none`,
        {
          signal,
        },
      );
    }
    const perHour = this.#window(entity, index, shortest, nowMs).count / WINDOW_HOURS[shortest];
    const usual = this.#window(entity, index, longest, nowMs).count / WINDOW_HOURS[longest];
    return { perHour, trend: usual === 0 ? 0 : perHour / usual };
  }

  /**
   * The candidates by their decayed score, the highest first; equal scores in order of the UTF-8 bytes. A candidate
   * of which nothing was folded has 0.
   *
   * @throws {@link SignalError} `SIGNAL_UNKNOWN`.
   */
  rank(entities: readonly string[], signal: Name, nowMs: number): RankedEntity[] {
    const index = this.#schema.require(signal);
    const ranked = entities.map((entity) => ({ entity, score: this.#score(entity, index, nowMs) }));
    return ranked.sort((a, b) => b.score - a.score || compareUtf8(a.entity, b.entity));
  }

  #kind(index: number): SignalKind<Name> {
    return this.#schema.kinds[index] as SignalKind<Name>;
  }

  #score(entity: string, index: number, nowMs: number): number {
    let score = 0;
    for (const ledger of this.#ledgers) score += ledger.sumsOf(entity, index)?.score(nowMs) ?? 0;
    return score;
  }

  #window(entity: string, index: number, window: SignalWindow, nowMs: number): WindowSum {
    let [count, weight] = [0, 0];
    for (const ledger of this.#ledgers) {
      const sum = ledger.sumsOf(entity, index)?.window(window, nowMs);
      count += sum?.count ?? 0;
      weight += sum?.weight ?? 0;
    }
    return { count, weight };
  }
}
