import { expect, test } from "vitest";
import { World } from "../src/index.ts";
import type { WorldOptions } from "../src/index.ts";

/** A small run: writes in every region, one region dies in the middle and comes back. */
async function run(options: WorldOptions): Promise<World> {
  const world = await World.open(options);
  const machines = [...world.machines.values()];
  const regions = machines.map((machine) => machine.region!);
  const session = await world.run(regions[0]!.sessions.start({ user: "ada", agent: "guide", id: "s" }));
  for (let turn = 0; turn < 4; turn++) await world.run(session.annotate(`note ${turn}`));
  await world.run(session.hide("Casablanca"));
  machines[0]!.crash();
  const other = await world.run(regions[1]!.users.get("ada").session("t", { agent: "guide" }));
  await world.run(other.annotate("elsewhere"));
  await world.healAll();
  await world.run(Promise.all(machines.map((machine) => machine.region!.synced({ timeoutMs: 60_000 }))));
  for (const machine of machines) {
    const region = machine.region!;
    world.trace.note(machine.name, "certificate", JSON.stringify(region.certificate()));
  }
  return world;
}

test("SIM-1 the same seed gives the same trace, and another seed another", async () => {
  const hashes = new Set<string>();
  for (let seed = 1; seed <= 6; seed++) {
    const world = await run({ seed });
    const again = await run({ seed });
    expect(again.trace.hash).toBe(world.trace.hash);
    expect(again.trace.lines()).toEqual(world.trace.lines());
    hashes.add(world.trace.hash);
    world.end();
    again.end();
  }
  expect(hashes.size).toBe(6);
});

test("World brings every region to the same state, over either medium", async () => {
  for (const medium of ["direct", "broker"] as const) {
    const world = await run({ seed: 7, network: { medium } });
    const certificates = [...world.machines.values()].map((machine) => machine.region!.certificate());
    expect(certificates[1]).toEqual(certificates[0]);
    expect(certificates[2]).toEqual(certificates[0]);
    const { region } = world.machine("ap-south");
    expect(region!.users.get("ada").filterVisible(["Casablanca", "Metropolis"])).toEqual(["Metropolis"]);
    expect(region!.sessions.get("s")!.state().annotations).toHaveLength(4);
    world.end();
  }
});
