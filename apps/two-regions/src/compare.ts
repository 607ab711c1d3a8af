import type { ExpectedSession, Model } from "./model.ts";
import type { SessionView, StateView } from "./view.ts";

/** Compares what a region shows with what the recording says, by nothing but reading both. */
export function compareState(view: StateView, model: Model, difference: Difference): void {
  for (const [user, hidden] of model.hidden) difference.sets(new Set(view.hidden(user)), hidden);
  for (const [id, expected] of model.sessions) compareSession(view.session(id), expected, difference);
  for (const id of view.sessions()) if (!model.sessions.has(id)) difference.doubled++;
}

/** How a state differs from the recording read in order; adds up what it is asked to compare. */
export class Difference {
  /** Accepted operations that are missing, or whose effect is not the recording's. */
  lost = 0;
  /** What is there more often than the recording has it. */
  doubled = 0;

  /** Either way the operation that should have decided is missing: a hide, or an unhide. */
  sets(actual: ReadonlySet<string>, expected: ReadonlySet<string>): void {
    for (const item of expected) if (!actual.has(item)) this.lost++;
    for (const item of actual) if (!expected.has(item)) this.lost++;
  }

  strings(actual: ReadonlyMap<string, string>, expected: ReadonlyMap<string, string>): void {
    for (const [key, value] of expected) if (actual.get(key) !== value) this.lost++;
    for (const key of actual.keys()) if (!expected.has(key)) this.doubled++;
  }

  counts(actual: number, expected: number): void {
    if (actual > expected) this.doubled += actual - expected;
    else this.lost += expected - actual;
  }

  /** Lists in the order of the recording; the same entries in another order count as one that is missing. */
  lists(actual: readonly string[], expected: readonly string[]): void {
    if (actual.length === expected.length && actual.every((entry, index) => entry === expected[index]))
      return;
    const before = this.lost + this.doubled;
    const left = countEach(expected);
    for (const entry of actual) {
      const count = left.get(entry) ?? 0;
      if (count === 0) this.doubled++;
      else left.set(entry, count - 1);
    }
    for (const count of left.values()) this.lost += count;
    if (this.lost + this.doubled === before) this.lost++;
  }

  claim(isHeld: boolean): void {
    if (!isHeld) this.lost++;
  }
}

/** Compares one session; `undefined` stands for one that is not there. */
export function compareSession(
  actual: SessionView | undefined,
  expected: ExpectedSession,
  difference: Difference,
): void {
  difference.claim(actual !== undefined && actual.user === expected.user && actual.agent === expected.agent);
  difference.claim(actual?.open === expected.open);
  difference.strings(actual?.metadata ?? new Map(), expected.metadata);
  difference.strings(actual?.hints ?? new Map(), expected.hints);
  difference.lists(actual?.annotations ?? [], expected.annotations);
  difference.lists(actual?.searches ?? [], expected.searches);
  compareSignals(actual?.signals ?? new Map(), expected.signals, difference);
}

function compareSignals(
  actual: SessionView["signals"],
  expected: ExpectedSession["signals"],
  difference: Difference,
): void {
  for (const [entity, sums] of expected) {
    for (const [signal, sum] of sums) {
      const found = actual.get(entity)?.get(signal);
      const count = found?.count ?? 0;
      difference.counts(count, sum.count);
      if (count !== sum.count) continue;
      const bound = sum.count * 1e-12 + sum.magnitude * 1e-12;
      difference.claim(Math.abs(found!.weight - sum.weight) <= bound);
    }
  }
  for (const [entity, sums] of actual) {
    for (const [signal, { count }] of sums) {
      if (!expected.get(entity)?.has(signal)) difference.counts(count, 0);
    }
  }
}

function countEach(entries: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const entry of entries) counts.set(entry, (counts.get(entry) ?? 0) + 1);
  return counts;
}
