import {
  ByteReader,
  ByteWriter,
  effectKey,
  EFFECT_ID_BYTES,
  HIDE_KIND_CODE,
  HLC_BYTES,
  type Hlc,
  hideKindOf,
  readHlc,
  writeEffectKey,
  writeHlc,
} from "@tidemark/core";
import { IdleCloses } from "./idle-close.ts";
import { SessionEntry } from "./session-entry.ts";
import type { SessionFold } from "./session-fold.ts";
import { readSessionBody, writeSession } from "./session-snapshot.ts";
import type { ColdCodec } from "./session-table.ts";

/** Is told which sessions are cold. */
export interface ColdWatch {
  evicted(session: SessionEntry): void;
  returned(id: string): void;
  /** None is any more. */
  cleared(): void;
}

/**
 * Sessions as bytes in a cold store, and back. The bytes are of this run alone: logs are named by their numbers in the
 * fold, lanes and effects by their place in the session.
 */
export class FoldCold implements ColdCodec {
  readonly #fold: SessionFold;
  readonly #writer: ByteWriter = new ByteWriter(4096);
  /** Of cold sessions: the effect of a hide to its session, because a stable removal asks for it. */
  readonly #dots: Map<string, string> = new Map();
  /** Log to itself. */
  readonly #logs: number[] = [];

  constructor(fold: SessionFold) {
    this.#fold = fold;
  }

  /** The cold session that a hide with an operationId is an effect of. */
  homeOf(dot: string): string | undefined {
    return this.#dots.get(dot);
  }

  evictable(session: SessionEntry): boolean {
    return (
      session.unknown.size === 0 &&
      session.lanes.every((lane) => lane.unstable === undefined) &&
      !this.#fold.heldUnhides.some((op) => op.session === session)
    );
  }

