import { once } from "node:events";
import { readFileSync } from "node:fs";
import { connect } from "node:net";
import {
  findServer,
  ServerUnavailableError,
  startNats,
  startRedis,
  type ServerKind,
} from "@tidemark/servers";
import { natsStreams } from "@tidemark/transport-nats";
import { expect, test } from "vitest";
import type { ProvisionNatsJson, ProvisionRedisJson } from "../src/index.ts";
import { cli } from "./harness.ts";

const readmeOf = (adapter: string): string =>
  readFileSync(new URL(`../../${adapter}/README.md`, import.meta.url), "utf8");

async function nats(...args: string[]): Promise<ProvisionNatsJson> {
  const ran = await cli(["provision", "nats", "--print", "--json", ...args]);
  expect(ran).toMatchObject({ code: 0, stderr: "" });
  return JSON.parse(ran.stdout);
}

test("CLI-10 TRN-8 provision nats prints the streams that the transport would make", async () => {
  expect((await nats("--regions", "1,2")).streams).toEqual(natsStreams({ regions: [1, 2] }));
  expect((await nats("--regions", "7,300,9", "--prefix", "shop", "--replicas", "3")).streams).toEqual(
    natsStreams({ regions: [7, 300, 9], prefix: "shop", stream: { replicas: 3 } }),
  );
});

