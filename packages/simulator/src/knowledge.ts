import { type Evidence, placeOf } from "./evidence.ts";
import type { HistoryEvent, HistoryPosition } from "./history-events.ts";

interface KnownOf {
  /** Positions applied. */
  readonly applied: Set<string>;
  /** How far it is known to have applied each log. */
  readonly reach: Map<string, number>;
  observed: boolean;
  life: number;
}

/** What each region has applied at a moment of a history, which is walked through event by event. */
export class Knowledge {
  readonly #evidence: Evidence;
  readonly #regions: Map<string, KnownOf> = new Map();
  /** The lists of members that were written so far. */
  readonly #lists: (readonly string[])[] = [];

  constructor(evidence: Evidence) {
    this.#evidence = evidence;
  }

  /** Takes in the next event. */
  step(event: HistoryEvent): void {
    if (event.type === "members") this.#lists.push(event.regions);
    else if (event.type === "life") {
      const known = this.#of(event.region);
      known.observed = event.observed;
      known.life = event.life;
      if (event.forgets === true) {
        known.applied.clear();
        known.reach.clear();
      }
      raise(known.reach, event.vector ?? {});
    } else if (event.type === "applied") {
      const { applied, reach } = this.#of(event.region);
      applied.add(placeOf(event));
      raise(reach, { [event.log]: event.lsn });
    } else if (event.type === "certificate") raise(this.#of(event.region).reach, event.vector);
  }

  /** Whether a region has applied the operation at a position; `undefined` where nobody observed what it applies. */
  knows(region: string, position: HistoryPosition): boolean | undefined {
    const known = this.#regions.get(region);
    if (known?.observed !== true) return undefined;
    if (known.applied.has(placeOf(position))) return true;
    // Its state may have come from another region: a log is applied without holes.
    const stored = this.#evidence.ops.get(placeOf(position)) ?? [];
    return stored.some(({ places }) => [...places].some(([log, lsn]) => (known.reach.get(log) ?? 0) >= lsn));
  }

  /** Whether everybody may have applied it, by one of the lists of members. */
  mayBeStable(position: HistoryPosition): boolean {
    const lists = this.#lists.length > 0 ? this.#lists : [[...this.#regions.keys()]];
    return lists.some((list) => list.every((region) => this.#mayKnow(region, position)));
  }

  #mayKnow(region: string, position: HistoryPosition): boolean {
    const known = this.#regions.get(region);
    if (known === undefined) return false;
    return this.#evidence.replaced.has(`${region} ${known.life}`) || this.knows(region, position) !== false;
  }

  #of(region: string): KnownOf {
    let known = this.#regions.get(region);
    if (known === undefined) {
      known = { applied: new Set(), reach: new Map(), observed: false, life: 0 };
      this.#regions.set(region, known);
    }
    return known;
  }
}

function raise(reach: Map<string, number>, vector: Readonly<Record<string, number>>): void {
  for (const [log, lsn] of Object.entries(vector)) reach.set(log, Math.max(lsn, reach.get(log) ?? 0));
}
