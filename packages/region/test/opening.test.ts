import { memoryFs } from "@tidemark/wal";
import { DEFAULT_REPLICATION_LIMITS } from "@tidemark/replication";
import { TICKET_BYTES_MAX_DEFAULT, TICKET_LIFETIME_MS_DEFAULT, UNSTABLE_BYTES_MAX } from "@tidemark/session";
import { expect, test } from "vitest";
import { openRegion, REGION_DEFAULTS, RegionError } from "../src/index.ts";
import { Cluster, loneOptions } from "./cluster.ts";
import { contentsOf, writeFile } from "./disk.ts";

const text = (value: string): Uint8Array => new TextEncoder().encode(value);

test("RGN-1 without members a region is 0, alone: it writes, tickets and is stable by itself", async () => {
  const platform = loneOptions();
  const region = await openRegion({ dir: "data" }, platform);
  expect([region.name, region.id, region.role]).toEqual(["local", 0, "member"]);
  await region.ready({ timeoutMs: 0 });
  expect(region.health()).toMatchObject({ status: "ready", reasons: [] });
  const session = await region.sessions.start({ user: "ada", agent: "scout" });
  await session.hide("book");
  expect(await session.unhide("book", { ack: "all" })).toMatchObject({ outcome: "applied", ack: "all" });
  expect(region.users.get("ada").hidden()).toEqual([]);
  const user = await region.users.resume("ada", { ticket: session.ticket(), timeoutMs: 0 });
  expect(user.sessions()).toEqual([session.id]);
  await region.close();
  expect(region.health().status).toBe("closed");
  await region.close();
});

test("RGN-1 what contradicts itself in the options is a TypeError or RangeError that says what", async () => {
  const platform = loneOptions();
  const members = { version: 1, regions: { a: 1, b: 2 } };
  const wrong: [object, RegExp][] = [
    [{ members, dir: "data" }, /needs a name/],
    [{ name: "c", members, dir: "data" }, /does not name "c": a, b/],
    [{ name: "a", members, dir: "data" }, /needs a transport/],
    [{ name: "a", dir: "data" }, /alone/],
    [{ name: "a", members: { version: 1, regions: { a: 1, b: 1 } }, dir: "data" }, /"a" and "b"/],
    [{ name: "a", members: { version: 1, regions: { a: 0 } }, dir: "data" }, /must not be 0/],
    [{ name: "a", members: { version: 1, regions: { a: 70_000 } }, dir: "data" }, /65535/],
    [{ dir: "data", clusterKey: new Uint8Array(5) }, /32 bytes/],
  ];
  for (const [options, message] of wrong) {
    const refused = await openRegion(options as Parameters<typeof openRegion>[0], platform).catch(
      (error: unknown) => error,
    );
    expect(refused instanceof TypeError || refused instanceof RangeError, String(refused)).toBe(true);
    expect((refused as Error).message).toMatch(message);
  }
  expect(await contentsOf(platform.fs)).toEqual({});
});

test("RGN-1 region.json keeps name and id: under another the directory is refused and left as it is", async () => {
  await using cluster = await Cluster.of("us-east", "eu-west");
  await cluster.region("us-east").sessions.start({ user: "ada", agent: "scout" });
  await cluster.converged();
  await cluster.close("us-east");
  const disk = cluster.disk("us-east");
  const before = await contentsOf(disk);
  cluster.replaceDisk("eu-north", disk);
  const members = { version: 1, regions: { "us-east": 1, "eu-west": 2, "eu-north": 3 } };
  const foreign = await cluster.open("eu-north", { members }).catch((error: unknown) => error);
  expect(foreign).toBeInstanceOf(RegionError);
  expect(foreign).toMatchObject({ code: "REGION_FOREIGN_DIR", retryable: false });
  expect((foreign as Error).message).toMatch(/eu-north \(3\).*us-east \(1\)/);
  const renumbered = { version: 2, regions: { "us-east": 7, "eu-west": 2 } };
  await expect(cluster.open("us-east", { members: renumbered })).rejects.toMatchObject({
    code: "REGION_FOREIGN_DIR",
  });
  await expect(openRegion({ dir: "data" }, cluster.platform("us-east"))).rejects.toMatchObject({
    code: "REGION_FOREIGN_DIR",
  });
  expect(await contentsOf(disk)).toEqual(before);
  await cluster.open("us-east");
});

