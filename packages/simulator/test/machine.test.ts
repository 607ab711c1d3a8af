import { expect, test } from "vitest";
import { World } from "../src/index.ts";
import type { Death, Machine } from "../src/index.ts";

/** What a client of one process was told. */
interface Told {
  readonly annotations: string[];
  hidden: boolean;
}

/** Opens the region and writes; ends with the process, wherever it dies. */
async function write(machine: Machine, told: Told): Promise<void> {
  const region = await machine.start();
  if (region === undefined) return;
  const life = machine.life!;
  const started = await life.answer(region.sessions.start({ user: "ada", agent: "guide", id: "s" }));
  if (started === undefined) return;
  for (const text of ["one", "two"]) {
    const wrote = await life.answer(started.value.annotate(text));
    if (wrote?.value.outcome === "applied") told.annotations.push(text);
  }
  const hid = await life.answer(started.value.hide("Casablanca"));
  told.hidden = hid?.value.outcome === "applied";
}

test.each<Death>(["kill", "crash"])(
  "A process may die at any call of an open and of writes (%s): what was acknowledged is there afterwards",
  async (how) => {
    let deaths = 0;
    for (let call = 1; ; call++) {
      const world = new World({ seed: call, regions: ["us-east"] });
      const machine = world.machine("us-east");
      const told: Told = { annotations: [], hidden: false };
      machine.armCrash(call, how);
      await world.run(write(machine, told));
      if (machine.life!.calls < call) {
        world.end();
        break;
      }
      // The last call may have been given its effect: the process ends at the next one.
      machine.life!.die(how);
      deaths += 1;
      await world.healAll();
      const region = machine.region!;
      const state = region.sessions.get("s")?.state();
      const texts = state?.annotations.map(({ text }) => text) ?? [];
      expect(texts, `call ${call}`).toEqual(expect.arrayContaining(told.annotations));
      if (told.hidden) expect(region.users.get("ada").hidden(), `call ${call}`).toEqual(["Casablanca"]);
      world.end();
    }
    expect(deaths).toBeGreaterThan(30);
  },
);

test("A machine that is down can be given an older image, and its region says that it forgets", async () => {
  const world = await World.open({ seed: 3, regions: ["us-east", "eu-west"] });
  const machine = world.machine("us-east");
  const image = await machine.disk.image();
  const session = await world.run(machine.region!.sessions.start({ user: "ada", agent: "guide", id: "s" }));
  await world.run(session.annotate("before", { ack: "all" }));
  await expect(machine.restore(image)).rejects.toThrow("stop it");
  await world.run(machine.stop());
  await machine.restore(image);
  await world.healAll();
  const both = [...world.machines.values()].map(({ region }) => region!);
  // Its own tail comes back from the other region.
  await world.run(Promise.all(both.map((region) => region.ready({ timeoutMs: 60_000 }))));
  expect(await world.run(both[0]!.synced({ timeoutMs: 60_000 }))).toBe(true);
  expect(machine.region!.sessions.get("s")!.state().annotations).toHaveLength(1);
  const lives = world.history.events.filter((event) => event.type === "life" && event.region === "us-east");
  expect(lives).toMatchObject([{ life: 1 }, { life: 2, forgets: true }]);
  world.end();
});
