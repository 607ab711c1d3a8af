import { ByteReader, ByteWriter, compareBytes, EFFECT_ID_BYTES, readHlc, writeHlc } from "@tidemark/core";
import { activityOf } from "./idle-close.ts";
import { decodeOp } from "./op-view.ts";
import type { SessionFold } from "./session-fold.ts";
import { readErasures, writeErasures } from "./snapshot-erasures.ts";
import type { SnapshotSession } from "./snapshot-sessions.ts";
import { readCounted, writeCounted } from "./snapshot-counted.ts";
import { at } from "./snapshot-numbers.ts";
import { sortedByText } from "./sorted.ts";
import { checkNumbers, Tombstone } from "./tombstone.ts";
import type { UnstableOp } from "./unstable-op.ts";
import type { UserEntry } from "./user-entry.ts";

/** What the lists of a snapshot's body hold, in their order: sections name them by their place, from 0. */
export interface SnapshotLists {
  readonly sessions: readonly SnapshotSession[];
  readonly users: readonly UserEntry[];
  readonly unstable: readonly UnstableOp[];
  /** Number in the fold to place in the list. */
  readonly effects: Readonly<Record<number, number>>;
}

interface Section {
  /** Never used again for another. */
  readonly number: number;
  /** Writes nothing where there is nothing to say: then the section is left out. */
  write(writer: ByteWriter, fold: SessionFold, lists: SnapshotLists): void;
  read(reader: ByteReader, fold: SessionFold, lists: SnapshotLists): void;
}

/**
 * What was added behind the body of a snapshot, ascending: u8 number and `bytes` each; fold version 2 reads it.
 *
 * | number | section    | layout                                                                                        |
 * | -----: | :--------- | :-------------------------------------------------------------------------------------------- |
 * |      1 | activity   | varint count of unstable operations whose bytes are not told, and that are no close or purge: unstable varint, stamp 10; varint count of sessions: session varint, stamp 10 of the latest stable activity, varint count of idle closes in force: key 16, stamp 10, stamp seen 10 |
 * |      3 | tombstones | varint: effects folded in all; varint count, ascending by id: id `text`, flags u8 (1: its session is in the list, 2: the purge is stable), and if it is: user varint (from 1, 0 none); else `bytes`: of each lane, ascending by text form: lane bytes `bytes`, high-water mark varint, varint count of ranges: from, to varint |
 * |      5 | erasures   | {@link writeErasures}                                                                         |
 * |      6 | counted    | {@link writeCounted} |
 */
const SECTIONS: readonly Section[] = [
  { number: 1, write: writeActivity, read: readActivity },
  { number: 3, write: writeTombstones, read: readTombstones },
  { number: 5, write: writeErasures, read: readErasures },
  { number: 6, write: writeCounted, read: readCounted },
];

/** Every section that has something to say, with its number. */
export function sectionsOf(fold: SessionFold, lists: SnapshotLists): Uint8Array {
  const writer = new ByteWriter();
  for (const { number, write } of SECTIONS) {
    const section = new ByteWriter();
    write(section, fold, lists);
    if (section.length === 0) continue;
    writer.u8(number);
    writer.prefixed(section.view());
  }
  return writer.take();
}

/** Reads sections to the end of the snapshot. @throws {@link CoreError} `DECODE_FAILED`. */
export function readSections(reader: ByteReader, fold: SessionFold, lists: SnapshotLists): void {
  for (const op of lists.unstable)
    if (op.bytes !== undefined && !op.stable) op.active = activityOf(decodeOp(op.bytes));
  for (let before = 0; reader.remaining > 0;) {
    const start = reader.offset;
    const number = reader.u8();
    const section = SECTIONS.find((one) => one.number === number);
    if (section === undefined || number <= before)
      return reader.fail(`Cannot read section ${number} of a snapshot`, start);
    before = number;
    const body = new ByteReader(reader.prefixed());
    section.read(body, fold, lists);
    body.finish();
  }
}

function writeActivity(writer: ByteWriter, _: SessionFold, { sessions, unstable }: SnapshotLists): void {
  const known = [...sessions.entries()].filter(
    ([, { idle }]) => idle.stableStamp.wallMs > 0 || idle.open.length > 0,
  );
  const silent = [...unstable.entries()].filter(
    ([, { active, bytes, stable }]) => active !== undefined && bytes === undefined && !stable,
  );
  if (silent.length === 0 && known.length === 0) return;
  writer.varint(silent.length);
  for (const [place, { active }] of silent) {
    writer.varint(place);
    if (active !== undefined) writeHlc(writer, active);
  }
  writer.varint(known.length);
  for (const [place, { idle }] of known) {
    writer.varint(place);
    writeHlc(writer, idle.stableStamp);
    const open = idle.open.toSorted((a, b) => compareBytes(a.key, b.key));
    writer.varint(open.length);
    for (const { key, stamp, latest } of open) {
      writer.raw(key);
      writeHlc(writer, stamp);
      writeHlc(writer, latest);
    }
  }
}

function readActivity(reader: ByteReader, _: SessionFold, { sessions, unstable }: SnapshotLists): void {
  for (let left = reader.count(11); left > 0; left--)
    at(reader, unstable, reader.varint()).active = readHlc(reader);
  for (let left = reader.count(12); left > 0; left--) {
    const { idle } = at(reader, sessions, reader.varint());
    idle.stableStamp = readHlc(reader);
    for (let closes = reader.count(EFFECT_ID_BYTES + 20); closes > 0; closes--) {
      const key = reader.view(EFFECT_ID_BYTES).slice();
      idle.open.push({ key, stamp: readHlc(reader), latest: readHlc(reader) });
    }
  }
}

function writeTombstones(writer: ByteWriter, fold: SessionFold, { users }: SnapshotLists): void {
  if (fold.tombstones.size === 0) return;
  const places = new Map(users.map((user, place) => [user, place + 1]));
  writer.varint(fold.counts.effects);
  writer.varint(fold.tombstones.size);
  for (const [id, { kept, stable, numbers }] of sortedByText(fold.tombstones)) {
    writer.text(id);
    writer.u8((kept === undefined ? 0 : 1) | (stable ? 2 : 0));
    if (kept === undefined) writer.prefixed(numbers);
    else writer.varint(kept.user === undefined ? 0 : (places.get(kept.user) ?? 0));
  }
}

function readTombstones(reader: ByteReader, fold: SessionFold, { users }: SnapshotLists): void {
  fold.counts.effects = reader.varint();
  for (let left = reader.count(3); left > 0; left--) {
    const start = reader.offset;
    const id = reader.text();
    const flags = reader.u8();
    const kept = fold.sessions.get(id);
    if (fold.tombstones.has(id) || flags > 3 || (kept !== undefined) !== ((flags & 1) !== 0))
      return reader.fail("Cannot accept a tombstone beside its session", start);
    if (kept !== undefined) {
      const user = reader.varint();
      fold.purges.bury(kept);
      if (user !== 0) fold.holdFor(kept, at(reader, users, user - 1));
    } else {
      const tombstone = new Tombstone(id);
      tombstone.numbers = checkNumbers(reader, reader.prefixed());
      fold.tombstones.set(id, tombstone);
    }
    if ((flags & 2) !== 0) fold.purges.settle(id);
  }
}
