import { expect, test, vi } from "vitest";
import type { Region, RegionOptions } from "../src/index.ts";
import { Cluster, timersOf } from "./cluster.ts";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const OPTIONS: Partial<RegionOptions> = {
  policies: [{ name: "short", version: 1, idleMs: HOUR, retainMs: 30 * DAY }],
  segmentBytes: 8_192,
  checkpointMs: 400,
  retentionKeepBytes: 0,
};
const EVERYBODY = { "us-east": 1, "eu-west": 2, "ap-south": 3 };

/** Resolves once a region has applied an operation of that kind. */
function applied(region: Region, kind: string): Promise<void> {
  return new Promise((resolve) => {
    const stop = region.onChange((change) => {
      if (change.kind !== kind) return;
      stop();
      resolve();
    });
  });
}

test("scenario 25: removed, and dead since before a session was purged and the logs let go, a region returns: nothing is resurrected, nothing it had acknowledged is lost", async () => {
  const cluster = new Cluster(Object.keys(EVERYBODY));
  await using _ = cluster;
  cluster.timers = timersOf(20);
  const names = Object.keys(EVERYBODY);
  for (const name of names) await cluster.open(name, { ...OPTIONS, bootstrap: name === "us-east" });
  await Promise.all(names.map((name) => cluster.region(name).ready({ timeoutMs: 60_000 })));
  const [east, west, south] = names.map((name) => cluster.region(name)) as [Region, Region, Region];
  const doomed = await east.sessions.start({ user: "ada", agent: "scout", policy: "short" });
  const kept = await east.sessions.start({ user: "ada", agent: "scout" });
  await doomed.hide("old");
  await doomed.annotate("secret");
  await cluster.converged();
  // The dead region knows the session, and two hides that nobody else does: one of them in that session.
  for (const name of ["us-east", "eu-west"]) cluster.network.cut("ap-south", name);
  await south.sessions.get(doomed.id)!.annotate("unshipped secret");
  await south.sessions.get(doomed.id)!.hide("unshipped there");
  await south.sessions.get(kept.id)!.hide("unshipped");
  await cluster.kill("ap-south");
  cluster.network.heal();

  // The others give it up, purge the session, and let their logs go.
  await east.setMembers({ version: 2, regions: { "us-east": 1, "eu-west": 2 } });
  const closed = applied(west, "close");
  for (const name of names) cluster.skewMs.set(name, HOUR);
  await closed;
  const purged = [applied(east, "purge"), applied(west, "purge")];
  for (const name of names) cluster.skewMs.set(name, HOUR + 31 * DAY);
  await Promise.all(purged);
  expect((await kept.unhide("old", { ack: "all", timeoutMs: 200_000 })).ack).toBe("all");
  const trimmed = (): boolean => [east, west].every((region) => region.health().walSegments <= 6);
  for (let round = 0; round < 60 && !(round > 4 && trimmed()); round++) {
    await Promise.all(Array.from({ length: 20 }, (_, at) => kept.annotate(`${at} ${"x".repeat(500)}`)));
    await Promise.all([east.synced({ timeoutMs: 200_000 }), west.synced({ timeoutMs: 200_000 })]);
  }
  expect(trimmed()).toBe(true);

  // It returns with its old disk, is told that it was removed, and is taken back.
  const back = await cluster.open("ap-south", OPTIONS);
  await expect(back.ready({ timeoutMs: 200_000 })).rejects.toMatchObject({ code: "REGION_REMOVED" });
  expect(() => back.sessions.get(doomed.id)).toThrow(expect.objectContaining({ code: "REGION_REMOVED" }));
  await east.setMembers({ version: 3, regions: EVERYBODY });
  await expect.poll(() => back.health().status, { timeout: 20_000 }).toBe("ready");
  await cluster.converged();
  for (const region of [east, west, back]) {
    expect(region.sessions.get(doomed.id)).toBeUndefined();
    expect(region.users.get("ada").sessions()).toEqual([kept.id]);
    // Of what was written into the purged session the hide holds, and nothing else.
    expect(region.users.get("ada").hidden()).toEqual(["unshipped", "unshipped there"]);
    expect(region.health().purged).toBe(1);
  }
  expect(back.metrics().snapshotsRestored).toBe(1);
  expect(back.certificate()).toEqual(east.certificate());
  expect(back.certificate()).toEqual(west.certificate());
  expect((await back.sessions.get(kept.id)!.annotate("back", { ack: "all", timeoutMs: 200_000 })).ack).toBe(
    "all",
  );
}, 60_000);

test("scenario 47: REP-7 of two regions the removed one returns: the one that is alone takes its hide, and tells it so", async () => {
  await using cluster = await Cluster.of("us-east", "eu-west");
  const us = cluster.region("us-east");
  const session = await us.sessions.start({ user: "ada", agent: "scout" });
  await cluster.converged();
  cluster.network.cut("us-east", "eu-west");
  await cluster.region("eu-west").sessions.get(session.id)!.hide("Metropolis");
  await cluster.close("eu-west");
  await us.setMembers({ version: 2, regions: { "us-east": 1 } });
  cluster.network.heal();
  const back = await cluster.open("eu-west");
  await vi.waitFor(() => expect(back.health().status).toBe("removed"), 10_000);
  expect(us.users.get("ada").hidden()).toEqual(["Metropolis"]);
});
