import { expect, test } from "vitest";
import { World } from "../src/index.ts";

test("A region that dies while it opens its first log holds back nobody: it had told nobody of that log", async () => {
  const world = await World.open({
    seed: 1,
    regions: ["us-east", "eu-west"],
    latency: { chance: 0, maxMs: 0 },
  });
  const [us, eu] = [world.machine("us-east"), world.machine("eu-west")];
  // The log exists, and nothing of it is on disk, while the heart beats.
  eu.disk.slow(5_000);
  eu.region!.sessions.start({ user: "ada", agent: "guide" }).catch(() => undefined);
  await world.time.advance(3_000);
  eu.crash();
  await world.healAll();
  const session = await world.run(us.region!.sessions.start({ user: "ada", agent: "guide" }));
  expect((await world.run(session.annotate("here", { ack: "all", timeoutMs: 10_000 }))).ack).toBe("all");
  world.end();
});

test("scenario 7: what a failed sync left in the page cache counts once, though it was written again elsewhere", async () => {
  const world = await World.open({
    seed: 1,
    regions: ["us-east", "eu-west"],
    latency: { chance: 0, maxMs: 0 },
  });
  const us = world.machine("us-east");
  const session = await world.run(us.region!.sessions.start({ user: "ada", agent: "guide", id: "s" }));
  us.disk.failSync({ path: ".wal" });
  // The sync fails, and the write goes into a new epoch; then the process dies, and the page cache stays.
  expect((await world.run(session.annotate("once"))).outcome).toBe("applied");
  us.kill();
  await world.healAll();
  const texts = us
    .region!.sessions.get("s")!
    .state()
    .annotations.map(({ text }) => text);
  expect(texts).toEqual(["once"]);
  world.end();
});
