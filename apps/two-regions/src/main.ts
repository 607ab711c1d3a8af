import { join } from "node:path";
import { openRegion } from "@tidemark/region/node";
import type { Region } from "@tidemark/region";
import { createInProcessNetwork } from "@tidemark/transport-inprocess";
import { REGION_NAMES, type Network } from "./link.ts";

/** Two regions that follow each other, a follower of both, and the network between them. */
export interface Cluster {
  readonly network: Network;
  readonly regions: readonly Region[];
  close(): Promise<void>;
}

/** A directory that was left in the middle of a large recording has much to catch up with. */
const READY_TIMEOUT_MS = 600_000;
const MEMBERS = { version: 1, regions: { "us-east": 1, "eu-west": 2, "ap-south": 3 } };

/** Opens the cluster in a directory: a directory for each region below it. */
export async function openCluster(dir: string): Promise<Cluster> {
  // A line of a recording has at most 1 MiB, and an operation travels in one frame.
  const network = createInProcessNetwork({ frameBytesMax: 2 * 1024 * 1024 });
  const regions: Region[] = [];
  const close = async (): Promise<void> => {
    for (const region of regions) await region.close();
    await network.close();
  };
  try {
    for (const name of REGION_NAMES) {
      regions.push(
        await openRegion({
          name,
          members: MEMBERS,
          dir: join(dir, name),
          transport: network.join(name),
          clusterKey: network.clusterKey,
          role: name === "ap-south" ? "follower" : "member",
          bootstrap: name === "us-east",
        }),
      );
    }
    for (const region of regions) await region.ready({ timeoutMs: READY_TIMEOUT_MS });
    return { network, regions, close };
  } catch (error) {
    await close();
    throw error;
  }
}
