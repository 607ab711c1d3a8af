import { expect, test } from "vitest";
import { Cluster, loneOptions } from "./cluster.ts";
import { openRegion } from "../src/index.ts";

test("RGN-4 a region with next to no memory budget shows what one with plenty shows, counts once, and comes back from its disk", async () => {
  await using cluster = new Cluster(["us-east", "eu-west"]);
  const east = await cluster.open("us-east", { bootstrap: true, memoryBudgetBytes: 0 });
  const west = await cluster.open("eu-west");
  await Promise.all([east.ready({ timeoutMs: 5_000 }), west.ready({ timeoutMs: 5_000 })]);
  for (let at = 0; at < 20; at++) {
    const session = await east.sessions.start({ id: `s-${at}`, user: `user-${at % 3}`, agent: "scout" });
    await session.signal("book", "like", 1, { operationId: "once" });
    await session.annotate(`note ${at}`);
    if (at % 4 === 0) await session.hide(`item-${at}`, { operationId: "hide" });
  }
  await cluster.converged();
  // The other region writes in sessions that have gone cold here.
  for (let at = 0; at < 20; at += 3) await west.sessions.get(`s-${at}`)!.prefer("mood", "calm");
  expect(await east.sessions.get("s-5")!.signal("book", "like", 1, { operationId: "once" })).toMatchObject({
    outcome: "refused",
    reason: "OPERATION_CONFLICT",
  });
  await cluster.converged();
  const compare = (): void => {
    const here = cluster.region("us-east");
    expect(here.certificate()).toEqual(west.certificate());
    for (let at = 0; at < 20; at++) {
      const [a, b] = [here, west].map((region) => region.sessions.get(`s-${at}`)!.state());
      expect(JSON.stringify(a)).toBe(JSON.stringify(b));
      expect(a!.signals.get("book")?.get("like")?.count).toBe(1);
    }
    for (const user of ["user-0", "user-1", "user-2"]) {
      expect(here.users.get(user).hidden()).toEqual(west.users.get(user).hidden());
      expect(here.users.get(user).sessions({ open: true })).toEqual(
        west.users.get(user).sessions({ open: true }),
      );
    }
  };
  compare();
  await cluster.close("us-east");
  await (await cluster.open("us-east", { memoryBudgetBytes: 0 })).ready();
  await cluster.converged();
  compare();
  const cursor = west.sessions.get("s-1")!.cursor();
  const resumed = await cluster.region("us-east").sessions.resume("s-1", { cursor });
  expect(resumed.state().annotations).toEqual([{ text: "note 1" }]);
});

test("RGN-4 a full disk keeps cold sessions in memory, and health says so", async () => {
  const { eager: _, ...platform } = loneOptions();
  const region = await openRegion({ dir: "data", memoryBudgetBytes: 0 }, platform);
  platform.fs.failWrite({ path: "data/cold", code: "ENOSPC" });
  const session = await region.sessions.start({ user: "ada", agent: "scout" });
  await session.annotate("kept", { ack: "all" });
  await region.sessions.start({ user: "ada", agent: "scout", ack: "all" });
  expect(region.health().reasons.join()).toContain("scratch file");
  expect(session.state().annotations).toEqual([{ text: "kept" }]);
  await region.close();
  await expect(openRegion({ dir: "data", memoryBudgetBytes: -1 }, platform)).rejects.toThrow(RangeError);
});
