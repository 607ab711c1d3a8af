import { memoryFs } from "@tidemark/wal";
import type { MemoryFs } from "@tidemark/wal";
import { expect, test } from "vitest";
import type { Region, Session } from "../src/index.ts";
import { Cluster } from "./cluster.ts";
import { contentsOf, copyDisk, writeFile } from "./disk.ts";

const KINDS = ["signal", "prefer", "annotate", "hide", "search", "app", "mute", "unhide"] as const;

/** One operation of each of several kinds, so that every part of a state has something in it. */
async function live(session: Session): Promise<void> {
  await session.signal("book", "save", 0.25);
  await session.prefer("mood", "calm", { operationId: `mood-${session.id}` });
  await session.annotate("note", { entity: "book" });
  await session.hide("item");
  await session.search("essays");
  await session.app("chat", Uint8Array.of(1, 2));
  await session.mute("other");
  await session.unhide("item");
}

function digestOf(region: Region): string {
  return region.certificate().digest;
}

async function checkpointsOn(disk: MemoryFs): Promise<string[]> {
  return (await disk.list("data")).filter((name) => /^checkpoint-.*\.tmcp$/.test(name));
}

test("RGN-3 SES-10 closed and opened again, from the checkpoint: same certificate, same log, nothing un-hidden", async () => {
  await using cluster = await Cluster.of("us-east", "eu-west");
  const session = await cluster.region("us-east").sessions.start({ user: "ada", agent: "scout" });
  await live(session);
  await cluster.converged();
  const before = cluster.region("us-east").certificate();
  const applied = cluster.region("us-east").health().opsApplied;
  await cluster.close("us-east");
  const disk = cluster.disk("us-east");
  expect(await checkpointsOn(disk)).toHaveLength(1);
  const again = await cluster.open("us-east");
  expect(again.certificate()).toEqual(before);
  expect(again.health().opsApplied).toBe(applied);
  expect(again.users.get("ada").hidden()).toEqual(["other"]);
  await again.ready({ timeoutMs: 5_000 });
  // A retry of what was acknowledged before, and a write behind it in the same log.
  const there = again.sessions.get(session.id)!;
  expect((await there.prefer("mood", "calm", { operationId: `mood-${session.id}` })).outcome).toBe(
    "duplicate",
  );
  expect((await there.annotate("after")).position!.seqno).toBe(KINDS.length + 2);
  await cluster.converged();
  expect(digestOf(cluster.region("eu-west"))).toBe(digestOf(again));
});

test("RGN-3 a region that did nothing between opening and closing writes no checkpoint", async () => {
  await using cluster = await Cluster.of("us-east");
  await live(await cluster.region("us-east").sessions.start({ user: "ada", agent: "scout" }));
  await cluster.close("us-east");
  const disk = cluster.disk("us-east");
  const first = await checkpointsOn(disk);
  for (let count = 0; count < 3; count++) {
    await cluster.open("us-east");
    await cluster.close("us-east");
  }
  expect(await checkpointsOn(disk)).toEqual(first);
  await cluster.open("us-east");
  await cluster.region("us-east").sessions.start({ user: "bob", agent: "scout" });
  await cluster.close("us-east");
  expect(await checkpointsOn(disk)).toHaveLength(2);
});

test.each(["killed", "crashed"] as const)(
  "RGN-3 %s without a checkpoint: all is replayed, nothing acknowledged is lost",
  async (how) => {
    await using cluster = await Cluster.of("us-east", "eu-west");
    const session = await cluster.region("us-east").sessions.start({ user: "ada", agent: "scout" });
    await live(session);
    await cluster.converged();
    const before = cluster.region("us-east").certificate();
    await cluster.kill("us-east");
    if (how === "crashed") cluster.disk("us-east").crash();
    expect(await checkpointsOn(cluster.disk("us-east"))).toEqual([]);
    const again = await cluster.open("us-east");
    expect(again.certificate()).toEqual(before);
    await again.ready({ timeoutMs: 5_000 });
    await again.sessions.get(session.id)!.annotate("after");
    await cluster.converged();
    expect(again.sessions.get(session.id)!.state().conflicts.forks).toEqual([]);
    expect(digestOf(cluster.region("eu-west"))).toBe(digestOf(again));
  },
);

