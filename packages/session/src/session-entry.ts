import {
  type ByteWriter,
  compareUtf8,
  type DigestObject,
  type HideKind,
  HLC_ZERO,
  type Hlc,
  type SignalSums,
  writeHlc,
} from "@tidemark/core";
import { EffectList, comparePositions, type OpPosition } from "./effect-list.ts";
import { bytesOfHex } from "./hex.ts";
import { IdleCloses } from "./idle-close.ts";
import type { LaneState } from "./lane.ts";
import { LazyMap, LazySet } from "./lazy-map.ts";
import { APP_COUNT_MAX, SEARCH_COUNT_MAX } from "./limits.ts";
import { LogPositions } from "./log-positions.ts";
import type { StartClear, StartSealed } from "./op.ts";
import { decodeOp, type OpView } from "./op-view.ts";
import { sortedByText } from "./sorted.ts";
import { TicketBytes } from "./ticket-bytes.ts";
import type { UserEntry } from "./user-entry.ts";

/** What a fork or merge brought along. */
export interface Carried {
  readonly parents: readonly string[];
  /** The digest of `state`. */
  readonly digest: Uint8Array;
  readonly state: Uint8Array;
}

/** One start of a session, which a fork or merge is too. */
export interface StartEffect {
  position: OpPosition;
  /** The number of the effect if it had an operationId, else -1. */
  readonly effect: number;
  readonly clear: StartClear;
  readonly sealed: StartSealed;
  readonly carried?: Carried;
  /** The pseudonym of whose key it is under, if it is under one. */
  owner?: string | undefined;
}

/** A number of a lane that two operations claim. */
export interface ForkedNumber {
  readonly lane: string;
  readonly seqno: number;
}

/** A dot of this session's that a stable unhide has removed, and that a copy of its hide could bring again. */
export interface RemovedDot {
  readonly user: UserEntry;
  readonly kind: HideKind;
  readonly item: string;
  readonly dot: string;
}

/** The order of lists in a snapshot. */
export const LIST_ORDER: readonly EffectList["kind"][] = ["annotate", "search", "prefer", "app"];

/** What the fold holds of one session: a function of the set of its operations. */
export class SessionEntry implements DigestObject {
  readonly objectKind = 1;
  readonly id: string;
  readonly lanes: LaneState[] = [];
  readonly starts: StartEffect[] = [];
  /** The start of the smallest position. */
  start: StartEffect | undefined;
  user: UserEntry | undefined;
  /** Closes in force. */
  closes: number = 0;
  readonly idle: IdleCloses = new IdleCloses();
  /** It shows nothing any more, whatever arrives; see {@link Tombstone}. */
  purged: boolean = false;
  /** The head of the chain of its effects that have an operationId; -1 for none. */
  effects: number = -1;
  readonly removed: RemovedDot[] = [];
  /** Pseudonyms of whom it holds something that is under their key. */
  owners: string[] | undefined;
  effectCount: number = 0;
  maxStamp: Hlc = HLC_ZERO;
  readonly signals: LazyMap<string, LazyMap<string, SignalSums>> = new LazyMap();
  /** Whose the signals are, where users have keys; of several owners each has their own as well. */
  signalsOwner: string | undefined;
  signalsBy: Map<string, LazyMap<string, LazyMap<string, SignalSums>>> | undefined;
  readonly hints: LazyMap<string, EffectList> = new LazyMap();
  annotations: EffectList | undefined;
  searches: EffectList | undefined;
  readonly apps: LazyMap<string, EffectList> = new LazyMap();
  /** Hexadecimal tags of operations that were used for two requests. */
  readonly conflicts: LazySet<string> = new LazySet();
  readonly forks: LazyMap<string, ForkedNumber> = new LazyMap();
  /** Hexadecimal key to the bytes of an operation that this version cannot fold. */
  readonly unknown: LazyMap<string, Uint8Array> = new LazyMap();
  /** Number of a log to the LSN of the last record of this session there. */
  readonly positions: LogPositions = new LogPositions();
  held: TicketBytes = new TicketBytes();
  /** Its effects that are hides, while a copy of one could still bring back what was removed. */
  hideEffects: number[] | undefined;
  /** What it is estimated to take in memory. */
  weight: number = 0;
  /** In the list of those that may be evictable, between these. */
  resting: boolean = false;
  colder: SessionEntry | undefined;
  warmer: SessionEntry | undefined;

