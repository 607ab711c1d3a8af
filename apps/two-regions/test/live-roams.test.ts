import {
  type Live,
  type LiveCursor,
  type LiveItem,
  openLive,
  openMemoryReplayStore,
  regionSource,
} from "@tidemark/live";
import { startNats, startRedis } from "@tidemark/servers";
import { afterEach, expect, test } from "vitest";
import { hasServer } from "./has-server.ts";
import { NAMES, type Name, SwitchedCluster } from "./switched-cluster.ts";

const SESSION = "trip";
const WRITES = 40;

const opened: (() => Promise<unknown> | void)[] = [];
afterEach(async () => {
  for (const close of opened.splice(0).reverse()) await close();
});

/** The live events of one region: its activity is of this process, its commits are the region's operations. */
function openHere(cluster: SwitchedCluster, name: Name, timeoutMs: number = 10_000): Live<string> {
  const store = openMemoryReplayStore();
  const view = (_: unknown, change?: { position: { lane: string; seqno: number } }): string =>
    change === undefined ? "head" : `${change.position.lane} ${change.position.seqno}`;
  const live = openLive({ store, source: regionSource(cluster.region(name), { view, timeoutMs }) });
  opened.push(() => live.close());
  return live;
}

/** Follows a session and writes down what it was given, wherever it is. */
class Follower {
  readonly commits: string[] = [];
  readonly activity: unknown[] = [];
  readonly gaps: string[] = [];
  #cursor: LiveCursor | undefined;

  /** Watches in a region until it was given so many commits more. */
  async follow(live: Live<string>, count: number): Promise<void> {
    const until = this.commits.length + count;
    const options = this.#cursor === undefined ? {} : { after: this.#cursor.toString() };
    for await (const item of live.session(SESSION).watch(options)) {
      this.#take(item);
      if (this.commits.length >= until) return;
    }
  }

  /** What there is beyond what it was given. */
  async rest(live: Live<string>): Promise<readonly string[]> {
    const answer = await live.session(SESSION).resume(this.#cursor!);
    const events = answer.kind === "gap" ? answer.committed! : answer.events;
    return events.flatMap(({ payload }) => (payload.kind === "committed" ? [String(payload.view)] : []));
  }

  #take(item: LiveItem<string>): void {
    this.#cursor = item.kind === "event" ? item.event.cursor : item.observation.cursor;
    if (item.kind === "gap") this.gaps.push(item.gap.reason);
    if (item.kind !== "event") return;
    const { payload } = item.event;
    if (payload.kind === "committed") this.commits.push(String(payload.view));
    if (payload.kind === "turn_activity") this.activity.push(payload.activity);
  }
}

/** Writes in a region, one after the other, each with activity of the same process before it. */
async function write(cluster: SwitchedCluster, name: Name, live: Live<string>): Promise<string[]> {
  const written: string[] = [];
  for (let index = 0; index < WRITES; index++) {
    live.session(SESSION).publish({ kind: "turn_activity", activity: `${name} ${index}` });
    const { position } = await cluster.region(name).sessions.get(SESSION)!.annotate(`${name} ${index}`);
    written.push(`${position!.lane} ${position!.seqno}`);
  }
  return written;
}

for (const [how, medium] of [
  ["in process", "inprocess"],
  ["over NATS", "nats"],
  ["over Redis", "redis"],
] as const) {
  const usable = medium === "inprocess" || (await hasServer(medium));
  test.skipIf(!usable)(
    `LIV-8 a session is followed from region to region while both write, with no commit repeated or missing, ${how}`,
    { timeout: 60_000 },
    async () => {
      const server =
        medium === "inprocess" ? undefined : await (medium === "nats" ? startNats() : startRedis());
      if (server !== undefined) opened.push(() => server.remove());
      await using cluster = new SwitchedCluster({ urlOf: () => server?.url ?? "", prefix: "live" });
      await cluster.moveAll(medium);
      await cluster.region("us-east").sessions.start({ id: SESSION, user: "ada", agent: "scout" });
      await cluster.converged();
      const lives = NAMES.map((name) => openHere(cluster, name));
      const followers = [new Follower(), new Follower()];
      // A look each before anything is written.
      await Promise.all(followers.map((follower, at) => follower.follow(lives[at]!, 0)));
      const writing = Promise.all(NAMES.map((name, at) => write(cluster, name, lives[at]!)));
      await Promise.all(
        followers.map(async (follower, first) => {
          for (let leg = 0; follower.commits.length < 2 * WRITES; leg++) {
            const count = Math.min(2 + ((leg * 5 + first) % 7), 2 * WRITES - follower.commits.length);
            await follower.follow(lives[(first + leg) % 2]!, count);
          }
        }),
      );
      const written = (await writing).flat();
      await cluster.converged();
      for (const { commits, gaps } of followers) {
        expect([...commits].sort()).toEqual([...written].sort());
        expect(new Set(gaps)).toEqual(new Set(["unavailable"]));
      }
      for (const follower of followers)
        for (const live of lives) expect(await follower.rest(live)).toEqual([]);
    },
  );
}

test("LIV-8 activity goes on exactly in the region that made it, beside the commits", async () => {
  await using cluster = new SwitchedCluster({ urlOf: () => "", prefix: "live" });
  await cluster.moveAll("inprocess");
  await cluster.region("us-east").sessions.start({ id: SESSION, user: "ada", agent: "scout" });
  const live = openHere(cluster, "us-east");
  const follower = new Follower();
  await follower.follow(live, 0);
  const writing = write(cluster, "us-east", live);
  while (follower.commits.length < WRITES)
    await follower.follow(live, Math.min(3, WRITES - follower.commits.length));
  expect(follower.commits).toEqual(await writing);
  expect(follower.gaps).toEqual([]);
  const all = Array.from({ length: WRITES }, (_, index) => `us-east ${index}`);
  expect(follower.activity).toEqual(all.slice(0, follower.activity.length));
});

test("LIV-8 who goes to a region that is cut off is refused until it has what the cursor covers, and then misses nothing", async () => {
  await using cluster = new SwitchedCluster({ urlOf: () => "", prefix: "live" });
  await cluster.moveAll("inprocess");
  await cluster.region("us-east").sessions.start({ id: SESSION, user: "ada", agent: "scout" });
  await cluster.converged();
  const us = openHere(cluster, "us-east");
  const eu = openHere(cluster, "eu-west", 50);
  const follower = new Follower();
  await follower.follow(us, 0);
  cluster.cut();
  const writing = Promise.all([write(cluster, "us-east", us), write(cluster, "eu-west", eu)]);
  await follower.follow(us, 10);
  await expect(follower.follow(eu, 1)).rejects.toMatchObject({ code: "NOT_YET_VISIBLE", retryable: true });
  await follower.follow(us, 10);
  const written = (await writing).flat();
  cluster.heal();
  await cluster.converged();
  await follower.follow(eu, 2 * WRITES - 20);
  expect([...follower.commits].sort()).toEqual([...written].sort());
  expect(await follower.rest(us)).toEqual([]);
});
