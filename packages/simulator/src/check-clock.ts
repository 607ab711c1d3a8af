import { REGION_DEFAULTS } from "@tidemark/region";
import { type Evidence, placeOf, REMOVAL_OF } from "./evidence.ts";
import type { StoredOp } from "./op-reader.ts";
import { Violation } from "./violation.ts";

interface ClockOf {
  /** The region's number. */
  id: number;
  lives: number;
  /** The operations of each session that it has applied, in order, with the index of that. */
  readonly sessions: Map<string, { readonly index: number; readonly op: StoredOp }[]>;
  /** The highest stamp of each session that it ever applied: an older disk may still hold it. In milliseconds. */
  readonly sessionsMs: Map<string, number>;
  /** The same of any hide, and of anything. */
  hidesMs: number;
  anythingMs: number;
}

/** What hides an item, and what lifts that: it is stamped above every hide that is known. */
const HIDES: ReadonlySet<string> = new Set(["hide", "mute", "block"]);
/** A session that begins with what others hold is stamped above that. */
const BEGINNINGS: ReadonlySet<string> = new Set(["fork", "merge"]);
const REMOVALS: ReadonlySet<string> = new Set(Object.keys(REMOVAL_OF));

/**
 * G: stamps increase along every causal chain of a session, and a region's clock never leads the highest reading it ever
 * had by more than its bound, and than what each start may have skipped.
 */
export function* checkClock(evidence: Evidence): Generator<Violation> {
  yield* checkLanes(evidence);
  const clocks = new Map<string, ClockOf>();
  const of = (region: string): ClockOf => {
    let clock = clocks.get(region);
    if (clock === undefined) {
      clock = { id: -1, lives: 0, sessions: new Map(), sessionsMs: new Map(), hidesMs: 0, anythingMs: 0 };
      clocks.set(region, clock);
    }
    return clock;
  };
  for (const event of evidence.events) {
    if (event.type === "life") {
      const clock = of(event.region);
      clock.id = event.id;
      clock.lives += 1;
      if (evidence.forgetting.has(event.index)) clock.sessions.clear();
      // What its disk has was not seen applied if the life before ended just then.
      for (const { op, places } of [...evidence.ops.values()].flat())
        if ([...places].some(([log, lsn]) => lsn <= (event.vector?.[log] ?? 0))) raise(clock, op);
    }
    if (event.type !== "applied") continue;
    const op = evidence.ops.get(placeOf(event))?.[0]?.op;
    if (op === undefined) continue;
    const clock = of(event.region);
    const session = clock.sessions.get(event.session) ?? [];
    clock.sessions.set(event.session, session);
    if (op.laneRegion === clock.id && event.log.includes(`:r${String(clock.id).padStart(5, "0")}-`)) {
      // What was applied while it waited for the disk is concurrent.
      const calledAt = evidence.writeAt(op)?.index ?? 0;
      const after = session.filter(({ index }) => index < calledAt).map((one) => one.op);
      const later = after.find(({ stamp }) => stamp >= op.stamp);
      if (later !== undefined)
        yield new Violation("G", `${event.region} stamped an operation below one that it follows`, {
          stamp: op.stamp,
          follows: later.stamp,
          session: op.session,
        });
      const { driftMsMax, clockLeadMs } = REGION_DEFAULTS;
      // Causes are followed whatever a clock says, and pull it no further than its bound.
      const causeMs = REMOVALS.has(op.kind) ? clock.hidesMs : BEGINNINGS.has(op.kind) ? clock.anythingMs : 0;
      const highest = Math.max(causeMs, clock.sessionsMs.get(event.session) ?? 0);
      const bound =
        Math.max((event.wallMs ?? Infinity) + driftMsMax + clockLeadMs * clock.lives, highest) + 1;
      if (op.wallMs > bound)
        yield new Violation(
          "G",
          `${event.region} stamped an operation ${op.wallMs - bound} ms above its bound`,
          {
            stampMs: op.wallMs,
            wallMs: event.wallMs,
            lives: clock.lives,
          },
        );
    }
    session.push({ index: event.index, op });
    raise(clock, op);
  }
}

/** An operation is known to a region: what follows it may be stamped above it. */
function raise(clock: ClockOf, { session, kind, wallMs }: StoredOp): void {
  clock.sessionsMs.set(session, Math.max(clock.sessionsMs.get(session) ?? 0, wallMs));
  clock.anythingMs = Math.max(clock.anythingMs, wallMs);
  if (HIDES.has(kind)) clock.hidesMs = Math.max(clock.hidesMs, wallMs);
}

/** Along a lane stamps increase with the numbers. */
function* checkLanes({ ops }: Evidence): Generator<Violation> {
  const lanes = new Map<string, StoredOp[]>();
  for (const places of ops.values()) {
    const op = places[0]?.op;
    if (op === undefined) continue;
    const name = `${op.session}\n${op.lane}`;
    const lane = lanes.get(name);
    if (lane === undefined) lanes.set(name, [op]);
    else lane.push(op);
  }
  for (const lane of lanes.values()) {
    lane.sort((a, b) => a.seqno - b.seqno);
    for (const [index, op] of lane.entries()) {
      const before = lane[index - 1];
      if (before !== undefined && before.stamp >= op.stamp)
        yield new Violation("G", `Number ${op.seqno} of ${op.lane} is not stamped above ${before.seqno}`, {
          session: op.session,
          stamp: op.stamp,
          before: before.stamp,
        });
    }
  }
}
