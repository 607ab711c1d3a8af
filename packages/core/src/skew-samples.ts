/** Samples kept; odd, so that the median is a sample. */
const SAMPLE_COUNT_MAX = 63;

/** The latest samples of a noisy number, and their median: one wild stamp does not move it. */
export class SkewSamples {
  readonly #samples: Float64Array = new Float64Array(SAMPLE_COUNT_MAX);
  #count = 0;
  #next = 0;

  add(value: number): void {
    this.#samples[this.#next] = value;
    this.#next = (this.#next + 1) % SAMPLE_COUNT_MAX;
    if (this.#count < SAMPLE_COUNT_MAX) this.#count += 1;
  }

  /** The lower median, or `undefined` without samples. */
  median(): number | undefined {
    if (this.#count === 0) return undefined;
    return this.#samples.slice(0, this.#count).sort()[(this.#count - 1) >> 1];
  }
}
