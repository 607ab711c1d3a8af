import { type Evidence, placeOf } from "./evidence.ts";
import type { AppliedEvent } from "./history-events.ts";
import { Violation } from "./violation.ts";

/**
 * D: only a contiguous prefix of a log is applied. What is stored is whole and chained, the same bytes in every region,
 * reaches as far as what was applied, and was applied in its order.
 */
export function* checkPrefix(evidence: Evidence): Generator<Violation> {
  const digests = new Map<string, string>();
  for (const final of evidence.finals) {
    const logs = evidence.logs.get(final.region) ?? [];
    const damaged = evidence.damaged.has(final.region);
    for (const { log, problem, batches } of logs) {
      if (problem !== undefined && !damaged)
        yield new Violation("D", `${final.region} stores a log that is not whole: ${problem}`, { log });
      for (const { firstLsn, recordCount, digest } of batches) {
        const place = `${log} ${firstLsn + recordCount - 1}`;
        const other = digests.get(place) ?? digest;
        digests.set(place, other);
        if (other !== digest)
          yield new Violation("D", `${final.region} stores other bytes than another region at ${place}`, {
            digest,
            other,
          });
      }
    }
    const ends = new Map(logs.map(({ log, lastLsn }) => [log, lastLsn]));
    for (const [log, lsn] of Object.entries(final.certificate.vector))
      if ((ends.get(log) ?? 0) < lsn && !damaged)
        yield new Violation(
          "D",
          `${final.region} applied ${lsn} of ${log} and stores ${ends.get(log) ?? 0}`,
          { log },
        );
  }
  yield* checkApplied(evidence);
}

/** No operation is applied by a log while one before it there is not. */
function* checkApplied(evidence: Evidence): Generator<Violation> {
  for (const [region, events] of appliedBy(evidence)) {
    const first = new Map<string, number>();
    const latest = new Map<string, AppliedEvent>();
    for (const event of events) {
      const place = placeOf(event);
      if (!first.has(place)) first.set(place, event.index);
      const before = latest.get(event.log);
      if (before !== undefined && before.life === event.life && event.lsn <= before.lsn)
        yield new Violation("D", `${region} applied ${event.lsn} of ${event.log} behind ${before.lsn}`, {
          event,
        });
      latest.set(event.log, event);
    }
    const byLog = new Map(events.map((event) => [`${event.log} ${event.lsn}`, event.index]));
    for (const { log, batches } of evidence.logs.get(region) ?? []) {
      let after = 0;
      let skipped: unknown;
      for (const { lsn, op } of [...batches].reverse().flatMap(({ ops }) => [...ops].reverse())) {
        const index = first.get(placeOf(op));
        // Walking back: the earliest moment at which something behind this place was applied by this log.
        if (index !== undefined && after !== 0 && index > after)
          yield new Violation("D", `${region} applied ${log} over a hole at ${lsn}`, {
            lsn,
            behind: skipped,
          });
        const here = byLog.get(`${log} ${lsn}`);
        if (here !== undefined && (after === 0 || here < after)) [after, skipped] = [here, lsn];
      }
    }
  }
}

/** What each region applied, since it last forgot what it knew. */
function appliedBy({ events, forgetting }: Evidence): Map<string, AppliedEvent[]> {
  const applied = new Map<string, AppliedEvent[]>();
  for (const event of events) {
    if (event.type === "life" && forgetting.has(event.index)) applied.set(event.region, []);
    if (event.type !== "applied") continue;
    const list = applied.get(event.region);
    if (list === undefined) applied.set(event.region, [event]);
    else list.push(event);
  }
  return applied;
}
