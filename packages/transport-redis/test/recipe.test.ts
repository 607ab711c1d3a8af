import { execFileSync, spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { haveRedis, freePort, startRedis } from "@tidemark/servers";
import { Redis } from "ioredis";
import { describe, expect, test } from "vitest";
import { fencesOf } from "../../../scripts/lib/fences.mjs";
import { createSandbox, runFile } from "../../../scripts/lib/sandbox.mjs";

interface Fence {
  readonly language: string;
  readonly file: string;
  readonly code: string;
}

const PAGE = readFileSync(new URL("../../../docs/redis.md", import.meta.url), "utf8");
const fences: readonly Fence[] = fencesOf(PAGE);
const fileOf = (name: string): string => fences.find(({ file }) => file === name)!.code;
/** The commands of each block of the page, without the name of the program. */
const blocks = fences.filter(({ language }) => language === "sh").map(({ code }) => code.trim().split("\n"));
const [, certificate, watching, added, retired, removed] = blocks as [
  string[],
  string[],
  string[],
  string[],
  string[],
  string[],
];
const hasOpenssl = spawnSync("openssl", ["version"]).status === 0;
if (!hasOpenssl && process.env["CI"] !== undefined)
  throw new Error("CI needs openssl: the page makes certificates with it");
if (!hasOpenssl) process.stderr.write("The runbook is not run: there is no openssl here\n");
const usable = (await haveRedis()) && hasOpenssl;

/** What the reader of the page does with two regions, told what happens by its standard output. */
const REGIONS = `
import { readFileSync, writeFileSync } from "node:fs";
import { Redis } from "ioredis";
import { openRegion } from "@tidemark/region/node";

const { port, clusterKey, added, retired } = JSON.parse(process.env.PLACE);
process.env.REDIS_HOST = "localhost";
process.env.REDIS_PORT = String(port);
const { openTransport } = await import("./transport.mjs");
const operator = new Redis({ host: "localhost", port, username: "operator", password: "operator-password", tls: { ca: readFileSync("server.crt") } });
const members = { version: 1, regions: { "us-east": 1, "eu-west": 2 } };
const { stepsTo } = await import("./cluster-keys.mjs");
const former = new Uint8Array(Buffer.from(clusterKey, "hex"));
const open = async (name, key = former) => {
  const id = members.regions[name];
  const transport = await openTransport(id);
  const region = await openRegion({ name, members, bootstrap: id === 1, transport, dir: name, clusterKey: key });
  return { region, close: () => region.close().finally(() => transport.close()) };
};
let us = await open("us-east");
let eu = await open("eu-west");
await eu.region.ready({ timeoutMs: 10_000 });
const { id } = await us.region.sessions.start({ user: "ada", agent: "guide" });
await us.region.synced({ timeoutMs: 10_000 });
await eu.region.synced({ timeoutMs: 10_000 });
let count = 0;
const meet = async (stage) => {
  const both = [us.region, eu.region];
  for (let index = 0; index < 5; index++) {
    for (const region of both) await region.sessions.get(id).annotate([stage, region.name, index].join(" "));
    count += 2;
  }
  for (const region of both) if (!(await region.synced({ timeoutMs: 20_000 }))) throw new Error(stage + " does not meet");
  const held = both.map((region) => region.sessions.get(id).state().annotations.length);
  console.log(stage, held.every((one) => one === count) ? "met" : held);
};
await meet("first");
await operator.del("tidemark:{0}:log:sessions.1.0", "tidemark:{0}:log:sessions.2.0");
await meet("deleted");
await operator.flushall();
await meet("flushed");
await operator.config("SET", "maxmemory", "1");
const meeting = meet("full");
while (!(await operator.info("errorstats")).includes("errorstat_OOM"));
await operator.config("SET", "maxmemory", "1gb");
await meeting;

for (const line of added) await operator.call(...line.split(" ").slice(1));
writeFileSync("region-1.password", "second\\n");
await us.close();
us = await open("us-east");
await us.region.ready({ timeoutMs: 10_000 });
for (const line of retired) await operator.call(...line.split(" ").slice(1));
await operator.client("KILL", "USER", "tidemark-1");
await meet("rotated");

for (const keys of stepsTo(new Uint8Array(32).fill(2), former)) {
  await us.close();
  us = await open("us-east", keys);
  await us.region.ready({ timeoutMs: 10_000 });
  await eu.close();
  eu = await open("eu-west", keys);
  await eu.region.ready({ timeoutMs: 10_000 });
  await meet("keys " + keys.map(({ id }) => id));
  console.log("poison", JSON.stringify([us, eu].map(({ region }) => region.metrics().poison)));
}
await us.close();
await eu.close();
await operator.quit();
`;

describe.skipIf(!usable)("TRN-8 TRN-7 docs/redis.md", { timeout: 60_000 }, () => {
  test("its files start a server over which two regions meet, lose streams, find no memory, change a password and rotate the key of the cluster, with no more rights", async () => {
    const sandbox = createSandbox();
    try {
      for (const file of ["transport.mjs", "cluster-keys.mjs", "users.acl"])
        writeFileSync(join(sandbox.dir, file), fileOf(file));
      for (const region of [1, 2]) {
        const [, password] = new RegExp(`tidemark-${region} on >(\\S+)`).exec(fileOf("users.acl"))!;
        writeFileSync(join(sandbox.dir, `region-${region}.password`), `${password}\n`);
      }
      execFileSync("sh", ["-c", certificate[0]!], { cwd: sandbox.dir, stdio: "ignore" });

      const port = await freePort();
      const configuration = fileOf("redis.conf")
        .replace("bind 0.0.0.0", "bind 127.0.0.1")
        .replace("tls-port 6379", `tls-port ${port}`)
        .replaceAll("/etc/redis", sandbox.dir);
      const args = configuration
        .trim()
        .split("\n")
        .flatMap((line) => {
          const [name, ...values] = line.split(" ");
          return [`--${name}`, ...values.map((value) => (value === '""' ? "" : value))];
        });
      await using server = await startRedis({ args });
      const place = { port, clusterKey: "11".repeat(32), added, retired };
      writeFileSync(
        join(sandbox.dir, "regions.mjs"),
        REGIONS.replace("process.env.PLACE", JSON.stringify(JSON.stringify(place))),
      );
      const { status, output } = await runFile(sandbox.dir, "regions.mjs");
      expect({ status, output: output.split("\n") }, server.output).toEqual({
        status: 0,
        output: [
          "first met",
          "deleted met",
          "flushed met",
          "full met",
          "rotated met",
          ...["1,2", "2,1", "2"].flatMap((ids) => [`keys ${ids} met`, "poison [{},{}]"]),
          "",
        ],
      });

      const connect = (username: string, password: string): Redis => {
        const client = new Redis({
          host: "localhost",
          port,
          tls: { ca: readFileSync(join(sandbox.dir, "server.crt")) },
          username,
          password,
          retryStrategy: () => null,
        });
        // The calls reject; that is enough.
        return client.on("error", () => undefined);
      };
      const run = (client: Redis, line: string): Promise<unknown> => {
        const [command, ...rest] = line.replace(/^redis-cli /, "").split(" ");
        return client.call(command!, ...rest);
      };
      const operator = connect("operator", "operator-password");
      const thief = connect("tidemark-1", "second");
      try {
        // Nothing that the regions did was refused. That the client tells its version is not needed.
        const log = (await operator.call("ACL", "LOG")) as string[][];
        const denied = log.map((entry) => entry[entry.indexOf("object") + 1]!.toLowerCase());
        expect(denied.filter((what) => !/^client(\|setinfo)?$/.test(what))).toEqual([]);

        for (const forbidden of [
          "XADD tidemark:{0}:log:sessions.2.0 * f x",
          "XTRIM tidemark:{0}:log:sessions.2.0 MAXLEN 0",
          "DEL tidemark:{0}:log:sessions.2.0",
          // Region 2 in shard 1, and a region whose number begins like its own.
          "XADD tidemark:{1}:log:sessions.2.1 * f x",
          "XADD tidemark:{0}:log:sessions.11.0 * f x",
          "XADD tidemark:{0}:log:others.1.0 * f x",
          "XADD tidemark:{ack}:eph:ack.2 * f x",
          "XADD tidemark:{ack}:eph:ack.11 * f x",
          "XADD tidemark:{1}:eph:sessions.2.1 * f x",
          "XADD elsewhere * f x",
          "XREVRANGE elsewhere + -",
          "GET tidemark:{0}:log:sessions.1.0",
          "KEYS *",
          "FLUSHALL",
          "CONFIG GET maxmemory",
          "EVAL return 0",
          "ACL LIST",
        ])
          await expect(run(thief, forbidden), forbidden).rejects.toThrow(/^NOPERM/);
        await expect(run(connect("tidemark-1", "first-password-of-1"), "PING")).rejects.toThrow();

        expect(watching.length).toBeGreaterThan(3);
        for (const line of [...watching, ...removed]) await run(operator, line);
        expect(readFileSync(join(sandbox.dir, "users.acl"), "utf8")).not.toContain("tidemark-2");
        expect((await operator.keys("*")).filter((key) => /\.2\b/.test(key))).toEqual([]);
      } finally {
        thief.disconnect();
        operator.disconnect();
      }
    } finally {
      sandbox.remove();
    }
  });
});
