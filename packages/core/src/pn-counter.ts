import { ByteReader } from "./byte-reader.ts";
import { ByteWriter } from "./byte-writer.ts";
import { CoreError } from "./errors.ts";
import { guardSafe } from "./safe-integer.ts";

const VERSION = 1;

/** What one replica has added and taken away so far: an operation of a {@link PNCounter}, safe to apply twice. */
export interface PNCounterTotals {
  /** A safe integer from 0, of the replica alone. */
  readonly replica: number;
  readonly added: number;
  readonly removed: number;
}

/**
 * A signed counter that several replicas change at once: a pair of grow-only totals a replica, merged by maximum.
 *
 * Only the replica itself may increment its totals; two writers under one replica number lose counts.
 *
 * Source: Shapiro et al., "A Comprehensive Study of Convergent and Commutative Replicated Data Types", 2011, spec. 7.
 *
 * @example
 * ```ts
 * const here = new PNCounter();
 * const there = new PNCounter();
 * const operation = here.increment(1, 5);
 * there.decrement(2, 2);
 * there.apply(operation);
 * there.apply(operation); // Twice is once.
 * assert.equal(there.value, 3);
 * ```
 */
export class PNCounter {
  readonly #replicas: Map<number, PNCounterTotals> = new Map();

  /**
   * What all replicas added less what they removed.
   *
   * @throws {@link CoreError} `COUNTER_OVERFLOW` if that is past 2^53-1 in magnitude.
   */
  get value(): number {
    let sum = 0;
    let exact = true;
    for (const { added, removed } of this.#replicas.values()) {
      sum += added - removed;
      exact &&= Number.isSafeInteger(sum);
    }
    return exact ? sum : this.#wideValue();
  }

  /**
   * Adds `by` as `replica`, and returns the operation for the other replicas.
   *
   * @throws {@link CoreError} `COUNTER_OVERFLOW` if the replica's total would pass 2^53-1; nothing has changed then.
   */
  increment(replica: number, by: number = 1): PNCounterTotals {
    const { added, removed } = this.totals(replica);
    return this.#store({ replica, added: grown(added, by), removed });
  }

  /** Takes `by` away as `replica`; otherwise like {@link PNCounter.increment}. */
  decrement(replica: number, by: number = 1): PNCounterTotals {
    const { added, removed } = this.totals(replica);
    return this.#store({ replica, added, removed: grown(removed, by) });
  }

  /** The totals of one replica, zero if it is not known. */
  totals(replica: number): PNCounterTotals {
    return this.#replicas.get(guardSafe(replica, "replica")) ?? { replica, added: 0, removed: 0 };
  }

  /** Takes in an operation; returns whether it changed anything. */
  apply(operation: PNCounterTotals): boolean {
    const known = this.totals(operation.replica);
    const added = Math.max(known.added, guardSafe(operation.added, "added"));
    const removed = Math.max(known.removed, guardSafe(operation.removed, "removed"));
    if (added === known.added && removed === known.removed) return false;
    this.#store({ replica: operation.replica, added, removed });
    return true;
  }

  /** Takes in all the other counter knows; returns whether it changed anything. */
  merge(other: PNCounter): boolean {
    let changed = false;
    for (const totals of other.#replicas.values()) changed = this.apply(totals) || changed;
    return changed;
  }

  /**
   * Canonical bytes: equal states, equal bytes.
   *
   * | type   | field     | notes                                              |
   * | :----- | :-------- | :------------------------------------------------- |
   * | u8     | version   | 1                                                  |
   * | varint | count     | then for each replica, strictly ascending:         |
   * | varint | `replica` |                                                    |
   * | varint | `added`   | not both zero                                      |
   * | varint | `removed` |                                                    |
   */
  encode(): Uint8Array {
    const writer = new ByteWriter(2 + this.#replicas.size * 8);
    writer.u8(VERSION);
    writer.varint(this.#replicas.size);
    for (const { replica, added, removed } of [...this.#replicas.values()].sort(
      (a, b) => a.replica - b.replica,
    )) {
      writer.varint(replica);
      writer.varint(added);
      writer.varint(removed);
    }
    return writer.take();
  }

  /** The exact inverse of {@link PNCounter.encode}. @throws {@link CoreError} `DECODE_FAILED`. */
  static decode(bytes: Uint8Array): PNCounter {
    const reader = new ByteReader(bytes);
    if (reader.u8() !== VERSION) reader.fail("Cannot read this version of a counter", 0);
    const counter = new PNCounter();
    let last = -1;
    for (let count = reader.count(3); count > 0; count--) {
      const start = reader.offset;
      const totals = { replica: reader.varint(), added: reader.varint(), removed: reader.varint() };
      if (totals.replica <= last) reader.fail("Cannot accept replicas out of order", start);
      if (totals.added === 0 && totals.removed === 0)
        reader.fail("Cannot accept a replica that did nothing", start);
      last = totals.replica;
      counter.#replicas.set(last, totals);
    }
    reader.finish();
    return counter;
  }

  #store(totals: PNCounterTotals): PNCounterTotals {
    if (totals.added !== 0 || totals.removed !== 0) this.#replicas.set(totals.replica, totals);
    return totals;
  }

  /** Partial sums may pass what a double holds although their sum does not: the slow road is exact. */
  #wideValue(): number {
    let sum = 0n;
    for (const { added, removed } of this.#replicas.values()) sum += BigInt(added) - BigInt(removed);
    if (sum >= -MAX && sum <= MAX) return Number(sum);
    throw overflow(`Cannot count to ${sum}`);
  }
}

const MAX = BigInt(Number.MAX_SAFE_INTEGER);

function grown(total: number, by: number): number {
  const sum = total + guardSafe(by, "by");
  if (sum > Number.MAX_SAFE_INTEGER) throw overflow(`Cannot add ${by} to ${total}`);
  return sum;
}

function overflow(what: string): CoreError {
  return new CoreError("COUNTER_OVERFLOW", `${what}: the limit is 2^53-1`);
}
