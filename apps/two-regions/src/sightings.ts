/** Every region: bit n is the region numbered n. */
export const EVERYWHERE = 0b111;
/** The two regions that are written to; the third only follows. */
const MEMBERS = 0b011;

interface Sighting {
  regions: number;
  line: number;
  ackedMs: number;
}

/**
 * Which operation has been applied in which region, and how long it took to be readable in the other one.
 *
 * A region reports an effect before the write that caused it resolves, so effects are known here before
 * their lines are.
 */
export class Sightings {
  readonly #nowMs: () => number;
  readonly #effects = new Map<string, Sighting>();
  /** Effects whose lag is being measured: acknowledged while the link was up, not seen on the other side yet. */
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

  /** A region has applied an effect. */
  saw(region: number, effectId: string): void {
    const sighting = this.#effects.get(effectId) ?? { regions: 0, line: 0, ackedMs: 0 };
    this.#effects.set(effectId, sighting);
    sighting.regions |= 1 << region;
    if ((sighting.regions & MEMBERS) === MEMBERS && this.#measured.delete(sighting)) {
      this.lagsMs.push(Math.max(this.#nowMs() - sighting.ackedMs, 0));
    }
    if (sighting.line !== 0) this.#settle(effectId, sighting);
  }

  /** A region has acknowledged a line as an effect. */
  acknowledged(line: number, effectId: string, isMeasured: boolean): void {
    const sighting = this.#effects.get(effectId) ?? { regions: 0, line, ackedMs: 0 };
    this.#effects.set(effectId, sighting);
    sighting.line = line;
    sighting.ackedMs = this.#nowMs();
    if (isMeasured) {
      // The other region may have been faster than the answer.
      if ((sighting.regions & MEMBERS) === MEMBERS) this.lagsMs.push(0);
      else this.#measured.add(sighting);
    }
    this.#settle(effectId, sighting);
  }

  /** A line that was applied everywhere before this run began. */
  knownEverywhere(line: number): void {
    this.#applied[line] = EVERYWHERE;
  }

  /** The link is cut: what has not been delivered by now is not measured. */
  linkCut(): void {
    this.#measured.clear();
  }

  #settle(effectId: string, { line, regions }: Sighting): void {
    const isNew = regions & ~this.#applied[line]!;
    this.#applied[line]! |= regions;
    if (regions === EVERYWHERE) this.#effects.delete(effectId);
    for (let region = 0; region < 3; region++)
      if ((isNew & (1 << region)) !== 0) this.#onApplied(line, region);
  }
}
