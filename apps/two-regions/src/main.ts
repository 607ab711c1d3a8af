import { join } from "node:path";
import { REGION_NAMES } from "./link.ts";
import { brokerMedium, inProcessMedium } from "./media.ts";
import type { Cluster, RegionDriver } from "./region-driver.ts";
import type { TransportName } from "./transports.ts";

/** How the regions are joined. */
export interface Wiring {
  readonly transport: TransportName;
  /** Where the broker is; left out, one is started. */
  readonly url?: string;
  /** Whether each region has a process of its own. */
  readonly processes: boolean;
}

/** A directory that was left in the middle of a large recording has much to catch up with. */
const READY_TIMEOUT_MS = 600_000;

/** Opens two regions that follow each other and a follower of both, in a directory: one for each region below it. */
export async function openCluster(dir: string, { transport, url, processes }: Wiring): Promise<Cluster> {
  const medium =
    transport === "inprocess" ? inProcessMedium() : await brokerMedium({ transport, url, processes, dir });
  const regions: RegionDriver[] = [];
  const close = async (): Promise<void> => {
    for (const region of regions) await region.close();
    await medium.close();
  };
  try {
    for (const name of REGION_NAMES) {
      const role = name === "ap-south" ? "follower" : "member";
      regions.push(await medium.open({ name, role, dir: join(dir, name) }));
    }
    for (const region of regions) await region.ready(READY_TIMEOUT_MS);
    return { network: medium.network, regions, close };
  } catch (error) {
    await close();
    throw error;
  }
}