test("CLI-10 TRN-8 provision nats prints the rights that the transport's README grants and tests", async () => {
  const granted = /^```text permissions of region 1 of 2\n(.*?)^```$/ms.exec(readmeOf("transport-nats"))![1]!;
  const [publish, subscribe, responses] = granted
    .split(/^(?:subscribe|allow_responses)/m)
    .map((part) => [...part.matchAll(/"([^"]+)"/g)].map(([, subject]) => subject!).sort());
  const { rights } = await nats("--regions", "1,2");
  expect(rights.map(({ region }) => region)).toEqual([1, 2]);
  expect([...rights[0]!.publish].sort()).toEqual(publish);
  expect([...rights[0]!.subscribe].sort()).toEqual(subscribe);
  expect([rights[0]!.allowResponses.expires]).toEqual(responses);
  expect(granted).toContain(`max: ${rights[0]!.allowResponses.max},`);
  // Nobody writes what another region says, and no two share an inbox.
  const [, second] = (await nats("--regions", "1,2,3")).rights;
  expect(second!.publish.filter((subject) => /^tidemark\.s\w+\.[13]\./.test(subject))).toEqual([]);
  expect(second!.subscribe).toContain("_INBOX_2.>");
  expect(second!.subscribe).toContain("tidemark.+live.ack.3");
});

test("CLI-10 provision nats is one stream a line and a block of nats-server's configuration a region", async () => {
  const { stdout } = await cli(["provision", "nats", "--print", "--regions", "1,2"]);
  const streams = stdout.split("\n").filter((line) => line.startsWith("{"));
  expect(streams.map((line) => JSON.parse(line))).toEqual(natsStreams({ regions: [1, 2] }));
  expect(stdout.match(/^permissions: \{$/gm)).toHaveLength(2);
});

async function redis(...args: string[]): Promise<ProvisionRedisJson> {
  const ran = await cli(["provision", "redis", "--print", "--json", ...args]);
  expect(ran).toMatchObject({ code: 0, stderr: "" });
  return JSON.parse(ran.stdout);
}

test("CLI-10 TRN-8 provision redis prints the users of the runbook, which is run with them", async () => {
  const page = readFileSync(new URL("../../../docs/redis.md", import.meta.url), "utf8");
  const { users, config } = await redis("--regions", "1,2");
  expect(users.map(({ region, user }) => [region, user])).toEqual([
    [1, "tidemark-1"],
    [2, "tidemark-2"],
  ]);
  for (const { user, rights } of users) {
    const [, granted] = new RegExp(`^user ${user} on >\\S+ (.*)$`, "m").exec(page)!;
    // The name of a connection is an option of its own.
    expect(`${rights.join(" ")} +client|setname`).toBe(granted);
  }
  expect(config).toEqual({ "maxmemory-policy": "noeviction" });
});

test("CLI-10 TRN-8 provision redis prints one user for all with the rights that the transport's README grants and tests", async () => {
  const granted = /ACL SETUSER tidemark on >secret (.*)/.exec(readmeOf("transport-redis"))![1]!;
  expect((await redis()).users).toEqual([{ region: null, user: "tidemark", rights: granted.split(" ") }]);
  const { stdout, stderr } = await cli(["provision", "redis", "--print", "--prefix", "shop", "--cluster"]);
  const more = /on a cluster also `([^`]+)`/.exec(readmeOf("transport-redis"))![1]!;
  const [first] = stdout.split("\n");
  expect(first).toBe(`ACL SETUSER shop reset on >SECRET ${granted.replace("~tidemark", "~shop")} ${more}`);
  expect(stderr).toMatch(/password/);
});

test("CLI-10 provision redis takes a prefix for what it says, not for a pattern", async () => {
  const [user] = (await redis("--regions", "1", "--prefix", "a*[b]")).users;
  expect(user!.rights[0]).toBe("%R~a\\*\\[b\\]:*");
});

test.each([
  [["nats", "--regions", "1,2"], /Say --print/],
  [["nats", "--print"], /--regions/],
  [["nats", "--print", "--regions", "1,1"], /different numbers/],
  [["nats", "--print", "--regions", "1,x"], /different numbers/],
  [["nats", "--print", "--regions", "1", "--prefix", "a.b"], /1 to 32/],
  [["nats", "--print", "--regions", "1", "--replicas", "6"], /1 to 5/],
  [["redis", "--print", "--prefix", "a{b}"], /no brace/],
  [["redis", "--print", "--regions", "0"], /different numbers/],
  [["redis"], /Say --print/],
])("CLI-10 provision %j is a usage error", async (argv, why) => {
  const ran = await cli(["provision", ...argv]);
  expect(ran).toMatchObject({ code: 2, stdout: "" });
  expect(ran.stderr).toMatch(why);
});

/** Without a server these tests are left out, in one line; in continuous integration they fail. */
async function hasServer(kind: ServerKind): Promise<boolean> {
  try {
    await findServer(kind);
    return true;
  } catch (error) {
    if (!(error instanceof ServerUnavailableError) || process.env["CI"]) throw error;
    process.stderr.write(`Left out: ${error.message}\n`);
    return false;
  }
}

test.skipIf(!(await hasServer("nats")))("CLI-10 nats-server starts with the rights as printed", async () => {
  const { stdout } = await cli(["provision", "nats", "--print", "--regions", "1,2"]);
  const blocks = [...stdout.matchAll(/^permissions: \{\n.*?^\}$/gms)].map(([block]) => block);
  expect(blocks).toHaveLength(2);
  const users = blocks.map((block, index) => `{ user: region-${index + 1}, password: p, ${block} }`);
  await using server = await startNats({
    config: () => `authorization { users: [\n${users.join("\n")}\n] }`,
  });
  expect(server.pid).toBeGreaterThan(0);
});

test.skipIf(!(await hasServer("redis")))("CLI-10 redis-server takes the commands as printed", async () => {
  await using server = await startRedis();
  const socket = connect(server.port, "127.0.0.1").setEncoding("utf8");
  try {
    for (const more of [[], ["--cluster"], ["--regions", "1,2"], ["--regions", "7", "--cluster"]]) {
      const { stdout } = await cli(["provision", "redis", "--print", ...more]);
      for (const line of stdout.trimEnd().split("\n")) {
        socket.write(`${line}\r\n`);
        expect(await once(socket, "data"), line).toEqual(["+OK\r\n"]);
      }
    }
  } finally {
    socket.destroy();
  }
});
