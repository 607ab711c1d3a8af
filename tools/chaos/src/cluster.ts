import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { History } from "@tidemark/simulator";
import { startBroker, type Broker, type BrokerName } from "./broker.ts";
import { RegionHandle } from "./region-handle.ts";

const REGIONS = { "us-east": 1, "eu-west": 2, "ap-south": 3 };
const READY_MS = 60_000;

/** Three regions in processes of their own, the broker between them, and a folder for their directories. */
export class Cluster implements AsyncDisposable {
  readonly broker: Broker;
  readonly regions: readonly RegionHandle[];
  readonly #dir: string;

  constructor(broker: Broker, regions: readonly RegionHandle[], dir: string) {
    this.broker = broker;
    this.regions = regions;
    this.#dir = dir;
  }

  /** Starts the broker and the regions, and waits until each may be used. */
  static async start(name: BrokerName, clusterKey: Uint8Array, history: History): Promise<Cluster> {
    const names = Object.keys(REGIONS);
    const broker = await startBroker(name, names);
    const dir = await mkdtemp(join(tmpdir(), "tidemark-chaos-"));
    const members = { version: 1, regions: REGIONS };
    const regions = names.map((region, index) => {
      const own = {
        name: region,
        dir: join(dir, region),
        url: broker.urlFor(region),
        bootstrap: index === 0,
      };
      return new RegionHandle({ ...own, members, clusterKey, broker: name }, history);
    });
    const cluster = new Cluster(broker, regions, dir);
    try {
      await Promise.all(regions.map((region) => region.start()));
      await Promise.all(regions.map((region) => region.call("ready", READY_MS)));
      return cluster;
    } catch (error) {
      await cluster[Symbol.asyncDispose]();
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.regions.map((region) => region.kill()));
    await this.broker[Symbol.asyncDispose]();
    await rm(this.#dir, { recursive: true, force: true });
  }
}
