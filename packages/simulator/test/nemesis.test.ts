import { afterAll, describe, expect, test } from "vitest";
import { FAULTS, Nemesis, World } from "../src/index.ts";
import type { Fault, FaultFamily, Machine, SimMedium } from "../src/index.ts";

interface Scene {
  readonly world: World;
  readonly fault: Fault;
  /** What the fault was done to, or the first machine. */
  readonly machine: Machine;
  /** Lets two regions write, and tells what became of it. */
  readonly traffic: () => Promise<string[]>;
}

/** How each fault shows while it lasts: looks before it, and what it returns looks again under it. */
const SHOWS: Readonly<Record<string, (scene: Scene) => () => unknown>> = {
  "cut one way":
    ({ world }) =>
    () =>
      world.network.cuts().length === 1,
  "silent cut":
    ({ world }) =>
    () =>
      world.network.cuts().length === 1,
  "cut both ways":
    ({ world }) =>
    () =>
      world.network.cuts().length === 2,
  isolate:
    ({ world }) =>
    () =>
      world.network.cuts().length === 4,
  flap:
    ({ world }) =>
    () =>
      world.network.cuts().length === 1,
  "slow link":
    ({ world }) =>
    () =>
      world.trace.lines().some((line) => line.includes("network  slow")),
  loss:
    ({ world, traffic }) =>
    async () =>
      (await traffic()) && world.network.counts.lost > 0,
  duplicate:
    ({ world, traffic }) =>
    async () =>
      (await traffic()) && world.network.counts.duplicated > 0,
  reorder:
    ({ world, traffic }) =>
    async () =>
      (await traffic()) && world.network.counts.reordered > 0,
  delay:
    ({ world }) =>
    async () => {
      const { machines, time } = world;
      const [one, other] = [...machines.values()].map(({ region }) => region!);
      await world.run(one!.sessions.start({ id: "far", user: "ada", agent: "guide" }));
      await time.advance(6);
      return other!.sessions.get("far") === undefined;
    },
  kill:
    ({ machine }) =>
    () =>
      !machine.up,
  "power loss":
    ({ machine }) =>
    () =>
      !machine.up,
  stop:
    ({ machine }) =>
    () =>
      !machine.up,
  "kill at a call": diesInTime,
  "crash at a call": diesInTime,
  "clock ahead": ({ machine }) => grows(() => machine.clock.offMs),
  "clock back": ({ machine }) => grows(() => -machine.clock.offMs),
  "clock frozen":
    ({ machine, world }) =>
    async () => {
      const before = machine.clock.now();
      await world.time.advance(100);
      return machine.clock.now() === before;
    },
  "clock drifts":
    ({ machine, world }) =>
    async () => {
      const before = machine.clock.offMs;
      await world.time.advance(1_000);
      return machine.clock.offMs !== before;
    },
  "clock file lost":
    ({ machine }) =>
    async () =>
      !(await machine.disk.files()).includes("data/clock"),
  "sync fails":
    ({ traffic }) =>
    async () =>
      (await traffic()).some((outcome) => outcome !== "applied"),
  "write fails":
    ({ traffic }) =>
    async () =>
      (await traffic()).some((outcome) => outcome !== "applied"),
  "disk full":
    ({ traffic }) =>
    async () =>
      (await traffic()).some((outcome) => outcome !== "applied"),
  "disk slow":
    ({ machine, world }) =>
    async () => {
      await world.run(machine.region!.sessions.start({ user: "ada", agent: "guide" }));
      return machine.life!.timers.now() >= world.time.now() + 20;
    },
  "bit rot":
    ({ machine }) =>
    () =>
      !machine.up,
  "older image": ({ machine }) => {
    // It shows when it heals: the process has begun again on what it had then.
    const { life } = machine;
    return () => machine.life === life;
  },
  newcomer:
    ({ fault, world }) =>
    async () => {
      await world.run(world.machine(fault.target).region!.ready());
      return true;
    },
  resize:
    ({ fault, world }) =>
    () =>
      [...world.machines.values()].some(({ region }) => String(region!.members().shards) === fault.target),
  "broker restart":
    ({ world }) =>
    () =>
      !world.network.broker.up,
  "broker forgets positions": noted("forget positions"),
  "broker deletes streams":
    ({ world }) =>
    () =>
      world.network.broker.stored("sessions.1.0").length === 0,
  "broker renumbers": noted("renumber"),
  "broker trims":
    ({ world }) =>
    () =>
      world.network.broker.stored("sessions.1.0").length <= 5,
  "broker repeats": ({ world }) => grows(() => world.network.broker.stored("sessions.1.0").length),
  "broker failover":
    ({ world }) =>
    () =>
      !world.network.broker.up,
  "broker freeze":
    ({ world, traffic }) =>
    async () => {
      const before = world.network.broker.stored("sessions.1.0").length;
      await traffic();
      return world.network.broker.stored("sessions.1.0").length === before;
    },
};

