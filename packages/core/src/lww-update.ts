import { ByteReader } from "./byte-reader.ts";
import { ByteWriter } from "./byte-writer.ts";
import { HLC_COUNTER_MAX, HLC_WALL_MS_MAX } from "./hlc.ts";
import { LWW_KEY_BYTES_MAX, type LwwKey } from "./lww-key.ts";
import { type LwwTable, REMOVED } from "./lww-table.ts";

const VERSION = 1;
/** A nibble with this value is continued by a varint. */
const LONG = 15;
/** Head, one byte of key, wall, counter, value. The empty key is the one that may do with less. */
const WRITE_BYTES_MIN = 4;

const strictUtf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** The bytes that `LwwMap.encode` documents. */
export function encodeLwwUpdate(table: LwwTable): Uint8Array {
  const writer = new ByteWriter(16 + table.count * 16);
  writer.u8(VERSION);
  writer.varint(table.count);
  if (table.count === 0) return writer.take();
  const clocks = new Map<number, number>();
  let baseMs = Number.POSITIVE_INFINITY;
  for (let entry = 0; entry < table.count; entry++) {
    clocks.set((table.tails[entry] as number) & 0xffff, 0);
    baseMs = Math.min(baseMs, table.walls[entry] as number);
  }
  writer.varint(clocks.size);
  for (const [index, clockId] of [...clocks.keys()].sort((a, b) => a - b).entries()) {
    writer.u16(clockId);
    clocks.set(clockId, index);
  }
  writer.varint(baseMs);
  let before = -1;
  for (const entry of table.sorted()) {
    writeKey(writer, table, before, entry);
    before = entry;
    const tail = table.tails[entry] as number;
    writer.varint((table.walls[entry] as number) - baseMs);
    writer.varint(tail >>> 16);
    if (clocks.size > 1) writer.varint(clocks.get(tail & 0xffff) as number);
    const length = table.valueLengths[entry] as number;
    if (length === REMOVED) {
      writer.varint(0);
      continue;
    }
    writer.varint(length + 1);
    const start = table.valueStarts[entry] as number;
    writer.raw(table.values.subarray(start, start + length));
  }
  return writer.take();
}

function writeKey(writer: ByteWriter, table: LwwTable, before: number, entry: number): void {
  const { keys } = table;
  const start = table.keyStarts[entry] as number;
  const length = table.keyLengths[entry] as number;
  let shared = 0;
  if (before >= 0) {
    const beforeStart = table.keyStarts[before] as number;
    const limit = Math.min(length, table.keyLengths[before] as number);
    while (shared < limit && keys[beforeStart + shared] === keys[start + shared]) shared += 1;
  }
  const rest = length - shared;
  writer.u8((Math.min(shared, LONG) << 4) | Math.min(rest, LONG));
  if (shared >= LONG) writer.varint(shared - LONG);
  if (rest >= LONG) writer.varint(rest - LONG);
  writer.raw(keys.subarray(start + shared, start + length));
}

/**
 * Stores the writes of an update, all or none; returns how many took effect. Two passes over the bytes: what is not
 * exactly what {@link encodeLwwUpdate} writes is refused before anything is stored. No object is made for an update
 * but its reader.
 */
export function applyLwwUpdate(bytes: Uint8Array, key: LwwKey, table: LwwTable): number {
  const reader = new ByteReader(bytes);
  if (reader.u8() !== VERSION) reader.fail("Cannot read this version of a map update", 0);
  const count = reader.count(WRITE_BYTES_MIN);
  if (count === 0) {
    reader.finish();
    return 0;
  }
  const clockCount = readClocks(reader, count);
  const clocksEnd = reader.offset;
  const baseMs = reader.varint();
  const start = reader.offset;
  checkWrites(reader, count, clockCount, baseMs, key);
  reader.offset = start;
  return storeWrites(reader, count, clocksEnd - 2 * clockCount, clockCount, baseMs, key, table);
}

/** Checks the clock ids and leaves them where they are; returns how many there are. */
function readClocks(reader: ByteReader, writeCount: number): number {
  const start = reader.offset;
  const count = reader.count(2);
  if (count === 0 || count > writeCount) reader.fail("Cannot accept that many clocks", start);
  let before = -1;
  for (let index = 0; index < count; index++) {
    const clockId = reader.u16();
    if (clockId <= before) reader.fail("Cannot accept clocks out of order", start);
    before = clockId;
  }
  return count;
}

