import { expect, test } from "vitest";
import { Scene } from "./scene.ts";

const TEN_YEARS_MS = 10 * 365 * 86_400_000;

test("scenario 16: a region that has lost its checkpoints replays all history, and counts no retry again", async () => {
  using scene = await Scene.open({ seed: 16, region: { checkpointBytes: 4_096 } });
  const { world } = scene;
  const ada = await scene.client("ada", "east", "s");
  const texts = Array.from({ length: 30 }, (_, index) => `note ${index}`);
  const write = async (text: string): Promise<boolean> =>
    ada.write({ operation: "annotate", session: "s", text, operationId: text });
  for (const text of texts) await scene.run(write(text));
  await scene.synced();
  const before = scene.region("east").certificate();
  const machine = world.machine("east");
  machine.kill();
  const checkpoints = (await machine.disk.files()).filter((path) => path.endsWith(".tmcp"));
  for (const path of checkpoints) await machine.disk.contents.unlink(path);
  await scene.run(machine.start());
  expect(scene.region("east").certificate().digest).toBe(before.digest);
  for (const text of texts) expect(await scene.run(write(text))).toBe(true);
  expect(scene.region("east").metrics().duplicates.retries).toBe(texts.length);
  expect(await scene.end()).toEqual([]);
});

test("scenario 17: a region that dies at every call of applying others' operations has both or neither", async () => {
  using scene = await Scene.open({ seed: 17 });
  const { world } = scene;
  const ada = await scene.client("ada", "east", "s");
  const west = world.machine("west");
  await scene.synced();
  let deaths = 0;
  for (let calls = 1; calls <= 40; calls++) {
    west.armCrash(calls, calls % 2 === 0 ? "kill" : "crash");
    await scene.run(ada.write({ operation: "signal", session: "s", entity: "book", key: "save", weight: 1 }));
    await world.time.advance(40);
    if (west.up) continue;
    deaths += 1;
    await scene.run(west.start());
  }
  expect(deaths).toBeGreaterThan(10);
  expect(await scene.end()).toEqual([]);
  expect(scene.region("west").sessions.get("s")!.state().signals.get("book")!.get("save")!.count).toBe(40);
});

test("scenario 24: what is hidden in a region ten years ahead stays hidden, and a later unhide lifts it", async () => {
  using scene = await Scene.open({ seed: 24 });
  const { world } = scene;
  const ada = await scene.client("ada", "east", "s");
  await scene.synced();
  const { clock } = world.machine("east");
  clock.jump(TEN_YEARS_MS);
  await scene.run(ada.write({ operation: "hide", session: "s", item: "x" }));
  const ahead = scene.region("west").sessions.get("s")!.signal("book", "save", 1, {
    eventTimeMs: clock.now(),
  });
  await expect(scene.run(ahead)).rejects.toMatchObject({ code: "HLC_DRIFT_EXCEEDED" });
  clock.adjust();
  await scene.run(ada.roam("west"));
  expect(ada.region).toBe("west");
  ada.read(["x"]);
  await scene.run(ada.write({ operation: "unhide", session: "s", item: "x" }));
  expect(await scene.end()).toEqual([]);
  for (const region of scene.regions()) expect(region.users.get("ada").hidden()).toEqual([]);
});

test("scenario 28: five writes before they ship are refused by cursor, and there by ticket, also with others' between", async () => {
  using scene = await Scene.open({ seed: 28 });
  const ada = await scene.client("ada", "east", "s");
  const bob = await scene.client("bob", "east", "b");
  // With an odd number of writes behind it a client takes a ticket along, else a cursor.
  await scene.run(ada.write({ operation: "prefer", session: "s", key: "mood", value: "calm" }));
  await scene.synced();
  scene.cut();
  for (let index = 0; index < 5; index++) {
    await scene.run(bob.write({ operation: "annotate", session: "b", text: `noise ${index}` }));
    await scene.run(ada.write({ operation: "annotate", session: "s", text: `note ${index}` }));
  }
  const cursor = scene.region("east").sessions.get("s")!.cursor();
  const refused = scene.region("west").sessions.resume("s", { cursor, timeoutMs: 50 });
  await expect(scene.run(refused)).rejects.toMatchObject({ code: "NOT_YET_VISIBLE" });
  await scene.run(ada.roam("west"));
  expect(ada.region).toBe("west");
  ada.look("s");
  expect(scene.region("west").sessions.get("s")!.state().annotations).toHaveLength(5);
  expect(scene.region("west").sessions.get("b")!.state().annotations).toEqual([]);
  expect(await scene.end()).toEqual([]);
});

