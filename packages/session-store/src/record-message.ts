import { ByteReader, ByteWriter, CoreError } from "@tidemark/core";
import type { KvKey, Partition } from "@tidemark/kv";

const VERSION = 1;
const FLAG_REPLACE = 1;
const FLAG_DELETED = 2;
/** As many records as one message may change: each has a row of order beside it, and a commit its bounds. */
export const RECORD_CHANGES_MAX = 200;

/** How a record goes on when two writes of its key meet. */
export type RecordMode =
  /** The first write stays, whoever made it: for what never changes. */
  | "keep"
  /** The last write stays: for what is overwritten or deleted. */
  | "replace";

/** One record to write. */
export interface RecordChange {
  readonly key: KvKey;
  /** Absent to delete it, which takes the mode `replace`. */
  readonly value?: Uint8Array;
  readonly mode: RecordMode;
}

/** Records that are written together, by one region, in one partition. */
export interface RecordMessage {
  /** The region that wrote it, and one life of its journal: its numbers begin anew with each. */
  readonly writer: string;
  /** From 1 without holes, in one partition of one writer. */
  readonly number: number;
  readonly partition: Partition;
  readonly changes: readonly RecordChange[];
}

/**
 * Writes a message.
 *
 * | type   | field       | notes                                                       |
 * | :----- | :---------- | :---------------------------------------------------------- |
 * | u8     | `version`   | 1                                                           |
 * | text   | `writer`    | varint length and UTF-8, as every text here                 |
 * | varint | `number`    | from 1                                                      |
 * | text   | `partition` |                                                             |
 * | varint | count       | of changes, 1 to 200, each:                                 |
 * | u8     | flags       | 1 for the mode `replace`, 2 for deleted (only together with 1) |
 * | bytes  | `key`       | varint length and bytes                                     |
 * | bytes  | `value`     | the same; not there if deleted                              |
 *
 * @throws `RangeError` for no changes or more than {@link RECORD_CHANGES_MAX}, `TypeError` for a deletion that is not `replace`.
 */
export function encodeRecordMessage({ writer, number, partition, changes }: RecordMessage): Uint8Array {
  if (changes.length === 0 || changes.length > RECORD_CHANGES_MAX)
    throw new RangeError(`A message changes 1 to ${RECORD_CHANGES_MAX} records: ${changes.length}`);
  const out = new ByteWriter();
  out.u8(VERSION);
  out.text(writer);
  out.varint(number);
  out.text(partition);
  out.varint(changes.length);
  for (const { key, value, mode } of changes) {
    if (value === undefined && mode === "keep") throw new TypeError("To delete a record is to replace it");
    out.u8((mode === "replace" ? FLAG_REPLACE : 0) | (value === undefined ? FLAG_DELETED : 0));
    out.prefixed(key);
    if (value !== undefined) out.prefixed(value);
  }
  return out.take();
}

/** The exact inverse. @throws CoreError `DECODE_FAILED` for anything else. */
export function decodeRecordMessage(bytes: Uint8Array): RecordMessage {
  const input = new ByteReader(bytes);
  if (input.u8() !== VERSION) input.fail("Cannot read another version of a message", 0);
  const writer = input.text();
  const number = input.varint();
  const partition = input.text();
  const count = input.count(2);
  if (number === 0 || count === 0 || count > RECORD_CHANGES_MAX)
    input.fail(`Cannot read number ${number} of ${count} changes`);
  const changes: RecordChange[] = [];
  for (let index = 0; index < count; index++) {
    const flags = input.u8();
    if (flags > FLAG_REPLACE + FLAG_DELETED || flags === FLAG_DELETED) input.fail("Cannot accept the flags");
    const key = input.prefixed().slice();
    const mode = flags === 0 ? "keep" : "replace";
    changes.push(
      (flags & FLAG_DELETED) === 0 ? { key, value: input.prefixed().slice(), mode } : { key, mode },
    );
  }
  input.finish();
  return { writer, number, partition, changes };
}

/** As {@link decodeRecordMessage}, `undefined` for what is no message. */
export function readRecordMessage(bytes: Uint8Array): RecordMessage | undefined {
  try {
    return decodeRecordMessage(bytes);
  } catch (error) {
    if (error instanceof CoreError) return undefined;
    throw error;
  }
}
