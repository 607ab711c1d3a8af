import { ByteReader } from "./byte-reader.ts";
import { ByteWriter } from "./byte-writer.ts";
import { compareBytes } from "./compare.ts";
import { guardSafe } from "./safe-integer.ts";
import { SignalSums, type SignalSumsOptions, type SignalWindow, type WindowSum } from "./signal-sums.ts";

const VERSION = 1;

/**
 * One decaying signal of one entity as a state-based CRDT, for those who exchange states: per replica that
 * replica's own {@link SignalSums}, which only that replica adds to. `merge` keeps, per replica, the sums
 * with the larger count: they contain the others.
 *
 * Inside Tidemark replicas exchange operations, and a plain {@link SignalSums} is enough.
 *
 * @example
 * ```ts
 * const [east, west] = [1, 2];
 * const a = new CrdtSignalState({ halfLifeMs: 3_600_000 });
 * const b = new CrdtSignalState({ halfLifeMs: 3_600_000 });
 * a.add(east, 1, 1_790_000_000_000);
 * b.add(west, 2, 1_790_000_000_000);
 * a.merge(b);
 * a.merge(b);
 * assert.deepEqual([a.count, a.weight], [2, 3]);
 * ```
 */
export class CrdtSignalState {
  readonly #options: SignalSumsOptions;
  readonly #replicas: Map<number, SignalSums> = new Map();
  /** The sums of all replicas, until one of them changes. */
  #total: SignalSums | undefined;

  constructor(options: SignalSumsOptions) {
    this.#options = options;
    this.#total = new SignalSums(options);
  }

  /** Contributions of all replicas. */
  get count(): number {
    return this.#sum().count;
  }

  /** See {@link SignalSums.weight}. */
  get weight(): number {
    return this.#sum().weight;
  }

  /** See {@link SignalSums.exact}. */
  get exact(): boolean {
    return this.#sum().exact;
  }

  /**
   * Adds one contribution of `replica`, which must be the caller: two writers under one id lose each
   * other's.
   *
   * @param replica - A safe integer that no other replica uses, such as a region id.
   * @throws {@link CoreError} `INVALID_WEIGHT`, as {@link SignalSums.add}.
   */
  add(replica: number, weight: number, eventTimeMs: number): void {
    guardSafe(replica, "replica");
    const own = this.#replicas.get(replica) ?? new SignalSums(this.#options);
    own.add(weight, eventTimeMs);
    this.#replicas.set(replica, own);
    this.#total = undefined;
  }

  /**
   * Joins `other` into this one. Equal counts with different bytes (a replica id used twice) fall to the
   * greater bytes, so that replicas cannot disagree for ever.
   *
   * @returns Whether this one has changed.
   * @throws `TypeError` if the two do not decay alike.
   */
  merge(other: CrdtSignalState): boolean {
    const [mine, theirs] = [new SignalSums(this.#options), new SignalSums(other.#options)];
    if (!mine.sameOptions(theirs)) throw new TypeError("Cannot merge signals that do not decay alike");
    let changed = false;
    for (const [replica, sums] of other.#replicas) {
      const own = this.#replicas.get(replica);
      if (own !== undefined && !isGreater(sums, own)) continue;
      this.#replicas.set(replica, sums.copy());
      this.#total = undefined;
      changed = true;
    }
    return changed;
  }

  /** See {@link SignalSums.score}. */
  score(nowMs: number): number {
    return this.#sum().score(nowMs);
  }

  /** See {@link SignalSums.window}. */
  window(name: SignalWindow, nowMs: number): WindowSum {
    return this.#sum().window(name, nowMs);
  }

  /**
   * The canonical bytes: u8 version 1; the {@link SignalSums} bytes of an empty state, for the options;
   * varint count of replicas; each, in ascending order, varint id and `bytes` of its sums.
   */
  encode(): Uint8Array {
    const writer = new ByteWriter();
    writer.u8(VERSION);
    new SignalSums(this.#options).encode(writer);
    writer.varint(this.#replicas.size);
    const ids = [...this.#replicas.keys()].sort((a, b) => a - b);
    for (const id of ids) {
      writer.varint(id);
      writer.prefixed(bytesOf(this.#replicas.get(id) as SignalSums));
    }
    return writer.take();
  }

  /** The exact inverse of {@link CrdtSignalState.encode}. @throws {@link CoreError} `DECODE_FAILED` otherwise. */
  static decode(bytes: Uint8Array): CrdtSignalState {
    const reader = new ByteReader(bytes);
    if (reader.u8() !== VERSION) reader.fail("Cannot read this version of a signal state", 0);
    const empty = SignalSums.decode(reader);
    if (empty.count !== 0) reader.fail("Cannot accept options with contributions", 1);
    const state = new CrdtSignalState({ ...empty.decay, windows: empty.windows });
    const replicas = reader.count(6);
    let previous = -1;
    for (let i = 0; i < replicas; i++) {
      const at = reader.offset;
      const id = reader.varint();
      if (id <= previous) reader.fail("Cannot accept replicas out of order", at);
      const part = reader.prefixed();
      const inner = new ByteReader(bytes, reader.offset - part.length, reader.offset);
      const sums = SignalSums.decode(inner);
      inner.finish();
      if (sums.count === 0 || !sums.sameOptions(empty))
        reader.fail("Cannot accept the sums of a replica", at);
      state.#replicas.set(id, sums);
      previous = id;
    }
    reader.finish();
    state.#total = undefined;
    return state;
  }

  #sum(): SignalSums {
    if (this.#total === undefined) {
      this.#total = new SignalSums(this.#options);
      for (const sums of this.#replicas.values()) this.#total.addAll(sums);
    }
    return this.#total;
  }
}

function isGreater(a: SignalSums, b: SignalSums): boolean {
  return a.count === b.count ? compareBytes(bytesOf(a), bytesOf(b)) > 0 : a.count > b.count;
}

function bytesOf(sums: SignalSums): Uint8Array {
  const writer = new ByteWriter(64);
  sums.encode(writer);
  return writer.take();
}
