import type { RegionId } from "@tidemark/core";
import { equalBytes } from "./equal-bytes.ts";
import { ReplicationError } from "./errors.ts";
import { encodeMembership, nameOf, type Membership, type RemovedRegion } from "./membership.ts";
import { ShardRouter, SLOT_COUNT } from "./shard-router.ts";

/** A list as an operator writes it: what it leaves out goes, what it adds comes. */
export interface MembershipChange {
  /** Higher than that of the list in force. */
  readonly version: number;
  readonly regions: ReadonlyMap<string, RegionId>;
  /** The slots are spread anew over so many shards: every region ends its logs and opens new epochs. @defaultValue as they are */
  readonly shards?: number;
  /** Which slot belongs to which of them. @defaultValue evenly */
  readonly router?: ShardRouter;
}

/** What one list of members is to another. */
export type MembershipVerdict =
  /** A later list of the same cluster: it comes into force. */
  | { readonly kind: "successor" }
  | { readonly kind: "older" }
  | { readonly kind: "same" }
  /** The same members, and another memory of who went and came when: `merged` is what both become. */
  | { readonly kind: "merge"; readonly merged: Membership }
  /** Two lists of one version. */
  | { readonly kind: "differs" }
  | { readonly kind: "refused"; readonly why: string };

/**
 * The list that follows: whoever is left out is remembered as removed, whoever is added as new.
 *
 * @throws {@link ReplicationError} `MEMBERSHIP_REFUSED` for a version that is not higher, an id that was another
 * region's, a list without anybody, and a number of shards that is not 1 to 4,096.
 *
 * @example
 * ```ts
 * const first = { version: 1, regions: new Map([["a", regionId(1)], ["b", regionId(2)]]), seed: new Uint8Array(16), shards: 1 };
 * const second = nextMembership(first, { version: 2, regions: new Map([["a", regionId(1)]]) });
 * assert.deepEqual(second.removed, new Map([[2, { name: "b", version: 2 }]]));
 * ```
 */
export function nextMembership(current: Membership, change: MembershipChange): Membership {
  const { version, regions } = change;
  if (!Number.isInteger(version) || version <= current.version || version > 0xffff_ffff) {
    throw refused(`version ${version} is not above ${current.version}`);
  }
  if (regions.size === 0) throw refused("it names no region");
  if (new Set(regions.values()).size < regions.size) throw refused("it gives one id to two regions");
  const [removed, since] = [new Map(current.removed), new Map(current.since)];
  const before = new Set(current.regions.values());
  const now = new Set(regions.values());
  for (const [name, id] of current.regions) {
    if (now.has(id)) continue;
    removed.set(id, { name, version });
    since.delete(id);
  }
  for (const id of now) {
    removed.delete(id);
    if (!before.has(id)) since.set(id, version);
  }
  const { seed, router, encryption } = current;
  const { shards = current.shards } = change;
  if (!Number.isInteger(shards) || shards < 1 || shards > SLOT_COUNT)
    throw refused(`it has ${shards} shards: 1 to ${SLOT_COUNT} are possible`);
  const spread = change.router ?? (shards === current.shards ? router : ShardRouter.hash(shards));
  const next = {
    version,
    regions,
    removed,
    since,
    seed,
    shards,
    ...(spread === undefined ? {} : { router: spread }),
    ...(encryption === true ? { encryption } : {}),
  };
  const verdict = judgeMembership(current, next);
  if (verdict.kind === "refused") throw refused(verdict.why);
  return next;
}

/** Compares a list with the one in force. */
export function judgeMembership(current: Membership, other: Membership): MembershipVerdict {
  if (!equalBytes(current.seed, other.seed)) return { kind: "refused", why: "it is of another cluster" };
  if ((current.encryption ?? false) !== (other.encryption ?? false))
    return { kind: "refused", why: "whether its cluster encrypts was chosen when that was made" };
  if (other.version < current.version) return { kind: "older" };
  if (other.version === current.version) {
    if (equalBytes(encodeMembership(current), encodeMembership(other))) return { kind: "same" };
    const merged = mergePast(current, other);
    return merged === undefined ? { kind: "differs" } : { kind: "merge", merged };
  }
  for (const [name, id] of other.regions) {
    const known = nameOf(current, id);
    if (known !== undefined && known !== name)
      return { kind: "refused", why: `it gives id ${id} to ${name}: it was ${known}'s` };
  }
  const remembered = new Set([...other.regions.values(), ...(other.removed?.keys() ?? [])]);
  for (const id of [...current.regions.values(), ...(current.removed?.keys() ?? [])]) {
    if (!remembered.has(id)) return { kind: "refused", why: `it forgets id ${id}` };
  }
  return { kind: "successor" };
}

/** The first to go and the last to come count: the same whoever merges with whom, in any order. */
function mergePast(a: Membership, b: Membership): Membership | undefined {
  const plain = (list: Membership): Uint8Array =>
    encodeMembership({ ...list, removed: new Map(), since: new Map() });
  if (!equalBytes(plain(a), plain(b))) return undefined;
  const removed = new Map<RegionId, RemovedRegion>(a.removed);
  for (const [id, theirs] of b.removed ?? []) {
    const ours = removed.get(id);
    if (ours !== undefined && ours.name !== theirs.name) return undefined;
    if (ours === undefined || theirs.version < ours.version) removed.set(id, theirs);
  }
  const since = new Map(a.since);
  for (const [id, version] of b.since ?? []) since.set(id, Math.max(version, since.get(id) ?? 0));
  return { ...a, removed, since };
}

function refused(why: string): ReplicationError {
  return new ReplicationError("MEMBERSHIP_REFUSED", `Cannot take this list of members: ${why}`);
}
