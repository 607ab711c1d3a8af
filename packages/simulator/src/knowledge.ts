import { type Evidence, placeOf } from "./evidence.ts";
import type { HistoryEvent, HistoryPosition } from "./history-events.ts";

/** Positions that were applied, and how far each log was. */
interface Applied {
  readonly places: Set<string>;
  readonly reach: Map<string, number>;
}

interface KnownOf {
  /** Since its disk was replaced, if it ever was. */
  now: Applied;
  /** In all its lives: what it once acknowledged has counted. */
  readonly ever: Applied;
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
      if (this.#evidence.forgetting.has(event.index)) known.now = nothing();
      raise(known, event.vector ?? {});
    } else if (event.type === "applied") {
      const known = this.#of(event.region);
      for (const { places } of [known.now, known.ever]) places.add(placeOf(event));
      raise(known, { [event.log]: event.lsn });
    } else if (event.type === "certificate") raise(this.#of(event.region), event.vector);
  }

  /** Whether a region has applied the operation at a position; `undefined` where nobody observed what it applies. */
  knows(region: string, position: HistoryPosition): boolean | undefined {
    const known = this.#regions.get(region);
    if (known?.observed !== true) return undefined;
    return this.#isIn(known.now, position);
  }

  /** Whether everybody may have applied it, by one of the lists of members. */
  mayBeStable(position: HistoryPosition): boolean {
    const lists = this.#lists.length > 0 ? this.#lists : [[...this.#regions.keys()]];
    return lists.some((list) => list.every((region) => this.#mayKnow(region, position)));
  }

  #mayKnow(region: string, position: HistoryPosition): boolean {
    const known = this.#regions.get(region);
    if (known === undefined) return false;
    if (!known.observed || this.#evidence.replaced.has(`${region} ${known.life}`)) return true;
    return this.#isIn(known.ever, position);
  }

  #isIn({ places, reach }: Applied, position: HistoryPosition): boolean {
    const place = placeOf(position);
    if (places.has(place)) return true;
    // Its state may have come from another region: a log is applied without holes.
    const stored = this.#evidence.ops.get(place) ?? [];
    return stored.some((one) => [...one.places].some(([log, lsn]) => (reach.get(log) ?? 0) >= lsn));
  }

  #of(region: string): KnownOf {
    let known = this.#regions.get(region);
    if (known === undefined) {
      known = { now: nothing(), ever: nothing(), observed: false, life: 0 };
      this.#regions.set(region, known);
    }
    return known;
  }
}

function nothing(): Applied {
  return { places: new Set(), reach: new Map() };
}

function raise({ now, ever }: KnownOf, vector: Readonly<Record<string, number>>): void {
  for (const { reach } of [now, ever])
    for (const [log, lsn] of Object.entries(vector)) reach.set(log, Math.max(lsn, reach.get(log) ?? 0));
}
