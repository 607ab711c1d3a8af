import {
  ByteReader,
  ByteWriter,
  CHANNEL_CODE,
  channelOf,
  compareBytes,
  compareLogIds,
  EFFECT_ID_BYTES,
  HideSet,
  logId,
  readHlc,
  writeHlc,
} from "@tidemark/core";
import { FOLD_VERSION, OP_KIND_CODE, opKindOf } from "./op-kinds.ts";
import type { SessionEntry } from "./session-entry.ts";
import { readSections, sectionsOf } from "./snapshot-sections.ts";
import { sortedByText } from "./sorted.ts";
import { readSession } from "./session-snapshot.ts";
import { SnapshotSessions } from "./snapshot-sessions.ts";
import { at, readPositions, type SnapshotNumbers, writePositions } from "./snapshot-numbers.ts";
import type { SessionFold } from "./session-fold.ts";
import { type UnstableOp, heldOf } from "./unstable-op.ts";
import type { UserEntry } from "./user-entry.ts";

const SNAPSHOT_VERSION = 1;
/** Offset of the lowest fold version that can read it. */
const FOLD_VERSION_AT = 1;
const LIST_KINDS = ["annotate", "search", "prefer", "app"] as const;

/**
 * The whole fold in canonical bytes: equal sets of operations with equal stability, in equal logs, give equal bytes.
 *
 * | field     | layout                                                                                                |
 * | :-------- | :---------------------------------------------------------------------------------------------------- |
 * | version   | u8, 1; u16, the lowest fold version that can read it                                                                               |
 * | logs      | varint count, ascending: region u16, shard u16, epoch u32, channel u8; a log is named by its place    |
 * | effects   | varint count, ascending: effect id 16, stamp 10, lane varint, seqno varint; named by place, from 1    |
 * | sessions  | varint count, ascending by id: {@link writeSession}; lanes are numbered through all sessions          |
 * | users     | varint count, ascending by id: id `text`, hides `bytes` (`HideSet`), hide stamp 10, positions (varint count: log, LSN varint) |
 * | unstable  | varint count, ascending by lane, seqno, key: lane, seqno varint, key 16, kind u8 (0 if it cannot be folded), log, LSN, bytes counted varint, effect varint (0 none), list u8 (0 none, 1 annotations, 2 searches, 3 hints, 4 applications) and its name `text`, user varint (0 none), u8 flags (1: the operation `bytes` follow, 2: stable, beside a fork that is not) |
 * | queues    | each log: varint count: LSN, number of an unstable operation                                          |
 * | held      | unhides that are stable and wait for a member's version: varint count, ascending by key: user varint, kind u8, key 16, lane, seqno varint |
 * | sections  | {@link sectionsOf}                                                                                 |
 */
export function snapshotFold(fold: SessionFold): Uint8Array {
  const writer = new ByteWriter(4096);
  writer.u8(SNAPSHOT_VERSION);
  writer.u16(1);
  const logOrder = [...fold.logs.ids.keys()].sort((a, b) =>
    compareLogIds(fold.logs.ids[a]!, fold.logs.ids[b]!),
  );
  writer.varint(logOrder.length);
  for (const number of logOrder) {
    const log = fold.logs.ids[number]!;
    writer.u16(log.region);
    writer.u16(log.shard);
    writer.u32(log.epoch);
    writer.u8(CHANNEL_CODE[log.channel]);
  }
  const sessions = new SnapshotSessions(fold);
  const numbers: SnapshotNumbers = {
    logs: inverse(logOrder),
    lanes: sessions.lanes,
    effects: sessions.effects,
  };
  sessions.writeEffects(writer);
  sessions.writeSessions(writer, numbers.logs);
  const users = sortedByText(fold.users).map(([, user]) => user);
  writer.varint(users.length);
  for (const user of users) {
    writer.text(user.id);
    writer.prefixed(user.hides.encode());
    writeHlc(writer, user.hideStamp);
    writePositions(writer, user.positions, numbers);
  }
  const places = new Map(users.map((user, at) => [user, at + 1]));
  const unstable = writeUnstable(writer, fold, numbers, places, logOrder);
  const sections = sectionsOf(fold, {
    sessions: sessions.listed,
    users,
    unstable,
    effects: sessions.effects,
  });
  writer.raw(sections);
  const bytes = writer.take();
  // A member of an older version can go on from a snapshot without anything new in it.
  if (sections.length > 0 || sessions.carries)
    new DataView(bytes.buffer, bytes.byteOffset).setUint16(FOLD_VERSION_AT, FOLD_VERSION, true);
  return bytes;
}

