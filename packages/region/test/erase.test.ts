import { expect, test } from "vitest";
import type { MemoryFs } from "@tidemark/wal";
import { exportDirectory, openRegion } from "../src/index.ts";
import type { ExportRow, Region } from "../src/index.ts";
import { Cluster, loneOptions } from "./cluster.ts";
import { contentsOf, copyDisk, writeFile } from "./disk.ts";

const SECRETS = [
  "ann-the-user",
  "likes red shoes",
  "size forty",
  "hidden-item-7",
  "a query of hers",
  "her note",
];
const WAIT = { timeoutMs: 5_000 };

/** A cluster that encrypts, every region of it open and ready. */
async function encrypted(...names: string[]): Promise<Cluster> {
  const cluster = new Cluster(names);
  for (const name of names) await cluster.open(name, { bootstrap: name === names[0], encryption: true });
  await Promise.all(names.map((name) => cluster.region(name).ready(WAIT)));
  return cluster;
}

/** Writes something of every kind. */
async function livedIn(region: Region, id: string = "s-1"): Promise<void> {
  const session = await region.sessions.start({
    id,
    user: "ann-the-user",
    agent: "shop",
    metadata: { note: "her note" },
  });
  await session.prefer("size", "size forty");
  await session.annotate("likes red shoes");
  await session.hide("hidden-item-7");
  await session.search("a query of hers");
  await session.signal("item-1", "like", 2);
}

/** Everything below a region's directory, as text. */
async function textOf(disk: MemoryFs): Promise<string> {
  const files = Object.values(await contentsOf(disk));
  return files.map((file) => Buffer.from(file, "base64").toString("latin1")).join("\n");
}

async function filesWith(disk: MemoryFs, word: string): Promise<string[]> {
  return Object.entries(await contentsOf(disk))
    .filter(([, file]) => Buffer.from(file, "base64").toString("latin1").includes(word))
    .map(([name]) => name);
}

const digests = (cluster: Cluster, names: readonly string[]): Set<string> =>
  new Set(names.map((name) => cluster.region(name).certificate().digest));

test("SES-18 what is written is read in the other region, and no log holds a word of it", async () => {
  await using cluster = await encrypted("us", "eu");
  const [us, eu] = [cluster.region("us"), cluster.region("eu")];
  await livedIn(us);
  expect(await us.synced(WAIT)).toBe(true);
  const state = eu.sessions.get("s-1")!.state();
  expect(state).toMatchObject({ user: "ann-the-user", agent: "shop", metadata: { note: "her note" } });
  expect(state.annotations).toEqual([{ text: "likes red shoes" }]);
  expect(state.hints.get("size")).toBe("size forty");
  expect(state.searches).toEqual(["a query of hers"]);
  expect(eu.users.get("ann-the-user").hidden()).toEqual(["hidden-item-7"]);
  for (const name of ["us", "eu"])
    for (const secret of SECRETS) expect(await filesWith(cluster.disk(name), secret), secret).toEqual([]);
  expect(digests(cluster, ["us", "eu"]).size).toBe(1);
});

