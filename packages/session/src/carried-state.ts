import {
  ByteReader,
  ByteWriter,
  compareHlc,
  compareUtf8,
  type Hasher,
  HASH_CONTEXTS,
  HLC_ZERO,
  type Hlc,
  laterHlc,
  readHlc,
  SignalSums,
  writeHlc,
} from "@tidemark/core";
import { laneOfBytes } from "./lane-bytes.ts";
import type { LaneRange } from "./lane.ts";
import { APP_BYTES_MAX, NAME_BYTES_MAX, TEXT_BYTES_MAX } from "./limits.ts";
import { sortedByText } from "./sorted.ts";

/** One text in its place. */
export interface CarriedText {
  readonly stamp: Hlc;
  readonly text: string;
  /** An annotation's entity. */
  readonly about?: string;
}

/** One operation of an application in its place. */
export interface CarriedApp {
  readonly stamp: Hlc;
  readonly bytes: Uint8Array;
}

/** Which numbers of a lane a part has: what tells of two parts of one session whether one has all of the other. */
export interface CarriedLane {
  readonly bytes: Uint8Array;
  /** Both ends included, ascending. */
  readonly ranges: readonly LaneRange[];
}

/** What one session held of its own, without what it had been forked from. */
export interface CarriedPart {
  readonly session: string;
  /** The latest of its operations. */
  readonly stamp: Hlc;
  readonly lanes: readonly CarriedLane[];
  readonly signals: ReadonlyMap<string, ReadonlyMap<string, SignalSums>>;
  readonly hints: ReadonlyMap<string, CarriedText>;
  readonly annotations: readonly CarriedText[];
  readonly searches: readonly CarriedText[];
  readonly apps: ReadonlyMap<string, readonly CarriedApp[]>;
}

const VERSION = 1;
/** A stamp and what is never shorter. */
const ENTRY_BYTES = 11;

/**
 * The state that a fork or merge carries: what it was made of, session by session, in one encoding.
 *
 * | field       | layout                                                                                          |
 * | :---------- | :---------------------------------------------------------------------------------------------- |
 * | version     | u8, 1                                                                                           |
 * | parts       | varint count, ascending by the bytes of the session: session `text`, stamp 10 of its latest operation, then: |
 * | lanes       | varint count, ascending: lane `bytes`, varint count of ranges, ascending: from, to varint       |
 * | signals     | as in the canonical bytes of a session                                                          |
 * | hints       | varint count, ascending: key `text`, stamp 10, value `text`                                     |
 * | annotations | varint count, in order: stamp 10, text `text`, u8 1 and entity `text` or u8 0                   |
 * | searches    | varint count, in order: stamp 10, query `text`                                                  |
 * | applications | varint count, ascending: namespace `text`, varint count, in order: stamp 10, bytes `bytes`     |
 */
export function encodeCarried(parts: readonly CarriedPart[]): Uint8Array {
  const writer = new ByteWriter(1024);
  writer.u8(VERSION);
  writer.varint(parts.length);
  for (const part of parts.toSorted((a, b) => compareUtf8(a.session, b.session))) writePart(writer, part);
  return writer.take();
}

/** Reads what {@link encodeCarried} wrote, from bytes that must not change. @throws {@link CoreError} `DECODE_FAILED`. */
export function decodeCarried(bytes: Uint8Array): CarriedPart[] {
  const reader = new ByteReader(bytes);
  if (reader.u8() !== VERSION) reader.fail("Cannot read this version of a carried state", 0);
  const parts: CarriedPart[] = [];
  for (let left = reader.count(17); left > 0; left--) {
    const part = readPart(reader);
    const before = parts.at(-1);
    if (before !== undefined && compareUtf8(before.session, part.session) >= 0)
      reader.fail("Cannot accept parts out of order");
    parts.push(part);
  }
  reader.finish();
  return parts;
}

/** 32 bytes: under the context of the state, as an object of kind 0 without an id. */
export function carriedDigest(hasher: Hasher, bytes: Uint8Array): Uint8Array {
  const writer = new ByteWriter(bytes.length + 16);
  writer.u32(1);
  writer.u8(0);
  writer.u32(0);
  writer.u32(bytes.length);
  writer.raw(bytes);
  return hasher.digest(HASH_CONTEXTS.state, writer.view());
}

