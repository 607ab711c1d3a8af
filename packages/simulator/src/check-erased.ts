import type { Effect, Evidence } from "./evidence.ts";
import { positionOf } from "./evidence.ts";
import { effectNameOf, type HistoryPosition } from "./history-events.ts";
import { sourceOf, sourcesOf } from "./history.ts";
import { Knowledge } from "./knowledge.ts";
import { Violation } from "./violation.ts";

/** A user who was erased once, by an operation that is known. */
interface Erasure {
  readonly user: string;
  readonly position: HistoryPosition;
  /** What shows of writes that had returned before it was asked for. */
  readonly gone: ReadonlySet<string>;
}

/**
 * E and A of erased users: what they had written is not shown where the erasure is known, and nowhere in the end; what is
 * written for them where it is known stays. Users who were erased several times are left out.
 */
export function* checkErased(evidence: Evidence): Generator<Violation> {
  const erasures = erasuresOf(evidence);
  if (erasures.length === 0) return;
  const knowledge = new Knowledge(evidence);
  const after = new Set<string>();
  const before = new Set<string>();
  for (const event of evidence.events) {
    knowledge.step(event);
    if (event.type === "write") {
      const erasure = erasures.find(({ user }) => user === event.user);
      const known = erasure !== undefined && knowledge.knows(event.region, erasure.position) === true;
      (known ? after : before).add(effectNameOf(event));
    }
    if (event.type !== "state") continue;
    for (const { user, position, gone } of erasures) {
      if (knowledge.knows(event.region, position) !== true) continue;
      const source = sourcesOf(event.session, event.shown).find((one) => gone.has(one));
      if (source !== undefined)
        yield new Violation("E", `${event.region} shows what was erased of ${user}`, {
          state: event.index,
          source,
        });
    }
  }
  // A retry of what was written before is under the old key.
  const kept = [...after].filter((name) => !before.has(name));
  yield* checkFinals(evidence, erasures, kept);
}

function* checkFinals(
  { finals, effects, purged }: Evidence,
  erasures: readonly Erasure[],
  kept: readonly string[],
): Generator<Violation> {
  for (const { region, sessions } of finals) {
    const shown = new Set(Object.entries(sessions).flatMap(([id, session]) => sourcesOf(id, session)));
    for (const { user, gone } of erasures)
      for (const source of gone)
        if (shown.has(source))
          yield new Violation("E", `${region} shows in the end what was erased of ${user}`, { source });
    for (const name of kept) {
      const { first, certain = false } = effects.get(name) ?? {};
      const source = first?.operation === "annotate" && certain ? sourceOf(first) : undefined;
      if (source !== undefined && !shown.has(source) && !purged.has(first?.session ?? ""))
        yield new Violation("A", `${region} lost what was written for ${first?.user} after the erasure`, {
          write: first,
        });
    }
  }
}

function erasuresOf({ effects }: Evidence): Erasure[] {
  const all = [...effects.values()];
  const erases = all.filter(({ first }) => first.operation === "erase");
  return erases.flatMap(({ first, writes, certain }): Erasure[] => {
    const { user, index } = first;
    const position = writes.map(positionOf).find((one) => one !== undefined);
    const others = erases.filter((other) => other.first.user === user);
    if (!certain || position === undefined || others.length > 1) return [];
    return [{ user, position, gone: goneOf(all, user, index) }];
  });
}

function goneOf(effects: readonly Effect[], user: string, erasedAt: number): Set<string> {
  const before = effects.filter(
    ({ first, writes }) =>
      first.user === user && writes.every(({ returnedIndex = erasedAt }) => returnedIndex < erasedAt),
  );
  return new Set(before.flatMap(({ first }) => sourceOf(first) ?? []));
}
