import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { findServer, freePort, type ServerKind } from "../src/index.ts";
import { ServerProcess, temporaryFolder } from "../src/server-process.ts";
import { ask } from "../src/ask.ts";

const FILE = readFileSync(new URL("../../../compose.yaml", import.meta.url), "utf8");
/** Where both images keep what is to outlive a container; that of Redis also begins there. */
const VOLUME = "/data";

interface Service {
  readonly image: string;
  readonly command: readonly string[];
  readonly ports: readonly string[];
  readonly volumes: readonly string[];
}

/** A service of the file: each of its lines is a JSON value behind a name. */
function serviceOf(name: string): Service {
  const [, lines] = new RegExp(`^  ${name}:\n((?:    .*\n)+)`, "m").exec(FILE)!;
  const entries = lines!
    .trimEnd()
    .split("\n")
    .map((line) => /^    (\w+): (.*)$/.exec(line)!.slice(1) as [string, string])
    .map(([key, value]) => [key, key === "image" ? value : JSON.parse(value)]);
  return Object.fromEntries(entries) as Service;
}

/** Starts what is installed here as the container starts it, on another port. */
async function start(kind: ServerKind, service: Service, ready: RegExp): Promise<[ServerProcess, number]> {
  const [dir, port] = [temporaryFolder(kind), await freePort()];
  const command = service.command.map((argument) => (argument === VOLUME ? join(dir, "volume") : argument));
  const args =
    kind === "nats"
      ? [...command, "-a", "127.0.0.1", "-p", `${port}`]
      : [...command.slice(1), "--bind", "127.0.0.1", "--port", `${port}`, "--dir", dir];
  const server = new ServerProcess({ binary: await findServer(kind), args, ready, dir });
  await server.start();
  return [server, port];
}

test("TST-2 compose.yaml starts NATS with JetStream in its volume", async () => {
  const service = serviceOf("nats");
  expect(service).toMatchObject({ image: "nats:2", volumes: [`nats:${VOLUME}`] });
  const [server, port] = await start("nats", service, /Server is ready/);
  await using _ = server;
  const info = await ask(port, "");
  expect(info).toMatch(/"version":"2\./);
  expect(info).toContain('"jetstream":true');
  expect(server.output).toContain(join(server.dir, "volume"));
});

test("TST-2 compose.yaml starts Redis so that it keeps streams and drops none", async () => {
  const service = serviceOf("redis");
  expect(service).toMatchObject({ image: "redis:7", volumes: [`redis:${VOLUME}`] });
  expect(service.command[0]).toBe("redis-server");
  const [server, port] = await start("redis", service, /Ready to accept connections/i);
  await using _ = server;
  expect(await ask(port, "CONFIG GET maxmemory-policy\r\n")).toContain("noeviction");
  expect(await ask(port, "CONFIG GET appendonly\r\n")).toContain("yes");
});

test("TST-2 compose.yaml is reached at the addresses it names, from this machine alone", () => {
  for (const [name, scheme] of [
    ["nats", "NATS_URL=nats"],
    ["redis", "REDIS_URL=redis"],
  ] as const) {
    const [, near, far] = /^127\.0\.0\.1:(\d+):(\d+)$/.exec(serviceOf(name).ports.join())!;
    expect(near).toBe(far);
    expect(FILE).toContain(`${scheme}://127.0.0.1:${near} `);
    expect(FILE.split(/^volumes:$/m)[1]).toContain(`  ${name}: {}`);
  }
});
