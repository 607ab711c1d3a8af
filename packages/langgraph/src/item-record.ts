import { ByteReader, ByteWriter, CoreError } from "@tidemark/core";

/** An item as it is stored. */
export interface ItemRecord {
  readonly createdMs: number;
  readonly updatedMs: number;
  readonly value: Record<string, unknown>;
}

/** The body of an item's record: varint created, varint updated (Unix milliseconds), text value as JSON. */
export function encodeItem({ createdMs, updatedMs, value }: ItemRecord): Uint8Array {
  const writer = new ByteWriter();
  writer.varint(createdMs);
  writer.varint(updatedMs);
  writer.text(JSON.stringify(value));
  return writer.take();
}

/** Reads what {@link encodeItem} wrote. @throws `CoreError` `DECODE_FAILED` */
export function decodeItem(body: Uint8Array): ItemRecord {
  const reader = new ByteReader(body);
  const createdMs = reader.varint();
  const updatedMs = reader.varint();
  const json = reader.text();
  reader.finish();
  try {
    return { createdMs, updatedMs, value: JSON.parse(json) as Record<string, unknown> };
  } catch (cause) {
    throw new CoreError("DECODE_FAILED", "An item holds JSON", { offset: 0, cause });
  }
}
