import type { Effect, Evidence } from "./evidence.ts";
import { positionOf } from "./evidence.ts";
import type { FinalState } from "./final-state.ts";
import { happened, type ShownSession } from "./history-events.ts";
import { APPS_KEPT, SEARCHES_KEPT } from "./model.ts";
import { Violation } from "./violation.ts";

/** A: what was acknowledged is never lost. It is in a log, and every region shows it in the end. */
export function* checkDurable(evidence: Evidence): Generator<Violation> {
  for (const write of evidence.writes)
    if (evidence.complete && happened(write) && positionOf(write) !== undefined && !evidence.storedOf(write))
      yield new Violation("A", `No log holds what ${write.region} acknowledged`, { write });
  for (const final of evidence.finals) {
    for (const effect of evidence.effects.values()) {
      const { user, session } = effect.first;
      if (!effect.certain || session === undefined) continue;
      if (evidence.erased.has(user) || evidence.purged.has(session)) continue;
      const shown = final.sessions[session];
      if (shown === undefined || !shows(shown, effect))
        yield new Violation("A", `${final.region} lost what was acknowledged in ${effect.first.region}`, {
          write: effect.first,
          shown,
        });
    }
    yield* checkCounts(evidence, final);
  }
}

function shows(shown: ShownSession, { first }: Effect): boolean {
  const { operation, text = "", key = "" } = first;
  switch (operation) {
    case "annotate":
      return shown.annotations.includes(text);
    case "search":
      return shown.searches.length >= SEARCHES_KEPT || shown.searches.includes(text);
    case "app": {
      const list = shown.apps[key] ?? [];
      return list.length >= APPS_KEPT || list.includes(text);
    }
    case "prefer":
      return shown.hints[key] !== undefined;
    case "close":
      return !shown.open;
    default:
      return true;
  }
}

function* checkCounts(evidence: Evidence, { region, sessions }: FinalState): Generator<Violation> {
  const certain = new Map<string, number>();
  for (const { first, certain: happens } of evidence.effects.values()) {
    const { operation, session = "", entity, key, user } = first;
    if (!happens || operation !== "signal" || evidence.erased.has(user) || evidence.purged.has(session))
      continue;
    const name = `${session}\n${entity} ${key}`;
    certain.set(name, (certain.get(name) ?? 0) + 1);
  }
  for (const [name, least] of certain) {
    const [session = "", signal = ""] = name.split("\n");
    const count = sessions[session]?.signals[signal]?.count ?? 0;
    if (count < least)
      yield new Violation("A", `${region} counts ${count} of ${least} acknowledged signals`, {
        session,
        signal,
      });
  }
}