test("RGN-1 a damaged or missing region.json is REGION_DAMAGED, and nothing is changed on disk", async () => {
  await using cluster = await Cluster.of("us-east", "eu-west");
  await cluster.region("us-east").sessions.start({ user: "ada", agent: "scout" });
  await cluster.kill("us-east");
  const disk = cluster.disk("us-east");
  const good = (await disk.readFile("data/region.json"))!;
  const kept = JSON.parse(new TextDecoder().decode(good)) as object;
  const damaged = ["", "{", "null", "[]", '"x"', "\u0000"].map(text);
  for (const [field, value] of Object.entries({ format: 2, name: 5, id: -1, seed: "00", joined: "yes" })) {
    damaged.push(text(JSON.stringify({ ...kept, [field]: value })));
  }
  damaged.push(Uint8Array.of(0xff, 0xfe), good.slice(0, -10));
  for (const bytes of damaged) {
    await writeFile(disk, "data/region.json", bytes);
    const before = await contentsOf(disk);
    await expect(cluster.open("us-east")).rejects.toMatchObject({ code: "REGION_DAMAGED" });
    expect(await contentsOf(disk)).toEqual(before);
  }
  // Lost: the logs are somebody's, and a founder would make a second cluster of them.
  await disk.unlink("data/region.json");
  const before = await contentsOf(disk);
  for (const bootstrap of [true, false]) {
    await expect(cluster.open("us-east", { bootstrap })).rejects.toMatchObject({ code: "REGION_DAMAGED" });
  }
  expect(await contentsOf(disk)).toEqual(before);
  await writeFile(disk, "data/region.json", good);
  await cluster.open("us-east");
});

test("RGN-1 a directory that is open is WAL_LOCKED, and what fails on the way releases it", async () => {
  const platform = loneOptions();
  const region = await openRegion({ dir: "data" }, platform);
  await expect(openRegion({ dir: "data" }, platform)).rejects.toMatchObject({ code: "WAL_LOCKED" });
  await region.close();
  // The clock file cannot be opened: log and lock are given back.
  await platform.fs.unlink("data/clock");
  const fs = new Proxy(platform.fs, {
    get: (target, name) => {
      const value: unknown = Reflect.get(target, name, target);
      if (typeof value !== "function") return value;
      return (...args: unknown[]) => {
        if (name === "open" && args[0] === "data/clock")
          return Promise.reject(Object.assign(new Error("EIO"), { code: "EIO" }));
        return value.apply(target, args) as unknown;
      };
    },
  });
  await expect(openRegion({ dir: "data" }, { ...platform, fs })).rejects.toMatchObject({ code: "EIO" });
  await (await openRegion({ dir: "data" }, platform)).close();
});

test("RGN-1 a joiner with another list of members is told both, by ready, by calls and in health", async () => {
  await using cluster = await Cluster.of("us-east", "eu-west");
  await cluster.close("eu-west");
  cluster.replaceDisk("eu-west", memoryFs());
  const members = { version: 1, regions: { "us-east": 1, "eu-west": 2, "eu-north": 3 } };
  const region = await cluster.open("eu-west", { members });
  const refused = await region.ready({ timeoutMs: 5_000 }).catch((error: unknown) => error);
  expect(refused).toBeInstanceOf(RegionError);
  expect(refused).toMatchObject({ code: "MEMBERSHIP_MISMATCH" });
  expect((refused as Error).message).toContain("v1 eu-north=3, eu-west=2, us-east=1");
  expect((refused as Error).message).toContain("v1 eu-west=2, us-east=1");
  await expect(region.sessions.start({ user: "ada", agent: "scout" })).rejects.toBe(refused);
  expect(region.health().status).toBe("degraded");
  expect(region.health().reasons.join()).toContain("MEMBERSHIP_MISMATCH");
});

