import { ByteReader, ByteWriter } from "@tidemark/core";
import { type Part, partsOf, readValue, type StoredValue, writeValue } from "./stored-value.ts";

/** A channel's value in a checkpoint, and the version it has there. */
export interface ChannelValue {
  readonly channel: string;
  /** The version as JSON; empty if the checkpoint gives none. */
  readonly version: string;
  readonly value: StoredValue;
}

/** A checkpoint as it is stored: the channels' values apart, so that unchanged ones are taken over from the parent unread. */
export interface CheckpointRecord {
  /** The life of the thread in which it was made: 8 bytes. */
  readonly life: Uint8Array;
  /** The id of the checkpoint this one was made from. */
  readonly parent: string | undefined;
  /** The checkpoint without its channels' values. */
  readonly checkpoint: StoredValue;
  readonly metadata: StoredValue;
  readonly channels: readonly ChannelValue[];
}

/** The body of a checkpoint's record: 8 bytes life, parent (0, or 1 and its id), checkpoint, metadata, then count and channels. */
export function encodeCheckpoint(record: CheckpointRecord): Uint8Array {
  const writer = new ByteWriter();
  writer.raw(record.life);
  writer.varint(record.parent === undefined ? 0 : 1);
  if (record.parent !== undefined) writer.text(record.parent);
  writeValue(writer, record.checkpoint);
  writeValue(writer, record.metadata);
  writer.varint(record.channels.length);
  for (const { channel, version, value } of record.channels) {
    writer.text(channel);
    writer.text(version);
    writeValue(writer, value);
  }
  return writer.take();
}

/** Reads what {@link encodeCheckpoint} wrote. @throws `CoreError` `DECODE_FAILED` */
export function decodeCheckpoint(body: Uint8Array): CheckpointRecord {
  const reader = new ByteReader(body);
  const life = reader.view(8).slice();
  const parents = reader.varint();
  if (parents > 1) reader.fail("A checkpoint has at most one parent");
  const parent = parents === 1 ? reader.text() : undefined;
  const checkpoint = readValue(reader);
  const metadata = readValue(reader);
  // Of a channel at least: two empty texts, an empty type, a count of parts and a length.
  const channels = Array.from({ length: reader.count(5) }, () => ({
    channel: reader.text(),
    version: reader.text(),
    value: readValue(reader),
  }));
  reader.finish();
  return { life, parent, checkpoint, metadata, channels };
}

/** The value of a channel that the parent holds at the same version: it need not be serialized again. */
export function inheritedValue(
  parent: CheckpointRecord | undefined,
  channel: string,
  version: string,
): StoredValue | undefined {
  if (version === "") return undefined;
  return parent?.channels.find((one) => one.channel === channel && one.version === version)?.value;
}

/** The parts that are not stored yet, each once: those the parent names are. */
export function newParts(parts: readonly Part[], parent: CheckpointRecord | undefined): Part[] {
  const known = new Set<string>();
  if (parent !== undefined) {
    for (const value of [parent.checkpoint, parent.metadata, ...parent.channels.map((one) => one.value)]) {
      for (const digest of partsOf(value)) known.add(digest.toString());
    }
  }
  return parts.filter(({ digest }) => {
    const text = digest.toString();
    if (known.has(text)) return false;
    known.add(text);
    return true;
  });
}
