import { type Hasher, nobleHasher } from "@tidemark/core";
import type { FinalState } from "./final-state.ts";
import {
  effectNameOf,
  type HistoryEvent,
  type HistoryPosition,
  happened,
  mayHaveHappened,
  type WriteEvent,
} from "./history-events.ts";
import { LogReader, type StoredLog } from "./log-reader.ts";
import type { StoredOp } from "./op-reader.ts";

/** Everything that one or several writes of a client, retries of each other, do: at most once. */
export interface Effect {
  readonly name: string;
  readonly writes: readonly WriteEvent[];
  /** The first of them. */
  readonly first: WriteEvent;
  /** It happened. */
  readonly certain: boolean;
}

/** An operation that some directory holds, and where. */
export interface StoredPlace {
  readonly op: StoredOp;
  /** Log to LSN. */
  readonly places: ReadonlyMap<string, number>;
}

/** What a removal takes away. */
export const REMOVAL_OF: Readonly<Record<string, "hide" | "mute" | "block">> = {
  unhide: "hide",
  unmute: "mute",
  unblock: "block",
};

/** A history and what the regions hold in the end, put in the order in which it is judged. */
export class Evidence {
  readonly events: readonly HistoryEvent[];
  readonly finals: readonly FinalState[];
  readonly writes: readonly WriteEvent[];
  /** By name, without those that cannot have happened. */
  readonly effects: ReadonlyMap<string, Effect>;
  /** The logs that each region stores, by the region's name. */
  readonly logs: ReadonlyMap<string, readonly StoredLog[]>;
  /** Every stored operation by its position; several of one position are a fork. */
  readonly ops: ReadonlyMap<string, readonly StoredPlace[]>;
  /** Whether every log that anybody wrote is stored somewhere from its first record on, and readable. */
  readonly complete: boolean;
  /** Whether what users say is under keys of theirs. */
  readonly sealed: boolean;
  /** Users that somebody asked to erase. */
  readonly erased: ReadonlySet<string>;
  /** Sessions that were purged. */
  readonly purged: ReadonlySet<string>;
  /** Regions whose disk may be damaged, by name. */
  readonly damaged: ReadonlySet<string>;
  /** Indexes of lives that begin without all that their region had applied: its disk was replaced, or damaged. */
  readonly forgetting: ReadonlySet<number>;
  /** Lives of regions, as `name number`, in which the state of another region came in: not all was seen applied. */
  readonly replaced: ReadonlySet<string>;
  readonly #writesAt: Map<string, WriteEvent> = new Map();
  readonly #copies: Map<string, StoredPlace[]> = new Map();

  constructor(events: readonly HistoryEvent[], finals: readonly FinalState[], hasher: Hasher = nobleHasher) {
    this.events = events;
    this.finals = finals;
    this.writes = events.filter((event) => event.type === "write");
    for (const write of this.writes) {
      const position = positionOf(write);
      if (position !== undefined && write.outcome?.kind === "applied")
        this.#writesAt.set(placeOf(position), write);
    }
    this.effects = effectsOf(this.writes);
    const reader = new LogReader(hasher);
    this.logs = new Map(finals.map(({ region, files }) => [region, reader.read(files)]));
    this.ops = opsOf([...this.logs.values()].flat());
    this.complete = isComplete(this);
    const places = [...this.ops.values()].flat();
    for (const place of places) {
      const copies = this.#copies.get(place.op.effect);
      if (copies === undefined) this.#copies.set(place.op.effect, [place]);
      else copies.push(place);
    }
    const stored = places.map(({ op }) => op);
    this.sealed = stored.some(({ content, kind }) => content === undefined && kind !== "unknown");
    this.erased = new Set(
      this.writes
        .filter((write) => write.operation === "erase" && mayHaveHappened(write))
        .map(({ user }) => user),
    );
    this.purged = new Set(stored.filter(({ kind }) => kind === "purge").map(({ session }) => session));
    this.replaced = replacedLives(events);
    this.forgetting = forgettingLives(events);
    this.damaged = new Set(
      events.flatMap((event) => (event.type === "fault" && event.damages === true ? [event.target] : [])),
    );
  }

