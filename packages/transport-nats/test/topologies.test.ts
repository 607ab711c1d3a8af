import { readFileSync } from "node:fs";
import { join } from "node:path";
import { jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { freePort, openFaultProxy, startNats } from "@tidemark/servers";
import type { NatsServer } from "@tidemark/servers";
import { describeTransport } from "@tidemark/transport-conformance";
import { afterAll, describe, expect, test, vi } from "vitest";
import { natsStreams, openNatsTransport, routeByRegion } from "../src/index.ts";
import { hasServer, newPrefix, openOn, QUICK, RECONNECT } from "./broker.ts";
import { notesOf, Pair } from "./pair.ts";

const usable = await hasServer();

/** Both regions write while something happens; in the end each write is in both, once. */
async function writeThrough(pair: Pair, happens: () => Promise<void>, count: number = 20): Promise<void> {
  const session = await pair.us.sessions.start({ user: "ada", agent: "guide" });
  const there = await pair.eu.sessions.resume(session.id, { cursor: session.cursor(), timeoutMs: 10_000 });
  const written: string[] = [];
  const writeBoth = async (stage: string): Promise<void> => {
    for (let index = 0; index < count; index++) {
      for (const [handle, region] of [
        [session, "us"],
        [there, "eu"],
      ] as const) {
        const text = `${stage} ${region} ${index}`;
        await handle.annotate(text, { operationId: text });
        written.push(text);
      }
    }
  };
  await writeBoth("before");
  await Promise.all([happens(), writeBoth("meanwhile")]);
  await writeBoth("after");
  await pair.converged(40_000);
  expect(notesOf(pair, session.id)).toEqual(written.toSorted());
}

describe.skipIf(!usable)("TRN-6 a connection to the broker of every region", () => {
  const starting: Promise<NatsServer>[] = [];
  const brokers = (): Promise<NatsServer[]> => {
    if (starting.length === 0) starting.push(startNats(), startNats());
    return Promise.all(starting);
  };
  afterAll(async () => {
    for (const server of await Promise.all(starting)) await server.remove();
  });

  describeTransport("TRN-6 NATS, two brokers", {
    claims: { frameBytesMax: 2 ** 20, ordered: true, replay: true, persistent: true },
    openMesh: async (peerCount) => {
      const [first, second] = (await brokers()) as [NatsServer, NatsServer];
      const prefix = newPrefix();
      const open = async (): Promise<ReturnType<typeof routeByRegion>> => {
        const others = await openOn(first.port, prefix);
        return routeByRegion({ regions: { 1: others, 2: await openOn(second.port, prefix) }, others });
      };
      const peers = await Promise.all(Array.from({ length: peerCount }, open));
      return {
        peers: [...peers],
        reopen: async (peer) => (peers[peer] = await open()),
        close: async () => {
          for (const peer of peers) await peer.close();
        },
      };
    },
  });

  test(
    "scenario 41 either broker is killed in turn: the other region's frames flow, and all meet in the end",
    { timeout: 60_000 },
    async () => {
      await using first = await startNats();
      await using second = await startNats();
      const prefix = newPrefix();
      await using pair = await Pair.open(async () => {
        const others = await openOn(first.port, prefix);
        return routeByRegion({ regions: { 1: others, 2: await openOn(second.port, prefix) }, others });
      });
      for (const [broker, reached, away] of [
        [first, pair.us, pair.eu],
        [second, pair.eu, pair.us],
      ] as const) {
        await writeThrough(pair, async () => {
          await broker.kill();
          // The broker beside the other region is there: what is written over there arrives here.
          const session = await away.sessions.start({ user: "ben", agent: "guide" });
          await vi.waitFor(() => expect(reached.sessions.get(session.id)).toBeDefined(), 10_000);
          await broker.start();
        });
      }
    },
  );
});

describe.skipIf(!usable)("TRN-6 other ways to be joined", { timeout: 90_000 }, () => {
  test("an account with no more than the README grants is enough, and may do no more", async () => {
    const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8");
    const granted = /^```text permissions of region 1 of 2\n(.*?)^```$/ms.exec(readme)![1]!;
    const ofRegion = (self: number, other: number): string =>
      granted.replaceAll(/(?<=[.+_-])[12]\b/g, (number) => (number === "1" ? `${self}` : `${other}`));
    await using server = await startNats({
      config: () => `authorization { users: [
        { user: operator, password: o }
        { user: region-1, password: p, permissions: { ${ofRegion(1, 2)} } }
        { user: region-2, password: p, permissions: { ${ofRegion(2, 1)} } }
      ] }`,
    });
    await using operator = await connect({ servers: server.url, user: "operator", pass: "o" });
    const { streams } = await jetstreamManager(operator);
    for (const config of natsStreams({ regions: [1, 2], stream: QUICK.stream! })) await streams.add(config);
    const open = (id: number): ReturnType<typeof openNatsTransport> =>
      openNatsTransport({
        ...QUICK,
        provision: "bind",
        servers: server.url,
        inboxPrefix: `_INBOX_${id}`,
        options: { ...RECONNECT, user: `region-${id}`, pass: "p" },
      });
    const refused: (string | undefined)[] = [];
    await using pair = await Pair.open(async (id) => {
      const transport = await open(id);
      transport.onStatus(({ reason }) => void refused.push(reason));
      return transport;
    });
    await writeThrough(pair, async () => {
      await server.kill();
      await server.start();
    });
    expect(refused.filter((reason) => reason?.includes("refuses") === true)).toEqual([]);
    // Released frames were trimmed, so that right is among them.
    await vi.waitFor(async () => {
      const { state } = await streams.info("tidemark+sessions+1");
      expect(state.first_seq).toBeGreaterThan(1);
    }, 20_000);
    // And the frames of another region are not its to write.
    await using thief = await open(1);
    const stolen = thief.publish("sessions.2.0", Uint8Array.of(1), {
      sequence: { epoch: 9, last: 9 },
      signal: AbortSignal.timeout(1_000),
    });
    await expect(stolen).rejects.toMatchObject({ name: "TimeoutError" });
    expect(thief.status.state).toBe("degraded");
  });

  test("two JetStream domains over a leaf node, whose link is cut", async () => {
    const [leafPort, hubPort] = [await freePort(), await freePort()];
    await using link = await openFaultProxy({ target: leafPort });
    await using hub = await startNats({
      port: hubPort,
      config: ({ dir }) => `server_name: hub
ping_interval: "1s"
ping_max: 2
jetstream { store_dir: "${join(dir, "js")}", domain: hub }
leafnodes { listen: "127.0.0.1:${leafPort}", advertise: "127.0.0.1:${link.port}" }`,
    });
    await using leaf = await startNats({
      config: ({ dir }) => `server_name: leaf
ping_interval: "1s"
ping_max: 2
jetstream { store_dir: "${join(dir, "js")}", domain: leaf }
leafnodes { reconnect: 1, remotes = [ { urls: ["nats-leaf://127.0.0.1:${link.port}"] } ] }`,
    });
    const prefix = newPrefix();
    const domainOf = (subject: string): string => (subject.split(".")[1] === "1" ? "hub" : "leaf");
    await using pair = await Pair.open((id) => openOn(id === 1 ? hub.port : leaf.port, prefix, { domainOf }));
    await writeThrough(pair, async () => {
      link.cut();
      await new Promise((resolve) => setTimeout(resolve, 500));
      link.heal();
    });
    // Frames that fill the window of the reader's flow control several times over.
    const session = await pair.us.sessions.start({ user: "ada", agent: "guide" });
    for (let index = 0; index < 40; index++) await session.app("blob", new Uint8Array(200_000).fill(index));
    const there = await pair.eu.sessions.resume(session.id, { cursor: session.cursor(), timeoutMs: 20_000 });
    expect(there.state().apps.get("blob")).toHaveLength(40);
    await pair.converged();
  });

  test("a cluster of three with three replicas, whose leader is killed", async () => {
    const [ports, routes] = [await freePorts(3), await freePorts(3)];
    const urls = routes.map((port) => `"nats://127.0.0.1:${port}"`).join(", ");
    const nodes = await Promise.all(
      ports.map((port, index) =>
        startNats({
          port,
          config: ({ dir }) => `server_name: n${index}
jetstream { store_dir: "${join(dir, "js")}" }
cluster { name: C, listen: "127.0.0.1:${routes[index]}", routes: [${urls}] }`,
        }),
      ),
    );
    try {
      const prefix = newPrefix();
      const servers = ports.map((port) => `nats://127.0.0.1:${port}`);
      await using admin = await connect({ servers, ...RECONNECT, maxReconnectAttempts: -1 });
      const { streams } = await jetstreamManager(admin, { checkAPI: false });
      await using pair = await Pair.open(() =>
        openNatsTransport({
          ...QUICK,
          ackTimeoutMs: 1_000,
          prefix,
          servers,
          options: RECONNECT,
          stream: { ...QUICK.stream, replicas: 3 },
        }),
      );
      await writeThrough(pair, async () => {
        // An election may be under way.
        const elected = await vi.waitFor(async () => {
          const { cluster } = await streams.info(`${prefix}+sessions+1`);
          return cluster!.leader!.slice(1);
        }, 10_000);
        const leader = nodes[Number(elected)]!;
        await leader.kill();
        await leader.start();
      });
    } finally {
      for (const node of nodes) await node.remove();
    }
  });
});

async function freePorts(count: number): Promise<number[]> {
  const ports: number[] = [];
  while (ports.length < count) ports.push(await freePort());
  return ports;
}