/** The latest stamp of all parts. */
export function carriedStamp(parts: readonly CarriedPart[]): Hlc {
  let stamp: Hlc = HLC_ZERO;
  for (const part of parts) stamp = laterHlc(stamp, part.stamp);
  return stamp;
}

/** The texts of all parts in the order of their stamps; equal ones by session. */
export function inOrder<Entry extends { readonly stamp: Hlc }>(
  lists: readonly (readonly Entry[])[],
): Entry[] {
  // The sort is stable and parts ascend by session.
  return lists.flat().sort((a, b) => compareHlc(a.stamp, b.stamp));
}

function writePart(writer: ByteWriter, part: CarriedPart): void {
  writer.text(part.session);
  writeHlc(writer, part.stamp);
  writer.varint(part.lanes.length);
  for (const { bytes, ranges } of part.lanes) {
    writer.prefixed(bytes);
    writer.varint(ranges.length);
    for (const { from, to } of ranges) {
      writer.varint(from);
      writer.varint(to);
    }
  }
  writer.varint(part.signals.size);
  for (const [entity, sums] of sortedByText(part.signals)) {
    writer.text(entity);
    writer.varint(sums.size);
    for (const [signal, sum] of sortedByText(sums)) {
      writer.text(signal);
      sum.encode(writer);
    }
  }
  writer.varint(part.hints.size);
  for (const [key, { stamp, text }] of sortedByText(part.hints)) {
    writer.text(key);
    writeHlc(writer, stamp);
    writer.text(text);
  }
  writer.varint(part.annotations.length);
  for (const { stamp, text, about } of part.annotations) {
    writeHlc(writer, stamp);
    writer.text(text);
    writer.u8(about === undefined ? 0 : 1);
    if (about !== undefined) writer.text(about);
  }
  writer.varint(part.searches.length);
  for (const { stamp, text } of part.searches) {
    writeHlc(writer, stamp);
    writer.text(text);
  }
  writer.varint(part.apps.size);
  for (const [namespace, list] of sortedByText(part.apps)) {
    writer.text(namespace);
    writer.varint(list.length);
    for (const { stamp, bytes } of list) {
      writeHlc(writer, stamp);
      writer.prefixed(bytes);
    }
  }
}

function readPart(reader: ByteReader): CarriedPart {
  const session = name(reader);
  const stamp = readHlc(reader);
  const lanes = many(reader, 9, () => {
    const bytes = reader.prefixed();
    if (laneOfBytes(bytes) === undefined) reader.fail("Cannot read a lane");
    return { bytes, ranges: many(reader, 2, () => ({ from: reader.varint(), to: reader.varint() })) };
  });
  const signals = named(reader, 3, () => named(reader, 4, () => SignalSums.decode(reader)));
  const hints = named(reader, ENTRY_BYTES, () => readText(reader));
  const annotations = many(reader, ENTRY_BYTES + 1, () => {
    const entry = readText(reader);
    return reader.u8() === 0 ? entry : { ...entry, about: name(reader) };
  });
  const searches = many(reader, ENTRY_BYTES, () => readText(reader));
  const apps = named(reader, 2, () =>
    many(reader, ENTRY_BYTES, () => ({ stamp: readHlc(reader), bytes: reader.prefixed(APP_BYTES_MAX) })),
  );
  return { session, stamp, lanes, signals, hints, annotations, searches, apps };
}

function readText(reader: ByteReader): CarriedText {
  return { stamp: readHlc(reader), text: reader.text(TEXT_BYTES_MAX) };
}

/** @param bytesEach - The fewest bytes an entry has: bounds the count before anything is allocated. */
function many<Entry>(reader: ByteReader, bytesEach: number, read: () => Entry): Entry[] {
  const entries: Entry[] = [];
  for (let left = reader.count(bytesEach); left > 0; left--) entries.push(read());
  return entries;
}

function named<Entry>(reader: ByteReader, bytesEach: number, read: () => Entry): Map<string, Entry> {
  const entries = new Map<string, Entry>();
  let before: string | undefined;
  for (let left = reader.count(bytesEach); left > 0; left--) {
    const key = name(reader);
    if (before !== undefined && compareUtf8(before, key) >= 0)
      reader.fail("Cannot accept names out of order");
    entries.set((before = key), read());
  }
  return entries;
}

function name(reader: ByteReader): string {
  const text = reader.text(NAME_BYTES_MAX);
  if (text === "") reader.fail("Cannot accept an empty name");
  return text;
}