test("SES-18 erased: nothing is read, no file holds it, the report says where, and what follows is under another key", async () => {
  await using cluster = await encrypted("us", "eu");
  await livedIn(cluster.region("us"));
  // Checkpoints from before hold the state in the plain.
  for (const name of ["us", "eu"]) {
    await cluster.close(name);
    expect(await filesWith(cluster.disk(name), "likes red shoes")).toHaveLength(1);
    await cluster.open(name);
  }
  const [here, there] = [cluster.region("us"), cluster.region("eu")];
  await Promise.all([here.ready(WAIT), there.ready(WAIT)]);
  const result = await here.users.erase("ann-the-user", { ack: "all", ...WAIT });
  expect(result).toMatchObject({ outcome: "applied", ack: "all" });
  expect(result.report).toMatchObject({ generation: 1, members: { us: true, eu: true } });
  expect(result.report!.pseudonym).toMatch(/^[0-9a-f]{32}$/);
  expect(here.erasures()).toEqual([result.report]);
  expect(await there.synced(WAIT)).toBe(true);
  for (const region of [here, there]) {
    const state = region.sessions.get("s-1")!.state();
    expect(state.user).toBeUndefined();
    expect(state).toMatchObject({ metadata: {}, annotations: [], searches: [], signals: new Map() });
    expect(region.users.get("ann-the-user").hidden()).toEqual([]);
    expect(region.users.get("ann-the-user").sessions()).toEqual([]);
  }
  expect(digests(cluster, ["us", "eu"]).size).toBe(1);
  // It is done there when its checkpoints are replaced as well.
  await expect.poll(() => there.erasures()[0]!.members).toEqual({ us: true, eu: true });
  for (const name of ["us", "eu"])
    for (const secret of SECRETS) expect(await filesWith(cluster.disk(name), secret), secret).toEqual([]);
  // Begins anew, under the next generation.
  const again = await here.sessions.start({ id: "s-2", user: "ann-the-user", agent: "shop" });
  await again.annotate("back again");
  expect(await here.synced(WAIT)).toBe(true);
  expect(there.sessions.get("s-2")!.state().annotations).toEqual([{ text: "back again" }]);
  const second = await there.users.erase("ann-the-user", { ack: "all", ...WAIT });
  expect(second.report).toMatchObject({ pseudonym: result.report!.pseudonym, generation: 2 });
  expect(here.sessions.get("s-2")!.state().annotations).toEqual([]);
});

test("SES-18 scenario 48: erased while cut off, with writes under the old key on the other side: the same digest everywhere", async () => {
  const names = ["us", "eu", "ap"];
  await using cluster = await encrypted(...names);
  const [us, eu, ap] = names.map((name) => cluster.region(name)) as [Region, Region, Region];
  await livedIn(us);
  expect(await us.synced(WAIT)).toBe(true);
  cluster.network.cut("us", "eu");
  cluster.network.cut("us", "ap");
  const erased = await us.users.erase("ann-the-user");
  expect(erased).toMatchObject({
    outcome: "applied",
    report: { members: { us: true, eu: false, ap: false } },
  });
  // The other side has not heard of it.
  await eu.sessions.get("s-1")!.annotate("written while cut off");
  await ap.sessions.get("s-1")!.signal("item-1", "like", 3);
  const mine = await us.sessions.start({ id: "s-9", user: "ann-the-user", agent: "shop" });
  await mine.annotate("under the new key");
  expect(eu.sessions.get("s-1")!.state().user).toBe("ann-the-user");
  cluster.network.heal();
  for (const region of [us, eu, ap]) expect(await region.synced({ timeoutMs: 10_000 })).toBe(true);
  expect(digests(cluster, names).size).toBe(1);
  for (const region of [us, eu, ap]) {
    expect(region.sessions.get("s-1")!.state()).toMatchObject({ annotations: [], signals: new Map() });
    expect(region.sessions.get("s-9")!.state().annotations).toEqual([{ text: "under the new key" }]);
    expect(region.users.get("ann-the-user").sessions()).toEqual(["s-9"]);
  }
  await expect.poll(() => us.erasures()[0]!.members).toEqual({ us: true, eu: true, ap: true });
  for (const name of names)
    for (const secret of [...SECRETS.slice(1), "written while cut off"])
      expect(await filesWith(cluster.disk(name), secret), `${secret} in ${name}`).toEqual([]);
});