test("RGN-1 REP-7 members whose lists differ say so in health with both lists, and nothing becomes stable", async () => {
  await using cluster = await Cluster.of("us-east", "eu-west");
  await cluster.close("eu-west");
  const members = { version: 1, regions: { "us-east": 1, "eu-west": 2, "eu-north": 3 } };
  await expect(cluster.open("eu-west", { members })).rejects.toMatchObject({
    code: "MEMBERSHIP_MISMATCH",
    message: expect.stringMatching(/data has v1 eu-west=2, us-east=1; the options have v1 eu-north=3/),
  });
  // The directory has no list of its own yet: what the options say counts there.
  await cluster.disk("eu-west").unlink("data/members.json");
  const west = await cluster.open("eu-west", { members });
  await west.ready({ timeoutMs: 200 }).catch(() => undefined);
  const reasons = west.health().reasons.join();
  expect(reasons).toContain("MEMBERSHIP_MISMATCH with us-east");
  expect(reasons).toContain("v1 eu-north=3, eu-west=2, us-east=1");
  expect(reasons).toContain("v1 eu-west=2, us-east=1");
  const session = await cluster.region("us-east").sessions.start({ user: "ada", agent: "scout" });
  expect((await session.prefer("mood", "calm", { ack: "all", timeoutMs: 50 })).ack).toBe("unconfirmed");
});

test("RGN-1a the defaults are one object, and are those of the packages that hold them", () => {
  const { queueBytesMax, queueRecordsMax, ticketBytesMax, ticketMs, driftMsMax, ...rest } = REGION_DEFAULTS;
  expect({ queueBytesMax, queueRecordsMax, driftMsMax }).toEqual({
    queueBytesMax: 16 * 1024 * 1024,
    queueRecordsMax: 65_536,
    driftMsMax: 500,
  });
  expect(ticketBytesMax).toBe(TICKET_BYTES_MAX_DEFAULT);
  expect(ticketBytesMax).toBe(UNSTABLE_BYTES_MAX);
  expect(ticketMs).toBe(TICKET_LIFETIME_MS_DEFAULT);
  for (const [name, value] of Object.entries(DEFAULT_REPLICATION_LIMITS)) {
    if (name in rest) expect([name, rest[name as keyof typeof rest]]).toEqual([name, value]);
  }
  expect(rest).toMatchObject({
    shipWindowBytes: 4 << 20,
    receiveAheadBytes: 8 << 20,
    ackDelayMs: 5,
    ackRecords: 256,
  });
  expect(rest).toMatchObject({ heartbeatMs: 1_000, peerSilentMs: 5_000, requestTimeoutMs: 10_000 });
});

test("RGN-1a at the bound: an event 500 ms ahead is taken, 501 ms is not; a ticket of 64 KiB is complete, more is not", async () => {
  await using cluster = await Cluster.of("us-east", "eu-west");
  const region = cluster.region("us-east");
  const session = await region.sessions.start({ user: "ada", agent: "scout" });
  cluster.freeze("us-east");
  const now = cluster.now("us-east");
  expect(
    (await session.signal("book", "save", 1, { eventTimeMs: now + REGION_DEFAULTS.driftMsMax })).outcome,
  ).toBe("applied");
  await expect(
    session.signal("book", "save", 1, { eventTimeMs: now + REGION_DEFAULTS.driftMsMax + 1 }),
  ).rejects.toMatchObject({
    code: "HLC_DRIFT_EXCEEDED",
    aheadMs: 501,
  });
  await cluster.converged();
  cluster.network.cut("us-east", "eu-west");
  await session.app("chat", new Uint8Array(60 * 1024));
  expect(session.ticket().complete).toBe(true);
  await session.app("chat", new Uint8Array(4 * 1024));
  expect(session.ticket().complete).toBe(false);
});

