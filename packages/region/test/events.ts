import type { DiagnosticChannel, Diagnostics, RegionEvents, RegionPlatform } from "../src/index.ts";
import { Cluster } from "./cluster.ts";

/** What was published, in order. */
export interface Published {
  readonly name: string;
  readonly message: Record<string, unknown>;
}

/** Channels that remember what is published while somebody listens. */
export class Recorder implements Diagnostics {
  readonly published: Published[] = [];
  /** How often anybody asked whether somebody listens. */
  listening: boolean = true;
  readonly #waiting: Set<() => void> = new Set();

  channel(name: string): DiagnosticChannel {
    const listening = (): boolean => this.listening;
    return {
      get hasSubscribers() {
        return listening();
      },
      publish: (message) => {
        this.published.push({ name, message: message as Record<string, unknown> });
        for (const look of this.#waiting) look();
      },
    };
  }

  all<Name extends keyof RegionEvents>(name: Name): RegionEvents[Name][] {
    return this.published.flatMap((one) =>
      one.name === name ? [one.message as unknown as RegionEvents[Name]] : [],
    );
  }

  /** Resolves with the first message, published before or after, that fits. */
  first<Name extends keyof RegionEvents>(
    name: Name,
    fits: (message: RegionEvents[Name]) => boolean = () => true,
  ): Promise<RegionEvents[Name]> {
    return new Promise((resolve) => {
      const look = (): void => {
        const found = this.all(name).find(fits);
        if (found === undefined) return;
        this.#waiting.delete(look);
        resolve(found);
      };
      this.#waiting.add(look);
      look();
    });
  }
}

/** A cluster whose events are recorded, and whose seconds pass a hundred times as quickly. */
export class ObservedCluster extends Cluster {
  readonly events: Recorder = new Recorder();

  override platform(name: string): RegionPlatform {
    const platform = super.platform(name);
    const { timers } = platform;
    return {
      ...platform,
      diagnostics: this.events,
      process: { pid: 4711, version: "1.2.3" },
      timers: { ...timers, setTimer: (ms, run) => timers.setTimer(ms === 1_000 ? 10 : ms, run) },
    };
  }

  /** Opens all of them, the first as the founder, and waits until each may be used. */
  async openAll(...names: string[]): Promise<void> {
    for (const name of names) await this.open(name, { bootstrap: name === names[0] });
    await Promise.all(names.map((name) => this.region(name).ready({ timeoutMs: 5_000 })));
  }
}
