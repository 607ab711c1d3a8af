import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { expect, test, vi } from "vitest";
import { findServer, openFaultProxy, startNats, startRedis, type ServerRelease } from "../src/index.ts";
import { ask } from "../src/ask.ts";

function versionOf(info: string): string {
  return /"version":"([^"]+)"/.exec(info)?.[1] ?? info;
}

test.each<[ServerRelease, RegExp]>([
  ["installed", /^2\./],
  ["nats-2.10", /^2\.10\./],
  ["nats-newest", /^2\.1\d\./],
])("TST-2 a NATS server is found or unpacked without root: %s", async (release, version) => {
  await using server = await startNats({ release });
  expect(versionOf(await ask(server.port, ""))).toMatch(version);
  expect(await ask(server.port, "")).toContain('"jetstream":true');
  const { dir } = server;
  await server.remove();
  expect(existsSync(dir)).toBe(false);
});

test.each<[ServerRelease, RegExp]>([
  ["installed", /redis_version:[78]\./],
  ["valkey", /valkey_version:/],
])("TST-2 a Redis server is found or unpacked without root: %s", async (release, version) => {
  await using server = await startRedis({ release });
  expect(await ask(server.port, "PING\r\n")).toBe("+PONG\r\n");
  expect(await ask(server.port, "INFO server\r\n")).toMatch(version);
});

test("a server is killed, and starts again over its files on the same port", async () => {
  await using server = await startRedis({ args: ["--appendonly", "yes", "--appendfsync", "always"] });
  expect(await ask(server.port, "SET a 1\r\n")).toBe("+OK\r\n");
  await server.kill();
  expect(server.pid).toBeUndefined();
  await server.start();
  expect(await ask(server.port, "GET a\r\n")).toContain("1");
});

test("a server and its folder are gone after the process that started it was killed with kill -9", async () => {
  const program = fileURLToPath(new URL("server-owner.ts", import.meta.url));
  const owner = spawn(process.execPath, ["--conditions=@tidemark/source", "--import", "tsx", program], {
    stdio: ["ignore", "pipe", "inherit"],
    env: { ...process.env, NODE_OPTIONS: "" },
  });
  const [line] = (await once(owner.stdout, "data")) as [Buffer];
  const { pid, dir } = JSON.parse(line.toString()) as { pid: number; dir: string };
  expect([isRunning(pid), existsSync(dir)]).toEqual([true, true]);
  owner.kill("SIGKILL");
  await vi.waitFor(() => expect([isRunning(pid), existsSync(dir)]).toEqual([false, false]), 10_000);
});

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

test("a program that is no server is reported with what it printed", async () => {
  const { path } = await findServer("redis");
  expect(path).toContain("server");
  await expect(startRedis({ args: ["--no-such-option", "x"] })).rejects.toThrow(
    /ended before it was ready[^]*no-such-option/,
  );
});

/** A server that sends back what it gets. */
async function echo(): Promise<{ port: number; sockets: Set<Socket>; close: () => void }> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined);
    socket.pipe(socket);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    sockets,
    close: () => {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}

test("a fault proxy stalls without losing a byte, cuts, refuses, and heals", async () => {
  const target = await echo();
  await using proxy = await openFaultProxy({ target: target.port });
  const socket = connect(proxy.port, "127.0.0.1");
  let got = "";
  let heard = (): void => undefined;
  socket.on("data", (bytes: Buffer) => {
    got += bytes.toString();
    heard();
  });
  const until = (text: string): Promise<void> =>
    new Promise((resolve) => {
      heard = () => {
        if (got === text) resolve();
      };
      heard();
    });
  await once(socket, "connect");
  socket.write("one ");
  await until("one ");
  proxy.stall();
  socket.write("two ");
  // Another connection of the same target answers, so time has passed for this one as well.
  expect(await ask(target.port, "x")).toBe("x");
  expect(got).toBe("one ");
  proxy.heal();
  await until("one two ");

  const closed = once(socket, "close");
  proxy.cut();
  await closed;
  const refused = connect(proxy.port, "127.0.0.1");
  refused.on("error", () => undefined);
  await once(refused, "close");
  proxy.heal();
  expect(await ask(proxy.port, "again")).toBe("again");
  target.close();
});

test("a fault proxy silences one direction alone: what is sent arrives, and what is answered does not come back", async () => {
  const target = await echo();
  await using proxy = await openFaultProxy({ target: target.port });
  const socket = connect(proxy.port, "127.0.0.1");
  await once(socket, "connect");
  socket.write("one");
  expect(String(((await once(socket, "data")) as [Buffer])[0])).toBe("one");
  const [far] = target.sockets;
  const heard: string[] = [];
  socket.on("data", (bytes: Buffer) => heard.push(bytes.toString()));

  proxy.stall("inbound");
  const arrived = once(far!, "data");
  socket.write("two");
  await arrived;
  expect(await ask(target.port, "x")).toBe("x");
  expect(heard).toEqual([]);

  const answered = once(socket, "data");
  proxy.stall("outbound");
  await answered;
  expect(heard).toEqual(["two"]);
  socket.write("three");
  expect(await ask(target.port, "x")).toBe("x");
  expect(heard).toEqual(["two"]);
  const again = once(socket, "data");
  proxy.heal();
  await again;
  expect(heard).toEqual(["two", "three"]);
  socket.destroy();
  target.close();
});

test("a link that is half open tells the near side nothing until it is healed", async () => {
  const target = await echo();
  await using proxy = await openFaultProxy({ target: target.port });
  const socket = connect(proxy.port, "127.0.0.1");
  socket.on("error", () => undefined);
  await once(socket, "connect");
  socket.write("x");
  await once(socket, "data");
  const [far] = target.sockets;
  const gone = once(far!, "close");
  proxy.halfOpen();
  await gone;
  expect(socket.destroyed).toBe(false);
  const closed = once(socket, "close");
  proxy.heal();
  await closed;
  target.close();
});

test("a slow link passes everything, in its time", async () => {
  const target = await echo();
  await using proxy = await openFaultProxy({ target: target.port });
  proxy.slow(4 * 1024 * 1024);
  const socket = connect(proxy.port, "127.0.0.1");
  await once(socket, "connect");
  const sent = Buffer.alloc(256 * 1024, 7);
  let bytes = 0;
  const all = new Promise<void>((resolve) =>
    socket.on("data", (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes === sent.length) resolve();
    }),
  );
  socket.write(sent);
  await all;
  socket.destroy();
  target.close();
});
