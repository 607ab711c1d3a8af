import { ByteWriter, compareUtf8, EFFECT_ID_BYTES, HLC_BYTES, type Hlc, writeHlc } from "@tidemark/core";
import { ByteReader } from "@tidemark/core";
import type { IdleCloses } from "./idle-close.ts";
import type { SessionEntry } from "./session-entry.ts";
import type { SessionFold } from "./session-fold.ts";
import { writeSession } from "./session-snapshot.ts";

/** Effect id, stamp, lane u32 and number u64. */
const ROW_BYTES: number = EFFECT_ID_BYTES + HLC_BYTES + 12;

/** What the sections of a snapshot say of a session. */
export interface SnapshotSession {
  readonly idle: Pick<IdleCloses, "stableStamp" | "open">;
}

/**
 * The sessions of a snapshot and their effects, which it lists before them, through all sessions in one order. Cold
 * sessions are read twice, one at a time, and never all at once.
 */
export class SnapshotSessions {
  readonly #fold: SessionFold;
  /** By id: the session, or what is cold of it. */
  readonly #ids: string[];
  readonly #kept: Map<string, SessionEntry> = new Map();
  /** Of each session, the first of its lanes and the first of its rows. */
  readonly #rowsFrom: Uint32Array;
  readonly #rows: ByteWriter = new ByteWriter(4096);
  /** Row to its place among all effects, ascending by id. */
  #rank: Uint32Array = new Uint32Array(0);
  #order: Uint32Array = new Uint32Array(0);
  /** Number in the fold to number in the snapshot, of what is in memory. */
  readonly lanes: number[] = [];
  readonly effects: Record<number, number> = [];
  /** What sections say of each session, by id. */
  readonly listed: SnapshotSession[] = [];
  /** Whether any of them carries another: an older version cannot read that. */
  carries: boolean = false;

  constructor(fold: SessionFold) {
    this.#fold = fold;
    for (const { kept } of fold.tombstones.values()) if (kept !== undefined) this.#kept.set(kept.id, kept);
    this.#ids = [...fold.sessions.ids(), ...this.#kept.keys()].sort(compareUtf8);
    this.#rowsFrom = new Uint32Array(this.#ids.length + 1);
    this.#collect();
    this.#sort();
  }

  /** The effects, ascending: varint count, then each with its smallest position. */
  writeEffects(writer: ByteWriter): void {
    writer.varint(this.#order.length);
    const rows = this.#rows.view();
    for (const row of this.#order) {
      const reader = new ByteReader(rows, row * ROW_BYTES);
      writer.raw(reader.view(EFFECT_ID_BYTES + HLC_BYTES));
      writer.varint(reader.u32());
      writer.varint(reader.u64());
    }
  }

  /** The sessions, ascending by id: varint count, then each. */
  writeSessions(writer: ByteWriter, logs: readonly number[]): void {
    const { sessions, cold } = this.#fold;
    writer.varint(this.#ids.length);
    for (const [at, id] of this.#ids.entries()) {
      const held = this.#kept.get(id) ?? sessions.peek(id);
      const detached = held instanceof Uint8Array ? cold.detached(id, held) : undefined;
      const session = (detached ?? held) as SessionEntry;
      this.carries ||= session.starts.some(({ carried }) => carried !== undefined);
      // The effects of one that was read by itself are numbered within it.
      const effects = detached === undefined ? this.effects : this.#rank.subarray(this.#rowsFrom[at]);
      writeSession(writer, session, { logs, lanes: this.lanes, effects });
      if (detached !== undefined) for (const lane of detached.lanes) this.#fold.freeLane(lane);
      this.listed.push(
        detached === undefined
          ? session
          : { idle: { stableStamp: session.idle.stableStamp, open: session.idle.open } },
      );
    }
  }

  #collect(): void {
    const { sessions, cold, effects } = this.#fold;
    let lanes = 0;
    let rows = 0;
    const row = (id: Uint8Array, stamp: Hlc, lane: number, seqno: number): number => {
      this.#rows.raw(id);
      writeHlc(this.#rows, stamp);
      this.#rows.u32(lane);
      this.#rows.u64(seqno);
      return rows++;
    };
    for (const [at, id] of this.#ids.entries()) {
      this.#rowsFrom[at] = rows;
      const held = this.#kept.get(id) ?? sessions.peek(id);
      if (held instanceof Uint8Array) {
        const from = lanes;
        lanes += cold.outline(held, (effect, stamp, lane, seqno) => row(effect, stamp, from + lane, seqno));
        continue;
      }
      for (const lane of held?.lanes.toSorted((a, b) => (a.text < b.text ? -1 : 1)) ?? [])
        this.lanes[lane.index] = lanes++;
      for (const index of effects.chain(held?.effects ?? -1)) {
        const { stamp, lane, seqno } = effects.positionOf(index);
        this.effects[index] = row(effects.idOf(index), stamp, this.lanes[lane] as number, seqno);
      }
    }
    this.#rowsFrom[this.#ids.length] = rows;
  }

  #sort(): void {
    const bytes = this.#rows.view();
    const count = this.#rowsFrom[this.#ids.length] as number;
    const order = new Uint32Array(count);
    for (let at = 0; at < count; at++) order[at] = at;
    order.sort((a, b) => {
      const [from, other] = [a * ROW_BYTES, b * ROW_BYTES];
      for (let at = 0; at < EFFECT_ID_BYTES; at++) {
        const difference = (bytes[from + at] as number) - (bytes[other + at] as number);
        if (difference !== 0) return difference;
      }
      return 0;
    });
    const rank = new Uint32Array(count);
    for (const [place, row] of order.entries()) rank[row] = place;
    this.#order = order;
    this.#rank = rank;
    for (const index of Object.keys(this.effects))
      this.effects[Number(index)] = rank[this.effects[Number(index)] as number] as number;
  }
}
