import { readFileSync } from "node:fs";
import { haveRedis, startRedisCluster, type RedisServer } from "@tidemark/servers";
import { describeTransport } from "@tidemark/transport-conformance";
import { Cluster, Redis } from "ioredis";
import { Cluster as Cluster5 } from "ioredis-5";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openRedisTransport, type RedisTransport } from "../src/index.ts";
import { Heard, ship } from "./wait.ts";

const installed = await haveRedis();
const claims = { frameBytesMax: 1_048_576, ordered: true, replay: true, persistent: false };

describe.skipIf(!installed)("TRN-7 a Redis Cluster of three nodes", () => {
  let servers: RedisServer[] = [];
  let meshes = 0;
  beforeAll(async () => {
    servers = await startRedisCluster();
  });
  afterAll(async () => {
    for (const server of servers) await server.remove();
  });

  const nodes = (): { host: string; port: number }[] =>
    servers.map(({ port }) => ({ host: "127.0.0.1", port }));

  describeTransport("ioredis 6, a cluster client", {
    claims,
    openMesh: async (peerCount) => {
      meshes += 1;
      const client = new Cluster(nodes());
      client.on("error", () => undefined);
      const transports: RedisTransport[] = [];
      const join = async (): Promise<RedisTransport> => {
        const transport = await openRedisTransport({ connection: client, prefix: `mesh${meshes}` });
        transports.push(transport);
        return transport;
      };
      const peers = await Promise.all(Array.from({ length: peerCount }, join));
      return {
        peers,
        reopen: join,
        close: async () => {
          await Promise.all(transports.map((transport) => transport.close()));
          client.disconnect();
        },
      };
    },
  });

  test("shards spread over the nodes, and every shard flows; ioredis 5", async () => {
    const client = new Cluster5(nodes());
    client.on("error", () => undefined);
    const transport = await openRedisTransport({ connection: client, prefix: "spread" });
    try {
      const shards = Array.from({ length: 12 }, (_, shard) => `sessions.1.${shard}`);
      const heard = await Promise.all(shards.map(async (each) => new Heard(await transport.subscribe(each))));
      await Promise.all(shards.map((each) => ship(transport, each, 1, 10)));
      for (const each of heard) {
        await each.until(10);
        each.expectAll(1, 10);
      }
      const held = await Promise.all(
        servers.map(async ({ port }) => {
          const node = new Redis(port, "127.0.0.1");
          const keys = await node.keys("spread:*:log:*");
          node.disconnect();
          return keys.length;
        }),
      );
      expect(held.reduce((sum, count) => sum + count, 0)).toBe(12);
      expect(Math.min(...held)).toBeGreaterThan(0);
    } finally {
      await transport.close();
      client.disconnect();
    }
  });

  test("a user with the rights of the README for a cluster, and no more, does everything", async () => {
    const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8");
    const rights = /ACL SETUSER tidemark on >secret (.*)/.exec(readme)![1]!.split(" ");
    const more = /on a cluster also `([^`]+)`/.exec(readme)![1]!.split(" ");
    for (const { port } of servers) {
      const node = new Redis(port, "127.0.0.1");
      await node.call("ACL", "SETUSER", "tidemark", "on", ">secret", ...rights, ...more);
      await node.call("CONFIG", "RESETSTAT");
      node.disconnect();
    }
    const redisOptions = { username: "tidemark", password: "secret" };
    const client = new Cluster(nodes(), { redisOptions });
    client.on("error", () => undefined);
    const transport = await openRedisTransport({ connection: client });
    try {
      const heard = new Heard(await transport.subscribe("sessions.1.0"));
      await ship(transport, "sessions.1.0", 1, 5);
      await heard.until(5);
      await transport.serve("inbox.1", async (frame) => frame);
      const answer = await transport.request("inbox.1", Uint8Array.of(1), { timeoutMs: 5_000 });
      expect(answer).toEqual(Uint8Array.of(1));
      const ran: string[] = [];
      for (const { port } of servers) {
        const node = new Redis(port, "127.0.0.1");
        ran.push(String(await node.call("INFO", "commandstats")));
        node.disconnect();
      }
      for (const right of more)
        expect(ran.join()).toMatch(new RegExp(`cmdstat_${right.slice(1).replace("|", "[|]")}:calls=[1-9]`));
    } finally {
      await transport.close();
      client.disconnect();
    }
  });
});
