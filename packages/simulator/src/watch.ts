import { TidemarkError } from "@tidemark/core";
import type { Region } from "@tidemark/region";
import type { History } from "./history.ts";

/** What a {@link Watch} looks at. */
export interface WatchOptions {
  readonly history: History;
  /** The regions that are open now. */
  readonly regions: () => Iterable<Region>;
  /** A look is taken at one region so often. @defaultValue 50 */
  readonly everySteps?: number;
}

/** Looks at regions while a run goes on: in turn, at their state digest and their queues, for the history. */
export class Watch {
  readonly #options: WatchOptions;
  #steps: number = 0;
  #turn: number = 0;

  constructor(options: WatchOptions) {
    this.#options = options;
  }

  /** To be called after each step. */
  afterStep(): void {
    const { everySteps = 50 } = this.#options;
    this.#steps += 1;
    if (this.#steps % everySteps !== 0) return;
    const regions = [...this.#options.regions()];
    const region = regions[this.#turn++ % Math.max(1, regions.length)];
    if (region !== undefined) this.look(region);
  }

  /** Looks at one region now. */
  look(region: Region): void {
    const { history } = this.#options;
    try {
      history.sample(region.metrics());
      history.certificate(region.name, region.certificate());
    } catch (error) {
      // It has not joined, or is being given the state of another.
      if (!(error instanceof TidemarkError)) throw error;
    }
  }
}
