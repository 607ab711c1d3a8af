import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openRegion } from "@tidemark/region/node";
import type { Region } from "@tidemark/region";
import { haveRedis, openFaultProxy, startRedis, type FaultProxy, type RedisServer } from "@tidemark/servers";
import { Redis } from "ioredis";
import { afterEach, describe, expect, test } from "vitest";
import { openRedisTransport, type RedisTransport, type RedisTransportOptions } from "../src/index.ts";
import { CLUSTER_KEY } from "./cluster-key.ts";
import { RegionProcess } from "./region-processes.ts";
import { eventually, within } from "./wait.ts";

const installed = await haveRedis();
/** Quick to notice, so that a test is. */
const QUICK = { blockMs: 300, replyTimeoutMs: 500 };
const CYCLES = Number(process.env["TIDEMARK_CHAOS_CYCLES"] ?? 2);

const opened: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of opened.splice(0).reverse()) await close();
});

/** Regions over one server, each behind a proxy of its own, in temporary folders. */
class Place {
  readonly server: RedisServer;
  readonly dir: string = mkdtempSync(join(tmpdir(), "tidemark-redis-"));
  readonly members: { readonly version: number; readonly regions: Readonly<Record<string, number>> };
  readonly proxies: Map<string, FaultProxy> = new Map();
  readonly transports: Map<string, RedisTransport> = new Map();
  readonly #options: Partial<RedisTransportOptions>;

  constructor(server: RedisServer, names: readonly string[], options: Partial<RedisTransportOptions>) {
    this.server = server;
    this.members = { version: 1, regions: Object.fromEntries(names.map((name, index) => [name, index + 1])) };
    this.#options = options;
    opened.push(async () => rmSync(this.dir, { recursive: true, force: true }));
  }