  /**
   * | field    | layout                                                                                          |
   * | :------- | :---------------------------------------------------------------------------------------------- |
   * | effects  | varint count: effect id 16, stamp 10, lane varint (by its text), seqno varint                   |
   * | hides    | varint count of those that are hides: effect varint                                             |
   * | removed  | varint count: user `text`, kind u8, item `text`, dot 16                                         |
   * | activity | stamp 10; varint count of idle closes in force: key 16, stamp 10, stamp seen 10                 |
   * | session  | {@link writeSession}                                                                            |
   */
  encode(session: SessionEntry): Uint8Array {
    const { effects, logs } = this.#fold;
    const writer = this.#writer.reset();
    const lanes = session.lanes.toSorted((a, b) => (a.text < b.text ? -1 : 1));
    const laneAt = new Map(lanes.map((lane, at) => [lane.index, at]));
    const chain = [...effects.chain(session.effects)];
    const places: Record<number, number> = {};
    writer.varint(chain.length);
    for (const [at, index] of chain.entries()) {
      places[index] = at;
      const { stamp, lane, seqno } = effects.positionOf(index);
      writer.raw(effects.idOf(index));
      writeHlc(writer, stamp);
      writer.varint(laneAt.get(lane) as number);
      writer.varint(seqno);
    }
    const hides = session.hideEffects ?? [];
    writer.varint(hides.length);
    for (const index of hides) writer.varint(places[index] as number);
    writer.varint(session.removed.length);
    for (const { user, kind, item, dot } of session.removed) {
      writer.text(user.id);
      writer.u8(HIDE_KIND_CODE[kind]);
      writer.text(item);
      writeEffectKey(writer, dot);
    }
    writeHlc(writer, session.idle.stableStamp);
    writer.varint(session.idle.open.length);
    for (const { key, stamp, latest } of session.idle.open) {
      writer.raw(key);
      writeHlc(writer, stamp);
      writeHlc(writer, latest);
    }
    while (this.#logs.length < logs.ids.length) this.#logs.push(this.#logs.length);
    writeSession(writer, session, { logs: this.#logs, lanes: [], effects: places });
    return writer.view();
  }

  evict(session: SessionEntry): void {
    const fold = this.#fold;
    fold.settleDigest(session);
    for (const index of session.hideEffects ?? [])
      this.#dots.set(effectKey(fold.effects.idOf(index)), session.id);
    fold.effects.forget(session.effects);
    for (const lane of session.lanes) fold.freeLane(lane);
    fold.coldWatch?.evicted(session);
  }

  decode(id: string, bytes: Uint8Array): SessionEntry {
    const fold = this.#fold;
    const reader = new ByteReader(bytes);
    const effects: (() => number)[] = [];
    const session = new SessionEntry(id);
    for (let left = reader.count(EFFECT_ID_BYTES + 12); left > 0; left--) {
      const effect = reader.view(EFFECT_ID_BYTES);
      const [stamp, lane, seqno] = [readHlc(reader), reader.varint(), reader.varint()];
      // Once its lanes have their numbers.
      effects.push(() => {
        const index = session.lanes[lane]?.index ?? reader.fail("Cannot accept an unknown lane");
        return fold.effects.add(effect, 0, { stamp, lane: index, seqno }).index;
      });
    }
    const hides: number[] = [];
    for (let left = reader.count(1); left > 0; left--) hides.push(reader.varint());
    for (let left = reader.count(EFFECT_ID_BYTES + 4); left > 0; left--) {
      const user = fold.userEntry(reader.text());
      const kind = hideKindOf(reader.u8()) ?? reader.fail("Cannot read a kind of hide");
      session.removed.push({ user, kind, item: reader.text(), dot: effectKey(reader.view(EFFECT_ID_BYTES)) });
    }
    readIdle(reader, session.idle);
    let indices: number[] | undefined;
    const indexOf = (place: number): number => {
      indices ??= effects.map((add) => add());
      return place < 0 ? -1 : (indices[place] ?? reader.fail("Cannot accept an unknown effect"));
    };
    reader.text();
    readSessionBody(reader, fold, session, indexOf);
    indexOf(-1);
    // In the order of the chain it was.
    for (const index of indices?.toReversed() ?? [])
      session.effects = fold.effects.link(index, session.effects);
    if (hides.length > 0) session.hideEffects = hides.map(indexOf);
    for (const index of session.hideEffects ?? []) this.#dots.delete(effectKey(fold.effects.idOf(index)));
    const user = session.start?.sealed.user;
    if (user !== undefined) {
      session.user = fold.userEntry(user);
      session.held = session.user.held;
    }
    reader.finish();
    fold.coldWatch?.returned(id);
    return session;
  }

  /** Tells the effects of a cold session with their lanes by place; returns how many lanes it has. */
  outline(
    bytes: Uint8Array,
    tell: (effect: Uint8Array, stamp: Hlc, lane: number, seqno: number) => void,
  ): number {
    const reader = new ByteReader(bytes);
    for (let left = reader.count(EFFECT_ID_BYTES + 12); left > 0; left--)
      tell(reader.view(EFFECT_ID_BYTES), readHlc(reader), reader.varint(), reader.varint());
    this.#skipToSession(reader);
    return reader.varint();
  }

  /** A cold session by itself: the fold knows its lanes, which are to be freed, and its effects are its own, by place. */
  detached(id: string, bytes: Uint8Array): SessionEntry {
    const reader = new ByteReader(bytes);
    const session = new SessionEntry(id);
    for (let left = reader.count(EFFECT_ID_BYTES + 12); left > 0; left--) {
      reader.view(EFFECT_ID_BYTES + HLC_BYTES);
      reader.varint();
      reader.varint();
    }
    this.#skipToSession(reader, session.idle);
    readSessionBody(reader, this.#fold, session, (place) => place);
    return session;
  }

  /** From behind the effects to behind the id of the session; reads what is between on its activity. */
  #skipToSession(reader: ByteReader, idle: IdleCloses = new IdleCloses()): void {
    for (let left = reader.count(1); left > 0; left--) reader.varint();
    for (let left = reader.count(EFFECT_ID_BYTES + 4); left > 0; left--) {
      reader.text();
      reader.u8();
      reader.text();
      reader.view(EFFECT_ID_BYTES);
    }
    readIdle(reader, idle);
    reader.text();
  }

  clear(): void {
    this.#fold.coldWatch?.cleared();
    this.#dots.clear();
  }
}

function readIdle(reader: ByteReader, idle: IdleCloses): void {
  idle.stableStamp = readHlc(reader);
  for (let left = reader.count(EFFECT_ID_BYTES + 20); left > 0; left--) {
    const key = reader.view(EFFECT_ID_BYTES).slice();
    idle.open.push({ key, stamp: readHlc(reader), latest: readHlc(reader) });
  }
}
