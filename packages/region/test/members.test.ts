import type { MemoryFs } from "@tidemark/wal";
import { expect, test } from "vitest";
import { openRegion, readMembersFile, writeMembersFile } from "../src/index.ts";
import type { Region, RegionLogger, RegionOptions } from "../src/index.ts";
import { Cluster, loneOptions, timersOf } from "./cluster.ts";
import { writeFile } from "./disk.ts";

/** A logger, and a promise of a line that it gets. */
function listening(): RegionLogger & { readonly said: (text: string) => Promise<object> } {
  const lines: { fields: object; message: string }[] = [];
  const waiting = new Map<string, (fields: object) => void>();
  const hear = (fields: object, message: string): void => {
    lines.push({ fields, message });
    for (const [text, resolve] of waiting) if (message.includes(text)) resolve(fields);
  };
  const said = (text: string): Promise<object> => {
    const line = lines.find(({ message }) => message.includes(text));
    return line === undefined
      ? new Promise((resolve) => waiting.set(text, resolve))
      : Promise.resolve(line.fields);
  };
  return { info: hear, warn: hear, error: hear, said };
}

/** A cluster whose seconds are short, and what each region logs. */
async function quick(
  ...names: string[]
): Promise<{ cluster: Cluster; loggers: Map<string, ReturnType<typeof listening>> }> {
  const cluster = new Cluster(names);
  cluster.timers = timersOf(20);
  const loggers = new Map(names.map((name) => [name, listening()]));
  for (const name of names)
    await cluster.open(name, { bootstrap: name === names[0], logger: loggers.get(name)! });
  await Promise.all(names.map((name) => cluster.region(name).ready({ timeoutMs: 20_000 })));
  return { cluster, loggers };
}

const IN_FORCE = "Another list of members is in force";
const json = async (disk: MemoryFs, name: string): Promise<Record<string, unknown>> =>
  JSON.parse(new TextDecoder().decode(await disk.readFile(`data/${name}`))) as Record<string, unknown>;

test("REP-7 RGN-1 a region is added by one call in one region: the list is on every disk, and the new one serves", async () => {
  const { cluster, loggers } = await quick("us-east", "eu-west");
  await using _ = cluster;
  const [east, west] = [cluster.region("us-east"), cluster.region("eu-west")];
  const session = await east.sessions.start({ user: "ada", agent: "scout" });
  await session.hide("book");
  const members = { version: 2, regions: { "us-east": 1, "eu-west": 2, "ap-south": 3 } };
  await east.setMembers(members);
  await loggers.get("eu-west")!.said(IN_FORCE);
  expect(west.members()).toEqual({ ...members, removed: [], shards: 1 });
  for (const name of ["us-east", "eu-west"]) {
    expect(await json(cluster.disk(name), "members.json")).toMatchObject({
      format: 1,
      version: 2,
      regions: members.regions,
      since: { 3: 2 },
      removed: {},
    });
  }
  const south = await cluster.open("ap-south", { members });
  await south.ready({ timeoutMs: 20_000 });
  expect(south.users.get("ada").hidden()).toEqual(["book"]);
  await session.unhide("book", { ack: "all", timeoutMs: 60_000 });
  await cluster.converged();
  expect(south.users.get("ada").hidden()).toEqual([]);
  expect(south.certificate()).toEqual(east.certificate());
  // Restarted with the options of old: the list on the disk is a later one, and counts.
  await cluster.close("eu-west");
  const logger = listening();
  const again = await cluster.open("eu-west", { logger });
  expect(await logger.said("is a later one")).toEqual({
    members: "v2 ap-south=3, eu-west=2, us-east=1",
    options: "v1 eu-west=2, us-east=1",
  });
  expect(again.members().version).toBe(2);
  await again.ready({ timeoutMs: 20_000 });
  expect(again.health()).toMatchObject({ status: "ready", reasons: [] });
});