test("RGN-1b a directory in memory is refused unless durability none is said", async () => {
  const { volatile: _, ...platform } = loneOptions();
  for (const durability of [undefined, "always", "os", { group: 5 }] as const) {
    const refused = openRegion(
      { dir: "data", ...(durability === undefined ? {} : { durability }) },
      platform,
    );
    await expect(refused).rejects.toThrow(/durability: "none"/);
    await expect(refused).rejects.toBeInstanceOf(TypeError);
  }
  expect(await contentsOf(platform.fs)).toEqual({});
  const region = await openRegion({ dir: "data", durability: "none" }, platform);
  const session = await region.sessions.start({ user: "ada", agent: "scout" });
  await session.hide("book");
  expect(session.user.hidden()).toEqual(["book"]);
  await region.close();
});

test.each([["none"], ["os"], [{ group: 1 }]] as const)(
  "RGN-1b SES-1 under durability %j a write is visible when it resolves, and no number is given out twice",
  async (durability) => {
    const platform = loneOptions();
    const region = await openRegion({ dir: "data", durability }, { ...platform, timers: platform.eager });
    const session = await region.sessions.start({ user: "ada", agent: "scout" });
    for (const text of ["one", "two", "three"]) {
      await session.annotate(text);
      expect(session.state().annotations.at(-1)?.text).toBe(text);
    }
    expect(session.state().conflicts.forks).toEqual([]);
    await region.close();
  },
);

test("RGN-1b opening resolves while nobody can be reached; calls are refused, and work once a member appears", async () => {
  const cluster = new Cluster(["us-east", "eu-west"]);
  await using _ = cluster;
  const west = await cluster.open("eu-west");
  expect(west.health()).toMatchObject({ status: "joining", opsApplied: 0, replication: undefined });
  expect(west.health().reasons.length).toBeGreaterThan(0);
  for (const call of [
    () => west.sessions.get("x"),
    () => west.users.get("ada").hidden(),
    () => west.users.get("ada").filterVisible(["x"]),
    () => west.certificate(),
  ]) {
    expect(call).toThrow(expect.objectContaining({ code: "REGION_NOT_READY", retryable: true }));
  }
  for (const call of [
    () => west.sessions.start({ user: "ada", agent: "scout" }),
    () => west.sessions.resume("x", { cursor: "tmc1." }),
    () => west.users.resume("ada", { ticket: "tmt1." }),
    () => west.ready({ timeoutMs: 10 }),
    () => west.ready({ timeoutMs: 0 }),
  ]) {
    await expect(call()).rejects.toMatchObject({
      name: "RegionError",
      code: "REGION_NOT_READY",
      retryable: true,
    });
  }
  await cluster.open("us-east", { bootstrap: true });
  await west.ready({ timeoutMs: 5_000 });
  expect((await west.sessions.start({ user: "ada", agent: "scout" })).id).toMatch(
    /^[0-9a-f]{8}-[0-9a-f]{4}-8/,
  );
  expect(west.health().status).toBe("ready");
});

test("RGN-1b a member cut off opens as degraded, serves and writes; ready() names who is missing", async () => {
  await using cluster = await Cluster.of("us-east", "eu-west");
  const session = await cluster.region("us-east").sessions.start({ user: "ada", agent: "scout" });
  await cluster.converged();
  await cluster.close("eu-west");
  cluster.network.cut("us-east", "eu-west");
  const west = await cluster.open("eu-west");
  await expect(west.ready({ timeoutMs: 10 })).rejects.toMatchObject({ code: "REGION_NOT_READY" });
  await expect(west.ready({ timeoutMs: 10 })).rejects.toThrow(/us-east/);
  expect(west.health()).toMatchObject({ status: "degraded" });
  expect(west.health().reasons.join()).toContain("us-east");
  expect((await west.sessions.get(session.id)!.annotate("cut off")).outcome).toBe("applied");
});