test("SES-18 SES-5 a user's first writes, sent to two regions that are cut off, count once", async () => {
  await using cluster = await encrypted("us", "eu");
  const regions = [cluster.region("us"), cluster.region("eu")];
  cluster.network.cut("us", "eu");
  for (const region of regions) {
    const start = { id: "s-1", user: "ann-the-user", agent: "shop", operationId: "start-1" };
    const session = await region.sessions.start(start);
    await session.signal("item-1", "like", 2, { operationId: "like-1", eventTimeMs: 1_790_000_000_000 });
    await session.annotate("once", { operationId: "note-1" });
  }
  cluster.network.heal();
  for (const region of regions) expect(await region.synced(WAIT)).toBe(true);
  for (const region of regions) {
    const { annotations, signals, conflicts } = region.sessions.get("s-1")!.state();
    expect(annotations).toEqual([{ text: "once" }]);
    expect(signals.get("item-1")!.get("like")!.count).toBe(1);
    expect(conflicts).toMatchObject({ starts: 0, operations: [] });
  }
  expect(digests(cluster, ["us", "eu"]).size).toBe(1);
});

test("SES-18 a ticket carries what is under the user's key to a region that is cut off", async () => {
  await using cluster = await encrypted("us", "eu");
  const [us, eu] = [cluster.region("us"), cluster.region("eu")];
  cluster.network.cut("us", "eu");
  await livedIn(us);
  const ticket = us.users.get("ann-the-user").ticket();
  expect(ticket.complete).toBe(true);
  expect(Buffer.from(String(ticket).slice(5), "base64url").toString("latin1")).not.toContain(
    "likes red shoes",
  );
  await eu.users.resume("ann-the-user", { ticket });
  expect(eu.sessions.get("s-1")!.state().annotations).toEqual([{ text: "likes red shoes" }]);
});

test("SES-18 a copy of the keys from before an erasure that comes back opens nothing", async () => {
  await using cluster = await encrypted("us", "eu");
  await livedIn(cluster.region("us"));
  expect(await cluster.region("us").synced(WAIT)).toBe(true);
  const before = (await cluster.disk("eu").readFile("data/keys"))!.slice();
  await cluster.region("us").users.erase("ann-the-user", { ack: "all", ...WAIT });
  expect(await cluster.region("eu").synced(WAIT)).toBe(true);
  await cluster.close("eu");
  expect(Buffer.compare((await cluster.disk("eu").readFile("data/keys"))!, before)).not.toBe(0);
  await writeFile(cluster.disk("eu"), "data/keys", before);
  const eu = await cluster.open("eu");
  await eu.ready(WAIT);
  expect(eu.sessions.get("s-1")!.state()).toMatchObject({ annotations: [] });
  await cluster.close("eu");
  expect(Buffer.compare((await cluster.disk("eu").readFile("data/keys"))!, before)).not.toBe(0);
});

test("SES-18 keys that are lost are given by a member, and without one the region says so", async () => {
  await using cluster = await encrypted("us", "eu");
  await livedIn(cluster.region("us"));
  expect(await cluster.region("us").synced(WAIT)).toBe(true);
  await cluster.close("eu");
  await cluster.disk("eu").unlink("data/keys");
  const eu = await cluster.open("eu");
  await eu.ready(WAIT);
  expect(eu.sessions.get("s-1")!.state().annotations).toEqual([{ text: "likes red shoes" }]);

  const platform = loneOptions();
  const alone = await openRegion({ dir: "data", encryption: true }, platform);
  await livedIn(alone);
  await alone.close();
  await platform.fs.unlink("data/keys");
  await expect(openRegion({ dir: "data" }, platform)).rejects.toMatchObject({ code: "REGION_DAMAGED" });
  await writeFile(platform.fs, "data/keys", new Uint8Array(100));
  await expect(openRegion({ dir: "data" }, platform)).rejects.toMatchObject({ code: "REGION_DAMAGED" });
});

