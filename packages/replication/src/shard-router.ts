import { HASH_CONTEXTS, guardUpTo, shardId, type Hasher, type ShardId } from "@tidemark/core";
import { ReplicationError } from "./errors.ts";

/** Slots keys are hashed into. It never changes; the shard of a slot may. */
export const SLOT_COUNT = 4_096;

/** A run of slots, both ends inclusive, that belongs to one shard. */
export interface SlotRange {
  readonly from: number;
  readonly to: number;
  readonly shard: number;
}

const utf8 = new TextEncoder();

/** The slot of a key, 0 to 4,095: the same everywhere and for ever. */
export function slotOf(hasher: Hasher, key: string): number {
  const digest = hasher.digest(HASH_CONTEXTS.slot, utf8.encode(key), 2);
  return ((digest[0] as number) | ((digest[1] as number) << 8)) % SLOT_COUNT;
}

/**
 * Which shard a slot belongs to: the one authority, part of the membership list.
 *
 * Keys go to fixed slots and slots to shards, so resizing moves slots and never re-hashes a key.
 *
 * @example
 * ```ts
 * const router = ShardRouter.hash(2);
 * assert.equal(router.shardOf(0), 0);
 * assert.equal(router.shardOf(4_095), 1);
 * assert.deepEqual(ShardRouter.parse(router.format()).ranges, router.ranges);
 * ```
 */
export class ShardRouter {
  /** Sorted, covering every slot once, neighbours of different shards. */
  readonly ranges: readonly SlotRange[];
  /** One more than the highest shard. */
  readonly shards: number;
  readonly #shardOfSlot: Uint16Array = new Uint16Array(SLOT_COUNT);

  private constructor(ranges: readonly SlotRange[]) {
    const merged: SlotRange[] = [];
    for (const range of ranges) {
      const before = merged.at(-1);
      if (before?.shard === range.shard) merged[merged.length - 1] = { ...before, to: range.to };
      else merged.push({ from: range.from, to: range.to, shard: range.shard });
      this.#shardOfSlot.fill(range.shard, range.from, range.to + 1);
    }
    this.ranges = merged;
    this.shards = Math.max(...merged.map((range) => range.shard)) + 1;
  }

  /** Everything in shard 0. */
  static single(): ShardRouter {
    return ShardRouter.hash(1);
  }

  /** The slots spread evenly over `shards` shards. @throws `RangeError` unless 1 to 4,096. */
  static hash(shards: number): ShardRouter {
    if (!Number.isInteger(shards) || shards < 1 || shards > SLOT_COUNT) {
      throw new RangeError(`shards must be an integer from 1 to ${SLOT_COUNT}: ${shards}`);
    }
    const firstOf = (shard: number): number => Math.floor((shard * SLOT_COUNT) / shards);
    return new ShardRouter(
      Array.from({ length: shards }, (_, shard) => ({
        from: firstOf(shard),
        to: firstOf(shard + 1) - 1,
        shard,
      })),
    );
  }

  /** Ranges given by hand, in any order. @throws `RangeError` unless they cover every slot exactly once. */
  static range(ranges: readonly SlotRange[]): ShardRouter {
    const sorted = ranges.toSorted((a, b) => a.from - b.from);
    let next = 0;
    for (const { from, to, shard } of sorted) {
      guardUpTo(shard, "shard id", 0xffff);
      guardUpTo(to, "last slot", SLOT_COUNT - 1);
      if (from < next) throw new RangeError(`Slot ${from} belongs to two ranges`);
      if (from > next) throw new RangeError(`Slots ${next} to ${from - 1} belong to no range`);
      if (to < from) throw new RangeError(`A range ends at slot ${to}, before its first, ${from}`);
      next = to + 1;
    }
    if (next !== SLOT_COUNT) throw new RangeError(`Slots ${next} to ${SLOT_COUNT - 1} belong to no range`);
    return new ShardRouter(sorted);
  }

  /** The inverse of {@link ShardRouter.format}. @throws {@link ReplicationError} `MESSAGE_MALFORMED`. */
  static parse(text: string): ShardRouter {
    const ranges = text.split(",").map((part): SlotRange => {
      const match = /^(0|[1-9]\d{0,3})-(0|[1-9]\d{0,3}):(0|[1-9]\d{0,4})$/.exec(part);
      if (match === null)
        throw malformed(`Cannot read a range of slots: ${JSON.stringify(part.slice(0, 32))}`);
      return { from: Number(match[1]), to: Number(match[2]), shard: Number(match[3]) };
    });
    try {
      const router = ShardRouter.range(ranges);
      if (router.format() !== text) throw new RangeError("Ranges are not in their canonical form");
      return router;
    } catch (error) {
      throw malformed(`Cannot read a slot map: ${(error as Error).message}`);
    }
  }

  /** Canonical text: `0-2047:0,2048-4095:1`. */
  format(): string {
    return this.ranges.map(({ from, to, shard }) => `${from}-${to}:${shard}`).join(",");
  }

  /** The shard of a slot. */
  shardOf(slot: number): ShardId {
    return shardId(this.#shardOfSlot[guardUpTo(slot, "slot", SLOT_COUNT - 1)] as number);
  }
}

function malformed(message: string): ReplicationError {
  return new ReplicationError("MESSAGE_MALFORMED", message);
}
