import { regionId, equalBytes } from "@tidemark/core";
import type { Hasher, RegionId } from "@tidemark/core";
import { formatMembership, membershipDigest, nextMembership } from "@tidemark/replication";
import type { Membership } from "@tidemark/replication";
import { RegionError } from "./errors.ts";
import type { MembersFile } from "./members-file.ts";
import type { Members } from "./members.ts";
import type { RegionLogger } from "./options.ts";

/** What a directory and its options say of the members. */
export interface OpeningList {
  /** What `members.json` holds, if it is there. */
  readonly file: MembersFile | undefined;
  /** The list of the options. */
  readonly option: Members;
  readonly seed: Uint8Array;
  /** Whether the cluster encrypts. */
  readonly encryption: boolean;
  /** Of a list that no file has yet. */
  readonly shards: number;
  readonly dir: string;
  readonly hasher: Hasher;
  readonly logger: RegionLogger | undefined;
}

/**
 * The list a directory opens with: the one on its disk, or a later one of the options.
 *
 * @throws RegionError `MEMBERSHIP_MISMATCH` for another list of the same version, `MEMBERSHIP_REFUSED` for a later one
 * that does not follow.
 */
export function listToOpen(from: OpeningList): Membership {
  const { file, option, seed, encryption, shards, dir, hasher, logger } = from;
  const given = { version: option.version, regions: regionIds(option) };
  if (file === undefined) return { ...given, seed, encryption, shards };
  const { promised, ...kept } = file;
  const held: Membership = { ...kept, seed, encryption };
  const [here, there] = [formatMembership(held), formatMembership(given)];
  if (given.version > held.version) {
    const next = nextMembership(held, given);
    const free = promised === undefined || next.version > promised.version;
    if (free || equalBytes(membershipDigest(hasher, next), promised.digest)) return next;
    throw new RegionError(
      "MEMBERSHIP_REFUSED",
      `Cannot take the list of members ${there}: version ${promised.version} was promised to another one; give it a version above that`,
    );
  }
  if (given.version < held.version) {
    if (here !== there)
      logger?.info(
        { members: here, options: there },
        "The list of members on disk is a later one: it counts",
      );
  } else if (here !== there) {
    throw new RegionError(
      "MEMBERSHIP_MISMATCH",
      `Lists of members differ: ${dir} has ${here}; the options have ${there}; mend one of them`,
    );
  }
  return held;
}

/** Ids as the packages below have them. */
export function regionIds({ regions }: Members): Map<string, RegionId> {
  return new Map([...regions].map(([name, id]) => [name, regionId(id)]));
}
