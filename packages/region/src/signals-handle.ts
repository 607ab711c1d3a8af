import type { SignalWindow, WindowSum } from "@tidemark/core";
import { LedgerReader } from "@tidemark/signals";
import type { ReadOptions, WalBatch } from "@tidemark/wal";
import type { RankedEntity, SignalSchema, Velocity } from "@tidemark/signals";
import type { RegionEngine } from "./engine.ts";
import { RegionError } from "./errors.ts";
import type { ExportRow, ExportSummary } from "./export-row.ts";
import { exportLogs } from "./export-signals.ts";
import { unsealWith } from "./unseal.ts";
import type { ExportOptions } from "./export-signals.ts";
import type { RegionSignals, SignalOptions, SignalResult } from "./region-signals.ts";

/** Bytes of one record of a log, about. */
const RECORD_BYTES = 64;

/** What {@link Region.signals} hands out. */
export class SignalsHandle implements RegionSignals {
  readonly #engine: RegionEngine;
  #reader: { readonly of: unknown; readonly reader: LedgerReader } | undefined;

  constructor(engine: RegionEngine) {
    this.#engine = engine;
  }

  get schema(): SignalSchema | undefined {
    return this.#engine.parts.options.schema;
  }

  async record(
    entity: string,
    signal: string,
    weight: number,
    options: SignalOptions = {},
  ): Promise<SignalResult> {
    this.#requireSchema();
    const { eventTimeMs = this.#engine.now(), propensity } = options;
    const content = { entity, signal, weight, eventTimeMs };
    return this.#engine.desk.recordSignal(
      propensity === undefined ? content : { ...content, propensity },
      options,
    );
  }

  export(options: ExportOptions): AsyncGenerator<ExportRow, ExportSummary, undefined> {
    const { parts, running } = this.#engine;
    const logs = parts.wal.logs().map((log) => {
      // As it is now: both passes read the same.
      const { first, durable } = log;
      const bytes = (durable.lsn - first + 1) * RECORD_BYTES;
      return { bytes, read: (reading: ReadOptions) => upTo(log.read(first, reading), durable.lsn) };
    });
    return exportLogs(
      {
        logs,
        hasher: parts.platform.hasher,
        unseal: running.keys === undefined ? undefined : unsealWith(running.keys.seals),
        userOf: (session) => running.fold.sessions.get(session)?.user?.id,
      },
      options,
    );
  }

  score(entity: string, signal: string, nowMs: number = this.#engine.now()): number {
    return this.#read().score(entity, signal, nowMs);
  }

  window(
    entity: string,
    signal: string,
    window: SignalWindow,
    nowMs: number = this.#engine.now(),
  ): WindowSum {
    return this.#read().window(entity, signal, window, nowMs);
  }

  velocity(entity: string, signal: string, nowMs: number = this.#engine.now()): Velocity {
    return this.#read().velocity(entity, signal, nowMs);
  }

  rank(entities: readonly string[], signal: string, nowMs: number = this.#engine.now()): RankedEntity[] {
    return this.#read().rank(entities, signal, nowMs);
  }

  #read(): LedgerReader {
    const schema = this.#requireSchema();
    const { ledgers } = this.#engine.running;
    if (this.#reader?.of !== ledgers)
      this.#reader = { of: ledgers, reader: new LedgerReader(schema, ledgers) };
    return this.#reader.reader;
  }

  #requireSchema(): SignalSchema {
    const { schema } = this;
    if (schema !== undefined) return schema;
    throw new RegionError(
      "SCHEMA_MISSING",
      `Cannot use the signals of ${this.#engine.parts.name}: it was opened without a schema`,
    );
  }
}

async function* upTo(
  batches: AsyncIterable<WalBatch>,
  lsn: number,
): AsyncGenerator<WalBatch, void, undefined> {
  if (lsn === 0) return;
  for await (const batch of batches) {
    if (batch.lastLsn > lsn) return;
    yield batch;
    if (batch.lastLsn === lsn) return;
  }
}