test("RGN-3 a damaged checkpoint, or one of other logs, is passed over: the logs are replayed", async () => {
  await using cluster = await Cluster.of("us-east");
  await live(await cluster.region("us-east").sessions.start({ user: "ada", agent: "scout" }));
  const before = cluster.region("us-east").certificate();
  await cluster.close("us-east");
  const disk = cluster.disk("us-east");
  const [name] = await checkpointsOn(disk);
  const good = (await disk.readFile(`data/${name}`))!;
  await writeFile(disk, `data/${name}`, good.slice(0, -1));
  const again = await cluster.open("us-east");
  expect(again.certificate()).toEqual(before);
  await again.sessions.start({ user: "bob", agent: "scout" });
  await cluster.close("us-east");
  // The newer checkpoint beside the older logs.
  const newer = (await checkpointsOn(disk)).at(-1)!;
  const image = await copyDisk(disk);
  const logs = await cluster.open("us-east");
  const whole = logs.certificate();
  await cluster.close("us-east");
  await writeFile(image, `data/${newer}`, (await disk.readFile(`data/${newer}`))!);
  cluster.replaceDisk("us-east", image);
  expect((await cluster.open("us-east")).certificate()).toEqual(whole);
});

test("scenario 12: RGN-3 a write whose fsync has not come is nowhere else, and is not there after a crash", async () => {
  await using cluster = await Cluster.of("us-east", "eu-west");
  const [east, west] = [cluster.region("us-east"), cluster.region("eu-west")];
  const session = await east.sessions.start({ user: "ada", agent: "scout" });
  await cluster.converged();
  const disk = cluster.disk("us-east");
  disk.holdSyncs();
  // Two at a time, so that the sync goes to the thread pool, where it is held.
  let acknowledged = 0;
  for (const text of ["lost one", "lost two"]) {
    session.annotate(text).then(
      () => (acknowledged += 1),
      () => undefined,
    );
  }
  // The other region writes and this one hears of it: the network works, and still nothing of the two has come.
  await west.sessions.get(session.id)!.prefer("mood", "calm");
  expect(west.sessions.get(session.id)!.state().annotations).toEqual([]);
  expect(east.sessions.get(session.id)!.state().annotations).toEqual([]);
  expect([disk.heldSyncs > 0, acknowledged]).toEqual([true, 0]);
  const before = west.certificate().digest;
  await cluster.kill("us-east", () => disk.crash(() => false));
  expect(acknowledged).toBe(0);
  const again = await cluster.open("us-east");
  await again.ready({ timeoutMs: 5_000 });
  await cluster.converged();
  expect(again.sessions.get(session.id)!.state().annotations).toEqual([]);
  expect(digestOf(again)).toBe(before);
});

test("scenario 26: the clock file is lost and the clock an hour back: stamps still increase within a session", async () => {
  await using cluster = await Cluster.of("us-east", "eu-west");
  const session = await cluster.region("us-east").sessions.start({ user: "ada", agent: "scout" });
  await session.prefer("mood", "first");
  await cluster.converged();
  await cluster.close("us-east");
  await cluster.disk("us-east").unlink("data/clock");
  cluster.skewMs.set("us-east", -3_600_000);
  const again = await cluster.open("us-east");
  await again.ready({ timeoutMs: 5_000 });
  const there = again.sessions.get(session.id)!;
  await there.prefer("mood", "second");
  expect(there.state().hints.get("mood")).toBe("second");
  await there.annotate("one");
  await there.annotate("two");
  await cluster.converged();
  for (const name of ["us-east", "eu-west"]) {
    const state = cluster.region(name).sessions.get(session.id)!.state();
    expect(state.hints.get("mood")).toBe("second");
    expect(state.annotations.map((each) => each.text)).toEqual(["one", "two"]);
  }
  // A hide that the wall clock would put before its unhide, and the other way round.
  await there.hide("book");
  await cluster.converged();
  await there.unhide("book");
  await cluster.converged();
  for (const name of ["us-east", "eu-west"])
    expect(cluster.region(name).users.get("ada").hidden()).toEqual([]);
});

