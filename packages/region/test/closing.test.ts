import { expect, test } from "vitest";
import type { RegionPlatform } from "../src/index.ts";
import { Cluster } from "./cluster.ts";

/** A cluster in which one region acknowledges nothing by itself: its timers for acks never fire. */
class SilentAcks extends Cluster {
  override platform(name: string): RegionPlatform {
    const platform = super.platform(name);
    const { timers } = platform;
    const never = (): void => undefined;
    return name !== "eu-west"
      ? platform
      : {
          ...platform,
          timers: { ...timers, setTimer: (ms, run) => (ms <= 1_000 ? never : timers.setTimer(ms, run)) },
        };
  }
}

test("RGN-3 a region that closes acknowledges what it holds: the others need not wait for it to come back", async () => {
  await using cluster = new SilentAcks(["us-east", "eu-west"]);
  const east = await cluster.open("us-east", { bootstrap: true });
  const west = await cluster.open("eu-west");
  await Promise.all([east.ready({ timeoutMs: 5_000 }), west.ready({ timeoutMs: 5_000 })]);
  const applied = new Promise<void>((resolve) => {
    west.onChange(({ kind }) => {
      if (kind === "hide") resolve();
    });
  });
  const session = await east.sessions.start({ user: "ada", agent: "scout" });
  const stable = session.hide("book", { ack: "all", timeoutMs: 20_000 });
  await applied;
  expect(session.progress("eu-west").synced).toBe(false);
  await cluster.close("eu-west");
  expect((await stable).ack).toBe("all");
  expect(session.progress("eu-west").synced).toBe(true);
});

test("RGN-3 close lets writes under way finish, refuses later ones, and is idempotent", async () => {
  await using cluster = await Cluster.of("us-east");
  const region = cluster.region("us-east");
  const session = await region.sessions.start({ user: "ada", agent: "scout" });
  const writing = Array.from({ length: 20 }, (_, index) => session.annotate(`note ${index}`));
  const closing = region.close();
  await expect(session.annotate("late")).rejects.toMatchObject({ code: "REGION_CLOSED" });
  const outcomes = await Promise.all(writing);
  expect(new Set(outcomes.map(({ outcome }) => outcome))).toEqual(new Set(["applied"]));
  await Promise.all([closing, region.close()]);
  await cluster.close("us-east");
  const again = await cluster.open("us-east");
  expect(again.sessions.get(session.id)!.state().annotations).toHaveLength(20);
});
