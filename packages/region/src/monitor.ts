import { formatLogId } from "@tidemark/core";
import type { RegionEmitter } from "./diagnostics.ts";
import type { RegionParts } from "./running.ts";
import type { RegionHealth } from "./health.ts";
import type { RegionMetrics } from "./metrics.ts";
import { statusHealth, writeStatus } from "./status-file.ts";

/** How often a region is looked at. */
export const MONITOR_PERIOD_MS = 1_000;

/** What a {@link Monitor} watches. */
export interface MonitorOptions {
  readonly parts: RegionParts;
  readonly emitter: RegionEmitter;
  readonly health: () => RegionHealth;
  readonly metrics: (health: RegionHealth) => RegionMetrics;
}

/** Looks at a region once a second: tells what has changed, and keeps `status.json` fresh. */
export class Monitor {
  readonly #options: MonitorOptions;
  #last: RegionHealth | undefined;
  readonly #peers: Map<string, string> = new Map();
  readonly #stopped: Set<string> = new Set();
  /** Logs that miss something, and whether that was told: only what lasts for a second is a gap. */
  #gaps: Map<string, boolean> = new Map();
  #cancel: (() => void) | undefined;
  #looking: Promise<void> = Promise.resolve();
  #closed: boolean = false;
  /** Set while `status.json` cannot be written: said once, not once a second. */
  #unwritable: boolean = false;

  constructor(options: MonitorOptions) {
    this.#options = options;
  }

  /** Looks at once, then every second until it is closed. */
  start(): void {
    if (this.#closed) return;
    this.#looking = this.#look().finally(() => {
      if (this.#closed) return;
      this.#cancel = this.#options.parts.platform.timers.setTimer(MONITOR_PERIOD_MS, () => this.start());
    });
  }

  /** A last look; resolves once nothing is left running. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#cancel?.();
    await this.#looking;
    await this.#look();
  }

  async #look(): Promise<void> {
    const { emitter, health: draw, metrics: drawNumbers } = this.#options;
    const health = draw();
    const metrics = drawNumbers(health);
    this.#tellStatus(health);
    this.#tellPeers(health);
    this.#tellLogs(health);
    this.#last = health;
    emitter.emit("tidemark:region.metrics", () => ({ metrics }));
    await this.#write(health, metrics);
  }

  #tellStatus(health: RegionHealth): void {
    const { emitter, parts } = this.#options;
    const { status, reasons } = health;
    const before = this.#last;
    if (before?.status === status && before.reasons.join("\n") === reasons.join("\n")) return;
    emitter.emit("tidemark:region.status", () => ({ from: before?.status, to: status, reasons }));
    const { logger } = parts.options;
    const fields = { region: parts.name, status, ...(reasons.length === 0 ? {} : { reasons }) };
    if (status === "degraded") logger?.warn(fields, "The region is degraded");
    else logger?.info(fields, `The region is ${status}`);
  }

  #tellPeers({ replication }: RegionHealth): void {
    for (const { name, state } of replication?.peers ?? []) {
      const from = this.#peers.get(name);
      if (from === state) continue;
      this.#peers.set(name, state);
      this.#options.emitter.emit("tidemark:peer.changed", () => ({ peer: name, from, to: state }));
    }
  }

  #tellLogs({ replication }: RegionHealth): void {
    const { emitter } = this.#options;
    const gaps = new Map<string, boolean>();
    for (const { log: id, state, reason, gap } of replication?.logs ?? []) {
      const log = formatLogId(id);
      if (state === "stopped" && !this.#stopped.has(log))
        emitter.emit("tidemark:log.stopped", () => ({ log, reason: reason ?? "unknown" }));
      if (state === "stopped") this.#stopped.add(log);
      else this.#stopped.delete(log);
      if (gap === undefined) continue;
      const told = this.#gaps.get(log);
      if (told === false) emitter.emit("tidemark:gap.opened", () => ({ log, ...gap }));
      gaps.set(log, told !== undefined);
    }
    for (const [log, told] of this.#gaps) {
      if (told && !gaps.has(log)) emitter.emit("tidemark:gap.closed", () => ({ log }));
    }
    this.#gaps = gaps;
  }

  async #write(health: RegionHealth, metrics: RegionMetrics): Promise<void> {
    const { platform, options, name, id } = this.#options.parts;
    const { pid = 0, version = "" } = platform.process ?? {};
    try {
      await writeStatus(platform.fs, options.dir, {
        format: 1,
        writtenAtMs: platform.now(),
        pid,
        name,
        id,
        version,
        health: statusHealth(health),
        metrics,
      });
      this.#unwritable = false;
    } catch (error) {
      if (!this.#unwritable) options.logger?.warn({ err: error }, "Cannot write status.json: trying on");
      this.#unwritable = true;
    }
  }
}
