import {
  ByteReader,
  ByteWriter,
  HASH_CONTEXTS,
  preimage,
  regionId,
  type Hasher,
  type RegionId,
} from "@tidemark/core";
import { CLUSTER_ID_BYTES } from "./frame.ts";
import { decoding } from "./decoding.ts";
import { ReplicationError } from "./errors.ts";
import { ShardRouter } from "./shard-router.ts";

const MEMBERSHIP_FORMAT = 1;
/** The same list, of a cluster that encrypts. */
const MEMBERSHIP_FORMAT_ENCRYPTED = 2;
const SEED_BYTES = 16;
const REGION_NAME_BYTES_MAX = 255;

/** Who is in the cluster: one list, written by one operator, the same everywhere. */
export interface Membership {
  /** u32; a new list has a higher one. */
  readonly version: number;
  /** Ids are never reused, so that an old log never gets a new owner. */
  readonly regions: ReadonlyMap<string, RegionId>;
  /** 16 random bytes, made once by `bootstrap`; the cluster id comes from them. */
  readonly seed: Uint8Array;
  /** Shards of the key space. */
  readonly shards: number;
  /** What names or describes users is under their keys; chosen when the cluster is made. @defaultValue false */
  readonly encryption?: boolean;
  /** Which slot belongs to which shard. @defaultValue `ShardRouter.hash(shards)` */
  readonly router?: ShardRouter;
  /** Who was a member once: their ids go to nobody else. @defaultValue nobody */
  readonly removed?: ReadonlyMap<RegionId, RemovedRegion>;
  /** The version at which a member came, or came back. @defaultValue each with the first list */
  readonly since?: ReadonlyMap<RegionId, number>;
}

/** A region that is no member any more. */
export interface RemovedRegion {
  readonly name: string;
  /** The version of the list that left it out. */
  readonly version: number;
}

/** The slot map in force. */
export function routerOf(membership: Membership): ShardRouter {
  return membership.router ?? ShardRouter.hash(membership.shards);
}

/**
 * Canonical bytes of a list: the same list gives the same bytes, whatever the order it was written in.
 *
 * | type | field | notes |
 * | :--- | :--- | :--- |
 * | u8 | format | 1; 2: the same, of a cluster that encrypts |
 * | u32 | `version` | |
 * | 16 bytes | `seed` | |
 * | u16 | `shards` | |
 * | text | slot map | canonical text of the router |
 * | varint | count of regions | then, sorted by id: u16 id, text name |
 * | varint | count of `removed` | then, sorted by id: u16 id, u32 version, text name |
 * | varint | count of `since` | then, sorted by id: u16 id, u32 version |
 *
 * A list without `removed` and `since` ends before their counts.
 *
 * @throws `RangeError` if an id is used twice.
 */
export function encodeMembership(membership: Membership): Uint8Array {
  if (membership.seed.length !== SEED_BYTES)
    throw new RangeError(`A seed has 16 bytes: ${membership.seed.length}`);
  const writer = new ByteWriter();
  writer.u8(membership.encryption === true ? MEMBERSHIP_FORMAT_ENCRYPTED : MEMBERSHIP_FORMAT);
  writer.u32(membership.version);
  writer.raw(membership.seed);
  writer.u16(membership.shards);
  writer.text(routerOf(membership).format());
  const regions = [...membership.regions].toSorted(([, a], [, b]) => a - b);
  writer.varint(regions.length);
  let before = -1;
  for (const [name, id] of regions) {
    if (id === before) throw new RangeError(`Two regions share the id ${id}`);
    before = id;
    writer.u16(id);
    writer.text(name);
  }
  const { removed = new Map<RegionId, RemovedRegion>(), since = new Map<RegionId, number>() } = membership;
  if (removed.size === 0 && since.size === 0) return writer.take();
  writer.varint(removed.size);
  for (const [id, { name, version }] of byId(removed)) {
    writer.u16(id);
    writer.u32(version);
    writer.text(name);
  }
  writer.varint(since.size);
  for (const [id, version] of byId(since)) {
    writer.u16(id);
    writer.u32(version);
  }
  return writer.take();
}

function byId<Value>(map: ReadonlyMap<RegionId, Value>): [RegionId, Value][] {
  return [...map].toSorted(([a], [b]) => a - b);
}