test("REP-7 RGN-1 lists that do not follow are refused with the reason, and the one in force stays", async () => {
  const { cluster } = await quick("us-east", "eu-west");
  await using _ = cluster;
  const east = cluster.region("us-east");
  await expect(east.setMembers({ version: 1, regions: { "us-east": 1 } })).rejects.toMatchObject({
    name: "RegionError",
    code: "MEMBERSHIP_MISMATCH",
  });
  const refused: [Record<string, number>, number, RegExp][] = [
    [{ "us-east": 1 }, 0, /version 0 is not above 1/],
    [{ "us-east": 1, "eu-west": 3, "eu-north": 2 }, 2, /id 2 to eu-north: it was eu-west's/],
  ];
  for (const [regions, version, message] of refused) {
    await expect(east.setMembers({ version, regions })).rejects.toMatchObject({
      code: "MEMBERSHIP_REFUSED",
      message: expect.stringMatching(message),
    });
  }
  await expect(east.setMembers({ version: 2, regions: {} })).rejects.toBeInstanceOf(TypeError);
  // A region does not remove itself in this way: nobody who stays would hear of it.
  await expect(east.setMembers({ version: 2, regions: { "eu-west": 2 } })).rejects.toMatchObject({
    code: "MEMBERSHIP_REFUSED",
    message: expect.stringContaining("no member that stays"),
  });
  // The same list again is no change.
  await east.setMembers(cluster.members);
  expect(east.members()).toEqual({ ...cluster.members, removed: [], shards: 1 });
  await cluster.close("us-east");
  const options: Partial<RegionOptions> = {
    members: { version: 7, regions: { "us-east": 1, "eu-north": 2 } },
  };
  await expect(cluster.open("us-east", options)).rejects.toMatchObject({ code: "MEMBERSHIP_REFUSED" });
  // A later one of the options that follows is taken, and spreads.
  const east7 = await cluster.open("us-east", { members: { version: 7, regions: { "us-east": 1 } } });
  expect(east7.members()).toEqual({
    version: 7,
    regions: { "us-east": 1 },
    removed: [{ name: "eu-west", id: 2, version: 7 }],
    shards: 1,
  });
});

test("REP-7 RGN-1 what an operator writes into members.json of a running region is in force within a second, everywhere", async () => {
  const { cluster, loggers } = await quick("us-east", "eu-west", "ap-south");
  await using _ = cluster;
  const disk = cluster.disk("eu-west");
  const edited = {
    ...(await json(disk, "members.json")),
    version: 2,
    regions: { "us-east": 1, "eu-west": 2 },
  };
  await writeFile(disk, "data/members.json", new TextEncoder().encode(JSON.stringify(edited)));
  await Promise.all(["us-east", "eu-west", "ap-south"].map((name) => loggers.get(name)!.said(IN_FORCE)));
  const removed = [{ name: "ap-south", id: 3, version: 2 }];
  for (const name of ["us-east", "eu-west"]) {
    expect(cluster.region(name).members()).toEqual({
      version: 2,
      regions: edited.regions,
      removed,
      shards: 1,
    });
    expect(cluster.region(name).health().replication!.removed).toMatchObject([
      { name: "ap-south", version: 2 },
    ]);
  }
  // What a tool writes is the same file: what was remembered stays, also of a list between.
  const list = (await readMembersFile(disk, "data"))!;
  await writeMembersFile(disk, "data", {
    ...list,
    version: 3,
    regions: new Map([...list.regions, ["ap-south", 3]]) as never,
    removed: new Map(),
  });
  await loggers.get("ap-south")!.said("This region is back");
  await cluster.region("ap-south").ready({ timeoutMs: 20_000 });
  expect(await json(cluster.disk("ap-south"), "members.json")).toMatchObject({ since: { 3: 3 } });
  expect(await json(cluster.disk("ap-south"), "region.json")).toMatchObject({ since: 3 });
  // A list that may not count is refused, and the one in force is written back.
  await writeFile(
    disk,
    "data/members.json",
    new TextEncoder().encode(JSON.stringify({ ...edited, version: 9, regions: { x: 1 } })),
  );
  await loggers.get("eu-west")!.said("Cannot take members.json");
  await expect.poll(async () => (await json(disk, "members.json"))["version"]).toBe(3);
  // Nonsense is said once, and changes nothing.
  await writeFile(disk, "data/members.json", new TextEncoder().encode("{"));
  expect(cluster.region("eu-west").members().version).toBe(3);
});

test("RGN-1 a damaged members.json is REGION_DAMAGED and says what is wrong", async () => {
  const { cluster } = await quick("us-east");
  await using _ = cluster;
  await cluster.close("us-east");
  const disk = cluster.disk("us-east");
  const good = await json(disk, "members.json");
  const wrong: [object | string, RegExp][] = [
    ["{", /JSON/],
    ["[]", /no object/],
    [{ ...good, format: 2 }, /format is 2/],
    [{ ...good, version: -1 }, /version is -1/],
    [{ ...good, regions: {} }, /names no region/],
    [{ ...good, regions: { a: 1, b: 1 } }, /share an id/],
    [{ ...good, regions: { a: 70_000 } }, /70000/],
    [{ ...good, removed: { 1: { name: "x", version: 1 } } }, /a member and removed/],
    [{ ...good, slots: "0-4095:5" }, /more shards/],
    [{ ...good, promised: { version: 2, digest: "x" } }, /no digest/],
  ];
  for (const [content, message] of wrong) {
    const text = typeof content === "string" ? content : JSON.stringify(content);
    await writeFile(disk, "data/members.json", new TextEncoder().encode(text));
    await expect(cluster.open("us-east")).rejects.toMatchObject({
      code: "REGION_DAMAGED",
      message: expect.stringMatching(message),
    });
  }
  await writeFile(disk, "data/members.json", new TextEncoder().encode(JSON.stringify(good)));
  await cluster.open("us-east");
});

test("scenario 47: a region removed with an unshipped hide returns: the hide ships first and holds, and only then it serves", async () => {
  const { cluster, loggers } = await quick("us-east", "eu-west", "ap-south");
  await using _ = cluster;
  const [east, west, south] = ["us-east", "eu-west", "ap-south"].map((name) => cluster.region(name)) as [
    Region,
    Region,
    Region,
  ];
  const session = await east.sessions.start({ user: "ada", agent: "scout" });
  await session.hide("old");
  await cluster.converged();
  for (const name of ["us-east", "eu-west"]) cluster.network.cut("ap-south", name);
  await south.sessions.get(session.id)!.hide("new");
  // It is given up: the others go on without it, and their unhide takes effect.
  await east.setMembers({ version: 2, regions: { "us-east": 1, "eu-west": 2 } });
  await loggers.get("eu-west")!.said(IN_FORCE);
  expect((await session.unhide("old", { ack: "all", timeoutMs: 60_000 })).ack).toBe("all");
  expect(east.users.get("ada").hidden()).toEqual([]);
  cluster.network.heal();
  await loggers.get("ap-south")!.said("This region is fenced");
  await loggers.get("ap-south")!.said("which hold everything it wrote");
  await cluster.region("us-east").synced({ timeoutMs: 20_000 });
  for (const region of [east, west]) expect(region.users.get("ada").hidden()).toEqual(["new"]);
  expect(south.health()).toMatchObject({ status: "removed", replication: { fence: "removed" } });
  const removed = expect.objectContaining({ code: "REGION_REMOVED", retryable: false });
  expect(() => south.users.get("ada").hidden()).toThrow(removed);
  await expect(south.sessions.start({ user: "ada", agent: "scout" })).rejects.toEqual(removed);
  await expect(south.ready({ timeoutMs: 0 })).rejects.toEqual(removed);
  // Also after a restart, whatever its options say.
  await cluster.close("ap-south");
  const logger = listening();
  const again = await cluster.open("ap-south", { logger });
  expect(() => again.users.get("ada").hidden()).toThrow(expect.objectContaining({ code: "REGION_FENCED" }));
  await expect(again.ready({ timeoutMs: 20_000 })).rejects.toEqual(removed);
  // Taken back, it serves what the others know.
  await west.setMembers({ version: 3, regions: { "us-east": 1, "eu-west": 2, "ap-south": 3 } });
  await logger.said("This region is back");
  await again.ready({ timeoutMs: 20_000 });
  await cluster.converged();
  for (const region of [east, west, again]) expect(region.users.get("ada").hidden()).toEqual(["new"]);
  expect(again.certificate()).toEqual(east.certificate());
  expect(
    (await again.sessions.get(session.id)!.annotate("back", { ack: "all", timeoutMs: 60_000 })).ack,
  ).toBe("all");
});

test("RGN-1 a region alone becomes the first of a cluster: what it has is there, and a second one gets it", async () => {
  const cluster = new Cluster(["us-east", "eu-west"]);
  await using _ = cluster;
  cluster.timers = timersOf(20);
  const platform = { ...loneOptions(), fs: cluster.disk("us-east") };
  const lone = await openRegion({ dir: "data", clusterKey: cluster.network.clusterKey }, platform);
  const session = await lone.sessions.start({ user: "ada", agent: "scout" });
  await session.hide("book");
  const before = lone.certificate();
  const [cursor, ticket] = [session.cursor(), session.ticket()];
  await lone.close();
  const alone = await cluster.open("us-east").catch((error: unknown) => error);
  expect(alone).toMatchObject({
    code: "REGION_FOREIGN_DIR",
    message: expect.stringContaining("bootstrap: true"),
  });
  // A crash between the two files on the way: the next attempt finds what it needs.
  const rename = cluster.disk("us-east").rename.bind(cluster.disk("us-east"));
  cluster.disk("us-east").rename = (from, to) =>
    to.endsWith("members.json") ? Promise.reject(new Error("The machine has stopped")) : rename(from, to);
  await expect(cluster.open("us-east", { bootstrap: true })).rejects.toThrow("has stopped");
  cluster.disk("us-east").rename = rename;
  const east = await cluster.open("us-east", { bootstrap: true });
  expect([east.name, east.id, east.certificate().digest]).toEqual(["us-east", 1, before.digest]);
  expect(east.members()).toEqual({
    ...cluster.members,
    removed: [{ name: "local", id: 0, version: 1 }],
    shards: 1,
  });
  const west = await cluster.open("eu-west");
  await west.ready({ timeoutMs: 20_000 });
  expect(west.users.get("ada").hidden()).toEqual(["book"]);
  // What was given out by the region alone is good in both.
  for (const region of [east, west]) {
    expect((await region.sessions.resume(session.id, { cursor, timeoutMs: 0 })).id).toBe(session.id);
    expect((await region.users.resume("ada", { ticket, timeoutMs: 0 })).hidden()).toEqual(["book"]);
  }
  await west.sessions.get(session.id)!.annotate("from the west");
  await east.sessions.get(session.id)!.annotate("from the east");
  await cluster.converged();
  expect(west.certificate()).toEqual(east.certificate());
  // There is no way back.
  await cluster.close("us-east");
  await expect(openRegion({ dir: "data" }, platform)).rejects.toMatchObject({ code: "REGION_FOREIGN_DIR" });
  expect((await cluster.open("us-east")).members().version).toBe(1);
});

test("REP-7 close({ leave: true }) ships what only this region has, then the others go on without it", async () => {
  const { cluster, loggers } = await quick("us-east", "eu-west", "ap-south");
  await using _ = cluster;
  const [east, south] = [cluster.region("us-east"), cluster.region("ap-south")];
  const session = await south.sessions.start({ user: "ada", agent: "scout" });
  const [hide] = await Promise.all([session.hide("book"), south.close({ leave: true, timeoutMs: 60_000 })]);
  expect(hide.outcome).toBe("applied");
  await loggers.get("us-east")!.said(IN_FORCE);
  expect(east.members()).toEqual({
    version: 2,
    regions: { "us-east": 1, "eu-west": 2 },
    removed: [{ name: "ap-south", id: 3, version: 2 }],
    shards: 1,
  });
  expect(east.users.get("ada").hidden()).toEqual(["book"]);
  expect((await east.sessions.get(session.id)!.unhide("book", { ack: "all", timeoutMs: 60_000 })).ack).toBe(
    "all",
  );
  expect(await json(cluster.disk("ap-south"), "members.json")).toMatchObject({ version: 2 });
  // Cut off it cannot: it says so, is closed, and is a member still.
  cluster.network.cut("us-east", "eu-west");
  const west = cluster.region("eu-west");
  await expect(west.close({ leave: true, timeoutMs: 2_000 })).rejects.toMatchObject({
    name: "RegionError",
    code: "LEAVE_FAILED",
    retryable: true,
  });
  expect(west.health().status).toBe("closed");
  expect(east.members().version).toBe(2);
  await cluster.kill("eu-west");
});

test("REP-7 removeAfterMs: a region nobody hears of is given up by the others, and comes back fenced", async () => {
  const cluster = new Cluster(["us-east", "eu-west", "ap-south"]);
  await using _ = cluster;
  cluster.timers = timersOf(20);
  const logger = listening();
  const how = { logger, removeAfterMs: 8_000 };
  for (const name of ["us-east", "eu-west", "ap-south"])
    await cluster.open(name, { ...how, bootstrap: name === "us-east" });
  await cluster.region("ap-south").ready({ timeoutMs: 20_000 });
  const session = await cluster.region("ap-south").sessions.start({ user: "ada", agent: "scout" });
  await cluster.converged();
  await cluster.kill("ap-south");
  await logger.said("silent for too long were removed");
  const east = cluster.region("us-east");
  expect(east.members().removed).toEqual([{ name: "ap-south", id: 3, version: 2 }]);
  expect((await east.sessions.get(session.id)!.annotate("on", { ack: "all", timeoutMs: 60_000 })).ack).toBe(
    "all",
  );
  const again = await cluster.open("ap-south", how);
  await expect(again.ready({ timeoutMs: 20_000 })).rejects.toMatchObject({ code: "REGION_REMOVED" });
});
