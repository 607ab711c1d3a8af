import {
  ByteReader,
  ByteWriter,
  compareBytes,
  compareUtf8,
  CoreError,
  EFFECT_ID_BYTES,
  type Hasher,
  type SignalSums,
  type SignalWindow,
  StateDigest,
  type WindowSum,
} from "@tidemark/core";
import { EffectIdSet, type EffectKnown } from "./effect-ids.ts";
import { SignalError } from "./errors.ts";
import { LedgerEntity } from "./ledger-entity.ts";
import { LedgerReader, type LedgerSums, type RankedEntity, type Velocity } from "./ledger-reader.ts";
import { checkSignal, readSignalRecord, type SignalRecord } from "./signal-record.ts";
import { SIGNAL_NAME_BYTES_MAX, SignalSchema } from "./signal-schema.ts";

/** What a ledger needs. */
export interface SignalLedgerOptions<Name extends string = string> {
  readonly hasher: Hasher;
  /** Without one nothing is folded: records are only counted. */
  readonly schema?: SignalSchema<Name> | undefined;
}

/** Counts of a ledger. */
export interface LedgerStats {
  readonly entities: number;
  /** Contributions folded. */
  readonly folded: number;
  /** Contributions whose signal the schema does not name: they are in the log, for a schema that does. */
  readonly unfolded: number;
  /** Records that named an operation which was folded before. */
  readonly duplicates: number;
  /** Operations that were used for two requests: both were folded. */
  readonly conflicts: number;
  /** Records that could not be read. */
  readonly malformed: number;
}

/** What became of a record. */
export type LedgerApplied = "applied" | "duplicate" | "unfolded" | "malformed";

const VERSION = 2;
/** The version before had no names of what was left. */
const VERSION_UNNAMED = 1;
const LEDGER_FOLD_VERSION = 1;
/** Names of signals counted that the schema lacks; beyond it they are counted together. */
const LEFT_NAMES_MAX = 1_024;
const NO_SCHEMA = new Uint8Array(32);
const EMPTY_SCHEMA = new SignalSchema<never>([]);

/**
 * Every signal of every entity: a function of the *set* of contributions, whatever order they come in, in integers
 * only, so that two ledgers of the same contributions under the same schema have the same bytes.
 *
 * An entity takes at most 17 KB a signal whatever the time span, and some hundred bytes as a rule.
 *
 * @example
 * ```ts
 * const schema = defineSignals([{ name: "save", halfLifeMs: 86_400_000, windows: ["24h"] }]);
 * const ledger = new SignalLedger({ hasher: nobleHasher, schema });
 * const now = 1_790_000_000_000;
 * ledger.record({ entity: "metropolis", signal: "save", weight: 1, eventTimeMs: now });
 * ledger.record({ entity: "stalker", signal: "save", weight: 4, eventTimeMs: now - 86_400_000 });
 * const ranked = ledger.rank(["metropolis", "solaris", "stalker"], "save", now);
 * assert.deepEqual(ranked.map(({ entity }) => entity), ["stalker", "metropolis", "solaris"]);
 * assert.deepEqual(ledger.window("stalker", "save", "all", now), { count: 1, weight: 4 });
 * ```
 */
export class SignalLedger<Name extends string = string> implements LedgerSums {
  readonly schema: SignalSchema<Name> | undefined;
  readonly #hasher: Hasher;
  readonly #reader: LedgerReader<Name>;
  readonly #entities: Map<string, LedgerEntity> = new Map();
  readonly #effects: EffectIdSet = new EffectIdSet();
  /** What was left, by name of the signal. */
  readonly #left: Map<string, number> = new Map();
  #digest: StateDigest;
  #counts: Omit<Mutable<LedgerStats>, "entities"> = noCounts();

  constructor(options: SignalLedgerOptions<Name>) {
    const { hasher, schema } = options;
    this.#hasher = hasher;
    this.schema = schema;
    this.#reader = new LedgerReader(schema ?? EMPTY_SCHEMA, [this]);
    this.#digest = this.#emptyDigest();
  }

  /**
   * Folds one contribution that a caller gives.
   *
   * @throws {@link SignalError} `SIGNAL_UNKNOWN`, `SIGNAL_INVALID`. @throws CoreError `INVALID_WEIGHT`.
   */
  record(content: {
    readonly entity: string;
    readonly signal: Name;
    readonly weight: number;
    readonly eventTimeMs: number;
  }): void {
    checkSignal(content);
    (this.schema ?? EMPTY_SCHEMA).require(content.signal);
    this.add(content.entity, content.signal, content.weight, content.eventTimeMs);
  }

