import {
  type ByteReader,
  type ByteWriter,
  EFFECT_ID_BYTES,
  readHlc,
  SignalSums,
  writeHlc,
} from "@tidemark/core";
import { type EffectList, type OpPosition } from "./effect-list.ts";
import { decodeCarried } from "./carried-state.ts";
import { CARRIED_DIGEST_BYTES } from "./fork-parts.ts";
import { SCHEMA_DIGEST_BYTES } from "./limits.ts";
import { bytesOfHex, hexOf } from "./hex.ts";
import { laneOfBytes } from "./lane-bytes.ts";
import { LazyMap } from "./lazy-map.ts";
import { formatLane } from "./lane-id.ts";
import { decodeOp } from "./op-view.ts";
import { at, readPositions, type SnapshotNumbers, writePositions } from "./snapshot-numbers.ts";
import {
  LIST_ORDER,
  ORIGIN_SCHEMA,
  SessionEntry,
  type StartEffect,
  writeSignals,
  writeStart,
} from "./session-entry.ts";
import { sortedByText } from "./sorted.ts";
import type { SessionFold } from "./session-fold.ts";

/** What a byte of a session takes in memory, about. */
const SNAPSHOT_GROWTH = 6;

/**
 * Appends one session. A *position* is stamp 10, lane varint (its place in the session), seqno varint, key 16.
 *
 * | field       | layout                                                                                             |
 * | :---------- | :------------------------------------------------------------------------------------------------- |
 * | id          | `text`                                                                                             |
 * | lanes       | varint count, ascending by text form: lane bytes `bytes`, high-water mark, varint count of ranges: from, to |
 * | stamp       | 10, the latest                                                                                     |
 * | effects     | varint count of effects folded; varint count of closes                                             |
 * | starts      | varint count, ascending by position: position, effect varint (0 none), the start as in the canonical bytes, and the state it carries as `bytes` if it does |
 * | signals     | as in the canonical bytes                                                                          |
 * | lists       | varint count: u8 kind (1 annotations, 2 searches, 3 hints, 4 applications), name `text`, varint count, ascending: position, effect varint, flags u8 (1 settled, 2 entity, 4 bytes), text `text`, entity `text`, bytes `bytes` |
 * | conflicts   | varint count, ascending: tag 8                                                                     |
 * | forks       | varint count: lane varint, seqno varint                                                            |
 * | unknown     | varint count, ascending: key 16, operation `bytes`                                                 |
 * | positions   | varint count, ascending: log, LSN varint                                                           |
 */
export function writeSession(writer: ByteWriter, session: SessionEntry, numbers: SnapshotNumbers): void {
  writer.text(session.id);
  const lanes = session.lanes.toSorted((a, b) => (a.text < b.text ? -1 : 1));
  const laneText = lanes.map((lane) => lane.text);
  writer.varint(lanes.length);
  for (const lane of lanes) {
    writer.prefixed(lane.bytes);
    writer.varint(lane.hwm);
    writer.varint(lane.ahead?.length ?? 0);
    for (const { from, to } of lane.ahead ?? []) {
      writer.varint(from);
      writer.varint(to);
    }
  }
  writeHlc(writer, session.maxStamp);
  writer.varint(session.effectCount);
  writer.varint(session.closes);
  const position = (place: OpPosition): void => {
    writeHlc(writer, place.stamp);
    writer.varint(lanes.indexOf(place.lane));
    writer.varint(place.seqno);
    writer.raw(place.key);
  };
  const effect = (index: number): void => writer.varint(index < 0 ? 0 : numbers.effects[index]! + 1);
  const starts = session.startsInOrder();
  writer.varint(starts.length);
  for (const start of starts) {
    position(start.position);
    effect(start.effect);
    writeStart(writer, start);
    if (start.carried !== undefined) writer.prefixed(start.carried.state);
  }
  writeSignals(writer, session.signals);
  const lists = session.listsInOrder();
  writer.varint(lists.length);
  for (const list of lists) {
    writer.u8(listRank(list));
    writer.text(list.name);
    writer.varint(list.effects.length);
    for (const one of list.effects) {
      position(one.position);
      effect(one.effect);
      writer.u8(
        (one.settled ? 1 : 0) | (one.about === undefined ? 0 : 2) | (one.bytes === undefined ? 0 : 4),
      );
      writer.text(one.text);
      if (one.about !== undefined) writer.text(one.about);
      if (one.bytes !== undefined) writer.prefixed(one.bytes);
    }
  }
  writer.varint(session.conflicts.size);
  for (const tag of [...session.conflicts].sort()) writer.raw(bytesOfHex(tag));
  const forks = [...session.forks.values()].map((fork) => ({
    lane: laneText.indexOf(fork.lane),
    seqno: fork.seqno,
  }));
  writer.varint(forks.length);
  for (const fork of forks.sort((a, b) => a.lane - b.lane || a.seqno - b.seqno)) {
    writer.varint(fork.lane);
    writer.varint(fork.seqno);
  }
  writer.varint(session.unknown.size);
  for (const [key, bytes] of sortedByText(session.unknown)) {
    writer.raw(bytesOfHex(key));
    writer.prefixed(bytes);
  }
  writePositions(writer, session.positions, numbers);
}

