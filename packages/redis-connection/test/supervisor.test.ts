import { freePort, openFaultProxy, startRedis, startRedisCluster } from "@tidemark/servers";
import { Cluster, Redis } from "ioredis";
import { Cluster as Cluster5, Redis as Redis5 } from "ioredis-5";
import { expect, onTestFinished, test } from "vitest";
import { connectorFor, ConnectionLostError, Supervisor, type RedisClient } from "../src/index.ts";

const SETTINGS = { connectTimeoutMs: 5_000, replyTimeoutMs: 300 };

async function supervise(client: RedisClient, settings = SETTINGS): Promise<Supervisor> {
  const supervisor = new Supervisor(await connectorFor(client, settings), settings, () => undefined);
  onTestFinished(() => supervisor.close());
  await supervisor.wait();
  return supervisor;
}

test.each([
  ["ioredis 6", (port: number) => new Redis(port, "127.0.0.1", { lazyConnect: true })],
  ["ioredis 5", (port: number) => new Redis5(port, "127.0.0.1", { lazyConnect: true })],
])(
  "%s: a command on a link that goes silent ends in time, as one that was sent, and the next goes out on another",
  async (_, open) => {
    await using server = await startRedis();
    await using proxy = await openFaultProxy({ target: server.port });
    const supervisor = await supervise(open(proxy.port));
    expect(String(await supervisor.call(["PING"]))).toBe("PONG");
    proxy.halfOpen();
    const lost = await supervisor.call(["INCR", "a"]).catch((error: unknown) => error);
    expect(lost).toBeInstanceOf(ConnectionLostError);
    expect(lost).toMatchObject({ sent: true });
    const refused = await supervisor.call(["INCR", "a"]).catch((error: unknown) => error);
    expect(refused).toMatchObject({ name: "ConnectionLostError", sent: false });
    proxy.heal();
    await supervisor.wait();
    expect(await supervisor.call(["INCR", "a"])).toBe(1);
  },
);

test.each([
  ["ioredis 6", (port: number) => new Cluster([{ host: "127.0.0.1", port }], { lazyConnect: true })],
  ["ioredis 5", (port: number) => new Cluster5([{ host: "127.0.0.1", port }], { lazyConnect: true })],
])("%s: the client of a cluster does not send again what may have run", async (_, open) => {
  // The second node, which has the slot of `a`, gives the address of the proxy, as one behind a translating network does.
  const ports = [await freePort(), await freePort()];
  const proxy = await openFaultProxy({ target: ports[1]! });
  onTestFinished(() => proxy.close());
  const servers = await startRedisCluster({
    nodeCount: 2,
    ports,
    args: (node) => (node === 1 ? ["--cluster-announce-port", `${proxy.port}`] : []),
  });
  for (const server of servers) onTestFinished(() => server.remove());
  const settings = { ...SETTINGS, replyTimeoutMs: 3_000 };
  const supervisor = await supervise(open(ports[0]!), settings);
  expect(await supervisor.call(["INCR", "{a}"])).toBe(1);
  // The server runs it, and its answer is lost with the connection.
  proxy.stall("inbound");
  const lost = supervisor.call(["INCR", "{a}"]).catch((error: unknown) => error);
  const direct = new Redis(ports[1]!, "127.0.0.1");
  onTestFinished(() => direct.disconnect());
  while ((await direct.get("{a}")) !== "2");
  proxy.cut();
  proxy.heal();
  expect(await lost).toBeInstanceOf(Error);
  expect(await direct.get("{a}")).toBe("2");
});
