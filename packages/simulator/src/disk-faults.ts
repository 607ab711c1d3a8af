import type { Fault, FaultContext, FaultMaker } from "./fault.ts";
import { processOf, runningMachine, told } from "./machine-faults.ts";
import type { Machine } from "./machine.ts";
import type { DiskImage } from "./sim-disk.ts";
import type { World } from "./world.ts";

/** Disks that fail, and lose nothing they had. */
export const DISK_FAULTS: readonly FaultMaker[] = [
  failing("sync fails", (machine, { random }) =>
    machine.disk.failSync({ nth: random.between(1, 5), path: random.pick(["", ".wal"]) }),
  ),
  failing("write fails", (machine, { random }) =>
    machine.disk.failWrite({
      nth: random.between(1, 10),
      code: random.pick(["EIO", "ENOSPC"] as const),
      bytes: random.between(0, 600),
    }),
  ),
  (context) => {
    const machine = runningMachine(context);
    if (machine === undefined) return undefined;
    const fault = ending(
      processOf(machine, "disk full", () => machine.disk.full()),
      machine,
    );
    return {
      ...fault,
      heal: (world) => {
        machine.disk.room();
        return fault.heal?.(world);
      },
    };
  },
  (context) => {
    const machine = context.random.pick([...context.world.machines.values()]);
    const ms = context.random.pick([20, 500, 5_000]);
    return {
      name: "disk slow",
      target: machine.name,
      holds: `speed of ${machine.name}`,
      apply: () => machine.disk.slow(ms),
      heal: () => machine.disk.slow(0),
    };
  },
];

/** Disks that lose what they had: only that of the weak machine, and only what others hold. */
export const ROT_FAULTS: readonly FaultMaker[] = [bitRot, olderImage];

function failing(name: string, arm: (machine: Machine, context: FaultContext) => void): FaultMaker {
  return (context) => {
    const machine = runningMachine(context);
    if (machine === undefined) return undefined;
    return ending(
      processOf(machine, name, () => arm(machine, context)),
      machine,
    );
  };
}

/** How long it takes to put an older disk image back. */
const RESTORE_MS = 60_000;

/** The process ends with the fault: what a restart makes of a log that failed is seen, too. */
function ending(fault: Fault, machine: Machine): Fault {
  return {
    ...fault,
    heal: (world) => {
      machine.kill();
      return fault.heal?.(world);
    },
  };
}

function bitRot({ world, random, weak }: FaultContext): Fault | undefined {
  const machine = world.machines.get(weak);
  if (machine === undefined || !heldElsewhere(world, machine)) return undefined;
  return {
    ...processOf(machine, "bit rot", async () => {
      if (!heldElsewhere(world, machine)) return;
      machine.kill();
      const segments = (await machine.disk.files()).filter((path) => path.endsWith(".wal"));
      if (segments.length === 0) return;
      const path = random.pick(segments);
      const bytes = await machine.disk.contents.readFile(path);
      // What was preallocated is no record: most bits are to be in the part that was written.
      const written = bytes?.findLastIndex((byte) => byte !== 0) ?? -1;
      if (written >= 0) machine.disk.flipBit(path, random.integer(written + 1), random.integer(8));
    }),
    damages: true,
  };
}

function olderImage({ world, weak }: FaultContext): Fault | undefined {
  const machine = world.machines.get(weak);
  if (machine?.region === undefined) return undefined;
  let image: DiskImage | undefined;
  const fault = processOf(machine, "older image", async () => {
    image = await machine.disk.image();
  });
  return {
    ...fault,
    heal: async (healed) => {
      if (image === undefined || !heldElsewhere(healed, machine)) return;
      machine.kill();
      await machine.restore(image);
      // A disk is not put back within a second: a new epoch is named by the clock, above what this disk has forgotten.
      for (const { clock } of healed.machines.values()) clock.jump(RESTORE_MS);
      await fault.heal?.(healed);
    },
  };
}

/** Whether all that this machine's region has is durable in one other region at least, the list of members included. */
function heldElsewhere({ machines }: World, machine: Machine): boolean {
  const others = [...machines.values()].filter((other) => other !== machine);
  // One that has not joined knows the list only from whoever opened it.
  const joined = others.filter((other) => told(other, (region) => region.certificate()) !== undefined);
  const lists = joined.map((other) => told(other, (region) => region.members().version) ?? 0);
  const list = told(machine, (region) => region.members().version);
  if (list === undefined || !lists.some((version) => version >= list)) return false;
  const vectors = others.map((other) => told(other, (region) => region.certificate().vector));
  const own = told(machine, (region) => region.certificate().vector);
  if (own === undefined) return false;
  return Object.entries(own).every(([log, lsn]) => vectors.some((vector) => (vector?.[log] ?? 0) >= lsn));
}