  /** The write that was accepted at a position, if its outcome is known. */
  writeAt(position: HistoryPosition): WriteEvent | undefined {
    return this.#writesAt.get(placeOf(position));
  }

  /** The stored operation of a write that was acknowledged; the first of several in conflict. */
  storedOf(write: WriteEvent): StoredPlace | undefined {
    const position = positionOf(write);
    return position === undefined ? undefined : this.ops.get(placeOf(position))?.[0];
  }

  /** The effect id of a write, if it is known. */
  effectIdOf(write: WriteEvent): string | undefined {
    const { outcome } = write;
    const told = outcome?.kind === "applied" || outcome?.kind === "duplicate" ? outcome.effectId : undefined;
    return told ?? this.storedOf(write)?.op.effect;
  }

  /** Every stored operation with an effect id. */
  copiesOf(effect: string): readonly StoredPlace[] {
    return this.#copies.get(effect) ?? [];
  }
}

/** A position as one string. */
export function placeOf({ session, lane, seqno }: HistoryPosition): string {
  return `${session}\n${lane}\n${seqno}`;
}

/** Where a write was accepted. */
export function positionOf({ outcome }: WriteEvent): HistoryPosition | undefined {
  return outcome?.kind === "applied" || outcome?.kind === "duplicate" ? outcome.position : undefined;
}

function replacedLives(events: readonly HistoryEvent[]): Set<string> {
  const lives = new Map<string, number>();
  const replaced = new Set<string>();
  for (const event of events) {
    if (event.type === "life") lives.set(event.region, event.life);
    if (event.type === "sample" && event.replaced > 0)
      replaced.add(`${event.region} ${lives.get(event.region)}`);
  }
  return replaced;
}

function forgettingLives(events: readonly HistoryEvent[]): Set<number> {
  const damaged = new Set<string>();
  const forgetting = new Set<number>();
  for (const event of events) {
    if (event.type === "fault" && event.damages === true) damaged.add(event.target);
    if (event.type !== "life") continue;
    if (event.forgets === true || damaged.delete(event.region)) forgetting.add(event.index);
  }
  return forgetting;
}

function effectsOf(writes: readonly WriteEvent[]): Map<string, Effect> {
  const named = new Map<string, WriteEvent[]>();
  for (const write of writes) {
    if (!mayHaveHappened(write)) continue;
    const name = effectNameOf(write);
    const retries = named.get(name);
    if (retries === undefined) named.set(name, [write]);
    else retries.push(write);
  }
  return new Map(
    [...named].map(([name, all]) => [
      name,
      { name, writes: all, first: all[0] as WriteEvent, certain: all.some(happened) },
    ]),
  );
}

function opsOf(logs: readonly StoredLog[]): Map<string, StoredPlace[]> {
  const ops = new Map<string, { op: StoredOp; places: Map<string, number> }[]>();
  for (const { log, batches } of logs) {
    for (const { lsn, op } of batches.flatMap((batch) => batch.ops)) {
      const place = placeOf(op);
      const found = ops.get(place) ?? [];
      ops.set(place, found);
      const same = found.find((other) => other.op === op || sameOp(other.op, op));
      if (same === undefined) found.push({ op, places: new Map([[log, lsn]]) });
      else same.places.set(log, lsn);
    }
  }
  return ops;
}

function sameOp(one: StoredOp, other: StoredOp): boolean {
  return one.bytes.length === other.bytes.length && one.bytes.every((byte, at) => byte === other.bytes[at]);
}

/** Every log that a certificate names is stored somewhere from LSN 1 up to what the certificate says. */
function isComplete({ finals, logs }: Pick<Evidence, "finals" | "logs">): boolean {
  const reach = new Map<string, number>();
  for (const { log, firstLsn, lastLsn } of [...logs.values()].flat())
    if (firstLsn === 1) reach.set(log, Math.max(reach.get(log) ?? 0, lastLsn));
  return (
    finals.length > 0 &&
    finals.every(({ certificate }) =>
      Object.entries(certificate.vector).every(([log, lsn]) => (reach.get(log) ?? 0) >= lsn),
    )
  );
}