/** Fills an empty fold. @throws {@link CoreError} `DECODE_FAILED`. */
export function restoreFold(fold: SessionFold, bytes: Uint8Array): void {
  const reader = new ByteReader(bytes);
  if (reader.u8() !== SNAPSHOT_VERSION) reader.fail("Cannot read this version of a snapshot", 0);
  if (reader.u16() > FOLD_VERSION) reader.fail("Cannot read the snapshot of a newer fold", 1);
  for (let left = reader.count(9); left > 0; left--) {
    const [region, shard, epoch] = [reader.u16(), reader.u16(), reader.u32()];
    const channel = channelOf(reader.u8());
    if (channel === undefined) return reader.fail("Cannot read an unknown channel", reader.offset - 1);
    fold.logs.numberOf(logId(region, shard, epoch, channel));
  }
  for (let left = reader.count(EFFECT_ID_BYTES + 12); left > 0; left--) {
    const id = reader.view(EFFECT_ID_BYTES);
    fold.effects.add(id, 0, { stamp: readHlc(reader), lane: reader.varint(), seqno: reader.varint() });
  }
  const sessions: SessionEntry[] = [];
  for (let left = reader.count(16); left > 0; left--) sessions.push(readSession(reader, fold));
  const users: UserEntry[] = [];
  for (let left = reader.count(14); left > 0; left--) {
    const user = fold.userEntry(reader.text());
    users.push(user);
    user.hides = HideSet.decode(reader.prefixed());
    user.hideStamp = readHlc(reader);
    readPositions(reader, user.positions, fold);
    fold.counts.withheld += user.hides.pending.size;
    fold.counts.unhidesPending += user.hides.pendingUnhides().length;
  }
  for (let index = 0; index < fold.effects.size; index++) {
    const lane = fold.lanes[fold.effects.positionOf(index).lane];
    if (lane === undefined) return reader.fail("Cannot accept an effect of an unknown lane");
    const session = fold.sessions.get(lane.session)!;
    session.effects = fold.effects.link(index, session.effects);
  }
  const unstable = readUnstable(reader, fold, users);
  readSections(reader, fold, { sessions, users, unstable, effects: {} });
  for (const user of users) {
    for (const { kind, item, dot } of user.hides.settled())
      fold.settling.sessionOf(dot)?.removed.push({ user, kind, item, dot });
    for (const dot of user.hides.dots()) fold.settling.noteHide(dot);
  }
}

