/** Every region: bit n is the region numbered n. */
export const EVERYWHERE = 0b111;
/** The two regions that are written to; the third only follows. */
const MEMBERS = 0b011;

/** An operation's place in its session, which it keeps wherever it is applied. */
export interface OperationPlace {
  readonly session: string;
  readonly lane: string;
  readonly seqno: number;
}

interface Sighting {
  regions: number;
  line: number;
  ackedMs: number;
}

/**
 * Which operation has been applied in which region, and how long it took to be readable in the other one.
 *
 * A region reports an operation before the write that caused it resolves, so places are known here before
 * their lines are. A line that was retried in the other region has a place of its own there.
 */
export class Sightings {
  readonly #nowMs: () => number;
  readonly #places = new Map<string, Sighting>();
  /** The places of lines that are underway, to forget them together. */
  readonly #placesOf = new Map<number, string[]>();
  /** What is being measured: acknowledged while the link was up, not seen on the other side yet. */
  readonly #measured = new Set<Sighting>();
  /** By line: the regions it was applied in, as bits. */
  readonly #applied: Uint8Array;
  readonly #onApplied: (line: number, region: number) => void;
  /** Milliseconds from acknowledgement to readable in the other region. */
  readonly lagsMs: number[] = [];

  /** @param onApplied - Called for each line and region once, when both are known. */
  constructor(lineCount: number, nowMs: () => number, onApplied: (line: number, region: number) => void) {
    this.#applied = new Uint8Array(lineCount + 1);
    this.#nowMs = nowMs;
    this.#onApplied = onApplied;
  }

  /** The regions a line has been applied in, as bits. */
  regionsOf(line: number): number {
    return this.#applied[line]!;
  }

  /** A region has applied an operation. */
  saw(region: number, place: OperationPlace): void {
    const sighting = this.#at(keyOf(place));
    sighting.regions |= 1 << region;
    if ((sighting.regions & MEMBERS) === MEMBERS && this.#measured.delete(sighting)) {
      this.lagsMs.push(Math.max(this.#nowMs() - sighting.ackedMs, 0));
    }
    if (sighting.line !== 0) this.#settle(sighting);
  }

  /** A region has acknowledged a line; `region` has applied it, under this place or another. */
  acknowledged(line: number, region: number, place: OperationPlace, isMeasured: boolean): void {
    const key = keyOf(place);
    const sighting = this.#at(key);
    sighting.line = line;
    sighting.ackedMs = this.#nowMs();
    sighting.regions |= 1 << region;
    const keys = this.#placesOf.get(line);
    if (keys === undefined) this.#placesOf.set(line, [key]);
    else if (!keys.includes(key)) keys.push(key);
    if (isMeasured) {
      // The other region may have been faster than the answer.
      if ((sighting.regions & MEMBERS) === MEMBERS) this.lagsMs.push(0);
      else this.#measured.add(sighting);
    }
    this.#settle(sighting);
  }

  /** A line that was applied everywhere before this run began. */
  knownEverywhere(line: number): void {
    this.#applied[line] = EVERYWHERE;
  }

  /** The link is cut, or a region is down: what has not been delivered by now is not measured. */
  interrupted(): void {
    this.#measured.clear();
  }

  #at(key: string): Sighting {
    let sighting = this.#places.get(key);
    if (sighting === undefined) this.#places.set(key, (sighting = { regions: 0, line: 0, ackedMs: 0 }));
    return sighting;
  }

  #settle({ line, regions }: Sighting): void {
    const isNew = regions & ~this.#applied[line]!;
    const applied = (this.#applied[line]! |= regions);
    if (applied === EVERYWHERE) {
      for (const key of this.#placesOf.get(line) ?? []) this.#places.delete(key);
      this.#placesOf.delete(line);
    }
    for (let region = 0; region < 3; region++)
      if ((isNew & (1 << region)) !== 0) this.#onApplied(line, region);
  }
}

function keyOf({ session, lane, seqno }: OperationPlace): string {
  return `${seqno} ${lane} ${session}`;
}