  constructor(id: string) {
    this.id = id;
  }

  /** The list that effects of a kind are ordered in, made if it is missing. */
  list(kind: EffectList["kind"], name: string): EffectList {
    if (kind === "annotate") return (this.annotations ??= new EffectList(kind, "", Number.POSITIVE_INFINITY));
    if (kind === "search") return (this.searches ??= new EffectList(kind, "", SEARCH_COUNT_MAX));
    const lists = kind === "prefer" ? this.hints : this.apps;
    let list = lists.get(name);
    if (list === undefined) {
      list = new EffectList(kind, name, kind === "prefer" ? 1 : APP_COUNT_MAX);
      lists.set(name, list);
    }
    return list;
  }

  /** The starts in the order of their positions. */
  startsInOrder(): StartEffect[] {
    return this.starts.toSorted((a, b) => comparePositions(a.position, b.position));
  }

  /** Every list that exists, by kind and name. */
  listsInOrder(): EffectList[] {
    return [...this.lists()].sort(
      (a, b) => LIST_ORDER.indexOf(a.kind) - LIST_ORDER.indexOf(b.kind) || compareUtf8(a.name, b.name),
    );
  }

  /** Every list that exists. */
  *lists(): Iterable<EffectList> {
    if (this.annotations !== undefined) yield this.annotations;
    if (this.searches !== undefined) yield this.searches;
    yield* this.hints.values();
    yield* this.apps.values();
  }

  /**
   * Empties all that can be read of it; returns how many operations that can never be folded went with it.
   *
   * @param mayFold - Whether an operation that was kept whole can be folded now or later: it may speak of the user.
   */
  purge(mayFold: (op: OpView) => boolean): number {
    this.starts.length = 0;
    this.start = undefined;
    this.closes = 0;
    this.idle.open.length = 0;
    this.signals.clear();
    this.signalsOwner = undefined;
    this.signalsBy = undefined;
    this.hints.clear();
    this.annotations = undefined;
    this.searches = undefined;
    this.apps.clear();
    this.conflicts.clear();
    this.forks.clear();
    const before = this.unknown.size;
    for (const [key, bytes] of [...this.unknown]) if (!mayFold(decodeOp(bytes))) this.unknown.delete(key);
    return before - this.unknown.size;
  }

  /** Takes in a start, or another position of one; returns whether the session's start is another one now. */
  addStart(start: StartEffect): boolean {
    const at = start.effect < 0 ? -1 : this.starts.findIndex((one) => one.effect === start.effect);
    const known = this.starts[at];
    if (known === undefined) this.starts.push(start);
    // With its content: two copies of a fork carry what each region knew.
    else if (comparePositions(start.position, known.position) < 0) this.starts[at] = start;
    let first = this.starts[0] as StartEffect;
    for (const one of this.starts) if (comparePositions(one.position, first.position) < 0) first = one;
    const changed = first !== this.start;
    this.start = first;
    return changed;
  }