function writeUnstable(
  writer: ByteWriter,
  fold: SessionFold,
  numbers: SnapshotNumbers,
  users: ReadonlyMap<UserEntry, number>,
  logOrder: readonly number[],
): UnstableOp[] {
  const ops = [...fold.inMemory()].flatMap((session) => [...heldOf(session)]);
  const byPlace = (a: UnstableOp, b: UnstableOp): number =>
    numbers.lanes[a.lane.index]! - numbers.lanes[b.lane.index]! ||
    a.seqno - b.seqno ||
    compareBytes(a.key, b.key);
  ops.sort(byPlace);
  writer.varint(ops.length);
  for (const op of ops) {
    writer.varint(numbers.lanes[op.lane.index]!);
    writer.varint(op.seqno);
    writer.raw(op.key);
    writer.u8(op.kind === undefined ? 0 : OP_KIND_CODE[op.kind]);
    writer.varint(numbers.logs[op.log]!);
    writer.varint(op.lsn);
    writer.varint(op.size);
    writer.varint(op.effect < 0 ? 0 : numbers.effects[op.effect]! + 1);
    writer.u8(op.list === undefined ? 0 : LIST_KINDS.indexOf(op.list.kind) + 1);
    if (op.list !== undefined) writer.text(op.list.name);
    writer.varint(op.hides === undefined ? 0 : users.get(op.hides)!);
    const bytes = op.stable ? undefined : op.bytes;
    writer.u8((bytes === undefined ? 0 : 1) | (op.stable ? 2 : 0));
    if (bytes !== undefined) writer.prefixed(bytes);
  }
  const places = new Map(ops.map((op, at) => [op, at]));
  for (const number of logOrder) {
    const waiting = [...fold.logs.queues[number]!.entries()].filter(([, op]) => !op.stable);
    writer.varint(waiting.length);
    for (const [lsn, op] of waiting) {
      writer.varint(lsn);
      writer.varint(places.get(op)!);
    }
  }
  const held = fold.heldUnhides.toSorted((a, b) => compareBytes(a.key, b.key));
  writer.varint(held.length);
  for (const op of held) {
    writer.varint(users.get(op.hides!)!);
    writer.u8(OP_KIND_CODE[op.kind!]);
    writer.raw(op.key);
    writer.varint(numbers.lanes[op.lane.index]!);
    writer.varint(op.seqno);
  }
  return ops;
}

function readUnstable(reader: ByteReader, fold: SessionFold, users: readonly UserEntry[]): UnstableOp[] {
  const ops: UnstableOp[] = [];
  for (let left = reader.count(EFFECT_ID_BYTES + 9); left > 0; left--) {
    const lane = at(reader, fold.lanes, reader.varint());
    const session = fold.sessions.get(lane.session)!;
    const seqno = reader.varint();
    const key = reader.view(EFFECT_ID_BYTES).slice();
    const kind = opKindOf(reader.u8());
    const log = reader.varint();
    at(reader, fold.logs.ids, log);
    const lsn = reader.varint();
    const size = reader.varint();
    const effect = reader.varint() - 1;
    if (effect >= fold.effects.size) reader.fail("Cannot accept an unknown effect");
    const listKind = LIST_KINDS[reader.u8() - 1];
    const list = listKind === undefined ? undefined : session.list(listKind, reader.text());
    const user = reader.varint();
    const hides = user === 0 ? undefined : at(reader, users, user - 1);
    const flags = reader.u8();
    const bytes = (flags & 1) === 0 ? undefined : reader.prefixed().slice();
    const stable = (flags & 2) !== 0;
    const op: UnstableOp = {
      session,
      lane,
      seqno,
      key,
      kind,
      log,
      lsn,
      size,
      active: undefined,
      bytes,
      effect,
      list,
      hides,
      stable,
      twin: undefined,
    };
    lane.hold(op);
    ops.push(op);
    if (stable) continue;
    hides?.unstableHides.add(op);
    session.held.add(op, Number.POSITIVE_INFINITY);
    fold.counts.unstable += 1;
  }
  for (const queue of fold.logs.queues) {
    for (let left = reader.count(2); left > 0; left--)
      queue.push(reader.varint(), at(reader, ops, reader.varint()));
  }
  for (let left = reader.count(EFFECT_ID_BYTES + 4); left > 0; left--) {
    const hides = at(reader, users, reader.varint() - 1);
    const kind = opKindOf(reader.u8());
    const key = reader.view(EFFECT_ID_BYTES).slice();
    const lane = at(reader, fold.lanes, reader.varint());
    const session = fold.sessions.get(lane.session)!;
    fold.heldUnhides.push({
      ...{
        session,
        lane,
        seqno: reader.varint(),
        key,
        kind,
        log: 0,
        lsn: 0,
        size: 0,
        active: undefined,
        bytes: undefined,
        effect: -1,
        list: undefined,
      },
      ...{ hides, stable: true, twin: undefined },
    });
  }
  return ops;
}

function inverse(order: readonly number[]): number[] {
  const places: number[] = [];
  for (const [place, number] of order.entries()) places[number] = place;
  return places;
}
