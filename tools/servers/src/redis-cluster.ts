import { setTimeout as pause } from "node:timers/promises";
import { ask } from "./ask.ts";
import { freePort } from "./free-port.ts";
import { startRedis, type RedisServer } from "./redis-server.ts";

const SLOTS = 16_384;
const FORMED_MS = 20_000;

/** How the nodes of a cluster are started. */
export interface RedisClusterOptions {
  /** @defaultValue 3 */
  readonly nodeCount?: number;
  /** Of the nodes, known beforehand. @defaultValue free ones */
  readonly ports?: readonly number[];
  /** More arguments of a node, such as `["--cluster-announce-port", "7000"]`. */
  readonly args?: (node: number) => readonly string[];
}

/** Starts a Redis Cluster of primaries that share the slots, and resolves once it is formed. Stop each with `remove()`. */
export async function startRedisCluster(options: RedisClusterOptions = {}): Promise<RedisServer[]> {
  const { nodeCount = 3, ports = [], args = () => [] } = options;
  const servers: RedisServer[] = [];
  const buses: number[] = [];
  for (let node = 0; node < nodeCount; node++) {
    // The port of the cluster bus must be free as well; by default it is out of range for a high port.
    const bus = await freePort();
    // A node that has met no other does not know its address.
    const address = ["--cluster-announce-ip", "127.0.0.1", "--cluster-port", `${bus}`];
    const cluster = ["--cluster-enabled", "yes", "--cluster-node-timeout", "2000", ...address];
    const port = ports[node] ?? (await freePort());
    servers.push(await startRedis({ port, args: [...cluster, ...args(node)] }));
    buses.push(bus);
  }
  for (const [node, { port }] of servers.entries()) {
    const from = Math.floor((SLOTS * node) / nodeCount);
    const to = Math.floor((SLOTS * (node + 1)) / nodeCount) - 1;
    await mustAnswerOk(port, `CLUSTER ADDSLOTSRANGE ${from} ${to}`);
    await mustAnswerOk(port, `CLUSTER SET-CONFIG-EPOCH ${node + 1}`);
  }
  for (let node = 1; node < nodeCount; node++)
    await mustAnswerOk(servers[0]!.port, `CLUSTER MEET 127.0.0.1 ${servers[node]!.port} ${buses[node]}`);
  const deadline = performance.now() + FORMED_MS;
  for (const { port } of servers) await formed(port, nodeCount, deadline);
  return servers;
}

async function formed(port: number, nodeCount: number, deadline: number): Promise<void> {
  for (;;) {
    const info = await ask(port, "CLUSTER INFO\r\n");
    if (info.includes("cluster_state:ok") && info.includes(`cluster_known_nodes:${nodeCount}`)) return;
    if (performance.now() > deadline)
      throw new Error(`The cluster was not formed in ${FORMED_MS} ms:\n${info}`);
    await pause(20);
  }
}

async function mustAnswerOk(port: number, command: string): Promise<void> {
  const answer = await ask(port, `${command}\r\n`);
  if (!answer.startsWith("+OK")) throw new Error(`${command}: ${answer}`);
}