test("RGN-1b REP-7 a directory that had begun to join and has not reached a member still serves nothing", async () => {
  await using cluster = await Cluster.of("us-east", "eu-west");
  const session = await cluster.region("us-east").sessions.start({ user: "ada", agent: "scout" });
  await cluster.converged();
  await cluster.close("eu-west");
  const disk = cluster.disk("eu-west");
  const file = JSON.parse(new TextDecoder().decode(await disk.readFile("data/region.json"))) as object;
  expect(file).toMatchObject({ joined: true });
  await writeFile(disk, "data/region.json", text(JSON.stringify({ ...file, joined: false })));
  cluster.network.cut("us-east", "eu-west");
  const west = await cluster.open("eu-west");
  expect(() => west.sessions.get(session.id)).toThrow(expect.objectContaining({ code: "REGION_NOT_READY" }));
  expect(west.health().status).toBe("joining");
  cluster.network.heal();
  await west.ready({ timeoutMs: 5_000 });
  expect(west.sessions.get(session.id)?.state().agent).toBe("scout");
});

test("RGN-1b what ready() has said holds after a crash: cut off, a region that had joined serves what it has", async () => {
  await using cluster = new Cluster(["us-east", "eu-west"]);
  await cluster.open("us-east", { bootstrap: true });
  const region = await cluster.open("eu-west");
  await region.ready({ timeoutMs: 5_000 });
  await cluster.kill("eu-west");
  cluster.network.cut("us-east", "eu-west");
  const again = await cluster.open("eu-west");
  expect(again.users.get("ada").filterVisible(["item"])).toEqual(["item"]);
});

test("RGN-1b closing while joining ends at once, and whoever waits is told", async () => {
  const cluster = new Cluster(["us-east", "eu-west"]);
  await using _ = cluster;
  const west = await cluster.open("eu-west");
  const waiting = west.ready({ timeoutMs: 60_000 });
  const aborted = new AbortController();
  const given = west.ready({ timeoutMs: 60_000, signal: aborted.signal });
  aborted.abort(new Error("enough"));
  await expect(given).rejects.toThrow("enough");
  const closing = west.close();
  await expect(waiting).rejects.toMatchObject({ code: "REGION_CLOSED" });
  await closing;
  await expect(west.ready()).rejects.toMatchObject({ code: "REGION_CLOSED" });
  expect(() => west.users.get("ada").hidden()).toThrow(expect.objectContaining({ code: "REGION_CLOSED" }));
});

test("RGN-1 scenario 8: a newcomer whose disk is full says so with a code, and joins once there is room", async () => {
  await using cluster = await Cluster.of("us-east");
  const members = { version: 2, regions: { "us-east": 1, "eu-west": 2 } };
  await cluster.region("us-east").setMembers(members);
  await cluster.region("us-east").sessions.start({ id: "s", user: "ada", agent: "scout" });
  const disk = cluster.disk("eu-west");
  disk.failSync({ path: "region.json.tmp" });
  disk.failWrite({ path: "region.json.tmp", nth: 2, code: "ENOSPC" });
  const newcomer = await cluster.open("eu-west", { members });
  await expect(newcomer.ready({ timeoutMs: 5_000 })).rejects.toMatchObject({
    name: "RegionError",
    code: "DIRECTORY_UNWRITABLE",
    retryable: true,
    message: expect.stringContaining("make room"),
  });
  expect(newcomer.health().status).not.toBe("ready");
  // It has everything once it has acknowledged everything.
  expect(await cluster.region("us-east").synced({ timeoutMs: 10_000 })).toBe(true);
  await newcomer.ready({ timeoutMs: 5_000 });
  expect(newcomer.sessions.get("s")?.state().user).toBe("ada");
});
