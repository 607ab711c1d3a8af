import type { MembersOption, Region } from "@tidemark/region";
import type { Fault, FaultContext, FaultMaker } from "./fault.ts";
import { runningMachine, startAgain, told } from "./machine-faults.ts";
import type { Machine } from "./machine.ts";
import type { World } from "./world.ts";

const MACHINES_MAX = 5;
const SHARDS_MAX = 4;
const LEAVE_TIMEOUT_MS = 20_000;
/** How long it is waited for an operator whose process has ended in the middle of a change. */
const OPERATOR_TURNS = 50;
const OPERATOR_PAUSE_MS = 200;

/** Lists of members that change. */
export const MEMBER_FAULTS: readonly FaultMaker[] = [newcomer, resize];

/**
 * Where the list may be changed: lists are one operator's, who writes the next one once the last is everywhere. Two of one
 * version are nobody's to mend but theirs.
 */
function operatedMachine(context: FaultContext): Machine | undefined {
  const versions = [...context.world.machines.values()].map((machine) =>
    told(machine, (region) => region.members().version),
  );
  const same = versions.every((version) => version !== undefined && version === versions[0]);
  return same ? runningMachine(context) : undefined;
}

/** A region comes and joins, and leaves again if it can. */
function newcomer(context: FaultContext): Fault | undefined {
  const { world } = context;
  const operator = operatedMachine(context);
  if (operator === undefined || world.machines.size >= MACHINES_MAX) return undefined;
  // Nobody is ever given an id again, also not of one that has left.
  const id = Math.max(...everId(world)) + 1;
  const name = `newcomer-${id}`;
  return {
    name: "newcomer",
    target: name,
    holds: "members",
    apply: async () => {
      const list = told(operator, (region) => region.members());
      if (list === undefined) return;
      const members = { version: list.version + 1, regions: { ...list.regions, [name]: id } };
      // Refused: nobody comes. Interrupted: the list may be on the disk all the same.
      if (await succeeds(operator, (region) => region.setMembers(members)))
        await come(world, { name, id, members });
    },
    heal: async () => {
      if (!world.machines.has(name)) {
        for (let turn = 0; turn < OPERATOR_TURNS && operator.region === undefined; turn++)
          await world.time.sleep(OPERATOR_PAUSE_MS);
        const members = told(operator, (region) => region.members());
        // A member that never came would hold up all stability.
        if (members?.regions[name] === id) await come(world, { name, id, members });
      }
      await leave(world, name);
    },
  };
}

async function come(
  world: World,
  { name, id, members }: { readonly name: string; readonly id: number; readonly members: MembersOption },
): Promise<void> {
  const { version, regions } = members;
  await startAgain(world.addMachine(name, id, { members: { version, regions } }), world.time);
}

/** Leaves in good order, or stays and comes back. */
async function leave(world: World, name: string): Promise<void> {
  const machine = world.machines.get(name);
  if (machine?.region === undefined) return;
  const left = await succeeds(machine, (region) =>
    region.close({ leave: true, timeoutMs: LEAVE_TIMEOUT_MS }),
  );
  machine.kill();
  if (left) world.machines.delete(name);
  else await startAgain(machine, world.time);
}

/**
 * Takes machines out of a world whose regions are no members any more: one that could not leave in time may have been
 * let go afterwards.
 */
export function dropRemoved({ machines }: World): void {
  const removed = new Set(
    [...machines.values()].flatMap((machine) => told(machine, (region) => region.members().removed) ?? []),
  );
  for (const { name } of removed) {
    machines.get(name)?.kill();
    machines.delete(name);
  }
}

/** The users are spread over another number of shards. */
function resize(context: FaultContext): Fault | undefined {
  const operator = operatedMachine(context);
  if (operator === undefined) return undefined;
  const shards = context.random.between(1, SHARDS_MAX);
  return {
    name: "resize",
    target: `${shards}`,
    holds: "members",
    // Another change may be quicker, or the process may end: both are fine.
    apply: async () => {
      await succeeds(operator, (region) => region.moveSlots(shards));
    },
  };
}

/** Whether a call of a machine's process succeeds; one of a process that died in it does not. */
export async function succeeds(
  { life, region }: Machine,
  call: (region: Region) => Promise<void>,
): Promise<boolean> {
  if (life === undefined || region === undefined) return false;
  try {
    return (await life.answer(call(region))) !== undefined;
  } catch {
    return false;
  }
}

/** The ids of all that are or were members, as far as anybody knows. */
function everId({ machines, members }: World): number[] {
  const lists = [...machines.values()].flatMap(
    (machine) => told(machine, (region) => region.members()) ?? [],
  );
  return [
    ...Object.values(members.regions),
    ...[...machines.values()].map(({ id }) => id),
    ...lists.flatMap(({ regions, removed }) => [...Object.values(regions), ...removed.map(({ id }) => id)]),
  ];
}
