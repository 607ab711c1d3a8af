import { ByteReader, ByteWriter, compareUtf8 } from "@tidemark/core";
import { readValue, type StoredValue, writeValue } from "./stored-value.ts";

/** One write of a task. */
export interface StoredWrite {
  /** Its place among the task's writes; special channels have negative places of their own. */
  readonly index: number;
  readonly channel: string;
  /** The path of the task, by which writes are ordered; empty if it was not given. */
  readonly path: string;
  readonly value: StoredValue;
}

/** The writes of one task to one checkpoint. */
export interface TaskWrites {
  readonly task: string;
  readonly writes: readonly StoredWrite[];
}

/** The body of a record of writes: count, then of each its place (zigzag), channel, path and value. */
export function encodeWrites(writes: readonly StoredWrite[]): Uint8Array {
  const writer = new ByteWriter();
  writer.varint(writes.length);
  for (const { index, channel, path, value } of writes) {
    writer.varint(index >= 0 ? index * 2 : -index * 2 - 1);
    writer.text(channel);
    writer.text(path);
    writeValue(writer, value);
  }
  return writer.take();
}

/** Reads what {@link encodeWrites} wrote. @throws `CoreError` `DECODE_FAILED` */
export function decodeWrites(body: Uint8Array): StoredWrite[] {
  const reader = new ByteReader(body);
  // Of a write at least: a place, two empty texts, an empty type, a count of parts and a length.
  const writes = Array.from({ length: reader.count(6) }, () => {
    const place = reader.varint();
    return {
      index: place % 2 === 0 ? place / 2 : -(place + 1) / 2,
      channel: reader.text(),
      path: reader.text(),
      value: readValue(reader),
    };
  });
  reader.finish();
  return writes;
}

/**
 * A task's writes with further ones. A place is written once, so that a retry changes nothing; the special channels
 * (errors, interrupts, resumes), whose places are negative, keep what came last.
 */
export function mergeWrites(stored: readonly StoredWrite[], given: readonly StoredWrite[]): StoredWrite[] {
  const merged = new Map(stored.map((write) => [write.index, write]));
  const before = new Set(merged.keys());
  for (const write of given) {
    if (write.index < 0 || !before.has(write.index)) merged.set(write.index, write);
  }
  return [...merged.values()].toSorted((a, b) => a.index - b.index);
}

/** The writes of several tasks in the order in which a run applies them: by path, task and place. */
export function inRunOrder(tasks: readonly TaskWrites[]): { task: string; write: StoredWrite }[] {
  return tasks
    .flatMap(({ task, writes }) => writes.map((write) => ({ task, write })))
    .toSorted(
      (a, b) =>
        compareUtf8(a.write.path, b.write.path) ||
        compareUtf8(a.task, b.task) ||
        a.write.index - b.write.index,
    );
}
