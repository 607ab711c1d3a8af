import {
  MemoryJournals,
  openStreamLogs,
  type StreamClock,
  type StreamItem,
  type StreamLogs,
} from "../src/index.ts";

/** Time that stands still until a test moves it. */
export class TestClock implements StreamClock {
  #nowMs: number = 0;
  readonly #timers: Set<{ readonly dueMs: number; readonly run: () => void }> = new Set();

  wallMs(): number {
    return 1_700_000_000_000 + this.#nowMs;
  }

  monotonicMs(): number {
    return this.#nowMs;
  }

  schedule(delayMs: number, run: () => void): () => void {
    const timer = { dueMs: this.#nowMs + delayMs, run };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  /** How many timers are set. */
  get pending(): number {
    return this.#timers.size;
  }

  /** Moves on, and runs what is due on the way, in order. */
  async advance(ms: number): Promise<void> {
    const untilMs = this.#nowMs + ms;
    for (;;) {
      await settled();
      const [next] = [...this.#timers].sort((a, b) => a.dueMs - b.dueMs);
      if (next === undefined || next.dueMs > untilMs) break;
      this.#timers.delete(next);
      this.#nowMs = Math.max(this.#nowMs, next.dueMs);
      next.run();
    }
    this.#nowMs = untilMs;
    await settled();
  }
}

/** Resolves when all that can happen without a timer has happened. */
export async function settled(): Promise<void> {
  for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve));
}

/** Regions with a clock and a journal network in common. */
export function openRegions<const Name extends string>(
  names: readonly Name[],
  options: Partial<Parameters<typeof openStreamLogs>[0]> = {},
): { readonly clock: TestClock; readonly journals: MemoryJournals } & Record<Name, StreamLogs> {
  const clock = new TestClock();
  const journals = new MemoryJournals(names, { nowMs: () => clock.wallMs() });
  const logs = Object.fromEntries(
    names.map((name) => [name, openStreamLogs({ journal: journals.journal(name), clock, ...options })]),
  ) as Record<Name, StreamLogs>;
  return { clock, journals, ...logs };
}

/** What a reading has given so far. */
export class Reading {
  text: string = "";
  offset: string | undefined;
  end: Extract<StreamItem, { kind: "end" }> | undefined;
  error: unknown;
  readonly done: Promise<void>;

  constructor(items: AsyncIterable<StreamItem>) {
    this.done = this.#run(items);
  }

  async #run(items: AsyncIterable<StreamItem>): Promise<void> {
    try {
      for await (const item of items) {
        if (item.kind === "end") this.end = item;
        else {
          this.text += item.text;
          this.offset = item.offset;
        }
      }
    } catch (error) {
      this.error = error;
    }
  }
}