test("scenario 26: the clock resumes above its persisted bound, and a damaged clock file is no error", async () => {
  await using cluster = await Cluster.of("us-east");
  const disk = cluster.disk("us-east");
  const now = cluster.now("us-east");
  cluster.skewMs.set("us-east", 3_600_000);
  const session = await cluster.region("us-east").sessions.start({ user: "ada", agent: "scout" });
  await session.prefer("mood", "an hour ahead");
  await cluster.close("us-east");
  const bound = Number(new TextDecoder().decode(await disk.readFile("data/clock")).split(" ")[0]);
  expect(bound).toBeGreaterThan(now + 3_600_000 - 1_000);
  cluster.skewMs.set("us-east", 0);
  // Another session knows nothing of the first one's stamps: only the file does.
  const again = await cluster.open("us-east");
  const other = await again.sessions.start({ user: "bob", agent: "scout" });
  await other.prefer("mood", "later");
  await cluster.close("us-east");
  expect(Number(new TextDecoder().decode(await disk.readFile("data/clock")).split(" ")[0])).toBeGreaterThan(
    bound,
  );
  await writeFile(disk, "data/clock", new TextEncoder().encode("12 13"));
  const last = await cluster.open("us-east");
  await last.sessions.get(session.id)!.prefer("mood", "after all");
  expect(last.sessions.get(session.id)!.state().hints.get("mood")).toBe("after all");
});

test("CORE-7 scenario 26: a clock file that fails while another region's operations are applied stops none of them", async () => {
  await using cluster = await Cluster.of("us-east", "eu-west");
  const session = await cluster.region("us-east").sessions.start({ user: "ada", agent: "scout" });
  await cluster.converged();
  // Beyond the bound that is on disk: what is heard next has it written anew.
  cluster.skewMs.set("eu-west", 60_000);
  cluster.disk("eu-west").failSync({ path: "data/clock" });
  await session.annotate("one");
  await session.annotate("two");
  await cluster.converged();
  const west = cluster.region("eu-west");
  expect(
    west.sessions
      .get(session.id)!
      .state()
      .annotations.map(({ text }) => text),
  ).toEqual(["one", "two"]);
  expect(west.health().status).toBe("ready");
  expect((await west.sessions.get(session.id)!.annotate("three")).outcome).toBe("applied");
});

test("scenario 43: an older image of the directory: a new epoch, the own tail comes back, nothing doubled or lost", async () => {
  await using cluster = await Cluster.of("us-east", "eu-west");
  const session = await cluster.region("us-east").sessions.start({ user: "ada", agent: "scout" });
  await session.annotate("one");
  await cluster.converged();
  await cluster.close("us-east");
  const image = await copyDisk(cluster.disk("us-east"));
  const second = await cluster.open("us-east");
  await second.ready({ timeoutMs: 5_000 });
  const there = second.sessions.get(session.id)!;
  await there.annotate("two", { operationId: "two" });
  await there.hide("book");
  await cluster.converged();
  const epochs = (): number[] => [
    ...new Set(
      Object.keys(cluster.region("eu-west").certificate().vector)
        .filter((log) => log.startsWith("sessions:r00001"))
        .map((log) => Number(/-e0*(\d+)/.exec(log)?.[1])),
    ),
  ];
  expect(epochs()).toHaveLength(1);
  await cluster.close("us-east");

  cluster.replaceDisk("us-east", image);
  const restored = await cluster.open("us-east");
  await restored.ready({ timeoutMs: 5_000 });
  const back = restored.sessions.get(session.id)!;
  expect(restored.users.get("ada").hidden()).toEqual(["book"]);
  expect((await back.annotate("two", { operationId: "two" })).outcome).toBe("duplicate");
  await back.annotate("three");
  await cluster.converged();
  expect(epochs()).toHaveLength(2);
  for (const region of [restored, cluster.region("eu-west")]) {
    const state = region.sessions.get(session.id)!.state();
    expect(state.annotations.map(({ text }) => text)).toEqual(["one", "two", "three"]);
    expect(state.conflicts).toEqual({ starts: 0, operations: [], forks: [] });
    expect(region.users.get("ada").hidden()).toEqual(["book"]);
  }
  expect(restored.certificate()).toEqual(cluster.region("eu-west").certificate());
});

