import { expect } from "vitest";
import { checkHistory, converge, dropRemoved, finalState, Watch, Workload, World } from "../src/index.ts";
import type { FinalState, Machine, WorkloadOptions, WorldOptions } from "../src/index.ts";

/** A kind of fault, played in a few small worlds. */
export interface Scenario {
  readonly seeds: readonly number[];
  readonly world?: Omit<WorldOptions, "seed">;
  readonly workload?: WorkloadOptions;
  /** What is done while clients go on; the world is healed once it and they have ended. */
  readonly faults: (world: World) => Promise<void> | void;
  /** What must hold besides the invariants, once all have everything. */
  readonly after?: (world: World) => Promise<void> | void;
  /** The longest way of a frame there and back in the healed world. @defaultValue 20 */
  readonly roundTripMs?: number;
  /** What of a scenario may go on after the heal, for the liveness bound. @defaultValue 1 */
  readonly windows?: number;
}

/** Plays a scenario under each of its seeds: every invariant holds, all the way and in the end. */
export async function play(scenario: Scenario): Promise<void> {
  for (const [index, seed] of scenario.seeds.entries()) {
    try {
      await playOne(scenario, seed);
    } catch (error) {
      (error as Error).message += ` (seed ${seed}, after ${index + 1} seeds)`;
      throw error;
    }
  }
}

async function playOne(scenario: Scenario, seed: number): Promise<void> {
  const { faults, after, roundTripMs = 20, windows = 1 } = scenario;
  const world = await World.open({ ...scenario.world, seed });
  const { time, history } = world;
  const regions = () => [...world.machines.values()].flatMap(({ region }) => region ?? []);
  const watch = new Watch({ history, regions });
  const stop = time.afterStep(() => watch.afterStep());
  try {
    const workload = new Workload(world, { users: 1, devices: 3, turns: 40, ...scenario.workload });
    await world.run(Promise.all([workload.run(), faults(world)]), { what: `scenario of seed ${seed}` });
    await world.healAll();
    dropRemoved(world);
    await world.run(Promise.all(regions().map((region) => region.ready({ timeoutMs: 60_000 }))));
    await converge({ time, history, regions, roundTripMs, windows });
    await after?.(world);
    const finals = await Promise.all([...world.machines.values()].map((machine) => finalOf(machine, world)));
    const violations = checkHistory(history.events, finals, { hasher: world.hasher });
    const shown = violations.map(
      ({ message, evidence }) => `${message} ${JSON.stringify(evidence)?.slice(0, 2_000)}`,
    );
    expect(shown, `seed ${seed}`).toEqual([]);
  } finally {
    stop();
    world.end();
  }
}

async function finalOf(machine: Machine, { history }: World): Promise<FinalState> {
  const files: Record<string, Uint8Array> = {};
  for (const path of await machine.disk.files())
    files[path.slice("data/".length)] = (await machine.disk.contents.readFile(path))!;
  return finalState(machine.region!, history.events, files);
}

/** The seeds from 1 up: so many, or as many as the environment asks for. */
export function seeds(count: number): number[] {
  const length = Number(process.env["TIDEMARK_SCENARIO_SEEDS"] ?? count);
  return Array.from({ length }, (_, index) => index + 1);
}

/** Cuts both ways between two. */
export function part({ network }: World, one: string, other: string): void {
  network.cut(one, other);
  network.cut(other, one);
}
