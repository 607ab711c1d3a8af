import { haveRedis, startRedis, type RedisServer } from "@tidemark/servers";
import { describeTransport } from "@tidemark/transport-conformance";
import { Redis } from "ioredis";
import { Redis as Redis5 } from "ioredis-5";
import { createClient } from "redis";
import { afterAll, beforeAll, describe } from "vitest";
import { openMesh, type OpenClient } from "./helpers.ts";

const url: OpenClient = async (port) => ({
  connection: `redis://127.0.0.1:${port}`,
  close: async () => undefined,
});

const ioredis: OpenClient = async (port) => {
  const client = new Redis(port, "127.0.0.1");
  client.on("error", () => undefined);
  return { connection: client, close: async () => client.disconnect() };
};

const ioredis5: OpenClient = async (port) => {
  const client = new Redis5(port, "127.0.0.1");
  client.on("error", () => undefined);
  return { connection: client, close: async () => client.disconnect() };
};

const nodeRedis: OpenClient = async (port) => {
  const client = createClient({ url: `redis://127.0.0.1:${port}` });
  client.on("error", () => undefined);
  await client.connect();
  return { connection: client, close: async () => client.destroy() };
};

const claims = { frameBytesMax: 1_048_576, ordered: true, replay: true, persistent: false };
const durable = ["--appendonly", "yes", "--appendfsync", "always"];
const installed = await haveRedis();
const valkey = await haveRedis({ release: "valkey" });

describe.skipIf(!installed)("TRN-7 Redis", () => {
  let server: RedisServer;
  let keeping: RedisServer;
  beforeAll(async () => {
    server = await startRedis();
    keeping = await startRedis({ args: durable });
  });
  afterAll(async () => {
    await server.remove();
    await keeping.remove();
  });

  describeTransport("ioredis 6, a URL, a server that keeps its streams", {
    claims: { ...claims, persistent: true },
    hooks: ["cut", "restartBroker"],
    openMesh: (peerCount) => openMesh(keeping, url, peerCount, { persistent: true }),
  });
  describeTransport("ioredis 6, a client, a server that forgets", {
    claims,
    hooks: ["cut", "restartBroker"],
    openMesh: (peerCount) => openMesh(server, ioredis, peerCount),
  });
  describeTransport("ioredis 5, a client", {
    claims,
    hooks: ["cut", "restartBroker"],
    openMesh: (peerCount) => openMesh(server, ioredis5, peerCount),
  });
  describeTransport("node-redis, a client", {
    claims,
    hooks: ["cut", "restartBroker"],
    openMesh: (peerCount) => openMesh(server, nodeRedis, peerCount),
  });
});

describe.skipIf(!valkey)("TRN-7 Valkey", () => {
  let server: RedisServer;
  beforeAll(async () => {
    server = await startRedis({ release: "valkey" });
  });
  afterAll(() => server.remove());

  describeTransport("ioredis 6, a URL", {
    claims,
    hooks: ["cut", "restartBroker"],
    openMesh: (peerCount) => openMesh(server, url, peerCount),
  });
});
