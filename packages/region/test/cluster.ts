import { randomBytes } from "node:crypto";
import { createBlake3Hasher } from "@tidemark/blake3-wasm";
import { createInProcessNetwork } from "@tidemark/transport-inprocess";
import type { InProcessNetwork } from "@tidemark/transport-inprocess";
import type { Transport } from "@tidemark/transport";
import { memoryFs } from "@tidemark/wal";
import type { MemoryFs, Timers, WalFs } from "@tidemark/wal";
import { openRegion } from "../src/index.ts";
import { processOf } from "./disk.ts";
import type { Region, RegionOptions, RegionPlatform } from "../src/index.ts";

/** Real timers, so many times as quick as they say. */
export function timersOf(speed: number): Timers {
  return {
    now: () => performance.now() * speed,
    setTimer: (ms, run) => {
      const timer = setTimeout(run, ms / speed);
      return () => clearTimeout(timer);
    },
  };
}

const TIMERS: Timers = timersOf(1);

/** What a region alone needs of its machine; `eager` are timers whose time is up at once. */
export function loneOptions(): RegionPlatform & { readonly fs: MemoryFs; readonly eager: Timers } {
  return {
    fs: memoryFs({ seed: 1 }),
    volatile: false,
    now: Date.now,
    timers: TIMERS,
    eager: { now: TIMERS.now, setTimer: (_, run) => TIMERS.setTimer(0, run) },
    randomBytes: (count) => new Uint8Array(randomBytes(count)),
    hasher: createBlake3Hasher(),
  };
}

/** Regions of one in-process network over disks in memory; closed together. */
export class Cluster implements AsyncDisposable {
  readonly network: InProcessNetwork = createInProcessNetwork();
  readonly members: { readonly version: number; readonly regions: Readonly<Record<string, number>> };
  /** What the regions measure time with. */
  timers: Timers = TIMERS;
  /** Milliseconds that a region's wall clock is off. */
  readonly skewMs: Map<string, number> = new Map();
  readonly #open: Map<string, Region> = new Map();
  readonly #frozen: Map<string, number> = new Map();
  readonly #transports: Map<string, Transport> = new Map();
  readonly #processes: Map<string, { die(): void }> = new Map();
  readonly #disks: Map<string, MemoryFs> = new Map();

  readonly #signed: boolean;

  constructor(names: readonly string[], options: { readonly signed?: boolean } = {}) {
    this.#signed = options.signed ?? true;
    this.members = { version: 1, regions: Object.fromEntries(names.map((name, index) => [name, index + 1])) };
  }

  /** Opens all of them, the first as the founder, and waits until each may be used. */
  static async of(...names: string[]): Promise<Cluster> {
    const cluster = new Cluster(names);
    for (const name of names) await cluster.open(name, { bootstrap: name === names[0] });
    await Promise.all(names.map((name) => cluster.region(name).ready({ timeoutMs: 5_000 })));
    return cluster;
  }

  region(name: string): Region {
    return this.#open.get(name)!;
  }

  disk(name: string): MemoryFs {
    let disk = this.#disks.get(name);
    if (disk === undefined) this.#disks.set(name, (disk = memoryFs({ seed: 1 })));
    return disk;
  }

  replaceDisk(name: string, disk: MemoryFs): void {
    this.#disks.set(name, disk);
  }

  async open(name: string, options: Partial<RegionOptions> = {}): Promise<Region> {
    const transport = options.transport ?? this.network.join(name);
    const key = this.#signed ? { clusterKey: this.network.clusterKey } : {};
    const region = await openRegion(
      { name, members: this.members, dir: "data", ...key, ...options, transport },
      this.platform(name),
    ).catch(async (error: unknown) => {
      await transport.close();
      throw error;
    });
    this.#open.set(name, region);
    this.#transports.set(name, transport);
    return region;
  }

  /** Closes a region and leaves the network, as a process that ends in good order. */
  async close(name: string): Promise<void> {
    await this.region(name).close();
    await this.#leave(name);
  }

  /** Ends a region's process: it says goodbye to nobody, and nothing it still does reaches the disk. */
  async kill(name: string, how: () => void = () => this.disk(name).kill()): Promise<void> {
    const region = this.region(name);
    this.#processes.get(name)!.die();
    how();
    await this.#leave(name);
    // Only so that its timers end. What waits for the disk waits for ever, as a dead process does.
    void region.close().catch(() => undefined);
  }

  platform(name: string): RegionPlatform {
    return {
      fs: this.#process(name),
      // These disks outlive the regions.
      volatile: false,
      now: () => this.now(name),
      timers: this.timers,
      randomBytes: (count) => new Uint8Array(randomBytes(count)),
      hasher: createBlake3Hasher(),
    };
  }

  /** A region's wall clock. */
  now(name: string): number {
    return this.#frozen.get(name) ?? Date.now() + (this.skewMs.get(name) ?? 0);
  }

  /** Stops a region's wall clock. */
  freeze(name: string): void {
    this.#frozen.set(name, this.now(name));
  }

  /** Waits until every region holds what every other holds, and all of it is known to be everywhere. */
  async converged(): Promise<void> {
    const regions = [...this.#open.values()];
    await Promise.all(regions.map((region) => region.synced({ timeoutMs: 10_000 })));
  }

  #process(name: string): WalFs {
    const process = processOf(this.disk(name));
    this.#processes.set(name, process);
    return process.fs;
  }

  async #leave(name: string): Promise<void> {
    await this.#transports.get(name)?.close();
    this.#open.delete(name);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const region of this.#open.values()) await region.close();
    await this.network.close();
  }
}
