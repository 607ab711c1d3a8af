import { formatMembership, nextMembership } from "@tidemark/replication";
import type { Replication } from "@tidemark/replication";
import { parseMembers, toRegionMembers } from "./members.ts";
import type { Members, RegionMembers } from "./members.ts";
import { regionIds } from "./opening-list.ts";
import type { RegionOptions } from "./options.ts";

/** The list in force; of a region that has not joined yet, the one it was opened with. */
export function membersOf(
  replication: Replication | undefined,
  { members, shards = 1 }: RegionOptions,
): RegionMembers {
  if (replication !== undefined) return toRegionMembers(replication.membership);
  const { version, regions } = parseMembers(members);
  return { version, regions: Object.fromEntries(regions), removed: [], shards };
}

/** Takes another list, unless it is the one in force. @throws ReplicationError `MEMBERSHIP_REFUSED`, `MEMBERSHIP_MISMATCH`. */
export async function setMembers(replication: Replication, members: Members): Promise<void> {
  const current = replication.membership;
  const given = { version: members.version, regions: regionIds(members) };
  if (formatMembership(given) === formatMembership(current)) return;
  await replication.setMembership(
    given.version === current.version ? { ...current, ...given } : nextMembership(current, given),
  );
}

/** Gives the list its next version with another number of shards. @throws ReplicationError `MEMBERSHIP_REFUSED`. */
export async function moveSlots(replication: Replication, shards: number): Promise<void> {
  const { membership } = replication;
  if (shards === membership.shards) return;
  const { version, regions } = membership;
  await replication.setMembership(nextMembership(membership, { version: version + 1, regions, shards }));
}
