import { ByteWriter, varintBytes, type Hasher, type LogId } from "@tidemark/core";
import { BATCH_HEADER_BYTES, sealBatch } from "./batch-header.ts";
import type { QueueEntry, RecordEncoder } from "./commit-queue.ts";
import { WalError } from "./errors.ts";

/** A caller whose last record is in the batch. */
interface Settled {
  readonly entry: QueueEntry;
  readonly first: number;
  readonly last: number;
}

/**
 * Packs queued entries into one batch, in a buffer that is used again two batches later.
 *
 * An entry that fits in a batch is never split; one that overflowed while its encoders ran moves to the next batch
 * as the bytes it has become, because an encoder runs once. An entry larger than a batch spans several.
 */
export class BatchBuilder {
  firstLsn = 1;
  recordCount = 0;
  digest: Uint8Array | undefined;
  readonly #writer: ByteWriter = new ByteWriter(4096);
  readonly #batchBytesMax: number;
  #settled: Settled[] = [];
  /** Bytes the varint of the last encoded record took: a good guess for the next. */
  #prefixBytes = 1;

  constructor(batchBytesMax: number) {
    this.#batchBytesMax = batchBytesMax;
  }

  /** Starts a batch; a record carried over from the one before comes first. */
  begin(firstLsn: number, carry: Carry): void {
    this.firstLsn = firstLsn;
    this.recordCount = 0;
    this.digest = undefined;
    this.#settled = [];
    this.#writer.length = BATCH_HEADER_BYTES;
    if (carry.bytes !== undefined) {
      this.#writer.raw(carry.bytes);
      this.recordCount = carry.records;
      carry.bytes = undefined;
      carry.records = 0;
    }
  }

  get bytes(): Uint8Array {
    return this.#writer.view();
  }

  get length(): number {
    return this.#writer.length;
  }

  get full(): boolean {
    return this.#writer.length + 64 > this.#batchBytesMax;
  }

  /**
   * Adds what is left of an entry.
   *
   * @returns `"done"` when the entry is settled (or rejected), `"full"` when it goes on in the next batch.
   */
  add(entry: QueueEntry, carry: Carry): "done" | "full" {
    const writer = this.#writer;
    const carried = carry.entry === entry;
    // Of a carried entry, what is in this batch starts at the payload.
    const start = carried ? BATCH_HEADER_BYTES : writer.length;
    const startCount = carried ? 0 : this.recordCount;
    if (!carried) {
      if (
        startCount > 0 &&
        writer.length + sizeHint(entry) > this.#batchBytesMax &&
        sizeHint(entry) <= this.#batchBytesMax
      ) {
        return "full";
      }
      carry.entry = entry;
      carry.index = 0;
      carry.first = this.firstLsn + this.recordCount;
    }
    const count = entry.records?.length ?? 1;
    for (; carry.index < count; carry.index++) {
      const before = writer.length;
      try {
        const record = entry.records?.[carry.index];
        this.#put(record?.type ?? entry.type, (record?.body ?? entry.body) as Uint8Array | RecordEncoder);
        if (writer.length - before + BATCH_HEADER_BYTES > this.#batchBytesMax) {
          throw new WalError(
            "WAL_RECORD_TOO_LARGE",
            `Cannot append ${writer.length - before} bytes: a batch holds ${this.#batchBytesMax - BATCH_HEADER_BYTES}`,
          );
        }
      } catch (error) {
        writer.length = start;
        this.recordCount = startCount;
        carry.entry = undefined;
        entry.reject(error);
        return "done";
      }
      this.recordCount += 1;
      if (writer.length > this.#batchBytesMax) {
        const whole =
          start > BATCH_HEADER_BYTES && writer.length - start + BATCH_HEADER_BYTES <= this.#batchBytesMax;
        const from = whole ? start : before;
        carry.bytes = writer.bytes.slice(from, writer.length);
        carry.records = whole ? this.recordCount - startCount : 1;
        carry.index += 1;
        writer.length = from;
        this.recordCount -= carry.records;
        return "full";
      }
    }
    this.#settled.push({ entry, first: carry.first, last: this.firstLsn + this.recordCount - 1 });
    carry.entry = undefined;
    return "done";
  }

  /** Writes the header. May be called again after more was added. */
  seal(log: LogId, previous: Uint8Array, hasher: Hasher): void {
    const { firstLsn, recordCount } = this;
    this.digest = sealBatch(this.#writer.view(), { log, firstLsn, recordCount, previous }, hasher);
  }

  /** Tells the callers that their records are durable. */
  resolve(): void {
    const settled = this.#settled;
    this.#settled = [];
    for (let at = 0; at < settled.length; at++) {
      const { entry, first, last } = settled[at] as Settled;
      entry.resolve(first, last);
    }
  }

  /** Tells the callers that they are not. */
  reject(error: WalError): void {
    const settled = this.#settled;
    this.#settled = [];
    for (const { entry } of settled) entry.reject(error);
  }

  #put(type: number, body: Uint8Array | RecordEncoder): void {
    const writer = this.#writer;
    if (typeof body === "function") {
      this.#encode(type, body);
      return;
    }
    const length = body.length + 1;
    writer.reserve(length + 8);
    if (length < 0x80) writer.bytes[writer.length++] = length;
    else writer.varint(length);
    writer.bytes[writer.length++] = type;
    writer.bytes.set(body, writer.length);
    writer.length += body.length;
  }

  /** The length comes before the body and is known after it: room is left by guess, and the body moved if it was wrong. */
  #encode(type: number, encode: RecordEncoder): void {
    const writer = this.#writer;
    const start = writer.length;
    const guess = this.#prefixBytes;
    writer.reserve(guess + 16);
    writer.length = start + guess;
    writer.u8(type);
    const bodyStart = writer.length;
    encode(writer, this.firstLsn + this.recordCount);
    if (writer.length < bodyStart) throw new TypeError("An encoder may only add to the writer");
    const length = writer.length - start - guess;
    const needed = varintBytes(length);
    writer.reserve(8);
    if (needed !== guess) {
      writer.bytes.copyWithin(start + needed, start + guess, start + guess + length);
      this.#prefixBytes = needed;
    }
    let rest = length;
    let at = start;
    for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) writer.bytes[at++] = (rest % 0x80) | 0x80;
    writer.bytes[at] = rest;
    writer.length = start + needed + length;
  }
}

/** What goes on from one batch to the next. */
export class Carry {
  /** The entry that is not finished yet. */
  entry: QueueEntry | undefined;
  /** Its next record. */
  index = 0;
  /** The LSN of its first. */
  first = 0;
  /** Records of it that are encoded and in no batch yet. */
  bytes: Uint8Array | undefined;
  records = 0;

  /** All records of the entry are in a batch, and only its caller is left to be noted there. */
  get packed(): boolean {
    return this.entry !== undefined && this.index >= (this.entry.records?.length ?? 1);
  }
}

function sizeHint(entry: QueueEntry): number {
  return entry.bytes + BATCH_HEADER_BYTES;
}
