/** Lines of a trace that are kept for a report. */
export const TRACE_LINES_MAX = 1_000;

interface Line {
  at: number;
  machine: string;
  what: string;
  detail: string;
  amount: number;
}

/**
 * Everything that happened in a run, in order: one rolling hash over all of it, and its last lines.
 *
 * Two runs with the same hash did the same things at the same moments in the same order.
 */
export class Trace {
  readonly #now: () => number;
  readonly #texts: Map<string, number> = new Map();
  readonly #lines: Line[] = [];
  #count = 0;
  #a = 0x6a09e667;
  #b = 0xbb67ae85 | 0;
  #c = 0x3c6ef372;
  #d = 0xa54ff53a | 0;

  /** @param now - Virtual milliseconds. */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** Adds a line: what a machine did, with what, and a number that belongs to it. */
  note(machine: string, what: string, detail = "", amount = 0): void {
    const at = this.#now();
    const micros = Math.round(at * 1_000);
    this.#mix(micros | 0);
    this.#mix((micros / 0x1_0000_0000) | 0);
    this.#mix(this.#text(machine));
    this.#mix(this.#text(what));
    this.#mix(this.#text(detail));
    this.#mix(amount | 0);
    const slot = this.#count % TRACE_LINES_MAX;
    this.#count += 1;
    const line = this.#lines[slot];
    if (line === undefined) {
      this.#lines.push({ at, machine, what, detail, amount });
    } else {
      // In place: a run notes far more than it keeps.
      line.at = at;
      line.machine = machine;
      line.what = what;
      line.detail = detail;
      line.amount = amount;
    }
  }

  /** Lines noted so far. */
  get count(): number {
    return this.#count;
  }

  /** 32 hexadecimal digits over everything noted so far. */
  get hash(): string {
    return [this.#a, this.#b, this.#c, this.#d]
      .map((lane) => (lane >>> 0).toString(16).padStart(8, "0"))
      .join("");
  }

  /** The last lines as text, oldest first: virtual milliseconds, machine, what it did. */
  lines(): string[] {
    const from = this.#count % TRACE_LINES_MAX;
    const inOrder =
      this.#count > TRACE_LINES_MAX
        ? [...this.#lines.slice(from), ...this.#lines.slice(0, from)]
        : this.#lines;
    return inOrder.map(({ at, machine, what, detail, amount }) =>
      [at.toFixed(3).padStart(12), machine.padEnd(8), what, detail, amount === 0 ? "" : String(amount)]
        .join(" ")
        .trimEnd(),
    );
  }

  /** Four lanes that each see every word another way. Not for adversaries: for telling runs apart. */
  #mix(word: number): void {
    this.#a = spread(this.#a ^ word, 0x85ebca6b);
    this.#b = spread(this.#b + word, 0xc2b2ae35);
    this.#c = spread(this.#c ^ this.#a, 0x27d4eb2f);
    this.#d = spread(this.#d + this.#b, 0x165667b1);
  }

  /** FNV-1a of a text, computed once for each. */
  #text(text: string): number {
    const known = this.#texts.get(text);
    if (known !== undefined) return known;
    let hash = 0x811c9dc5;
    for (let index = 0; index < text.length; index++)
      hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
    this.#texts.set(text, hash);
    return hash;
  }
}

function spread(word: number, factor: number): number {
  const product = Math.imul(word, factor);
  return product ^ (product >>> 15);
}
