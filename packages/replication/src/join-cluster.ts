import { shardId, type Hasher, type RegionId } from "@tidemark/core";
import { askMember, malformed, type AskMemberOptions } from "./ask-member.ts";
import { equalBytes } from "./equal-bytes.ts";
import { ReplicationError } from "./errors.ts";
import { CLUSTER_ID_BYTES, FrameCodec, type FrameKeys } from "./frame.ts";
import { clusterIdOf, requireSameMembers, type Membership } from "./membership.ts";

/** What a region without a cluster needs in order to ask for one. */
export interface JoinClusterOptions extends FrameKeys, AskMemberOptions {
  readonly hasher: Hasher;
  readonly self: RegionId;
  /** The list of members as the operator wrote it here, without the seed, which only members know. */
  readonly members: Pick<Membership, "version" | "regions">;
}

/**
 * Learns the seed of the cluster from its members: each is asked once, the first answer counts.
 *
 * @returns the list of members with its seed: theirs, if it is a later one that has a place for this region.
 * @throws {@link ReplicationError} `MEMBERSHIP_MISMATCH` with both lists when names, ids or versions differ,
 * `NO_MEMBER_ANSWERED` (retryable) when nobody did.
 */
export async function joinCluster(options: JoinClusterOptions): Promise<Membership> {
  const { members, self, signal } = options;
  const others = [...members.regions.values()].filter((region) => region !== self);
  signal?.throwIfAborted();
  const causes: unknown[] = [];
  const asked = others.map(async (region) => {
    try {
      return await askForMembership(options, region);
    } catch (error) {
      causes.push(error);
      throw error;
    }
  });
  try {
    const theirs = await Promise.any(asked);
    requireSameMembers(members, theirs, self);
    return theirs;
  } catch (error) {
    signal?.throwIfAborted();
    if (error instanceof ReplicationError) throw error;
    throw new ReplicationError("NO_MEMBER_ANSWERED", `None of ${others.length} members told its cluster`, {
      retryable: true,
      cause: causes[0],
    });
  }
}

async function askForMembership(options: JoinClusterOptions, region: RegionId): Promise<Membership> {
  const { hasher, self } = options;
  const codec = new FrameCodec({
    ...options,
    clusterId: new Uint8Array(CLUSTER_ID_BYTES),
    region: self,
    shard: shardId(0),
    anyCluster: true,
  });
  const { reply, frame } = await askMember(options, codec, region, { kind: "membership" });
  if (reply.kind !== "membership") throw malformed(region, "to another request");
  // The envelope carries the cluster id, and the seed must be the one it comes from.
  if (!equalBytes(clusterIdOf(hasher, reply.membership.seed), frame.clusterId)) {
    throw new ReplicationError(
      "MESSAGE_MALFORMED",
      `Cannot accept the list of region ${region}: its seed is of another cluster`,
    );
  }
  return reply.membership;
}
