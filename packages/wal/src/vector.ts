import {
  ByteReader,
  ByteWriter,
  CHANNEL_CODE,
  channelOf,
  compareLogIds,
  formatLogId,
  guardSafe,
  logId,
  type LogId,
} from "@tidemark/core";

/** Bytes of a batch digest that a vector carries. */
export const VECTOR_DIGEST_BYTES = 8;

/** How far one log is held. */
export interface VectorEntry {
  readonly log: LogId;
  readonly lsn: number;
  /** The first 8 bytes of the digest of the batch that ends at `lsn`. */
  readonly digest: Uint8Array;
}

/** LSNs of one log, both ends included. */
export interface LsnRange {
  readonly log: LogId;
  readonly from: number;
  readonly to: number;
}

/** region 2, shard 2, epoch 4, channel 1, LSN 1 to 8, digest 8. */
const ENTRY_BYTES_MIN = 18;

/**
 * A vector: how far each log is held. Immutable; a {@link VectorBuilder} makes a changed one.
 *
 * @example
 * ```ts
 * const log = logId(1, 0, 7, "sessions");
 * const vector = Vector.of([{ log, lsn: 9, digest: new Uint8Array(8) }]);
 * assert.equal(Vector.decode(vector.encode()).get(log)?.lsn, 9);
 * ```
 */
export class Vector {
  /** Nothing held. */
  static readonly empty: Vector = new Vector(new Map());
  readonly #entries: ReadonlyMap<string, VectorEntry>;
  #sorted: readonly VectorEntry[] | undefined;

  private constructor(entries: ReadonlyMap<string, VectorEntry>) {
    this.#entries = entries;
  }

  /** A vector of these entries; of two for one log the later in the list counts. */
  static of(entries: Iterable<VectorEntry>): Vector {
    const map = new Map<string, VectorEntry>();
    for (const { log, lsn, digest } of entries) {
      guardSafe(lsn, "lsn");
      if (digest.length < VECTOR_DIGEST_BYTES) {
        throw new RangeError(`digest must have ${VECTOR_DIGEST_BYTES} bytes: ${digest.length}`);
      }
      map.set(formatLogId(log), { log, lsn, digest: digest.slice(0, VECTOR_DIGEST_BYTES) });
    }
    return new Vector(map);
  }

  /** Reads {@link Vector.encode}. @throws `CoreError` `DECODE_FAILED`. */
  static decode(bytes: Uint8Array): Vector {
    const reader = new ByteReader(bytes);
    const vector = Vector.read(reader);
    reader.finish();
    return vector;
  }

  /** Reads a vector out of something larger. @throws `CoreError` `DECODE_FAILED`. */
  static read(reader: ByteReader): Vector {
    const count = reader.count(ENTRY_BYTES_MIN);
    const map = new Map<string, VectorEntry>();
    let before: LogId | undefined;
    for (let index = 0; index < count; index++) {
      const start = reader.offset;
      const [region, shard, epoch, code] = [reader.u16(), reader.u16(), reader.u32(), reader.u8()];
      const channel = channelOf(code);
      if (channel === undefined) return reader.fail(`Cannot read channel ${code}`, start);
      const log = logId(region, shard, epoch, channel);
      if (before !== undefined && compareLogIds(before, log) >= 0)
        reader.fail("Cannot accept unsorted entries", start);
      before = log;
      map.set(formatLogId(log), {
        log,
        lsn: reader.varint(),
        digest: reader.view(VECTOR_DIGEST_BYTES).slice(),
      });
    }
    return new Vector(map);
  }

  get size(): number {
    return this.#entries.size;
  }

  get(log: LogId): VectorEntry | undefined {
    return this.#entries.get(formatLogId(log));
  }

  /** The LSN of a log, 0 if it is not in the vector. */
  lsnOf(log: LogId): number {
    return this.get(log)?.lsn ?? 0;
  }

  /** Entries by region, shard, epoch, channel. */
  entries(): readonly VectorEntry[] {
    this.#sorted ??= [...this.#entries.values()].toSorted((a, b) => compareLogIds(a.log, b.log));
    return this.#sorted;
  }

  /**
   * Whether everything in `other` is here. Another digest at the same LSN is another history: not covered.
   */
  covers(other: Vector): boolean {
    for (const [key, theirs] of other.#entries) {
      const ours = this.#entries.get(key);
      if ((ours?.lsn ?? 0) < theirs.lsn) return false;
      if (ours !== undefined && ours.lsn === theirs.lsn && theirs.lsn > 0) {
        if (theirs.digest.some((byte, at) => byte !== ours.digest[at])) return false;
      }
    }
    return true;
  }

  /** What `other` holds beyond this one, a range for each log. */
  missing(other: Vector): LsnRange[] {
    const ranges: LsnRange[] = [];
    for (const { log, lsn } of other.entries()) {
      const have = this.lsnOf(log);
      if (lsn > have) ranges.push({ log, from: have + 1, to: lsn });
    }
    return ranges;
  }

  /** A builder that starts from this vector. */
  builder(): VectorBuilder {
    const builder = new VectorBuilder();
    for (const entry of this.#entries.values()) builder.set(entry);
    return builder;
  }

  /**
   * varint count; entries sorted by (region, shard, epoch, channel): u16, u16, u32, u8, LSN varint, digest 8.
   */
  encode(): Uint8Array {
    const writer = new ByteWriter(8 + this.size * 24);
    this.write(writer);
    return writer.take();
  }

  /** Writes {@link Vector.encode} into something larger. */
  write(writer: ByteWriter): void {
    writer.varint(this.size);
    for (const { log, lsn, digest } of this.entries()) {
      writer.u16(log.region);
      writer.u16(log.shard);
      writer.u32(log.epoch);
      writer.u8(CHANNEL_CODE[log.channel]);
      writer.varint(lsn);
      writer.raw(digest);
    }
  }
}

/** Collects entries for a {@link Vector}. */
export class VectorBuilder {
  readonly #entries = new Map<string, VectorEntry>();

  set(entry: VectorEntry): this {
    this.#entries.set(formatLogId(entry.log), entry);
    return this;
  }

  delete(log: LogId): this {
    this.#entries.delete(formatLogId(log));
    return this;
  }

  build(): Vector {
    return Vector.of(this.#entries.values());
  }
}