test("scenario 43: an older disk image comes back under a new epoch, with its own tail from the others", async () => {
  using scene = await Scene.open({ seed: 43 });
  const { world } = scene;
  const ada = await scene.client("ada", "east", "s");
  const write = (text: string): Promise<boolean> => ada.write({ operation: "annotate", session: "s", text });
  await scene.run(write("before"));
  const machine = world.machine("east");
  const image = await machine.disk.image();
  for (const text of ["one", "two", "three"]) await scene.run(write(text));
  await scene.synced();
  const logs = Object.keys(scene.region("east").certificate().vector).length;
  machine.crash();
  await machine.restore(image);
  await scene.run(machine.start());
  await scene.run(scene.region("east").ready());
  ada.leave("east");
  await scene.run(write("after"));
  ada.look("s");
  expect(Object.keys(scene.region("east").certificate().vector).length).toBeGreaterThan(logs);
  expect(await scene.end()).toEqual([]);
  const texts = scene
    .region("west")
    .sessions.get("s")!
    .state()
    .annotations.map(({ text }) => text);
  expect(texts).toEqual(["before", "one", "two", "three", "after"]);
});

test("scenario 44: every kind retried by its id in two regions while cut is one effect, and unhidden stays unhidden", async () => {
  using scene = await Scene.open({ seed: 44 });
  const here = await scene.client("ada", "east", "s");
  await scene.run(here.write({ operation: "hide", session: "s", item: "x" }));
  await scene.run(here.write({ operation: "hide", session: "s", item: "y", operationId: "hide y" }));
  await scene.synced();
  const there = await scene.client("ada", "west", "s");
  scene.cut();
  const writes = [
    { operation: "unhide", item: "x" },
    { operation: "unhide", item: "y" },
    { operation: "hide", item: "z" },
    { operation: "mute", item: "x2" },
    { operation: "block", item: "x3" },
    { operation: "annotate", text: "a note" },
    { operation: "prefer", key: "mood", value: "calm" },
    { operation: "search", text: "films" },
    { operation: "app", key: "chat", text: "hello" },
    { operation: "signal", entity: "book", key: "save", weight: 2 },
    { operation: "start", session: "s2" },
    { operation: "close", session: "s2" },
  ] as const;
  for (const [index, write] of writes.entries()) {
    const named = { session: "s", ...write, operationId: `op ${index}` };
    for (const client of [here, there, here]) expect(await scene.run(client.write(named))).toBe(true);
  }
  // The hide itself is sent again, where its removal is known.
  const again = { operation: "hide", session: "s", item: "y", operationId: "hide y" } as const;
  expect(await scene.run(there.write(again))).toBe(true);
  expect(await scene.end()).toEqual([]);
  for (const region of scene.regions()) {
    const { conflicts, signals } = region.sessions.get("s")!.state();
    expect(conflicts).toEqual({ starts: 0, operations: [], forks: [] });
    expect(signals.get("book")!.get("save")!.count).toBe(1);
    expect(region.users.get("ada").hidden()).toEqual(["x2", "x3", "z"]);
  }
});

test("scenario 46: what is written under a clock ten minutes ahead is overwritten by who roams", async () => {
  using scene = await Scene.open({ seed: 46 });
  const ada = await scene.client("ada", "east", "s");
  scene.world.machine("east").clock.jump(600_000);
  await scene.run(ada.write({ operation: "prefer", session: "s", key: "mood", value: "ahead" }));
  await scene.run(ada.roam("west"));
  await scene.run(ada.write({ operation: "prefer", session: "s", key: "mood", value: "later" }));
  expect(await scene.end()).toEqual([]);
  for (const region of scene.regions())
    expect(region.sessions.get("s")!.state().hints.get("mood")).toBe("later");
});

