import type { Region } from "@tidemark/region";
import type { Fault, FaultContext, FaultMaker } from "./fault.ts";
import type { Machine } from "./machine.ts";
import { REGION_DIRECTORY } from "./machine.ts";
import type { VirtualTime } from "./virtual-time.ts";

/** A process that cannot start may start later; until then its disk is full, say, or nobody answers it. */
const STARTS_MAX = 3;
const HOUR_MS = 3_600_000;

/** Processes that end, and come back. */
export const PROCESS_FAULTS: readonly FaultMaker[] = [
  process("kill", (machine) => machine.kill()),
  process("power loss", (machine) => machine.crash()),
  process("stop", (machine) => machine.stop()),
  crashAtCall("kill"),
  crashAtCall("crash"),
];

/** Wall clocks that are no clocks. */
export const CLOCK_FAULTS: readonly FaultMaker[] = [
  clock("clock ahead", (machine, { random }) => machine.clock.jump(random.between(1, HOUR_MS))),
  clock("clock back", (machine, { random }) => machine.clock.jump(-random.between(1, HOUR_MS))),
  clock("clock frozen", (machine) => machine.clock.freeze()),
  clock("clock drifts", (machine, { random }) => machine.clock.drift(random.pick([0.5, 0.9, 1.1, 2]))),
  (context) => {
    const machine = context.random.pick([...context.world.machines.values()]);
    const jumpMs = context.random.between(-HOUR_MS, HOUR_MS);
    return processOf(machine, "clock file lost", async () => {
      machine.kill();
      await loseClockFile(machine);
      machine.clock.jump(jumpMs);
    });
  },
];

const CLOCK_FILE = `${REGION_DIRECTORY}/clock`;

/** Takes away the file that keeps the bound of a region's clock. The machine must be down. */
export async function loseClockFile({ disk: { contents } }: Machine): Promise<void> {
  if ((await contents.readFile(CLOCK_FILE)) === undefined) return;
  await contents.unlink(CLOCK_FILE);
  await contents.syncDir(REGION_DIRECTORY);
}

/** Starts the process of a machine again, if it may be started. */
export async function startAgain(machine: Machine, time: VirtualTime): Promise<void> {
  for (let attempt = 1; !machine.up && attempt <= STARTS_MAX; attempt++) {
    try {
      await machine.start();
    } catch {
      // In the trace. What keeps it from starting may heal before the end of all faults; there it has to start.
      await time.sleep(100);
    }
  }
}

/** A fault that ends the process of a machine, which comes back when it heals. */
export function processOf(machine: Machine, name: string, apply: () => void | Promise<void>): Fault {
  return {
    name,
    target: machine.name,
    holds: `process of ${machine.name}`,
    apply,
    heal: ({ time }) => startAgain(machine, time),
  };
}

/** What a machine's region says; `undefined` where it is down, closing, not joined yet or no member any more. */
export function told<T>({ region }: Machine, ask: (region: Region) => T): T | undefined {
  try {
    return region === undefined ? undefined : ask(region);
  } catch {
    return undefined;
  }
}

/** A machine whose process runs. */
export function runningMachine({ world, random }: FaultContext): Machine | undefined {
  const running = [...world.machines.values()].filter(({ up, region }) => up && region !== undefined);
  return running.length === 0 ? undefined : random.pick(running);
}

function process(name: string, end: (machine: Machine) => void | Promise<void>): FaultMaker {
  return (context) => {
    const machine = runningMachine(context);
    return machine === undefined ? undefined : processOf(machine, name, () => end(machine));
  };
}

/** Ends a process at a call drawn from the seed: so that it can be any await. */
function crashAtCall(how: "kill" | "crash"): FaultMaker {
  return (context) => {
    const machine = runningMachine(context);
    if (machine === undefined) return undefined;
    const calls = context.random.between(1, 300);
    const fault = processOf(machine, `${how} at a call`, () => machine.armCrash(calls, how));
    return {
      ...fault,
      heal: async (world) => {
        // One that has made too few calls ends now: nothing stays armed.
        if (how === "kill") machine.kill();
        else if (machine.up) machine.crash();
        await fault.heal?.(world);
      },
    };
  };
}

function clock(name: string, upset: (machine: Machine, context: FaultContext) => void): FaultMaker {
  return (context) => {
    const machine = context.random.pick([...context.world.machines.values()]);
    const rightAgain = context.random.chance(0.5);
    return {
      name,
      target: machine.name,
      holds: `clock of ${machine.name}`,
      apply: () => upset(machine, context),
      heal: () => {
        machine.clock.thaw();
        machine.clock.drift(1);
        if (rightAgain) machine.clock.adjust();
      },
    };
  };
}