function checkWrites(
  reader: ByteReader,
  count: number,
  clockCount: number,
  baseMs: number,
  key: LwwKey,
): void {
  const used = clockCount > 1 ? new Uint8Array(clockCount) : undefined;
  let nearestMs = HLC_WALL_MS_MAX;
  for (let index = 0; index < count; index++) {
    checkKey(reader, key, index === 0);
    const start = reader.offset;
    const deltaMs = reader.varint();
    if (deltaMs < nearestMs) nearestMs = deltaMs;
    if (baseMs + deltaMs > HLC_WALL_MS_MAX || reader.varint() > HLC_COUNTER_MAX) {
      reader.fail("Cannot read a stamp past its limits", start);
    }
    if (used !== undefined) {
      const clock = reader.varint();
      if (clock >= clockCount) reader.fail("Cannot read a clock that is not listed", start);
      used[clock] = 1;
    }
    const length = reader.varint();
    if (length > 1) {
      reader.need(length - 1);
      reader.offset += length - 1;
    }
  }
  reader.finish();
  if (nearestMs !== 0) reader.fail("Cannot accept a base that is not the first stamp");
  if (used?.includes(0)) reader.fail("Cannot accept a clock that is not used");
}

function checkKey(reader: ByteReader, key: LwwKey, first: boolean): void {
  const start = reader.offset;
  const head = reader.u8();
  const shared = head >> 4 === LONG ? LONG + reader.varint() : head >> 4;
  const rest = (head & LONG) === LONG ? LONG + reader.varint() : head & LONG;
  if (shared + rest > LWW_KEY_BYTES_MAX)
    reader.fail(`Cannot accept a key above ${LWW_KEY_BYTES_MAX} bytes`, start);
  reader.need(rest);
  const { bytes, offset } = reader;
  if (first) {
    if (shared !== 0) reader.fail("Cannot share a prefix with nothing", start);
  } else if (shared > key.length || rest === 0) {
    reader.fail("Cannot accept keys out of order", start);
  } else if (shared < key.length && (bytes[offset] as number) <= (key.bytes[shared] as number)) {
    // Equal: the shared part was given too short; smaller: out of order.
    reader.fail("Cannot accept keys out of order", start);
  }
  let high = shared === 0 ? 0 : (key.bytes[shared - 1] as number);
  for (let index = 0; index < rest; index++) {
    const byte = bytes[offset + index] as number;
    high |= byte;
    key.bytes[shared + index] = byte;
  }
  key.length = shared + rest;
  reader.offset = offset + rest;
  if (high >= 0x80) checkUtf8(reader, key, start);
}

function checkUtf8(reader: ByteReader, key: LwwKey, start: number): void {
  try {
    strictUtf8.decode(key.bytes.subarray(0, key.length));
  } catch {
    reader.fail("Cannot read a key that is not UTF-8", start);
  }
}

function storeWrites(
  reader: ByteReader,
  count: number,
  clocksStart: number,
  clockCount: number,
  baseMs: number,
  key: LwwKey,
  table: LwwTable,
): number {
  const { bytes } = reader;
  let changed = 0;
  for (let index = 0; index < count; index++) {
    const head = bytes[reader.offset++] as number;
    const shared = head >> 4 === LONG ? LONG + reader.varint() : head >> 4;
    const rest = (head & LONG) === LONG ? LONG + reader.varint() : head & LONG;
    key.extend(shared, bytes, reader.offset, rest);
    reader.offset += rest;
    const wallMs = baseMs + reader.varint();
    const counter = reader.varint();
    const clock = clocksStart + 2 * (clockCount > 1 ? reader.varint() : 0);
    const clockId = (bytes[clock] as number) | ((bytes[clock + 1] as number) << 8);
    const tag = reader.varint();
    const length = tag === 0 ? REMOVED : tag - 1;
    const tail = counter * 0x1_0000 + clockId;
    if (table.put(key.bytes, key.length, key.hash(), wallMs, tail, bytes, reader.offset, length))
      changed += 1;
    if (tag !== 0) reader.offset += length;
  }
  return changed;
}
