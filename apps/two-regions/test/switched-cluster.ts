import { randomBytes } from "node:crypto";
import { EventEmitter, once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openRegion } from "@tidemark/region/node";
import type { ClusterKey, Region } from "@tidemark/region";
import type { Transport } from "@tidemark/transport";
import { createInProcessNetwork, type InProcessNetwork } from "@tidemark/transport-inprocess";
import { expect } from "vitest";
import { openTransport, type BrokerName, type TransportName } from "../src/transports.ts";

export const NAMES = ["us-east", "eu-west"] as const;
export type Name = (typeof NAMES)[number];

const MEMBERS = { version: 1, regions: { "us-east": 1, "eu-west": 2 } };
const READY_MS = 20_000;

/** What every member holds, or two of them while one replaces the other. */
export type Keys = Uint8Array | readonly ClusterKey[] | undefined;

/** The servers of a test, and what the regions are called on them. */
export interface Brokers {
  readonly urlOf: (broker: BrokerName, name?: Name) => string;
  readonly prefix: string;
}

/** Two regions that keep their directories, and are closed and opened again over one medium or another. */
export class SwitchedCluster implements AsyncDisposable {
  /** Of each region; it takes the ones that are here when it is moved. */
  readonly keys: Record<Name, Keys>;
  readonly #brokers: Brokers;
  readonly #dir: string = mkdtempSync(join(tmpdir(), "tidemark-switched-"));
  readonly #network: InProcessNetwork = createInProcessNetwork();
  readonly #open: Map<Name, { readonly region: Region; readonly transport: Transport }> = new Map();
  readonly #opened: EventEmitter = new EventEmitter();
  #changed: (region: Region) => void = () => undefined;

  constructor(brokers: Brokers) {
    this.#brokers = brokers;
    const key = new Uint8Array(randomBytes(32));
    this.keys = { "us-east": key, "eu-west": key };
  }

  /** The region as it is open now. */
  region(name: Name): Region {
    return this.#open.get(name)!.region;
  }

  get isOpen(): boolean {
    return NAMES.every((name) => this.#open.has(name));
  }

  get regions(): readonly Region[] {
    return NAMES.map((name) => this.region(name));
  }

  /** The region, once it is open. */
  async opened(name: Name): Promise<Region> {
    while (!this.#open.has(name)) await once(this.#opened, name);
    return this.region(name);
  }

  /** Called after each operation that a region applied, whichever opening of it that is. */
  onChange(listener: (region: Region) => void): void {
    this.#changed = listener;
  }

  /** Closes a region if it is open, and opens it over its directory and a medium. */
  async move(name: Name, medium: TransportName): Promise<void> {
    await this.#close(name);
    const transport = await this.#join(name, medium);
    const bootstrap = name === "us-east";
    const dir = join(this.#dir, name);
    const clusterKey = this.keys[name];
    const keyed = clusterKey === undefined ? {} : { clusterKey };
    const region = await openRegion({ name, members: MEMBERS, bootstrap, dir, transport, ...keyed });
    region.onChange(() => this.#changed(region));
    this.#open.set(name, { region, transport });
    this.#opened.emit(name);
  }

  /** Moves every region, none waiting for the other. */
  async moveAll(medium: TransportName): Promise<void> {
    await Promise.all(NAMES.map((name) => this.move(name, medium)));
    await Promise.all(this.regions.map((region) => region.ready({ timeoutMs: READY_MS })));
  }

  /** Cuts the regions off each other, in process. */
  cut(): void {
    this.#network.cut(...NAMES);
  }

  /** Joins them again. */
  heal(): void {
    this.#network.heal();
  }

  /** Waits until both hold everything, and compares what they hold. */
  async converged(timeoutMs: number = READY_MS): Promise<void> {
    for (const region of this.regions)
      expect(await region.synced({ timeoutMs }), `${region.name} synced`).toBe(true);
    const [us, eu] = this.regions.map((region) => region.certificate());
    expect(us).toEqual(eu);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const name of NAMES) await this.#close(name);
    await this.#network.close();
    rmSync(this.#dir, { recursive: true, force: true });
  }

  #join(name: Name, medium: TransportName): Promise<Transport> | Transport {
    if (medium === "inprocess") return this.#network.join(name);
    const { urlOf, prefix } = this.#brokers;
    return openTransport(medium, { url: urlOf(medium, name), prefix, region: name });
  }

  async #close(name: Name): Promise<void> {
    const was = this.#open.get(name);
    this.#open.delete(name);
    await was?.region.close();
    await was?.transport.close();
  }
}
