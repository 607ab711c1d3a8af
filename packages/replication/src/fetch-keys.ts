import { shardId, type Hasher, type RegionId, concatBytes } from "@tidemark/core";
import { askMember, malformed, type AskMemberOptions } from "./ask-member.ts";
import { equalBytes } from "./equal-bytes.ts";
import { ReplicationError } from "./errors.ts";
import { FrameCodec, type FrameKeys } from "./frame.ts";
import { keysId } from "./keys-part.ts";
import { clusterIdOf, type Membership } from "./membership.ts";
import { encodeSnapshotToken } from "./snapshot-token.ts";
import { SnapshotTransfer } from "./snapshot-transfer.ts";

/** Bytes of a table of user keys that a member may claim. */
export const KEYS_BYTES_MAX: number = 256 * 1024 * 1024;
/** How often one member's table may change while it is fetched. */
const RESTARTS_MAX = 16;

/** What a region without the keys of its cluster needs in order to ask for them. */
export interface FetchKeysOptions extends FrameKeys, AskMemberOptions {
  readonly hasher: Hasher;
  readonly self: RegionId;
  readonly membership: Membership;
}

/**
 * Fetches the sealed table of user keys from the first member that gives it whole. What is in it is the caller's to open.
 *
 * @throws {@link ReplicationError} `NO_MEMBER_ANSWERED` (retryable) when none did.
 */
export async function fetchKeys(options: FetchKeysOptions): Promise<Uint8Array> {
  const { membership, self, signal } = options;
  const others = [...membership.regions.values()].filter((region) => region !== self);
  let cause: unknown;
  for (const region of others) {
    signal?.throwIfAborted();
    try {
      return await fetchFrom(options, region);
    } catch (error) {
      cause = error;
    }
  }
  signal?.throwIfAborted();
  throw new ReplicationError(
    "NO_MEMBER_ANSWERED",
    `None of ${others.length} members gave the keys of users`,
    {
      retryable: true,
      cause,
    },
  );
}

async function fetchFrom(options: FetchKeysOptions, region: RegionId): Promise<Uint8Array> {
  const { hasher, self, membership } = options;
  const clusterId = clusterIdOf(hasher, membership.seed);
  const codec = new FrameCodec({ ...options, clusterId, region: self, shard: shardId(0) });
  const transfer = new SnapshotTransfer({ bytesMax: KEYS_BYTES_MAX });
  let pieces: Uint8Array[] = [];
  for (let restarts = 0; restarts <= RESTARTS_MAX;) {
    const { token } = transfer;
    const { reply } = await askMember(options, codec, region, {
      kind: "keys",
      pseudonyms: token === undefined ? [] : [encodeSnapshotToken(token)],
    });
    if (reply.kind === "refused")
      throw new ReplicationError("REQUEST_REFUSED", `Region ${region} gives no keys: ${reply.refusal}`);
    if (reply.kind !== "keys") throw malformed(region, "to another request");
    const { kind } = transfer.receive(reply.part);
    if (kind === "too-large") throw malformed(region, "its keys are too many");
    if (kind === "ignore" || kind === "begin") restarts += 1;
    if (kind === "begin") pieces = [];
    if (kind !== "ignore") pieces.push(reply.part.bytes.slice());
    if (!transfer.complete) continue;
    const table = concatBytes(pieces);
    if (!equalBytes(keysId(hasher, table), reply.part.id))
      throw malformed(region, "its keys do not match their digest");
    return table;
  }
  throw malformed(region, "its keys keep changing");
}