  /**
   * Folds one contribution that was accepted somewhere: one that the schema does not name is counted and left to a
   * schema that does.
   *
   * @returns Whether it was folded.
   */
  add(entity: string, signal: string, weight: number, eventTimeMs: number): boolean {
    const index = this.schema?.indexOf(signal);
    if (this.schema === undefined || index === undefined) {
      this.leave(signal);
      return false;
    }
    let entry = this.#entities.get(entity);
    if (entry === undefined) this.#entities.set(entity, (entry = new LedgerEntity(entity, this.schema)));
    let sums = entry.sums[index];
    if (sums === undefined) entry.sums[index] = sums = entry.empty(index);
    sums.add(weight, eventTimeMs);
    this.#counts.folded += 1;
    this.#digest.touch(entry);
    return true;
  }

  /** Counts a contribution that is left to a schema which names it; without its name it is as if any might be it. */
  leave(signal?: string): void {
    this.#counts.unfolded += 1;
    if (signal === undefined) return;
    const count = this.#left.get(signal) ?? 0;
    if (count > 0 || this.#left.size < LEFT_NAMES_MAX) this.#left.set(signal, count + 1);
  }

  /** Folds the body of a record of a log: one that names an operation counts once. Never throws for what bytes say. */
  apply(body: Uint8Array): LedgerApplied {
    const record = openRecord(body);
    if (record === undefined) {
      this.#counts.malformed += 1;
      return "malformed";
    }
    return this.applyRecord(record);
  }

  /** The same of a record that was read. */
  applyRecord(record: SignalRecord): LedgerApplied {
    if (record.effectId !== undefined) {
      const known = this.#effects.add(record.effectId);
      if (known === "known") {
        this.#counts.duplicates += 1;
        return "duplicate";
      }
      if (known === "conflict") this.#counts.conflicts += 1;
    }
    const folded = this.add(record.entity, record.signal, record.weight, record.eventTimeMs);
    return folded ? "applied" : "unfolded";
  }

  /** What is known of an operation: see {@link SignalEffects.idOf}. */
  known(effectId: Uint8Array): EffectKnown {
    return this.#effects.find(effectId);
  }

  /** See {@link LedgerReader.score}. */
  score(entity: string, signal: Name, nowMs: number): number {
    return this.#reader.score(entity, signal, nowMs);
  }

  /** See {@link LedgerReader.window}. */
  window(entity: string, signal: Name, window: SignalWindow, nowMs: number): WindowSum {
    return this.#reader.window(entity, signal, window, nowMs);
  }

  /** See {@link LedgerReader.velocity}. */
  velocity(entity: string, signal: Name, nowMs: number): Velocity {
    return this.#reader.velocity(entity, signal, nowMs);
  }

  /** See {@link LedgerReader.rank}. */
  rank(entities: readonly string[], signal: Name, nowMs: number): RankedEntity[] {
    return this.#reader.rank(entities, signal, nowMs);
  }

  sumsOf(entity: string, signal: number): SignalSums | undefined {
    return this.#entities.get(entity)?.sums[signal];
  }

  stats(): LedgerStats {
    return { entities: this.#entities.size, ...this.#counts };
  }

  /** 32 bytes that equal those of any ledger of the same contributions under the same schema. */
  digest(): Uint8Array {
    return this.#digest.digest();
  }

  /** The digest of one of the 4,096 slots, to narrow down where two ledgers differ. */
  slotDigest(slot: number): Uint8Array {
    return this.#digest.slotDigest(slot);
  }

  /** The entities of one slot with their digests. */
  objects(slot: number): { readonly kind: number; readonly id: string; readonly digest: Uint8Array }[] {
    return this.#digest.objects(slot);
  }

  /** Forgets everything. */
  reset(): void {
    this.#entities.clear();
    this.#effects.clear();
    this.#left.clear();
    this.#counts = noCounts();
    this.#digest = this.#emptyDigest();
  }

  /**
   * Everything, in canonical bytes.
   *
   * | field | layout |
   * | :--- | :--- |
   * | version | u8, 2; fold version u16 |
   * | schema | its digest, 32; zeros without one |
   * | counts | varint each: folded, unfolded, duplicates, conflicts, malformed |
   * | left | varint count, ascending: name of a signal `text`, varint of its contributions that were left; others of them have no name here |
   * | effects | varint count, ascending: effect id 16 |
   * | entities | varint count, ascending: id `text`, its canonical bytes: {@link LedgerEntity.writeCanonical} |
   */
  snapshot(): Uint8Array {
    const writer = new ByteWriter(4096);
    writer.u8(VERSION);
    writer.u16(LEDGER_FOLD_VERSION);
    writer.raw(this.schema?.digest ?? NO_SCHEMA);
    const { folded, unfolded, duplicates, conflicts, malformed } = this.#counts;
    for (const count of [folded, unfolded, duplicates, conflicts, malformed]) writer.varint(count);
    writer.varint(this.#left.size);
    for (const [name, count] of [...this.#left].sort((a, b) => compareUtf8(a[0], b[0]))) {
      writer.text(name);
      writer.varint(count);
    }
    const effects = this.#effects.sorted();
    writer.varint(effects.length);
    for (const id of effects) writer.raw(id);
    const entities = [...this.#entities.values()].sort((a, b) => compareUtf8(a.id, b.id));
    writer.varint(entities.length);
    for (const entity of entities) {
      writer.text(entity.id);
      entity.writeCanonical(writer);
    }
    return writer.take();
  }

  /**
   * Replaces everything. A snapshot under another schema is as good, if what was folded fades here as it did there and
   * nothing was left that would be folded here: then it is what folding under this schema gives.
   *
   * @throws CoreError `DECODE_FAILED`; the ledger is empty then.
   * @throws {@link SignalError} `SCHEMA_DIFFERS` for any other schema; the ledger is empty then.
   */
  restore(bytes: Uint8Array): void {
    const reader = new ByteReader(bytes);
    const version = reader.u8();
    if (version !== VERSION && version !== VERSION_UNNAMED)
      reader.fail("Cannot read this version of a ledger", 0);
    const foldVersion = reader.u16();
    if (foldVersion < 1 || foldVersion > LEDGER_FOLD_VERSION)
      reader.fail(`Cannot read the ledger of fold version ${foldVersion}`, 1);
    const schema = reader.view(NO_SCHEMA.length);
    const same = compareBytes(schema, this.schema?.digest ?? NO_SCHEMA) === 0;
    this.reset();
    try {
      this.#restore(reader, version, same);
    } catch (error) {
      this.reset();
      throw error;
    }
    for (const entity of this.#entities.values()) this.#digest.touch(entity);
  }

  #restore(reader: ByteReader, version: number, same: boolean): void {
    const [folded, unfolded, duplicates] = [reader.varint(), reader.varint(), reader.varint()];
    this.#counts = { folded, unfolded, duplicates, conflicts: reader.varint(), malformed: reader.varint() };
    if (version > VERSION_UNNAMED) this.#readLeft(reader);
    const unnamed = unfolded - [...this.#left.values()].reduce((sum, count) => sum + count, 0);
    if (!same && (unnamed > 0 || [...this.#left.keys()].some((name) => this.schema?.has(name) === true)))
      throw schemaDiffers("something was left that is folded here");
    let before: Uint8Array | undefined;
    for (let left = reader.count(EFFECT_ID_BYTES); left > 0; left--) {
      const at = reader.offset;
      const id = reader.view(EFFECT_ID_BYTES);
      if (before !== undefined && compareBytes(before, id) >= 0)
        reader.fail("Cannot accept effects out of order", at);
      this.#effects.add((before = id));
    }
    let last: string | undefined;
    for (let left = reader.count(6); left > 0; left--) {
      const at = reader.offset;
      const id = reader.text(SIGNAL_NAME_BYTES_MAX);
      if (last !== undefined && compareUtf8(last, id) >= 0)
        reader.fail("Cannot accept entities out of order", at);
      const { schema } = this;
      if (schema === undefined) {
        if (!same) throw schemaDiffers("something was folded that is left here");
        return reader.fail("Cannot accept an entity without a schema", at);
      }
      const entity = new LedgerEntity((last = id), schema);
      if (!entity.read(reader)) {
        if (!same) throw schemaDiffers(`a signal of ${id} fades otherwise here`);
        reader.fail("Cannot accept the sums of a signal", at);
      }
      this.#entities.set(id, entity);
    }
    reader.finish();
  }

  #readLeft(reader: ByteReader): void {
    let last: string | undefined;
    for (let names = reader.count(3); names > 0; names--) {
      const at = reader.offset;
      const name = reader.text(SIGNAL_NAME_BYTES_MAX);
      const count = reader.varint();
      if (count === 0 || name === "" || (last !== undefined && compareUtf8(last, name) >= 0))
        reader.fail("Cannot accept what was left", at);
      this.#left.set((last = name), count);
    }
    const named = [...this.#left.values()].reduce((sum, count) => sum + count, 0);
    if (named > this.#counts.unfolded || this.#left.size > LEFT_NAMES_MAX)
      reader.fail("Cannot accept more that was left than there is");
  }

  #emptyDigest(): StateDigest {
    const { schema } = this;
    return new StateDigest(this.#hasher, {
      foldVersion: LEDGER_FOLD_VERSION,
      ...(schema === undefined ? {} : { schema: schema.digest }),
    });
  }
}

type Mutable<Value> = { -readonly [Key in keyof Value]: Value[Key] };

function noCounts(): Omit<Mutable<LedgerStats>, "entities"> {
  return { folded: 0, unfolded: 0, duplicates: 0, conflicts: 0, malformed: 0 };
}

function openRecord(body: Uint8Array): SignalRecord | undefined {
  try {
    return readSignalRecord(body);
  } catch (error) {
    if (error instanceof CoreError) return undefined;
    throw error;
  }
}

function schemaDiffers(why: string): SignalError {
  return new SignalError(
    "SCHEMA_DIFFERS",
    `Cannot restore a ledger that was folded under another schema: ${why}`,
  );
}