const shown = new Set<string>();

afterAll(() => expect([...shown].toSorted()).toEqual(Object.keys(SHOWS).toSorted()));

describe("SIM-1 every fault happens, and heals", () => {
  for (const [family, makers] of Object.entries(FAULTS) as [FaultFamily, typeof FAULTS.network][])
    for (const index of makers.keys())
      test(`${family} ${index}`, async () => {
        const medium = family === "broker" ? "broker" : "direct";
        // One maker may draw one of two faults.
        for (const seed of family === "network" && index === 0 ? [1, 2, 3] : [1])
          await showsAndHeals(medium, family, index, seed);
      });
});

test("Nemesis applies what its families say, heals it, and does the same under the same seed", async () => {
  const [first, again, other] = [await run(3), await run(3), await run(4)];
  expect(again).toEqual(first);
  expect(other.hash).not.toBe(first.hash);
  expect(Object.keys(first.counts).length).toBeGreaterThan(3);
});

async function run(seed: number): Promise<{ hash: string; counts: Record<string, number> }> {
  const world = await World.open({ seed, regions: ["us-east", "eu-west"] });
  const nemesis = new Nemesis(world, { families: ["network", "processes", "clocks"] });
  await world.run(nemesis.run(5_000));
  expect(world.network.cuts()).toEqual([]);
  expect(world.history.events.filter(({ type }) => type === "fault").length).toBe(
    Object.values(nemesis.counts).reduce((sum, count) => sum + count, 0),
  );
  world.end();
  return { hash: world.trace.hash, counts: nemesis.counts };
}

async function showsAndHeals(medium: SimMedium, family: FaultFamily, index: number, seed: number) {
  const world = await World.open({ seed, network: { medium } });
  const regions = [...world.machines.values()].map((machine) => machine.region!);
  await world.run(
    Promise.all(regions.map((region) => region.sessions.start({ user: "ada", agent: "guide" }))),
  );
  await world.run(regions[0]!.synced());
  const weak = "eu-west";
  const fault = FAULTS[family][index]!({ world, random: world.random.fork("test"), weak })!;
  const machine = world.machines.get(fault.target) ?? world.machine("us-east");
  const traffic = async (): Promise<string[]> => {
    const outcomes: string[] = [];
    for (const { life, region } of [machine, world.machine("us-east"), world.machine("eu-west")])
      for (let turn = 0; turn < 10 && region !== undefined; turn++) {
        const start = region.sessions.start({ user: "bob", agent: "guide", id: `${region.name} ${turn}` });
        const answer = life!.answer(start.then(() => "applied"));
        outcomes.push(await world.run(answer.then((one) => one?.value ?? "dead", codeOf)));
      }
    return outcomes;
  };
  const look = SHOWS[fault.name]!({ world, fault, machine, traffic });
  await world.run(Promise.resolve(fault.apply(world)));
  expect(await look(), `${fault.name} shows`).toBe(true);
  shown.add(fault.name);
  const { life } = machine;
  await world.run(Promise.resolve(fault.heal?.(world)));
  if (fault.name === "older image") expect(machine.life).not.toBe(life);
  await world.healAll();
  await world.run(Promise.all([...world.machines.values()].map(({ region }) => region!.ready())));
  const after = [...world.machines.values()].map(({ region }) => region!);
  const session = await world.run(after[0]!.sessions.start({ user: "ada", agent: "guide" }));
  expect(await world.run(session.hide("book", { ack: "all" }))).toMatchObject({
    outcome: "applied",
    ack: "all",
  });
  const synced = await world.run(Promise.all(after.map((region) => region.synced({ timeoutMs: 60_000 }))));
  expect(synced).toEqual([true, true, true]);
  expect(new Set(after.map((region) => region.certificate().digest)).size).toBe(1);
  // What was acknowledged before is there.
  expect(after[0]!.users.get("ada").sessions().length).toBeGreaterThanOrEqual(4);
  world.end();
}

/** A process that is to die at one of its next calls. */
function diesInTime({ machine, world, traffic }: Scene): () => Promise<boolean> {
  return async () => {
    await traffic();
    await world.time.advance(20_000);
    return !machine.up;
  };
}

/** A number that is higher afterwards. */
function grows(value: () => number): () => boolean {
  const before = value();
  return () => value() > before;
}

function noted(what: string): (scene: Scene) => () => boolean {
  return ({ world }) =>
    () =>
      world.trace.lines().some((line) => line.includes(what));
}

function codeOf(error: unknown): string {
  return String((error as { code?: unknown }).code ?? error);
}
