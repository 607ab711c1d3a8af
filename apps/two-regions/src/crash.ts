import type { Link } from "./link.ts";
import type { CrashPlan } from "./plan.ts";

/** Told when a region is killed, and when it is back. */
export interface CrashListener {
  onKill(region: number): void;
  onReopened(region: number): void;
}

/** What a crash works with. */
export interface CrashOptions {
  readonly plan: CrashPlan;
  readonly link: Link;
  /** Kills the region that the plan names and resolves once it is open again. */
  readonly kill: () => Promise<void>;
  readonly nowMs: () => number;
  readonly listener: CrashListener;
}

/** What became of the crash. */
export interface CrashOutcome {
  readonly region: number;
  /** Operations that had been played. */
  readonly afterOperations: number;
  /** From the kill until the region was open again, milliseconds. */
  readonly downMs: number;
}

/** One region that is killed on the way, while others write, and opened again over its directory. */
export class Crash {
  readonly #options: CrashOptions;
  #played = 0;
  #work: Promise<CrashOutcome> | undefined;
  #isDown = false;

  constructor(options: CrashOptions) {
    this.#options = options;
  }

  get isDown(): boolean {
    return this.#isDown;
  }

  /** Called after every operation. The link is left to heal first: what a crash does should be seen by itself. */
  played(): void {
    this.#played++;
    const { plan, link } = this.#options;
    if (this.#work !== undefined || this.#played < plan.after || link.isCut) return;
    this.#work = this.#run();
    // Whoever plays hears of it from the region that did not come back.
    this.#work.catch(() => {});
  }

  /** Waits until the region is back; a recording that was too short for it has it killed now. */
  async finish(): Promise<CrashOutcome> {
    return (this.#work ??= this.#run());
  }

  async #run(): Promise<CrashOutcome> {
    const { plan, kill, nowMs, listener } = this.#options;
    const { region } = plan;
    const [afterOperations, sinceMs] = [this.#played, nowMs()];
    this.#isDown = true;
    listener.onKill(region);
    await kill();
    this.#isDown = false;
    listener.onReopened(region);
    return { region, afterOperations, downMs: Math.round(nowMs() - sinceMs) };
  }
}
