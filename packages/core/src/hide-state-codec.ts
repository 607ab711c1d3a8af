import { ByteReader } from "./byte-reader.ts";
import { ByteWriter } from "./byte-writer.ts";
import { compareUtf8 } from "./compare.ts";
import {
  type HideCell,
  type HideCells,
  HIDE_KIND_CODE,
  type HideKind,
  hideKindOf,
  liveDots,
  settledDots,
} from "./hide-cells.ts";
import { EFFECT_ID_BYTES, readEffectKey, writeEffectKey } from "./hide-ids.ts";
import type { HideUnhides } from "./hide-unhides.ts";

const VERSION = 1;

/** The bytes that `HideSet.encode` documents. */
export function encodeHideState(cells: HideCells, unhides: HideUnhides): Uint8Array {
  const writer = new ByteWriter();
  writer.u8(VERSION);
  writeDotCells(writer, cells.sorted(), [liveDots, settledDots]);
  const pending = unhides
    .pendingIds()
    .flatMap((id) => unhides.removals(id).map((removal) => ({ id, removal })));
  writer.varint(pending.length);
  for (const { id, removal } of pending) {
    writeEffectKey(writer, id);
    writePlace(writer, removal);
    writeDots(writer, [...removal.dots].sort());
  }
  writeDots(writer, unhides.settledIds());
  return writer.take();
}

/** Writes a count and, for each cell with a dot in any of the lists, its place and the lists. */
export function writeDotCells(
  writer: ByteWriter,
  cells: readonly HideCell[],
  lists: readonly ((cell: HideCell) => string[])[],
): void {
  const rows = cells
    .map((cell) => ({ cell, dots: lists.map((list) => list(cell)) }))
    .filter(({ dots }) => dots.some((list) => list.length > 0));
  writer.varint(rows.length);
  for (const { cell, dots } of rows) {
    writePlace(writer, cell);
    for (const list of dots) writeDots(writer, list);
  }
}

/** Fills empty cells and unhides. @throws {@link CoreError} `DECODE_FAILED`. */
export function decodeHideState(bytes: Uint8Array, cells: HideCells, unhides: HideUnhides): void {
  const reader = new ByteReader(bytes);
  if (reader.u8() !== VERSION) reader.fail("Cannot read this version of a hide set", 0);
  readCells(reader, cells);
  const pending = readPending(reader, unhides);
  for (const id of readDots(reader)) {
    if (pending.has(id)) reader.fail("Cannot accept an unhide both pending and settled");
    unhides.addSettled(id);
  }
  reader.finish();
}

function readCells(reader: ByteReader, cells: HideCells): void {
  let before: Place | undefined;
  // A cell has a kind, an item of any length and two counts, and at least one dot.
  for (let count = reader.count(4 + EFFECT_ID_BYTES); count > 0; count--) {
    const start = reader.offset;
    const place = readPlace(reader);
    if (before !== undefined && comparePlaces(before, place) >= 0)
      reader.fail("Cannot accept cells out of order", start);
    before = place;
    const live = readDots(reader);
    const settled = readDots(reader);
    if (live.length + settled.length === 0) reader.fail("Cannot accept a cell without dots", start);
    for (const dot of live) cells.know(place.kind, place.item, dot);
    const known = new Set(live);
    for (const dot of settled) {
      if (known.has(dot)) reader.fail("Cannot accept a dot both live and settled", start);
      cells.settle(place.kind, place.item, dot);
    }
  }
}

function readPending(reader: ByteReader, unhides: HideUnhides): ReadonlySet<string> {
  const ids = new Set<string>();
  let before: { id: string; place: Place } | undefined;
  for (let count = reader.count(EFFECT_ID_BYTES + 3); count > 0; count--) {
    const start = reader.offset;
    const id = readEffectKey(reader);
    const place = readPlace(reader);
    if (
      before !== undefined &&
      (id < before.id || (id === before.id && comparePlaces(before.place, place) >= 0))
    ) {
      reader.fail("Cannot accept unhides out of order", start);
    }
    before = { id, place };
    ids.add(id);
    unhides.add(id, place.kind, place.item, readDots(reader));
  }
  return ids;
}

interface Place {
  readonly kind: HideKind;
  readonly item: string;
}

function comparePlaces(a: Place, b: Place): number {
  return HIDE_KIND_CODE[a.kind] - HIDE_KIND_CODE[b.kind] || compareUtf8(a.item, b.item);
}

function writePlace(writer: ByteWriter, place: Place): void {
  writer.u8(HIDE_KIND_CODE[place.kind]);
  writer.text(place.item);
}

function readPlace(reader: ByteReader): Place {
  const start = reader.offset;
  const kind = hideKindOf(reader.u8());
  if (kind === undefined) return reader.fail("Cannot read an unknown kind of hide", start);
  return { kind, item: reader.text() };
}

function writeDots(writer: ByteWriter, dots: readonly string[]): void {
  writer.varint(dots.length);
  for (const dot of dots) writeEffectKey(writer, dot);
}

function readDots(reader: ByteReader): string[] {
  const dots: string[] = [];
  for (let count = reader.count(EFFECT_ID_BYTES); count > 0; count--) {
    const start = reader.offset;
    const dot = readEffectKey(reader);
    const before = dots.at(-1);
    if (before !== undefined && dot <= before) reader.fail("Cannot accept ids out of order", start);
    dots.push(dot);
  }
  return dots;
}
