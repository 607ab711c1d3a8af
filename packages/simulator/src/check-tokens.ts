import type { Evidence } from "./evidence.ts";
import { effectNameOf, type RoamEvent, type WriteEvent } from "./history-events.ts";
import { Knowledge } from "./knowledge.ts";
import { Violation } from "./violation.ts";

/** What a region may answer instead: the contract names these. */
const REFUSALS: readonly RegExp[] = [
  /^NOT_YET_VISIBLE$/,
  /^POSITION_(UNKNOWN|LOST)$/,
  /^(CURSOR|TICKET)_[A-Z_]+$/,
  /^SESSION_(UNKNOWN|PURGED)$/,
  // A region that has not joined says what keeps it.
  /^(MEMBERSHIP|SHARDS|ENCRYPTION)_MISMATCH$/,
  /^(KEYS_REFUSED|DIRECTORY_UNWRITABLE)$/,
  /^REGION_(NOT_READY|CLOSED|FENCED|REMOVED)$/,
  /^READ_ONLY$/,
  /^WAL_[A-Z_]+$/,
];

/** How much later than its deadline an answer may come: what is under way to the disk is waited for. */
const LATE_MS = 60_000;

/** I: a cursor or ticket is honoured, with all that its bearer had seen, or refused with a type in time. */
export function* checkTokens(evidence: Evidence): Generator<Violation> {
  const knowledge = new Knowledge(evidence);
  const writes = new Map(evidence.writes.map((write) => [write.index, write]));
  for (const event of evidence.events) {
    knowledge.step(event);
    if (event.type !== "roam" || event.outcome === "unknown") continue;
    const { to, by, outcome, at, calledAt, timeoutMs } = event;
    if (at - calledAt > timeoutMs + LATE_MS)
      yield new Violation("I", `${to} answered a ${by} after ${at - calledAt} ms, asked for ${timeoutMs}`, {
        event,
      });
    if (outcome === "covered") {
      for (const index of event.must) {
        const write = writes.get(index);
        if (write !== undefined && lacks(evidence, knowledge, event, write))
          yield new Violation("I", `${to} took a ${by} and lacks what its bearer had seen`, { event, write });
      }
    } else if ("failed" in outcome || !REFUSALS.some((known) => known.test(outcome.refused)))
      yield new Violation("I", `${to} answered a ${by} with what no contract names`, { event });
  }
}

/** Whether a region certainly lacks every copy of what a write did. */
function lacks(evidence: Evidence, knowledge: Knowledge, { to }: RoamEvent, write: WriteEvent): boolean {
  if (evidence.erased.has(write.user) || evidence.purged.has(write.session ?? "")) return false;
  const retries = evidence.effects.get(effectNameOf(write))?.writes ?? [write];
  const effect = retries.map((retry) => evidence.effectIdOf(retry)).find((id) => id !== undefined);
  if (effect === undefined) return false;
  const copies = evidence.copiesOf(effect);
  // Its state may have come from another region, of which it is not known yet how far it reached.
  if ([...evidence.replaced].some((life) => life.startsWith(`${to} `))) return false;
  return copies.length > 0 && copies.every(({ op }) => knowledge.knows(to, op) === false);
}
