import type { Evidence } from "./evidence.ts";
import type { FinalState } from "./final-state.ts";
import { sourceOf, sourcesOf } from "./history.ts";
import { Violation } from "./violation.ts";

/** B: no effect counts twice, and nothing is there that nobody wrote. */
export function* checkOnce(evidence: Evidence): Generator<Violation> {
  const sources = new Set<string>();
  const signals = new Map<string, { count: number; weights: Set<number> }>();
  for (const { first } of evidence.effects.values()) {
    const source = sourceOf(first);
    if (source !== undefined) sources.add(source);
    if (first.operation !== "signal") continue;
    const name = `${first.session}\n${first.entity} ${first.key}`;
    const sum = signals.get(name) ?? { count: 0, weights: new Set() };
    signals.set(name, { count: sum.count + 1, weights: sum.weights.add(first.weight ?? 0) });
  }
  for (const final of evidence.finals) {
    for (const [session, shown] of Object.entries(final.sessions)) {
      // What a session was forked from or merged of shows in it, too.
      const family = familyOf(session, final);
      const seen = new Set<string>();
      for (const source of sourcesOf(session, shown)) {
        if (seen.has(source))
          yield new Violation("B", `${final.region} shows twice what was written once`, { session, source });
        seen.add(source);
        const written = family.some((id) => sources.has(source.replace(`\n${session}\n`, `\n${id}\n`)));
        if (!written)
          yield new Violation("B", `${final.region} shows what nobody wrote`, { session, source });
      }
      for (const [signal, { count, weight }] of Object.entries(shown.signals)) {
        const written = family.map((id) => signals.get(`${id}\n${signal}`));
        const most = written.reduce((sum, one) => sum + (one?.count ?? 0), 0);
        if (count > most)
          yield new Violation("B", `${final.region} counts ${count} signals of ${most}`, { session, signal });
        // Where all have one weight the sum tells the count.
        const [each, ...others] = new Set(written.flatMap((one) => [...(one?.weights ?? [])]));
        if (each !== undefined && others.length === 0 && Math.abs(weight - each * count) > 1e-6)
          yield new Violation("B", `${final.region} sums ${count} signals of ${each} up to ${weight}`, {
            session,
            signal,
          });
      }
    }
  }
}

/** A session, what it came from, and so on. */
function familyOf(session: string, final: FinalState): string[] {
  const family = new Set([session]);
  for (const id of family) for (const parent of final.sessions[id]?.parents ?? []) family.add(parent);
  return [...family];
}
