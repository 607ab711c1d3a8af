import type { RegionMembers } from "@tidemark/region";
import { told } from "./machine-faults.ts";
import { succeeds } from "./member-faults.ts";
import type { Machine } from "./machine.ts";
import type { World } from "./world.ts";

/** Versions that are tried one after the other: each may have been promised to another list. */
const VERSIONS = 5;

/**
 * Does with lists of members what docs/operate.md tells an operator to do, where the health of a region asks for one:
 * two lists of one version, a list that was promised away, a member that never came. First one list names everybody
 * whom any list names, so that no id is forgotten; then those go of whom there is no machine.
 *
 * @returns whether a list was written.
 */
export async function mendLists(world: World): Promise<boolean> {
  const machines = [...world.machines.values()];
  const reasons = machines.flatMap((machine) => told(machine, (region) => region.health().reasons) ?? []);
  if (!reasons.some((reason) => isForOperator(world, reason))) return false;
  const lists = machines.flatMap((machine) => told(machine, (region) => region.members()) ?? []);
  const everybody: RegionMembers["regions"] = Object.assign({}, ...lists.map(({ regions }) => regions));
  const here = Object.entries(everybody).filter(([name]) => world.machines.has(name));
  const last = Math.max(...lists.map(({ version }) => version));
  world.trace.note("operator", "writes a list of members");
  const version = await write(machines, everybody, last + 1);
  if (version === undefined) return false;
  if (here.length < Object.keys(everybody).length)
    await write(machines, Object.fromEntries(here), version + 1);
  return true;
}

function isForOperator({ machines }: World, reason: string): boolean {
  if (reason.startsWith("MEMBERSHIP_MISMATCH") || reason.includes("write it with a version above"))
    return true;
  const [, unheard] = /^(\S+) is unheard$/.exec(reason) ?? [];
  return unheard !== undefined && !machines.has(unheard);
}

/** Writes a list where it is taken, under the first version that is free; returns that. */
async function write(
  machines: readonly Machine[],
  regions: RegionMembers["regions"],
  from: number,
): Promise<number | undefined> {
  for (let version = from; version < from + VERSIONS; version++)
    for (const machine of machines)
      if (await succeeds(machine, (region) => region.setMembers({ version, regions }))) return version;
  return undefined;
}
