import type { Evidence } from "./evidence.ts";
import type { ShownSession } from "./history-events.ts";
import { modelSession } from "./model.ts";
import type { StoredOp } from "./op-reader.ts";
import { Violation } from "./violation.ts";

/** C: a lane is numbered in order without holes, and what a session shows does not depend on what arrived when. */
export function* checkOrder(evidence: Evidence): Generator<Violation> {
  yield* checkNumbers(evidence);
  if (!evidence.complete) return;
  yield* checkHoles(evidence);
  if (evidence.sealed) return;
  const sessions = new Map<string, StoredOp[]>();
  for (const { op } of [...evidence.ops.values()].flat()) {
    const ops = sessions.get(op.session);
    if (ops === undefined) sessions.set(op.session, [op]);
    else ops.push(op);
  }
  for (const [session, ops] of sessions) {
    const expected = modelSession(ops);
    for (const final of evidence.finals) {
      const shown = final.sessions[session];
      // What a fork carries is not written again: only its parents know it.
      if (expected === undefined || shown === undefined || shown.parents.length > 0) continue;
      const differs = differenceOf(expected, shown);
      if (differs !== undefined)
        yield new Violation(
          "C",
          `${final.region} shows other ${differs} of ${session} than the operations say`,
          {
            expected,
            shown,
          },
        );
    }
  }
}

/**
 * In the log that writes a lane, its numbers come in order. A ticket may hand an operation back before the log that wrote
 * it is folded as far: then a copy of it is written.
 */
function* checkNumbers({ logs }: Evidence): Generator<Violation> {
  const checked = new Set<string>();
  for (const log of [...logs.values()].flat()) {
    const name = `${log.log} ${log.firstLsn} ${log.lastLsn}`;
    if (checked.has(name) || log.firstLsn !== 1) continue;
    checked.add(name);
    const numbers = new Map<string, number>();
    const written = new Set<string>();
    for (const { lsn, op } of log.batches.flatMap(({ ops }) => ops)) {
      if (op.laneRegion !== log.region || op.laneEpoch !== log.epoch) continue;
      const copy = `${op.seqno} ${op.effect}`;
      if (written.has(copy)) continue;
      written.add(copy);
      const next = (numbers.get(op.session) ?? 0) + 1;
      if (op.seqno !== next)
        yield new Violation("C", `Number ${op.seqno} follows ${next - 1} in ${op.lane}`, {
          log: log.log,
          lsn,
          session: op.session,
        });
      numbers.set(op.session, op.seqno);
    }
  }
}

/** Every number of a lane up to its highest is stored once. */
function* checkHoles({ ops }: Evidence): Generator<Violation> {
  const lanes = new Map<string, { count: number; highest: number }>();
  for (const places of ops.values()) {
    const op = places[0]?.op;
    if (op === undefined) continue;
    const { session, lane, seqno } = op;
    if (places.length > 1)
      yield new Violation("C", `${places.length} operations claim number ${seqno} of ${lane}`, {
        session,
        logs: places.map((place) => [...place.places]),
      });
    const name = `${session}\n${lane}`;
    const { count, highest } = lanes.get(name) ?? { count: 0, highest: 0 };
    lanes.set(name, { count: count + 1, highest: Math.max(highest, seqno) });
  }
  for (const [name, { count, highest }] of lanes) {
    const [session, lane] = name.split("\n");
    if (count !== highest)
      yield new Violation("C", `${lane} has ${count} numbers up to ${highest}`, { session, lane });
  }
}

/** What differs of two states, by the name of the field. */
function differenceOf(expected: ShownSession, shown: ShownSession): string | undefined {
  for (const field of ["user", "agent", "open", "annotations", "searches", "conflicts"] as const)
    if (JSON.stringify(expected[field]) !== JSON.stringify(shown[field])) return field;
  for (const field of ["hints", "apps"] as const)
    if (sorted(expected[field]) !== sorted(shown[field])) return field;
  const names = new Set([...Object.keys(expected.signals), ...Object.keys(shown.signals)]);
  for (const name of names) {
    const [one, other] = [expected.signals[name], shown.signals[name]];
    if (one?.count !== other?.count || Math.abs((one?.weight ?? 0) - (other?.weight ?? 0)) > 1e-6)
      return "signals";
  }
  return undefined;
}

function sorted(record: Readonly<Record<string, unknown>>): string {
  return JSON.stringify(Object.entries(record).sort(([a], [b]) => (a < b ? -1 : 1)));
}