test("RGN-3 a close lets writes under way finish, refuses those that come, and is told to whoever waits", async () => {
  await using cluster = await Cluster.of("us-east", "eu-west");
  const east = cluster.region("us-east");
  const session = await east.sessions.start({ user: "ada", agent: "scout" });
  await cluster.converged();
  cluster.network.cut("us-east", "eu-west");
  await session.annotate("not there yet");
  const writes = Array.from({ length: 20 }, (_, count) => session.annotate(`note ${count}`));
  const unconfirmed = session.prefer("mood", "calm", { ack: "all", timeoutMs: 60_000 });
  const waiting = east.synced({ timeoutMs: 60_000 });
  const closing = east.close();
  await expect(session.annotate("late")).rejects.toMatchObject({
    name: "RegionError",
    code: "REGION_CLOSED",
  });
  await expect(waiting).rejects.toMatchObject({ name: "RegionError", code: "REGION_CLOSED" });
  expect((await Promise.all(writes)).every(({ outcome }) => outcome === "applied")).toBe(true);
  // Durable here whatever happened: never a rejection.
  expect(await unconfirmed).toMatchObject({ outcome: "applied", ack: "unconfirmed" });
  await closing;
  await cluster.close("us-east");
  const again = await cluster.open("us-east");
  expect(again.sessions.get(session.id)!.state().annotations).toHaveLength(21);
  expect(again.sessions.get(session.id)!.state().hints.get("mood")).toBe("calm");
});

test("CORE-5 a write for which the bound of the clock cannot be kept rejects with the code of the disk, and the next one passes", async () => {
  await using cluster = await Cluster.of("us-east");
  const session = await cluster.region("us-east").sessions.start({ user: "ada", agent: "scout" });
  const disk = cluster.disk("us-east");
  const failing = [
    ["WAL_SYNC_FAILED", () => disk.failSync({ path: "data/clock" })],
    ["WAL_WRITE_FAILED", () => disk.failWrite({ path: "data/clock" })],
    ["WAL_NO_SPACE", () => disk.failWrite({ path: "data/clock", code: "ENOSPC" })],
    ["WAL_WRITE_FAILED", () => disk.failWrite({ path: "data/clock", bytes: 7 })],
  ] as const;
  for (const [at, [code, fail]] of failing.entries()) {
    // Above the bound: a new one is needed.
    cluster.skewMs.set("us-east", (at + 1) * 60_000);
    fail();
    await expect(session.annotate(`lost ${at}`)).rejects.toMatchObject({ name: "WalError", code });
    expect((await session.annotate(`kept ${at}`)).outcome).toBe("applied");
  }
  expect(session.state().annotations.map(({ text }) => text)).toEqual([0, 1, 2, 3].map((at) => `kept ${at}`));
});

test("RGN-3 a close that cannot write its checkpoint still releases log and clock", async () => {
  await using cluster = await Cluster.of("us-east");
  await cluster.region("us-east").sessions.start({ user: "ada", agent: "scout" });
  cluster.disk("us-east").failWrite({ code: "ENOSPC", path: ".tmcp.tmp" });
  const before = cluster.region("us-east").certificate();
  await cluster.close("us-east");
  expect(await checkpointsOn(cluster.disk("us-east"))).toEqual([]);
  expect((await cluster.open("us-east")).certificate()).toEqual(before);
});

test("RGN-1 a directory restored into an empty cluster is itself: contents copied are contents opened", async () => {
  await using cluster = await Cluster.of("us-east");
  await live(await cluster.region("us-east").sessions.start({ user: "ada", agent: "scout" }));
  const before = cluster.region("us-east").certificate();
  await cluster.close("us-east");
  const copy = await copyDisk(cluster.disk("us-east"));
  expect(await contentsOf(copy)).toEqual(await contentsOf(cluster.disk("us-east")));
  cluster.replaceDisk("us-east", copy);
  expect((await cluster.open("us-east")).certificate()).toEqual(before);
  expect(memoryFs().volatile).toBe(true);
});
