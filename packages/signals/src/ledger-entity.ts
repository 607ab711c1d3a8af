import { type ByteReader, type ByteWriter, type DigestObject, SignalSums } from "@tidemark/core";
import { SIGNAL_NAME_BYTES_MAX, type SignalKind, type SignalSchema } from "./signal-schema.ts";

const VERSION = 1;

/** The signals of one entity. */
export class LedgerEntity implements DigestObject {
  readonly objectKind = 4;
  readonly id: string;
  /** By place in the schema. */
  readonly sums: (SignalSums | undefined)[] = [];
  readonly #schema: SignalSchema;

  constructor(id: string, schema: SignalSchema) {
    this.id = id;
    this.#schema = schema;
  }

  /** Sums with nothing in them. */
  empty(index: number): SignalSums {
    const { decay, windows } = this.#schema.kinds[index] as SignalKind;
    return new SignalSums({ ...decay, windows: windows.length > 0 });
  }

  /** u8 1, varint count of signals, ascending by name: name `text`, the sums (`SignalSums`). */
  writeCanonical(writer: ByteWriter): void {
    writer.u8(VERSION);
    // The schema is in order of the names.
    const held = [...this.sums.entries()].filter(([, sums]) => sums !== undefined);
    writer.varint(held.length);
    for (const [index, sums] of held) {
      writer.text((this.#schema.kinds[index] as SignalKind).name);
      (sums as SignalSums).encode(writer);
    }
  }

  /**
   * The inverse of {@link LedgerEntity.writeCanonical}. False where a signal is not in the schema, or fades otherwise.
   *
   * @throws CoreError `DECODE_FAILED`.
   */
  read(reader: ByteReader): boolean {
    const start = reader.offset;
    if (reader.u8() !== VERSION) reader.fail("Cannot read this version of an entity", start);
    let before = -1;
    for (let left = reader.count(6); left > 0; left--) {
      const at = reader.offset;
      const index = this.#schema.indexOf(reader.text(SIGNAL_NAME_BYTES_MAX));
      const sums = SignalSums.decode(reader);
      if (index === undefined || !sums.sameOptions(this.empty(index))) return false;
      if (index <= before || sums.count === 0) reader.fail("Cannot accept signals out of order", at);
      this.sums[(before = index)] = sums;
    }
    return true;
  }
}