/** Reads what {@link writeSession} wrote, into the fold. @throws {@link CoreError} `DECODE_FAILED`. */
export function readSession(reader: ByteReader, fold: SessionFold): SessionEntry {
  const start = reader.offset;
  const id = reader.text();
  if (fold.sessions.has(id)) reader.fail("Cannot accept a session twice");
  const session = new SessionEntry(id);
  fold.sessions.set(id, session);
  readSessionBody(reader, fold, session, (index) =>
    index < fold.effects.size ? index : reader.fail("Cannot accept an unknown effect"),
  );
  fold.counts.effects += session.effectCount;
  fold.counts.conflicts += session.conflicts.size + Math.max(0, session.starts.length - 1);
  fold.counts.forks += session.forks.size;
  fold.counts.unknown += session.unknown.size;
  fold.sessions.grow(session, SNAPSHOT_GROWTH * (reader.offset - start));
  fold.attach(session);
  return session;
}

/**
 * Reads all but the id into a session, and counts nothing.
 *
 * @param effectAt - The number in the fold of an effect that is named by its place, -1 for none.
 * @throws {@link CoreError} `DECODE_FAILED`.
 */
export function readSessionBody(
  reader: ByteReader,
  fold: SessionFold,
  session: SessionEntry,
  effectAt: (place: number) => number,
): void {
  for (let left = reader.count(9); left > 0; left--) {
    const bytes = reader.prefixed();
    const id = laneOfBytes(bytes);
    if (id === undefined) return reader.fail("Cannot read a lane");
    const lane = fold.laneOf(session, bytes, () => ({ lane: id, text: formatLane(id) }));
    lane.hwm = reader.varint();
    const ranges = reader.count(2);
    for (let range = 0; range < ranges; range++)
      (lane.ahead ??= []).push({ from: reader.varint(), to: reader.varint() });
  }
  session.maxStamp = readHlc(reader);
  session.effectCount = reader.varint();
  session.closes = reader.varint();
  const position = (): OpPosition => ({
    stamp: readHlc(reader),
    lane: at(reader, session.lanes, reader.varint()),
    seqno: reader.varint(),
    key: reader.view(EFFECT_ID_BYTES).slice(),
  });
  const effect = (): number => effectAt(reader.varint() - 1);
  for (let left = reader.count(EFFECT_ID_BYTES + 12); left > 0; left--) {
    session.addStart({ position: position(), effect: effect(), ...readStart(reader) });
  }
  readSignals(reader, session, fold);
  for (let left = reader.count(3); left > 0; left--) {
    const kind = LIST_ORDER[reader.u8() - 1];
    if (kind === undefined) return reader.fail("Cannot read an unknown list");
    const list = session.list(kind, reader.text());
    for (let effects = reader.count(EFFECT_ID_BYTES + 15); effects > 0; effects--) {
      const place = position();
      const index = effect();
      const flags = reader.u8();
      list.restore({
        position: place,
        effect: index,
        settled: (flags & 1) !== 0,
        text: reader.text(),
        ...((flags & 2) === 0 ? {} : { about: reader.text() }),
        ...((flags & 4) === 0 ? {} : { bytes: reader.prefixed().slice() }),
      });
    }
  }
  for (let left = reader.count(8); left > 0; left--) session.conflicts.add(hexOf(reader.view(8)));
  for (let left = reader.count(2); left > 0; left--) {
    const fork = { lane: at(reader, session.lanes, reader.varint()).text, seqno: reader.varint() };
    session.forks.set(`${fork.lane} ${fork.seqno}`, fork);
  }
  for (let left = reader.count(EFFECT_ID_BYTES + 1); left > 0; left--) {
    const key = hexOf(reader.view(EFFECT_ID_BYTES));
    const bytes = reader.prefixed().slice();
    session.unknown.set(key, bytes);
    const { operation } = decodeOp(bytes);
    const index = operation === undefined ? undefined : fold.effects.find(operation.tag, operation.digest);
    if (typeof index === "number") fold.unfolded.add(index);
  }
  readPositions(reader, session.positions, fold);
}

function readStart(reader: ByteReader): Omit<StartEffect, "position" | "effect"> {
  const [user, agent, policy] = [reader.text(), reader.text(), reader.text()];
  const policyVersion = reader.u32();
  const flags = reader.u8();
  const origin = flags & ~ORIGIN_SCHEMA;
  const parent = origin === 1 ? { parent: reader.text() } : {};
  const parents: string[] = [];
  if (origin === 2) for (let left = reader.count(2); left > 0; left--) parents.push(reader.text());
  const digest = origin === 2 ? reader.view(CARRIED_DIGEST_BYTES).slice() : undefined;
  const schema = (flags & ORIGIN_SCHEMA) === 0 ? {} : { schema: reader.view(SCHEMA_DIGEST_BYTES).slice() };
  const metadata = Object.create(null) as Record<string, string>;
  for (let left = reader.count(2); left > 0; left--) {
    const key = reader.text();
    metadata[key] = reader.text();
  }
  const start = { clear: { policy, policyVersion, ...parent, ...schema }, sealed: { user, agent, metadata } };
  if (digest === undefined) return start;
  const state = reader.prefixed().slice();
  decodeCarried(state);
  return { ...start, carried: { parents, digest, state } };
}

function readSignals(reader: ByteReader, session: SessionEntry, fold: SessionFold): void {
  for (let entities = reader.count(3); entities > 0; entities--) {
    const sums = new LazyMap<string, SignalSums>();
    session.signals.set(reader.text(), sums);
    for (let signals = reader.count(4); signals > 0; signals--) {
      const signal = reader.text();
      const at = reader.offset;
      const sum = SignalSums.decode(reader);
      if (!sum.sameOptions(fold.emptySums(signal)))
        reader.fail("Cannot accept the sums of a signal that decays otherwise here", at);
      sums.set(signal, sum);
    }
  }
}

function listRank(list: EffectList): number {
  return LIST_ORDER.indexOf(list.kind) + 1;
}
