import { guardUpTo, regionId } from "@tidemark/core";
import type { RegionId } from "@tidemark/core";
import type { Membership } from "@tidemark/replication";

/** The member list an operator writes, the same in every region. */
export interface MembersOption {
  /** Grows with every change of the list, u32. */
  readonly version: number;
  /** Name to id (u16, never reused, also not after a removal). */
  readonly regions: Readonly<Record<string, number>>;
}

/** A checked member list. */
export interface Members {
  readonly version: number;
  readonly regions: ReadonlyMap<string, number>;
}

/** Members as they are now, and who was one. */
export interface RegionMembers extends MembersOption {
  readonly removed: readonly { readonly name: string; readonly id: number; readonly version: number }[];
  /** Logs that the key space is divided into. */
  readonly shards: number;
}

/** The region without a cluster: id 0, alone. */
export const ALONE: string = "local";
/** Its list. */
export const ALONE_LIST: { readonly version: number; readonly regions: ReadonlyMap<string, RegionId> } = {
  version: 0,
  regions: new Map([[ALONE, regionId(0)]]),
};

/**
 * Checks a member list.
 *
 * @throws `TypeError` or `RangeError` naming what is wrong: a wrong list is a bug of the deployment.
 */
export function parseMembers(option: MembersOption | undefined): Members {
  if (option === undefined) return { version: 0, regions: new Map([[ALONE, 0]]) };
  guardUpTo(option.version, "members.version", 0xffff_ffff);
  const regions = new Map<string, number>();
  const names = new Map<number, string>();
  for (const [name, id] of Object.entries(option.regions)) {
    if (name.length === 0) throw new TypeError("members.regions must not hold an empty name");
    guardUpTo(id, `members.regions[${JSON.stringify(name)}]`, 0xffff);
    if (id === 0)
      throw new TypeError(`members.regions[${JSON.stringify(name)}] must not be 0: that is a region alone`);
    const other = names.get(id);
    if (other !== undefined) {
      throw new TypeError(
        `members.regions gives the id ${id} to ${JSON.stringify(other)} and ${JSON.stringify(name)}`,
      );
    }
    names.set(id, name);
    regions.set(name, id);
  }
  if (regions.size === 0) throw new TypeError("members.regions must name at least one region");
  return { version: option.version, regions };
}

/** A list as a caller sees it. */
export function toRegionMembers({
  version,
  regions,
  removed,
  shards,
}: Omit<Membership, "seed">): RegionMembers {
  return {
    version,
    regions: Object.fromEntries(regions),
    removed: [...(removed ?? [])].map(([id, region]) => ({ id, ...region })),
    shards,
  };
}
