/** How much of one writer's operations is applied; the shape of `session.lanes()` of `@tidemark/region`. */
export interface LaneCount {
  /** The highest number below which none is missing. */
  readonly upTo: number;
  /** How many there are, those beyond a missing one too. */
  readonly count: number;
}

interface Tally {
  upTo: number;
  count: number;
  /** Numbers above `upTo` that were given. */
  readonly beyond: Set<number>;
}

/** Text of a lane whose count is that of its numbers: `lane=5`; with two more beyond a missing one `lane=5+2`. */
const PART = /^([\x21-\x7e]+)=(0|[1-9]\d{0,15})(?:\+([1-9]\d{0,15}))?$/;

/** What one reader has been given of a session, writer by writer: each operation is told of once. */
export class LaneTally {
  /** In the order they were last changed in. */
  readonly #lanes: Map<string, Tally> = new Map();
  /** Lanes were left out for want of room: what is not named may have been given. */
  #partial: boolean;

  constructor(lanes: Iterable<readonly [string, LaneCount]> = [], partial: boolean = false) {
    for (const [lane, { upTo, count }] of lanes) this.#lanes.set(lane, { upTo, count, beyond: new Set() });
    this.#partial = partial;
  }

  /** The inverse of {@link LaneTally.text}; `undefined` for anything else. */
  static parse(text: string): LaneTally | undefined {
    const partial = text.startsWith("*");
    const body = partial ? text.slice(1) : text;
    const lanes: [string, LaneCount][] = [];
    for (const part of body === "" ? [] : body.split(",")) {
      const [whole, lane, upTo, more = "0"] = PART.exec(part) ?? [];
      if (whole === undefined) return undefined;
      lanes.push([lane!, { upTo: Number(upTo), count: Number(upTo) + Number(more) }]);
    }
    return new LaneTally(lanes, partial);
  }

  /** Printable ASCII of at most so many characters; what does not fit is what was changed longest ago. */
  text(charsMax: number): string {
    const parts: string[] = [];
    let left = charsMax - 1;
    let partial = this.#partial;
    for (const [lane, { upTo, count }] of [...this.#lanes].reverse()) {
      const part = count === upTo ? `${lane}=${upTo}` : `${lane}=${upTo}+${count - upTo}`;
      left -= part.length + 1;
      if (left < 0) partial = true;
      else parts.push(part);
    }
    return (partial ? "*" : "") + parts.reverse().join(",");
  }

  /** Whether an operation has not been given yet; from now on it has. */
  take(lane: string, seqno: number): boolean {
    const tally = this.#lanes.get(lane) ?? {
      upTo: this.#partial ? seqno - 1 : 0,
      count: 0,
      beyond: new Set(),
    };
    if (!this.#lanes.has(lane)) tally.count = tally.upTo;
    if (seqno <= tally.upTo || tally.beyond.has(seqno)) return false;
    this.#lanes.delete(lane);
    this.#lanes.set(lane, tally);
    tally.count += 1;
    tally.beyond.add(seqno);
    while (tally.beyond.delete(tally.upTo + 1)) tally.upTo += 1;
    return true;
  }

  /** Whether everything that is applied has been given. */
  has(applied: ReadonlyMap<string, LaneCount>): boolean {
    for (const [lane, { count }] of applied) {
      const given = this.#lanes.get(lane)?.count;
      if (given === undefined ? !this.#partial : given < count) return false;
    }
    return true;
  }
}
