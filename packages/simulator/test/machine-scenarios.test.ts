import { expect, test } from "vitest";
import { Client } from "../src/index.ts";
import type { Machine, World } from "../src/index.ts";
import { part, play, seeds } from "./scenario.ts";
import { Scene } from "./scene.ts";

const HOUR_MS = 3_600_000;
const TEN_YEARS_MS = 10 * 365 * 24 * HOUR_MS;

test("scenario 12: power is lost at any call of a writer: no follower holds what its leader can forget", () =>
  play({
    seeds: seeds(3),
    faults: async (world) => {
      const { time, network, random } = world;
      const leader = world.machine("us-east");
      for (let turn = 0; turn < 4; turn++) {
        leader.armCrash(random.between(1, 40), "crash");
        await time.sleep(400);
        leader.crash();
        for (const other of ["eu-west", "ap-south"]) part(world, "us-east", other);
        await time.sleep(50);
        // By itself, so that nobody gives back what it has lost.
        await leader.start();
        const own = logsOf(leader, leader);
        for (const other of ["eu-west", "ap-south"])
          for (const [log, lsn] of Object.entries(logsOf(leader, world.machine(other))))
            expect(own[log] ?? 0, `${log} in ${other}`).toBeGreaterThanOrEqual(lsn);
        network.heal();
        await time.sleep(100);
      }
    },
  }));

test("scenario 15: a disk put back to before its log began, within the same second: both sides tell the fork, and keep what they have", async () => {
  for (const seed of seeds(3)) {
    using scene = await Scene.open({ seed, skewMsMax: 0 });
    const { world } = scene;
    const [east, west] = [world.machine("east"), world.machine("west")];
    const before = await east.disk.image();
    const write = async (agent: string): Promise<number> => {
      const session = await scene.run(east.region!.sessions.start({ id: "s", user: "ada", agent }));
      await scene.run(session.annotate(agent));
      return session.progress("west").logs[0]!.log.epoch;
    };
    const first = await write("first");
    await scene.run(east.region!.synced({ timeoutMs: 500 }));
    east.kill();
    await scene.run(east.restore(before));
    scene.cut();
    await scene.run(east.start());
    // The same log, and the same numbers in it.
    expect(await write("second")).toBe(first);
    world.network.heal();
    const told = ({ region }: Machine): boolean =>
      region!.health().reasons.some((reason) => reason.endsWith("is stopped: forked"));
    await scene.until(() => told(east) && told(west));
    for (const [machine, agent] of [
      [east, "second"],
      [west, "first"],
    ] as const) {
      expect(machine.region!.health().status).toBe("degraded");
      expect(machine.region!.sessions.get("s")!.state(), `seed ${seed}`).toMatchObject({
        agent,
        annotations: [{ text: agent }],
      });
    }
  }
});

test("scenario 24: hides and unhides stamped ten years ahead poison no clock, and a later unhide works", () =>
  play({
    seeds: seeds(3),
    workload: { turns: 20 },
    faults: async (world) => {
      const machine = world.machine("ap-south");
      const client = new Client(world, { name: "early", user: "ada", region: "ap-south" });
      await client.write({ operation: "start", session: "early" });
      machine.clock.jump(TEN_YEARS_MS);
      await client.write({ operation: "hide", session: "early", item: "book" });
      await client.write({ operation: "unhide", session: "early", item: "book" });
      await client.write({ operation: "hide", session: "early", item: "book" });
      await world.time.sleep(200);
      machine.clock.adjust();
    },
    after: async (world) => {
      const client = new Client(world, { name: "late", user: "ada", region: "us-east" });
      client.read(["book"]);
      expect(world.machine("us-east").region!.users.get("ada").hidden()).toContain("book");
      await world.run(client.write({ operation: "unhide", session: "early", item: "book" }, { ack: "all" }));
      expect(world.machine("us-east").region!.users.get("ada").hidden()).not.toContain("book");
      await settle(world);
    },
  }));

test("scenario 25: a region that was removed while it was away returns: what it acknowledged is there, nothing is resurrected", () =>
  play({
    seeds: seeds(3),
    workload: { mix: { hide: 14, unhide: 8 } },
    faults: async (world) => {
      const { time, network, history, machines } = world;
      for (const other of ["us-east", "eu-west"]) part(world, "ap-south", other);
      await time.sleep(500);
      const [east, south] = [machines.get("us-east")!, machines.get("ap-south")!];
      const two = { "us-east": 1, "eu-west": 2 };
      history.members(2, Object.keys(two));
      await east.region!.setMembers({ version: 2, regions: two });
      await time.sleep(300);
      south.kill();
      await time.sleep(500);
      await south.start();
      network.heal();
      await time.sleep(2_000);
      history.members(3, Object.keys(world.members.regions));
      await east.region!.setMembers({ version: 3, regions: world.members.regions });
      await south.region!.ready({ timeoutMs: 60_000 }).catch(() => undefined);
      await time.sleep(3_000);
    },
  }));

test("scenario 26: clocks an hour back and ahead, frozen, and a restart with a lost clock file: G holds", () =>
  play({
    seeds: seeds(3),
    workload: { turns: 60 },
    faults: async ({ time, machines, random }) => {
      const all = [...machines.values()];
      for (let turn = 0; turn < 6; turn++) {
        const machine = random.pick(all);
        const how = random.integer(5);
        if (how === 0) machine.clock.jump(-HOUR_MS);
        else if (how === 1) machine.clock.jump(HOUR_MS);
        else if (how === 2) machine.clock.freeze();
        else if (how === 3) machine.clock.drift(random.pick([0.1, 10]));
        else {
          machine.kill();
          await loseClock(machine);
          machine.clock.jump(random.pick([-HOUR_MS, HOUR_MS]));
          await machine.start();
        }
        await time.sleep(300);
        machine.clock.thaw();
      }
    },
  }));

/** How far a machine's region has the logs of one. */
function logsOf({ id }: Machine, { region }: Machine): Record<string, number> {
  const prefix = `r${String(id).padStart(5, "0")}-`;
  const { vector } = region!.certificate();
  return Object.fromEntries(Object.entries(vector).filter(([log]) => log.split(":")[1]!.startsWith(prefix)));
}

/** Takes away the file that keeps the bound of a clock. */
async function loseClock({ disk: { contents } }: Machine): Promise<void> {
  if ((await contents.readFile("data/clock")) !== undefined) await contents.unlink("data/clock");
  await contents.syncDir("data");
}

/** Lets all regions have what was written last. */
async function settle(world: World): Promise<void> {
  await world.run(
    Promise.all([...world.machines.values()].map(({ region }) => region!.synced({ timeoutMs: 60_000 }))),
  );
}
