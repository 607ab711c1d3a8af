import { readFileSync } from "node:fs";
import { haveRedis, startRedis } from "@tidemark/servers";
import { Cluster, Redis } from "ioredis";
import { Redis as Redis5 } from "ioredis-5";
import { describe, expect, test } from "vitest";
import { openRedisTransport, type RedisTransportOptions } from "../src/index.ts";
import { eventually, frameOf, Heard, ship } from "./wait.ts";

const installed = await haveRedis();

test.each<[string, RedisTransportOptions["connection"]]>([
  ["ioredis 6", new Redis({ lazyConnect: true, keyPrefix: "app:" })],
  ["ioredis 5", new Redis5({ lazyConnect: true, keyPrefix: "app:" })],
  ["options", { keyPrefix: "app:" }],
  ["a cluster", new Cluster([{ port: 1 }], { lazyConnect: true, redisOptions: { keyPrefix: "app:" } })],
])("TRN-7 a keyPrefix is refused: %s", async (_, connection) => {
  await expect(openRedisTransport({ connection })).rejects.toMatchObject({ code: "KEY_PREFIX_SET" });
});

test.each(["", "a{b", "a}b", "{a}", "a b", "a\n", "x".repeat(101)])(
  "TRN-7 the prefix %j is refused",
  async (prefix) => {
    const opening = openRedisTransport({ connection: "redis://127.0.0.1:1", prefix });
    await expect(opening).rejects.toMatchObject({ code: "PREFIX_INVALID" });
  },
);

test.each([null, 5, { duplicate: () => undefined }, new Map(), []])(
  "TRN-7 a connection that is none is refused: %j",
  async (connection) => {
    const opening = openRedisTransport({ connection: connection as never });
    await expect(opening).rejects.toMatchObject({ code: "CLIENT_UNKNOWN" });
  },
);

test.each([
  { blockMs: 0 },
  { frameBytesMax: 64 * 1024 * 1024 + 1 },
  { queueFramesMax: 1.5 },
  { publishTimeoutMs: Number.NaN },
])("TRN-7 a limit that is none is a RangeError: %j", async (limits) => {
  const opening = openRedisTransport({ connection: "redis://127.0.0.1:1", ...limits });
  await expect(opening).rejects.toThrow(RangeError);
});

test("TRN-7 a server that is away does not keep the transport from opening, nor it from closing", async () => {
  const transport = await openRedisTransport({ connection: "redis://127.0.0.1:1", publishTimeoutMs: 50 });
  expect(transport.status).toMatchObject({ state: "connecting", reason: /out of reach/ });
  const publishing = transport.publish("sessions.1.0", frameOf(1), { sequence: { epoch: 1, last: 1 } });
  await expect(publishing).rejects.toMatchObject({ code: "PUBLISH_FAILED" });
  const waiting = transport.subscribe("sessions.1.0").catch((error: unknown) => error);
  await transport.close();
  expect(await waiting).toMatchObject({ code: "TRANSPORT_CLOSED" });
});

const README = readFileSync(new URL("../README.md", import.meta.url), "utf8");
/** The rights of the user of the README: nothing more than it says. */
const RIGHTS = /ACL SETUSER tidemark on >secret (.*)/.exec(README)?.[1]?.split(" ") ?? [];
const COMMANDS = RIGHTS.filter((right) => right.startsWith("+"));

interface Login {
  port: number;
  host: string;
  username: string;
  password: string;
}
const CLIENTS: Record<string, (login: Login) => Redis | Redis5> = {
  "ioredis 6": (login) => new Redis(login),
  "ioredis 5": (login) => new Redis5(login),
};

/** Commands the server has run, by name. */
async function ranOn(admin: Redis): Promise<string[]> {
  const info = String(await admin.call("INFO", "commandstats"));
  return [...info.matchAll(/cmdstat_([^:]+):calls=([1-9])/g)].map(([, name]) => `+${name}`);
}

describe.skipIf(!installed)("TRN-7 a user with least privileges", () => {
  test.each(Object.entries(CLIENTS))(
    "%s: everything works, nothing outside the prefix, and no right is idle",
    async (_, open) => {
      await using server = await startRedis();
      const admin = new Redis(server.port, "127.0.0.1");
      await admin.call("ACL", "SETUSER", "tidemark", "on", ">secret", ...RIGHTS);
      const client = open({ port: server.port, host: "127.0.0.1", username: "tidemark", password: "secret" });
      client.on("error", () => undefined);
      const transport = await openRedisTransport({ connection: client, blockMs: 50 });
      const elsewhere = await openRedisTransport({ connection: client, prefix: "other" });
      try {
        const heard = new Heard(await transport.subscribe("sessions.1.0"));
        await ship(transport, "sessions.1.0", 1, 5);
        await heard.until(5);
        await transport.publish("ack.1", frameOf(1));
        await transport.serve("inbox.1", async (frame) => frame);
        await transport.request("inbox.1", frameOf(1), { timeoutMs: 5_000 });
        await transport.release("sessions.1.0", { epoch: 7, last: 5 });
        await expect(elsewhere.publish("ack.1", frameOf(1))).rejects.toMatchObject({ code: "UNAUTHORIZED" });
        await expect(elsewhere.subscribe("ack.1")).rejects.toMatchObject({ code: "UNAUTHORIZED" });
        await eventually(async () => (await ranOn(admin)).includes("+ping"), "a read without news");
        await transport.close();
        expect(JSON.stringify(await admin.call("ACL", "LOG"))).not.toContain("tidemark:");
        const ran = await ranOn(admin);
        expect(COMMANDS.filter((command) => !ran.includes(command))).toEqual([]);
      } finally {
        await transport.close();
        await elsewhere.close();
        client.disconnect();
        admin.disconnect();
      }
    },
  );

  test.each([
    ["a wrong password", { password: "wrong" }],
    ["no password", {}],
  ])("RGN-1b %s rejects", async (_, login) => {
    await using server = await startRedis({ args: ["--requirepass", "secret"] });
    const opening = openRedisTransport({ connection: { port: server.port, ...login } });
    await expect(opening).rejects.toMatchObject({ code: "UNAUTHORIZED" });
  });
});