  async open(name: string): Promise<Region> {
    let proxy = this.proxies.get(name);
    if (proxy === undefined) {
      proxy = await openFaultProxy({ target: this.server.port });
      this.proxies.set(name, proxy);
      opened.push(() => this.proxies.get(name)!.close());
    }
    const connection = `redis://127.0.0.1:${proxy.port}`;
    const transport = await openRedisTransport({ connection, ...QUICK, ...this.#options });
    this.transports.set(name, transport);
    opened.push(() => transport.close());
    const { members } = this;
    const bootstrap = members.regions[name] === 1;
    const region = await openRegion({
      name,
      members,
      bootstrap,
      transport,
      clusterKey: CLUSTER_KEY,
      dir: join(this.dir, name),
    });
    opened.push(() => region.close());
    return region;
  }
}

async function place(
  names: readonly string[],
  options: Partial<RedisTransportOptions> & { readonly args?: readonly string[] } = {},
): Promise<{ place: Place; regions: Region[]; server: RedisServer }> {
  const { args = [], ...rest } = options;
  const server = await startRedis({ args });
  opened.push(() => server.remove());
  const place = new Place(server, names, rest);
  const regions: Region[] = [];
  for (const name of names) regions.push(await place.open(name));
  await Promise.all(regions.map((region) => region.ready({ timeoutMs: 15_000 })));
  return { place, regions, server };
}

/** Every region holds everything, and says the same of it. */
async function converged(regions: readonly Region[]): Promise<void> {
  for (const region of regions)
    expect(await region.synced({ timeoutMs: 30_000 }), `${region.name} synced`).toBe(true);
  await eventually(() => {
    const [first, ...others] = regions.map((region) => JSON.stringify(region.certificate()));
    return others.every((other) => other === first);
  }, "equal certificates");
}

function textsOf(region: Region, session: string): string[] {
  return (
    region.sessions
      .get(session)
      ?.state()
      .annotations.map(({ text }) => text) ?? []
  );
}

function numbered(first: number, last: number): string[] {
  return Array.from({ length: last - first + 1 }, (_, index) => `note ${first + index}`);
}

describe.skipIf(!installed)("regions over Redis", () => {
  test("SES-15 a session with metadata, hints and annotations is in the other region at once: measured", async () => {
    const { regions } = await place(["us-east", "eu-west"]);
    const [east, west] = regions as [Region, Region];
    const session = await east.sessions.start({ user: "ada", agent: "scout", metadata: { goal: "essays" } });
    await session.prefer("language", "en");
    const there = await west.sessions.resume(session.id, { cursor: session.cursor(), timeoutMs: 2_000 });
    const [durable, whole]: [number[], number[]] = [[], []];
    for (let round = 0; round < 200; round++) {
      const before = performance.now();
      await session.annotate(`note ${round}`);
      const written = performance.now();
      await west.sessions.resume(session.id, { cursor: session.cursor(), timeoutMs: 2_000 });
      durable.push(performance.now() - written);
      whole.push(performance.now() - before);
    }
    const state = there.state();
    expect(state.metadata).toEqual({ goal: "essays" });
    expect([...state.hints]).toEqual([["language", "en"]]);
    expect(state.annotations).toHaveLength(200);
    const [lag, total] = [durable, whole].map((times) => times.sort((a, b) => a - b)) as [number[], number[]];
    const at = (times: number[], share: number): string =>
      times[Math.floor(times.length * share)]!.toFixed(2);
    process.stdout.write(
      `SES-15 over Redis, 200 annotations: from durable to visible p50 ${at(lag, 0.5)} ms, p99 ${at(lag, 0.99)} ms; ` +
        `from call to visible p50 ${at(total, 0.5)} ms, p99 ${at(total, 0.99)} ms\n`,
    );
    expect(lag[Math.floor(lag.length * 0.5)]).toBeLessThan(2_000);
  });

  test("SES-15 five preference signals written in one region are all five read in the other", async () => {
    const { regions } = await place(["us-east", "eu-west"]);
    const [east, west] = regions as [Region, Region];
    const session = await east.sessions.start({ user: "ada", agent: "scout" });
    for (let count = 0; count < 5; count++) await session.signal(`book-${count}`, "save", 1);
    const there = await west.sessions.resume(session.id, { cursor: session.cursor(), timeoutMs: 2_000 });
    const { signals } = there.state();
    expect([...signals.keys()].sort()).toEqual(["book-0", "book-1", "book-2", "book-3", "book-4"]);
    for (const of of signals.values()) expect(of.get("save")?.count).toBe(1);
  });

  test("SES-15 the same operation in two regions, by id and by ticket, also while cut, counts once; a hide holds", async () => {
    const { place: at, regions } = await place(["us-east", "eu-west"]);
    const [east, west] = regions as [Region, Region];
    const session = await east.sessions.start({ user: "ada", agent: "scout" });
    await session.hide("Casablanca");
    const there = await west.sessions.resume(session.id, { cursor: session.cursor(), timeoutMs: 2_000 });
    expect(west.users.get("ada").filterVisible(["Casablanca", "Metropolis"])).toEqual(["Metropolis"]);

    at.proxies.get("us-east")!.cut();
    await session.annotate("seen", { operationId: "note-1" });
    await session.hide("Vertigo");
    expect((await there.annotate("seen", { operationId: "note-1" })).outcome).toBe("applied");
    const ada = await west.users.resume("ada", { ticket: session.ticket() });
    expect(ada.filterVisible(["Casablanca", "Vertigo", "Metropolis"])).toEqual(["Metropolis"]);
    const again = await ada.session(session.id);
    expect((await again.annotate("seen", { operationId: "note-1" })).outcome).toBe("duplicate");

    at.proxies.get("us-east")!.heal();
    // Asked all the while: what was hidden is shown at no moment.
    let shown = 0;
    const healing = converged(regions).then(() => true);
    await eventually(async () => {
      for (const region of [west, east])
        shown += region.users.get("ada").filterVisible(["Casablanca", "Vertigo"]).length;
      return Promise.race([healing, Promise.resolve(false)]);
    }, "convergence");
    expect(shown).toBe(0);
    for (const region of regions) expect(textsOf(region, session.id)).toEqual(["seen"]);
  });

  test("scenario 18, scenario 19, scenario 20: streams deleted, trimmed and flushed in the middle of writes lose nothing", async () => {
    // So few frames stay that a region which is cut off for a moment misses some.
    const {
      place: at,
      regions,
      server,
    } = await place(["us-east", "eu-west", "ap-south"], { streamFramesMax: 4 });
    const [east, west] = regions as [Region, Region];
    const operator = new Redis(server.port, "127.0.0.1");
    opened.push(async () => operator.disconnect());
    const session = await east.sessions.start({ user: "ada", agent: "scout" });
    await converged(regions);
    const there = await west.sessions.resume(session.id, { cursor: session.cursor(), timeoutMs: 5_000 });
    const write = async (first: number, last: number): Promise<void> => {
      for (const text of numbered(first, last)) {
        await session.annotate(text, { operationId: text });
        await there.annotate(`west ${text}`, { operationId: `west ${text}` });
      }
    };
    await write(1, 20);
    await operator.flushall();
    await write(21, 40);
    at.proxies.get("ap-south")!.cut();
    await write(41, 80);
    await operator.del("tidemark:{0}:log:sessions.1.0", "tidemark:{0}:log:sessions.2.0");
    at.proxies.get("ap-south")!.heal();
    await write(81, 100);
    await converged(regions);
    const expected = numbered(1, 100).flatMap((text) => [text, `west ${text}`]);
    for (const region of regions)
      expect(textsOf(region, session.id).sort(), region.name).toEqual([...expected].sort());
  });

  test("scenario 21: Redis fails over to a replica that lacks the last frames, and the old one returns: nothing is lost", async () => {
    const { place: at, regions, server } = await place(["us-east", "eu-west"]);
    const [east, west] = regions as [Region, Region];
    const replica = await startRedis({ args: ["--replicaof", "127.0.0.1", `${server.port}`] });
    opened.push(() => replica.remove());
    const onReplica = new Redis(replica.port, "127.0.0.1");
    opened.push(async () => onReplica.disconnect());
    const session = await east.sessions.start({ user: "ada", agent: "scout" });
    for (const text of numbered(1, 20)) await session.annotate(text, { operationId: text });
    await converged(regions);
    await onReplica.replicaof("NO", "ONE");
    at.proxies.get("eu-west")!.cut();
    for (const text of numbered(21, 40)) await session.annotate(text, { operationId: text });
    const lead = async (port: number): Promise<void> => {
      for (const [name, proxy] of at.proxies) {
        const near = proxy.port;
        proxy.cut();
        await proxy.close();
        at.proxies.set(name, await openFaultProxy({ target: port, port: near }));
      }
    };
    await lead(replica.port);
    for (const text of numbered(41, 60)) await session.annotate(text, { operationId: text });
    await converged(regions);
    await lead(server.port);
    for (const text of numbered(61, 80)) await session.annotate(text, { operationId: text });
    await converged(regions);
    for (const region of [east, west]) expect(textsOf(region, session.id)).toEqual(numbered(1, 80));
  });

  test("REP-7 three nodes over one Redis: a session moves, one is killed and removed, and stability resumes", async () => {
    const { place: at, regions } = await place(["node-a", "node-b"]);
    const [a, b] = regions as [Region, Region];
    const members = { version: 2, regions: { "node-a": 1, "node-b": 2, "node-c": 3 } };
    await a.setMembers(members);
    const c = new RegionProcess({
      url: at.server.url,
      dir: join(at.dir, "node-c"),
      name: "node-c",
      members,
      first: 1,
      pauseMs: 5,
    });
    opened.push(() => c.kill());
    await c.until(20);
    const session = await a.sessions.start({ user: "ada", agent: "scout" });
    await session.hide("Casablanca");
    const there = await b.sessions.resume(session.id, { cursor: session.cursor(), timeoutMs: 5_000 });
    expect((await there.annotate("went on", { ack: "all", timeoutMs: 10_000 })).ack).toBe("all");
    await c.kill();
    const alone = await there.annotate("while it is gone", { ack: "all", timeoutMs: 300 });
    expect(alone.ack).toBe("unconfirmed");
    await a.setMembers({ version: 3, regions: { "node-a": 1, "node-b": 2 } });
    expect((await there.annotate("after it was removed", { ack: "all", timeoutMs: 10_000 })).ack).toBe("all");
    await converged(regions);
    // What a node acknowledged before it died, and had shipped, is there; its last moments may be on its disk only.
    const kept = new Set(textsOf(a, "of-node-c"));
    expect(c.acknowledged.slice(0, 20).filter((text) => !kept.has(text))).toEqual([]);
  });

  test(`scenario 41: ${CYCLES} times kill -9 of a region's process and of Redis: nothing acknowledged is lost or doubled`, async () => {
    const server = await startRedis();
    opened.push(() => server.remove());
    const names = ["us-east", "eu-west", "ap-south"];
    const at = new Place(server, names, {});
    const start = (name: string, first: number): RegionProcess => {
      const started = new RegionProcess({
        url: server.url,
        dir: join(at.dir, name),
        name,
        members: at.members,
        first,
        pauseMs: 2,
      });
      opened.push(() => started.kill());
      return started;
    };
    const running = new Map(names.map((name) => [name, start(name, 0)]));
    const [acknowledged, tried] = [new Set<string>(), new Set<string>()];
    const end = async (name: string): Promise<void> => {
      const process = running.get(name)!;
      await process.kill();
      for (const text of process.acknowledged) acknowledged.add(text);
      for (const text of process.tried) tried.add(text);
    };
    for (let cycle = 1; cycle <= CYCLES; cycle++) {
      const name = names[cycle % names.length]!;
      await Promise.all([...running.values()].map((process) => process.until(20)));
      await end(name);
      // Without a file: the server comes back empty.
      await server.kill();
      running.set(name, start(name, cycle * 100_000));
      await server.start();
      await running.get(name)!.until(20);
    }
    for (const name of names) await end(name);
    const regions = await Promise.all(names.map((name) => at.open(name)));
    await within(
      Promise.all(regions.map((region) => region.ready({ timeoutMs: 15_000 }))),
      "every region",
      20_000,
    );
    await converged(regions);
    for (const region of regions) {
      const held = names.flatMap((name) => textsOf(region, `of-${name}`));
      expect(new Set(held).size, "doubled").toBe(held.length);
      const there = new Set(held);
      expect(
        [...acknowledged].filter((text) => !there.has(text)),
        `lost in ${region.name}`,
      ).toEqual([]);
      expect(held.filter((text) => !tried.has(text))).toEqual([]);
      // Whatever was said to be hidden is hidden.
      const items = [...acknowledged].filter((text) => text.endsWith("0")).map((text) => `item ${text}`);
      expect(region.users.get("ada").filterVisible(items)).toEqual([]);
    }
    expect(acknowledged.size).toBeGreaterThan(40);
  });
});
