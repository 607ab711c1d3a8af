import {
  type ByteReader,
  type ByteWriter,
  compareLogIds,
  compareUtf8,
  type LogId,
  SignalSums,
} from "@tidemark/core";
import { bytesOfHex, hexOf } from "./hex.ts";
import { LazyMap } from "./lazy-map.ts";
import type { Owner } from "./owner.ts";
import { type SessionEntry, writeSignals } from "./session-entry.ts";
import type { SessionFold } from "./session-fold.ts";
import { at } from "./snapshot-numbers.ts";
import type { SnapshotLists } from "./snapshot-sections.ts";
import { sortedByText } from "./sorted.ts";
import { PSEUDONYM_BYTES } from "./user-keys.ts";

/** What an unstable operation belongs to: nobody, a user who was erased, or an owner by place. */
const NOBODY = 0;
const ERASED = 1;
const FIRST_OWNER = 2;

/**
 * Appends what is under users' keys, and who was erased; nothing where users have no keys.
 *
 * | field    | layout                                                                                               |
 * | :------- | :--------------------------------------------------------------------------------------------------- |
 * | erasures | varint count, ascending: pseudonym 16, generation u32 (up to it), log varint (0 none) and LSN varint of an erase that says so |
 * | owners   | varint count, ascending: pseudonym 16, user `text` (empty while no operation has named them), varint count of sessions with something of theirs: session varint; an owner is named by its place, from 0 |
 * | shared   | varint count of sessions with several owners: session varint; the owner of each start, then of each effect of each list, as the session has them; varint count of owners with signals: owner varint, their signals as in the canonical bytes |
 * | unstable | for each unstable operation varint: 0 nobody's, 1 erased, else its owner + 2                            |
 */
export function writeErasures(writer: ByteWriter, fold: SessionFold, { unstable }: SnapshotLists): void {
  const { erasing } = fold;
  if (erasing === undefined || erasing.erasures.size + erasing.owners.size === 0) return;
  // None of them is cold: where users have keys all stay in memory.
  const kept = [...fold.tombstones.values()].flatMap((tombstone) => tombstone.kept ?? []);
  const sessions = [...fold.sessions.values(), ...kept].sort((a, b) => compareUtf8(a.id, b.id));
  const logs = fold.logs.ids.toSorted(compareLogIds);
  writer.varint(erasing.erasures.size);
  for (const [pseudonym, { upTo, place }] of sortedByText(erasing.erasures)) {
    writer.raw(bytesOfHex(pseudonym));
    writer.u32(upTo);
    writer.varint(place === undefined ? 0 : logs.indexOf(fold.logs.ids[place.log] as LogId) + 1);
    if (place !== undefined) writer.varint(place.lsn);
  }
  const owners = sortedByText(erasing.owners).map(([, owner]) => owner);
  const places = new Map(owners.map(({ pseudonym }, place) => [pseudonym, place]));
  const sessionPlaces = new Map(sessions.map((session, place) => [session, place]));
  writer.varint(owners.length);
  for (const owner of owners) {
    writer.raw(bytesOfHex(owner.pseudonym));
    writer.text(owner.user ?? "");
    writer.varint(owner.sessions.size);
    const held = Array.from(owner.sessions, (session) => sessionPlaces.get(session) as number);
    for (const place of held.sort((a, b) => a - b)) writer.varint(place);
  }
  const shared = sessions.filter((session) => (session.owners?.length ?? 0) > 1);
  writer.varint(shared.length);
  for (const session of shared) {
    writer.varint(sessionPlaces.get(session) as number);
    const owner = (pseudonym: string | undefined): void =>
      writer.varint(places.get(pseudonym ?? "") as number);
    for (const start of session.startsInOrder()) owner(start.owner);
    for (const list of session.listsInOrder()) for (const effect of list.effects) owner(effect.owner);
    const signals = sortedByText(
      session.signalsBy ??
        new Map(session.signalsOwner === undefined ? [] : [[session.signalsOwner, session.signals]]),
    );
    writer.varint(signals.length);
    for (const [pseudonym, sums] of signals) {
      owner(pseudonym);
      writeSignals(writer, sums);
    }
  }
  for (const op of unstable) {
    const place = op.owner === undefined ? undefined : places.get(op.owner);
    writer.varint(op.erased === true ? ERASED : place === undefined ? NOBODY : FIRST_OWNER + place);
  }
}

/** Reads what {@link writeErasures} wrote. @throws {@link CoreError} `DECODE_FAILED`. */
export function readErasures(
  reader: ByteReader,
  fold: SessionFold,
  { sessions: listed, unstable }: SnapshotLists,
): void {
  const { erasing } = fold;
  const sessions = listed as readonly SessionEntry[];
  if (erasing === undefined) return reader.fail("Cannot accept users' keys: nothing is encrypted here");
  for (let left = reader.count(PSEUDONYM_BYTES + 5); left > 0; left--) {
    const pseudonym = hexOf(reader.view(PSEUDONYM_BYTES));
    const upTo = reader.u32();
    const log = reader.varint() - 1;
    if (log >= 0) at(reader, fold.logs.ids, log);
    erasing.restore(pseudonym, upTo, log < 0 ? undefined : { log, lsn: reader.varint() });
  }
  const owners: Owner[] = [];
  for (let left = reader.count(PSEUDONYM_BYTES + 2); left > 0; left--) {
    const owner = erasing.owner(hexOf(reader.view(PSEUDONYM_BYTES)));
    owners.push(owner);
    const user = reader.text();
    if (user !== "") owner.user = user;
    for (let held = reader.count(1); held > 0; held--)
      erasing.note(owner.pseudonym, at(reader, sessions, reader.varint()));
  }
  for (const session of sessions) {
    const [only, other] = session.owners ?? [];
    if (only !== undefined && other === undefined) ownAll(session, only);
  }
  for (let left = reader.count(2); left > 0; left--) {
    const session = at(reader, sessions, reader.varint());
    if ((session.owners?.length ?? 0) < 2) reader.fail("Cannot accept several owners of this session");
    const owner = (): string => at(reader, owners, reader.varint()).pseudonym;
    for (const start of session.startsInOrder()) start.owner = owner();
    for (const list of session.listsInOrder()) list.own(list.effects.map(owner));
    readOwnedSignals(reader, session, owner);
  }
  for (const op of unstable) {
    const place = reader.varint();
    if (place === ERASED) erasing.markErased(op);
    else if (place !== NOBODY) op.owner = at(reader, owners, place - FIRST_OWNER).pseudonym;
  }
}

function ownAll(session: SessionEntry, pseudonym: string): void {
  for (const start of session.starts) start.owner = pseudonym;
  for (const list of session.lists()) list.own(list.effects.map(() => pseudonym));
  if (session.signals.size > 0) session.signalsOwner = pseudonym;
}

function readOwnedSignals(reader: ByteReader, session: SessionEntry, owner: () => string): void {
  const by: NonNullable<SessionEntry["signalsBy"]> = new Map();
  for (let left = reader.count(2); left > 0; left--) {
    const pseudonym = owner();
    const signals: SessionEntry["signals"] = new LazyMap();
    by.set(pseudonym, signals);
    for (let entities = reader.count(3); entities > 0; entities--) {
      const sums = new LazyMap<string, SignalSums>();
      signals.set(reader.text(), sums);
      for (let count = reader.count(4); count > 0; count--)
        sums.set(reader.text(), SignalSums.decode(reader));
    }
  }
  if (by.size > 1) session.signalsBy = by;
  session.signalsOwner = [...by.keys()][0];
}