  /**
   * The canonical bytes of a session. *texts* is a varint count and that many `text`.
   *
   * | field         | layout                                                                                         |
   * | :------------ | :--------------------------------------------------------------------------------------------- |
   * | version       | u8, 1                                                                                          |
   * | starts        | varint count of different starts; if any, of the smallest: user, agent, policy `text`, policy version u32, u8 0, or u8 1 and parent `text`, or u8 2, varint count of parents `text` and the digest 32 of the state carried (4 more: then the digest 32 of the signal schema); varint count of metadata and key, value `text` ascending by key |
   * | closed        | u8 0 or 1                                                                                      |
   * | effects       | varint: different effects folded                                                               |
   * | stamp         | 10: the latest of any operation                                                                |
   * | signals       | varint count of entities, ascending: entity `text`, varint count of signals, ascending: signal `text`, the sums (`SignalSums`) |
   * | hints         | varint count, ascending: key `text`, value `text`                                              |
   * | annotations   | varint count, in order: stamp 10, text `text`, u8 1 and entity `text` or u8 0                  |
   * | searches      | varint count (at most 100), in order: stamp 10, query `text`                                   |
   * | applications  | varint count, ascending: namespace `text`, varint count (at most 1,000), in order: stamp 10, bytes `bytes` |
   * | conflicts     | varint count, ascending: tag 8                                                                 |
   * | forks         | varint count, ascending by text form and number: lane bytes `bytes`, seqno varint              |
   * | unknown       | varint count, ascending: key 16                                                                |
   * | lanes         | varint count, ascending by text form: lane bytes `bytes`, high-water mark varint, varint count of ranges above it: from, to varint |
   *
   * Texts ascend by their UTF-8 bytes.
   */
  writeCanonical(writer: ByteWriter): void {
    if (this.purged) return;
    writer.u8(1);
    writer.varint(this.starts.length);
    if (this.start !== undefined) writeStart(writer, this.start);
    writer.u8(this.closes > 0 ? 1 : 0);
    writer.varint(this.effectCount);
    writeHlc(writer, this.maxStamp);
    writeSignals(writer, this.signals);
    writer.varint(this.hints.size);
    for (const [key, list] of sortedByText(this.hints)) {
      writer.text(key);
      writer.text(list.effects.at(-1)?.text ?? "");
    }
    const annotations = this.annotations?.latest() ?? [];
    writer.varint(annotations.length);
    for (const { position, text, about } of annotations) {
      writeHlc(writer, position.stamp);
      writer.text(text);
      writer.u8(about === undefined ? 0 : 1);
      if (about !== undefined) writer.text(about);
    }
    const searches = this.searches?.latest() ?? [];
    writer.varint(searches.length);
    for (const { position, text } of searches) {
      writeHlc(writer, position.stamp);
      writer.text(text);
    }
    writer.varint(this.apps.size);
    for (const [namespace, list] of sortedByText(this.apps)) {
      writer.text(namespace);
      const latest = list.latest();
      writer.varint(latest.length);
      for (const { position, bytes } of latest) {
        writeHlc(writer, position.stamp);
        writer.prefixed(bytes ?? new Uint8Array(0));
      }
    }
    this.#writeLanes(writer);
  }

  #writeLanes(writer: ByteWriter): void {
    writer.varint(this.conflicts.size);
    for (const tag of [...this.conflicts].sort()) writer.raw(bytesOfHex(tag));
    const lanes = [...this.lanes].sort((a, b) => (a.text < b.text ? -1 : 1));
    const order = new Map(lanes.map((lane, index) => [lane.text, index]));
    const forks = [...this.forks.values()].sort(
      (a, b) => (order.get(a.lane) as number) - (order.get(b.lane) as number) || a.seqno - b.seqno,
    );
    writer.varint(forks.length);
    for (const fork of forks) {
      writer.prefixed((lanes[order.get(fork.lane) as number] as LaneState).bytes);
      writer.varint(fork.seqno);
    }
    writer.varint(this.unknown.size);
    for (const key of [...this.unknown.keys()].sort()) writer.raw(bytesOfHex(key));
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
  }
}

/** Beside the origin of a start: the digest of a schema follows. */
export const ORIGIN_SCHEMA = 4;

/** Writes what a start says. */
export function writeStart(
  writer: ByteWriter,
  start: Pick<StartEffect, "clear" | "sealed" | "carried">,
): void {
  const { user, agent, metadata } = start.sealed;
  const { carried } = start;
  writer.text(user);
  writer.text(agent);
  writer.text(start.clear.policy);
  writer.u32(start.clear.policyVersion);
  const { parent, schema } = start.clear;
  const origin = carried !== undefined ? 2 : parent === undefined ? 0 : 1;
  writer.u8(origin | (schema === undefined ? 0 : ORIGIN_SCHEMA));
  if (carried !== undefined) {
    writer.varint(carried.parents.length);
    for (const parent of carried.parents) writer.text(parent);
    writer.raw(carried.digest);
  } else if (parent !== undefined) writer.text(parent);
  if (schema !== undefined) writer.raw(schema);
  const keys = Object.keys(metadata).sort(compareUtf8);
  writer.varint(keys.length);
  for (const key of keys) {
    writer.text(key);
    writer.text(metadata[key] as string);
  }
}

/** Writes the sums of every signal. */
export function writeSignals(writer: ByteWriter, signals: SessionEntry["signals"]): void {
  writer.varint(signals.size);
  for (const [entity, sums] of sortedByText(signals)) {
    writer.text(entity);
    writer.varint(sums.size);
    for (const [signal, sum] of sortedByText(sums)) {
      writer.text(signal);
      sum.encode(writer);
    }
  }
}
