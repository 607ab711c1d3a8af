// Two regions of one process over directories of their own, for the rows that measure the whole.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openRegion } from "../packages/region/dist/node.js";
import { createInProcessNetwork } from "../packages/transport-inprocess/dist/index.js";

/** Opens both, runs `body` with them, the network between them and a directory to use, and takes everything away again. */
export async function withPair(body, { wrap = (_, transport) => transport } = {}) {
  const network = createInProcessNetwork();
  try {
    return await withPairOver(
      (name) => wrap(name, network.join(name)),
      (pair) => body({ ...pair, network }),
      network.clusterKey,
    );
  } finally {
    await network.close();
  }
}

/** The same over transports of the caller's, closed at the end. */
export async function withPairOver(joining, body, clusterKey = new Uint8Array(32).fill(7)) {
  const dir = mkdtempSync(join(tmpdir(), "tidemark-bench-"));
  const members = { version: 1, regions: { "us-east": 1, "eu-west": 2 } };
  const transports = [];
  const open = async (name, bootstrap) => {
    const transport = await joining(name);
    transports.push(transport);
    return openRegion({ name, members, dir: join(dir, name), transport, clusterKey, bootstrap });
  };
  const east = await open("us-east", true);
  const west = await open("eu-west", false);
  try {
    await west.ready({ timeoutMs: 10_000 });
    return await body({ east, west, dir });
  } finally {
    await Promise.all([east.close(), west.close()]);
    for (const transport of transports) await transport.close();
    rmSync(dir, { recursive: true, force: true });
  }
}