/** The inverse of {@link encodeMembership}. @throws {@link ReplicationError} `MESSAGE_MALFORMED`. */
export function decodeMembership(bytes: Uint8Array): Membership {
  return decoding("a membership list", () => {
    const reader = new ByteReader(bytes);
    const format = reader.u8();
    if (format !== MEMBERSHIP_FORMAT && format !== MEMBERSHIP_FORMAT_ENCRYPTED)
      reader.fail("Cannot read this format of a membership list", 0);
    const encryption = format === MEMBERSHIP_FORMAT_ENCRYPTED ? { encryption: true } : {};
    const version = reader.u32();
    const seed = reader.view(SEED_BYTES).slice();
    const shards = reader.u16();
    const router = ShardRouter.parse(reader.text(0x1_0000));
    if (router.shards > shards)
      reader.fail(`Cannot map slots to ${router.shards} shards: there are ${shards}`);
    const regions = new Map<string, RegionId>();
    let before = -1;
    for (let count = reader.count(3); count > 0; count--) {
      const id = reader.u16();
      if (id <= before) reader.fail("Cannot accept regions out of order");
      before = id;
      const name = reader.text(REGION_NAME_BYTES_MAX);
      if (regions.has(name)) reader.fail("Cannot accept a region named twice");
      regions.set(name, regionId(id));
    }
    const list = { version, regions, seed, shards, router, ...encryption };
    if (reader.remaining === 0) return list;
    return { ...list, ...readPast(reader, list) };
  });
}

/** The optional end of a list: who went, and since when who is there. */
function readPast(
  reader: ByteReader,
  { version, regions }: Pick<Membership, "version" | "regions">,
): Required<Pick<Membership, "removed" | "since">> {
  const members = new Set(regions.values());
  const readVersion = (): number => {
    const at = reader.u32();
    if (at > version) reader.fail("Cannot accept a change of a later version than the list");
    return at;
  };
  const removed = new Map<RegionId, RemovedRegion>();
  let before = -1;
  for (let count = reader.count(7); count > 0; count--) {
    const id = regionId(reader.u16());
    if (id <= before) reader.fail("Cannot accept removed regions out of order");
    if (members.has(id)) reader.fail("Cannot accept a region that is a member and removed");
    before = id;
    const at = readVersion();
    removed.set(id, { name: reader.text(REGION_NAME_BYTES_MAX), version: at });
  }
  const since = new Map<RegionId, number>();
  before = -1;
  for (let count = reader.count(6); count > 0; count--) {
    const id = regionId(reader.u16());
    if (id <= before) reader.fail("Cannot accept members out of order");
    if (!members.has(id)) reader.fail("Cannot accept a version since which no member is there");
    before = id;
    since.set(id, readVersion());
  }
  if (removed.size === 0 && since.size === 0) reader.fail("Cannot accept an end of a list that says nothing");
  reader.finish();
  return { removed, since };
}

/** 16 bytes that two members compare to know that they hold the same list. */
export function membershipDigest(hasher: Hasher, membership: Membership): Uint8Array {
  return hasher.digest(HASH_CONTEXTS.membership, encodeMembership(membership), 16);
}

/** The 8 bytes every frame of a cluster carries: of the seed, so that two clusters never mix. */
export function clusterIdOf(hasher: Hasher, seed: Uint8Array): Uint8Array {
  return hasher.digest(HASH_CONTEXTS.clusterId, preimage([seed]), CLUSTER_ID_BYTES);
}

/** One line for people: `v3 eu-west=2, us-east=1`. */
export function formatMembership(membership: Pick<Membership, "version" | "regions">): string {
  const regions = [...membership.regions].toSorted(([a], [b]) => (a < b ? -1 : 1));
  return `v${membership.version} ${regions.map(([name, id]) => `${name}=${id}`).join(", ")}`;
}

/** The name of an id, in a list or in its past. */
export function nameOf(
  { regions, removed }: Pick<Membership, "regions" | "removed">,
  id: RegionId,
): string | undefined {
  for (const [name, other] of regions) if (other === id) return name;
  return removed?.get(id)?.name;
}

/**
 * The fence of a joiner: names and ids must be the same, or those of a later list in which it still has its place.
 *
 * @throws {@link ReplicationError} `MEMBERSHIP_MISMATCH`.
 */
export function requireSameMembers(
  ours: Pick<Membership, "version" | "regions">,
  theirs: Pick<Membership, "version" | "regions">,
  self?: RegionId,
): void {
  const [a, b] = [formatMembership(ours), formatMembership(theirs)];
  if (a === b) return;
  const later = self !== undefined && theirs.version > ours.version;
  if (later && nameOf({ regions: theirs.regions }, self) === nameOf({ regions: ours.regions }, self)) return;
  throw new ReplicationError("MEMBERSHIP_MISMATCH", `Lists of members differ: here ${a}; there ${b}`);
}
