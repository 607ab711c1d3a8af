import { Session, type Profiler } from "node:inspector";

const SOURCES = /\/(packages|tools\/fuzz)\/[^?]*\/src\/|\/packages\/[^?]*\/src\//;

/** What V8 has counted of our own sources since the last look. */
export interface Look {
  /** Which blocks of which functions ran: one text for each function. */
  readonly shapes: readonly string[];
  /** Blocks that were entered, counted each time. */
  readonly work: number;
}

/** The block coverage of this process, by V8 itself: nothing is instrumented. */
export class Coverage implements Disposable {
  readonly #session: Session = new Session();

  constructor() {
    this.#session.connect();
    this.#session.post("Profiler.enable");
    this.#session.post("Profiler.startPreciseCoverage", { callCount: true, detailed: true });
  }

  /** Counts from zero again after each look. */
  look(): Look {
    const shapes: string[] = [];
    let work = 0;
    let found: Profiler.TakePreciseCoverageReturnType | undefined;
    // The session is of this very thread: the answer is there when the call returns.
    this.#session.post("Profiler.takePreciseCoverage", (_error, answer) => (found = answer));
    for (const { scriptId, url, functions } of found?.result ?? []) {
      if (!SOURCES.test(url)) continue;
      for (const { ranges } of functions) {
        const [whole] = ranges;
        if (whole === undefined || whole.count === 0) continue;
        let shape = `${scriptId}:${whole.startOffset}`;
        for (const { startOffset, count } of ranges) {
          work += count;
          if (count === 0) shape += `-${startOffset}`;
        }
        shapes.push(shape);
      }
    }
    return { shapes, work };
  }

  [Symbol.dispose](): void {
    this.#session.post("Profiler.stopPreciseCoverage");
    this.#session.disconnect();
  }
}