test("scenario 47: who is removed with an unshipped hide ships it first, and takes what the others have when it returns", async () => {
  using scene = await Scene.open({ seed: 47, regions: ["east", "west", "south"] });
  const here = await scene.client("ada", "east", "s");
  await scene.run(here.write({ operation: "hide", session: "s", item: "old" }));
  await scene.synced();
  const away = await scene.client("ada", "south", "s");
  for (const name of ["east", "west"]) {
    scene.world.network.cut("south", name);
    scene.world.network.cut(name, "south");
  }
  await scene.run(away.write({ operation: "hide", session: "s", item: "new" }));
  await scene.members("east", 2, ["east", "west"]);
  await scene.run(here.write({ operation: "unhide", session: "s", item: "old" }));
  const hiddenIn = (name: string): string[] => scene.region(name).users.get("ada").hidden();
  await scene.until(() => hiddenIn("east").length === 0);
  here.read(["old", "new"]);
  away.read(["old", "new"]);
  scene.world.network.heal();
  await scene.until(() => scene.region("south").health().status === "removed");
  for (const name of ["east", "west"]) expect(hiddenIn(name)).toEqual(["new"]);
  here.read(["old", "new"]);
  await scene.members("west", 3, ["east", "west", "south"]);
  await scene.until(() => scene.region("south").health().status === "ready");
  away.read(["old", "new"]);
  expect(await scene.end()).toEqual([]);
  for (const name of ["east", "west", "south"]) expect(hiddenIn(name)).toEqual(["new"]);
});

test("scenario 48: who is erased while regions are cut off is erased everywhere, with what was written under the old key", async () => {
  using scene = await Scene.open({ seed: 48, region: { encryption: true } });
  const here = await scene.client("ada", "east", "s");
  await scene.run(here.write({ operation: "annotate", session: "s", text: "before" }));
  await scene.run(here.write({ operation: "signal", session: "s", entity: "book", key: "save", weight: 1 }));
  await scene.synced();
  const there = await scene.client("ada", "west", "s");
  scene.cut();
  await scene.run(there.write({ operation: "annotate", session: "s", text: "under the old key" }));
  await scene.run(here.write({ operation: "erase" }));
  here.look("s");
  await scene.run(here.write({ operation: "start", session: "new" }));
  await scene.run(here.write({ operation: "annotate", session: "new", text: "under the next key" }));
  expect(await scene.end()).toEqual([]);
  for (const region of scene.regions()) {
    expect(region.sessions.get("s")!.state().annotations).toEqual([]);
    expect(region.sessions.get("new")!.state().annotations).toEqual([{ text: "under the next key" }]);
  }
});

test("scenario 50: the last acknowledged batch rots at the tail, and its place is never given again", async () => {
  using scene = await Scene.open({ seed: 50 });
  const { world } = scene;
  const ada = await scene.client("ada", "east", "s");
  const write = (text: string): Promise<boolean> => ada.write({ operation: "annotate", session: "s", text });
  for (const text of ["one", "two"]) await scene.run(write(text));
  await scene.synced();
  const machine = world.machine("east");
  machine.kill();
  const path = (await machine.disk.files()).find((name) => name.includes("sessions/r00001"))!;
  const bytes = (await machine.disk.contents.readFile(path))!;
  machine.disk.flipBit(path, bytes.findLastIndex((byte) => byte !== 0) - 3, 2);
  await scene.run(machine.start());
  await scene.run(scene.region("east").ready());
  await scene.run(write("three"));
  expect(await scene.end()).toEqual([]);
  const texts = scene
    .region("west")
    .sessions.get("s")!
    .state()
    .annotations.map(({ text }) => text);
  expect(texts).toEqual(["one", "two", "three"]);
});

test("scenario 51: an idle close by the owner is void where somebody was active, in every region", async () => {
  const policies = [{ name: "shop", version: 1, idleMs: 5_000 }];
  using scene = await Scene.open({ seed: 51, region: { policies } });
  const { world } = scene;
  const east = scene.region("east");
  const opened = east.sessions.start({ id: "s", user: "ada", agent: "guide", policy: "shop" });
  await scene.run(opened);
  await scene.synced();
  scene.cut();
  const there = await scene.client("ada", "west", "s");
  for (let index = 0; index < 4; index++) {
    await world.time.advance(3_000);
    await scene.run(there.write({ operation: "annotate", session: "s", text: `note ${index}` }));
  }
  expect(east.sessions.get("s")!.state().open).toBe(false);
  expect(scene.region("west").sessions.get("s")!.state().open).toBe(true);
  const violations = await scene.end();
  for (const region of scene.regions()) expect(region.sessions.get("s")!.state().open).toBe(true);
  expect(violations).toEqual([]);
});