test("SES-18 encryption is chosen with the cluster: another wish is ENCRYPTION_MISMATCH, and without it nobody is erased", async () => {
  const platform = loneOptions();
  const plain = await openRegion({ dir: "data" }, platform);
  await expect(plain.users.erase("ann")).rejects.toMatchObject({ code: "ENCRYPTION_OFF" });
  expect(plain.erasures()).toEqual([]);
  await plain.close();
  const wish = openRegion({ dir: "data", encryption: true }, platform);
  await expect(wish).rejects.toMatchObject({ code: "ENCRYPTION_MISMATCH" });
  await using cluster = await encrypted("us", "eu");
  await cluster.close("eu");
  await expect(cluster.open("eu", { encryption: false })).rejects.toMatchObject({
    code: "ENCRYPTION_MISMATCH",
  });
  await cluster.open("eu");

  await using signed = new Cluster(["us", "eu"], { signed: false });
  await expect(signed.open("us", { bootstrap: true, encryption: true })).rejects.toThrow(TypeError);
});

test("SES-18 a joiner that wishes for another cluster than there is says so, and one without a wish follows", async () => {
  await using cluster = new Cluster(["us", "eu"]);
  await cluster.open("us", { bootstrap: true, encryption: true });
  const eu = await cluster.open("eu", { encryption: false });
  await expect(eu.ready(WAIT)).rejects.toMatchObject({ code: "ENCRYPTION_MISMATCH" });
});

test("SES-18 scenario 48: a kill between the keys and the state loses no erasure: it is finished by the next start", async () => {
  const platform = loneOptions();
  const first = await openRegion({ dir: "data", encryption: true }, platform);
  await livedIn(first);
  await first.close();
  // A checkpoint with the state in the plain, and logs that know of the erasure.
  const image = await copyDisk(platform.fs);
  const second = await openRegion({ dir: "data" }, platform);
  await second.users.erase("ann-the-user");
  await second.close();
  const keys = (await platform.fs.readFile("data/keys"))!;
  for (const name of await platform.fs.list("data/sessions"))
    await writeFile(image, `data/sessions/${name}`, (await platform.fs.readFile(`data/sessions/${name}`))!);
  await image.unlink("data/watermark");
  for (const written of [true, false]) {
    const disk = await copyDisk(image);
    // Killed behind the writing of the keys, or before it.
    if (written) await writeFile(disk, "data/keys", keys);
    expect(await filesWith(disk, "likes red shoes")).toHaveLength(1);
    const region = await openRegion({ dir: "data" }, { ...platform, fs: disk });
    expect(region.sessions.get("s-1")!.state().annotations).toEqual([]);
    await expect.poll(() => region.erasures()[0]!.members).toEqual({ local: true });
    expect(await textOf(disk)).not.toContain("likes red shoes");
    await region.close();
  }
});

test("SES-18 an erasure is not acknowledged before the keys are gone from the disk", async () => {
  const platform = loneOptions();
  let full = false;
  const fs = new Proxy(platform.fs, {
    get: (target, name) => {
      const value: unknown = Reflect.get(target, name, target);
      if (typeof value !== "function") return value;
      return (...args: unknown[]) => {
        if (full && name === "open" && String(args[0]).includes("keys"))
          return Promise.reject(Object.assign(new Error("No space"), { code: "ENOSPC" }));
        return value.apply(target, args) as unknown;
      };
    },
  });
  const region = await openRegion({ dir: "data", encryption: true }, { ...platform, fs });
  await livedIn(region);
  full = true;
  let done = false;
  const erasing = region.users.erase("ann-the-user").then((result) => {
    done = true;
    return result;
  });
  await expect.poll(() => region.health().reasons.join()).toContain("keys");
  expect(done).toBe(false);
  // Not told before it is done: what was there is still read.
  expect(region.sessions.get("s-1")!.state().annotations).toHaveLength(1);
  full = false;
  expect(await erasing).toMatchObject({ outcome: "applied", report: { members: { local: true } } });
  expect(region.health().reasons).toEqual([]);
  await region.close();
});

