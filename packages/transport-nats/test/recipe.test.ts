import { execFileSync, spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { connect } from "@nats-io/transport-node";
import { findServer, freePort, startNats } from "@tidemark/servers";
import { describe, expect, test, vi } from "vitest";
import { fencesOf } from "../../../scripts/lib/fences.mjs";
import { createSandbox, runFile } from "../../../scripts/lib/sandbox.mjs";
import { hasServer } from "./broker.ts";

const PAGE = readFileSync(new URL("../../../docs/nats.md", import.meta.url), "utf8");
const files = fencesOf(PAGE).filter(({ file }) => file !== "");
const commands = fencesOf(PAGE)
  .filter(({ language }) => language === "sh")
  .flatMap(({ code }) => code.trim().split("\n"));
const hasOpenssl = spawnSync("openssl", ["version"]).status === 0;
if (!hasOpenssl && process.env["CI"] !== undefined)
  throw new Error("CI needs openssl: the page makes certificates with it");
if (!hasOpenssl) process.stderr.write("The runbook is not run: there is no openssl here\n");
const usable = (await hasServer()) && hasOpenssl;

/** What the reader of the page does with two regions, told what happens by its standard output. */
const REGIONS = `
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { connect } from "@nats-io/transport-node";
import { jetstreamManager } from "@nats-io/jetstream";
import { openRegion } from "@tidemark/region/node";

const { servers, reload, clusterKey } = JSON.parse(process.env.PLACE);
process.env.NATS_URL = servers;
process.env.OPERATOR_PASSWORD = "operator-password";
await import("./create-streams.mjs");
const { openTransport } = await import("./transport.mjs");
const { stepsTo } = await import("./cluster-keys.mjs");
const members = { version: 1, regions: { "us-east": 1, "eu-west": 2 } };
const names = Object.keys(members.regions);
const former = new Uint8Array(Buffer.from(clusterKey, "hex"));
const refusals = new Set();
const opened = {};
const open = async (name, clusterKey) => {
  const id = members.regions[name];
  const transport = await openTransport(id);
  transport.onStatus(({ reason }) => { if (reason?.includes("refuses")) refusals.add(reason); });
  const region = await openRegion({ name, members, bootstrap: id === 1, transport, dir: name, clusterKey });
  opened[name] = { region, transport };
};
const close = async (name) => {
  await opened[name].region.close();
  await opened[name].transport.close();
};
for (const name of names) await open(name, former);
const regions = () => names.map((name) => opened[name].region);
const [us, eu] = regions();
await eu.ready({ timeoutMs: 10_000 });
const session = await us.sessions.start({ user: "ada", agent: "guide" });
await eu.sessions.resume(session.id, { cursor: session.cursor(), timeoutMs: 10_000 });
let count = 0;
const meet = async (stage) => {
  for (let index = 0; index < 5; index++) {
    for (const region of regions()) await region.sessions.get(session.id).annotate([stage, region.name, index].join(" "));
    count += 2;
  }
  for (const region of regions()) if (!(await region.synced({ timeoutMs: 20_000 }))) throw new Error(stage + " does not meet");
  const held = regions().map((region) => region.sessions.get(session.id).state().annotations.length);
  console.log(stage, held.every((one) => one === count) ? "met" : held);
};
await meet("first");

const operator = await connect({ servers, user: "operator", pass: "operator-password", tls: { caFile: "server.crt" } });
const { streams } = await jetstreamManager(operator);
await streams.delete("tidemark+sessions+1");
const meeting = meet("deleted");
const reason = await new Promise((resolve) => {
  const look = ({ reason }) => { if (reason?.includes("tidemark+sessions+1")) resolve(reason); };
  opened["us-east"].transport.onStatus(look);
  look(opened["us-east"].transport.status);
});
console.log("told", reason);
await import("./create-streams.mjs?again");
await meeting;
await operator.close();

const lost = new Promise((resolve) => opened["us-east"].transport.onStatus(({ state }) => { if (state === "connecting") resolve(); }));
writeFileSync("region-1.password", "second\\n");
writeFileSync("passwords.conf", readFileSync("passwords.conf", "utf8").replace("first-password-of-1", "second"));
execFileSync(reload[0], reload.slice(1));
await lost;
await meet("rotated");
for (const keys of stepsTo(new Uint8Array(32).fill(2), former)) {
  for (const name of names) {
    await close(name);
    await open(name, keys);
    await opened[name].region.ready({ timeoutMs: 10_000 });
  }
  await meet("keys " + keys.map(({ id }) => id));
  console.log("poison", JSON.stringify(regions().map((region) => region.metrics().poison)));
}
console.log("refused", JSON.stringify([...refusals]));
for (const name of names) await close(name);
`;

// nats-server 2.9.10 ends with a nil pointer if it is asked for a message of a stream that is just being deleted.
const brokerFault = { count: 1, condition: /jsMsgGetRequest/ };

describe.skipIf(!usable)("TRN-8 TRN-6 docs/nats.md", { timeout: 60_000, retry: brokerFault }, () => {
  test("its files start a server over which two regions meet, lose a stream, change a password and rotate the key of the cluster, with no more rights", async () => {
    const sandbox = createSandbox();
    const { path: binary } = await findServer("nats");
    const httpPort = await freePort();
    try {
      for (const { file, code } of files)
        if (file !== "nats-server.conf") writeFileSync(join(sandbox.dir, file), code);
      const secrets = files.find(({ file }) => file === "passwords.conf")!.code;
      for (const region of [1, 2]) {
        const [, password] = new RegExp(`PASSWORD_${region}: "(.*)"`).exec(secrets)!;
        writeFileSync(join(sandbox.dir, `region-${region}.password`), `${password}\n`);
      }
      execFileSync("sh", ["-c", commands.find((line) => line.startsWith("openssl "))!], {
        cwd: sandbox.dir,
        stdio: "ignore",
      });
      const provision = commands
        .find((line) => line.startsWith("tidemark "))!
        .split(" ")
        .slice(1);
      writeFileSync(
        join(sandbox.dir, "provision.mjs"),
        `import { nodeIo, runCli } from "@tidemark/cli";
process.exitCode = await runCli(${JSON.stringify(provision)}, { io: nodeIo(), version: "1" });`,
      );
      const printed = await runFile(sandbox.dir, "provision.mjs");
      expect(printed.status, printed.output).toBe(0);
      const blocks = [...printed.output.matchAll(/^permissions: \{\n.*?^\}$/gms)].map(([block]) => block);
      expect(blocks).toHaveLength(2);
      for (const [index, block] of blocks.entries())
        writeFileSync(join(sandbox.dir, `region-${index + 1}.conf`), block);

      const documented = files.find(({ file }) => file === "nats-server.conf")!.code;
      await using server = await startNats({
        config: ({ dir, port }) =>
          documented
            .replace("0.0.0.0:4222", `127.0.0.1:${port}`)
            .replace("127.0.0.1:8222", `127.0.0.1:${httpPort}`)
            .replace("/var/lib/nats", join(dir, "js"))
            .replaceAll("/etc/nats", sandbox.dir)
            .replaceAll(/include "/g, `include "${relative(dir, sandbox.dir)}/`),
      });
      const reload = commands.find((line) => line.startsWith("nats-server "))!;
      const servers = `tls://localhost:${server.port}`;
      const place = {
        servers,
        reload: [binary, ...reload.replace("PID", `${server.pid}`).split(" ").slice(1)],
        clusterKey: "11".repeat(32),
      };
      writeFileSync(
        join(sandbox.dir, "regions.mjs"),
        REGIONS.replace("process.env.PLACE", JSON.stringify(JSON.stringify(place))),
      );
      const { status, output } = await runFile(sandbox.dir, "regions.mjs");
      expect({ status, output: output.split("\n") }, server.output).toEqual({
        status: 0,
        output: [
          "first met",
          expect.stringMatching(/^told .*no stream tidemark\+sessions\+1/i),
          "deleted met",
          "rotated met",
          ...["1,2", "2,1", "2"].flatMap((ids) => [`keys ${ids} met`, "poison [{},{}]"]),
          "refused []",
          "",
        ],
      });

      for (const line of commands.filter((one) => one.startsWith("curl "))) {
        const [url] = /http:[^\s"]+/.exec(line)!;
        const answer = await fetch(url.replace(":8222", `:${httpPort}`));
        expect(answer.status, line).toBe(200);
        if (line.includes("jsz")) expect(await answer.text()).toContain('"max_bytes": 268435456');
      }

      // What is not granted is refused, one by one.
      const refused: string[] = [];
      await using thief = await connect({
        servers,
        user: "region-1",
        pass: "second",
        inboxPrefix: "_INBOX_1",
        tls: { caFile: join(sandbox.dir, "server.crt") },
      });
      const watching = (async () => {
        for await (const event of thief.status()) {
          if (event.type === "error") refused.push(event.error.message);
        }
      })();
      const forbidden = [
        "tidemark.sessions.2.0",
        "tidemark.+live.ack.2",
        "$JS.API.STREAM.DELETE.tidemark+sessions+1",
        "$JS.API.STREAM.CREATE.mine",
        "$JS.API.STREAM.PURGE.tidemark+sessions+2",
      ];
      for (const subject of forbidden) thief.publish(subject);
      for (const subject of ["tidemark.>", "_INBOX_2.>"])
        thief.subscribe(subject, { callback: () => undefined });
      await vi.waitFor(() => {
        for (const subject of [...forbidden, "tidemark.>", "_INBOX_2.>"])
          expect(
            refused.some((reason) => reason.includes(`"${subject}"`)),
            subject,
          ).toBe(true);
      }, 5_000);
      await thief.close();
      await watching;
    } finally {
      sandbox.remove();
    }
  });
});