test("SES-18 a start that finds everything done writes nothing of it again", async () => {
  const platform = loneOptions();
  const first = await openRegion({ dir: "data", encryption: true }, platform);
  await livedIn(first);
  await first.users.erase("ann-the-user");
  await first.close();
  const before = await contentsOf(platform.fs);
  const second = await openRegion({ dir: "data" }, platform);
  expect(second.erasures()).toMatchObject([{ generation: 1, members: { local: true } }]);
  const after = await contentsOf(platform.fs);
  const names = (files: Record<string, string>): string[] =>
    Object.keys(files).filter((name) => name.includes("checkpoint"));
  expect(names(after)).toEqual(names(before));
  expect(after["data/keys"]).toBe(before["data/keys"]);
  await second.close();
});

test("SES-18 a retry of an erasure is the erasure, and a retry of what was erased changes nothing", async () => {
  const platform = loneOptions();
  const region = await openRegion({ dir: "data", encryption: true }, platform);
  const start = { id: "s-1", user: "ann-the-user", agent: "shop", operationId: "start-1" };
  const session = await region.sessions.start(start);
  await session.annotate("once", { operationId: "note-1" });
  const first = await region.users.erase("ann-the-user", { operationId: "erase-1" });
  const again = await region.users.erase("ann-the-user", { operationId: "erase-1" });
  expect(again).toMatchObject({ outcome: "duplicate", effectId: first.effectId!, report: { generation: 1 } });
  expect(await session.annotate("once", { operationId: "note-1" })).toMatchObject({ outcome: "duplicate" });
  expect(await session.annotate("new")).toMatchObject({ outcome: "refused", reason: "SESSION_UNKNOWN" });
  expect(session.state().annotations).toEqual([]);
  await region.close();
});

test("SES-18 a member that joins after an erasure, and one that only follows, have the same state and not a word of it", async () => {
  await using cluster = new Cluster(["us", "eu", "ap"]);
  const us = await cluster.open("us", { bootstrap: true, encryption: true, shards: 3 });
  await livedIn(us);
  const bob = await us.sessions.start({ id: "s-bob", user: "bob", agent: "shop" });
  await bob.annotate("stays");
  await us.users.erase("ann-the-user");
  const again = await us.sessions.start({ id: "s-2", user: "ann-the-user", agent: "shop" });
  await again.hide("another-item");
  const eu = await cluster.open("eu");
  const ap = await cluster.open("ap", { role: "follower", encryption: true });
  await Promise.all([us, eu, ap].map((region) => region.ready(WAIT)));
  await cluster.converged();
  for (const region of [eu, ap]) {
    expect(region.sessions.get("s-1")!.state()).toMatchObject({ annotations: [], signals: new Map() });
    expect(region.sessions.get("s-bob")!.state().annotations).toEqual([{ text: "stays" }]);
    expect(region.users.get("ann-the-user").hidden()).toEqual(["another-item"]);
  }
  expect(digests(cluster, ["us", "eu", "ap"]).size).toBe(1);
  for (const name of ["us", "eu", "ap"])
    for (const secret of SECRETS.slice(1))
      expect(await filesWith(cluster.disk(name), secret), secret).toEqual([]);
});

test("SES-18 SIG-4 what is exported is opened with the keys that are left, and what is erased is left out", async () => {
  const platform = loneOptions();
  const region = await openRegion({ dir: "data", encryption: true }, platform);
  await livedIn(region);
  const bob = await region.sessions.start({ id: "s-bob", user: "bob", agent: "shop" });
  await bob.signal("item-2", "like", 1, { propensity: 0.5 });
  await bob.hide("item-9");
  await region.users.erase("ann-the-user");
  const rows = async (from: AsyncIterable<ExportRow>): Promise<ExportRow[]> => {
    const all: ExportRow[] = [];
    for await (const row of from) all.push(row);
    return all;
  };
  const expected = [
    { kind: "signal", entity: "item-2", user: "bob", propensity: 0.5 },
    { kind: "hide", user: "bob", item: "item-9" },
  ];
  expect(await rows(region.signals.export({ sinceMs: 0 }))).toMatchObject(expected);
  await region.close();
  const { fs, hasher } = platform;
  expect(await rows(exportDirectory({ fs, dir: "data", hasher }, { sinceMs: 0 }))).toMatchObject(expected);
});
