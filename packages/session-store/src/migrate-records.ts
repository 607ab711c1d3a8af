import { decodeKey, decodeRecord, encodeRecord, type Kv, type KvItem, type KvKey } from "@tidemark/kv";
import { canonicalJson, type JsonValue } from "./canonical-json.ts";
import { runDecision, viewOf } from "./decision.ts";
import { SessionStoreError } from "./errors.ts";
import { parseBody, type RecordContext } from "./records.ts";
import { scanAll } from "./scan-all.ts";

/** One step of a schema: records of one kind, from one version to the next. */
export interface RecordMigration {
  /** The kind of the records, as their header names it. */
  readonly kind: string;
  /** The first part of the keys such records lie at. */
  readonly row: string;
  readonly from: number;
  readonly to: number;
  /** The new body. */
  migrate(body: JsonValue): JsonValue;
  /** Whether a new body says what the old one said: judged by content, before anything is written. */
  verify(before: JsonValue, after: JsonValue): boolean;
}

/** What a migration did. */
export interface MigrationReport {
  /** Records that are of a later version now. */
  readonly migrated: number;
  /** Records that were left as they are. */
  readonly kept: number;
}

/**
 * Brings the records of a partition to later schema versions: what opening never does by itself. Each record is written
 * only if it is still what was read, if each step verified its content, and if the new record reads back as what was
 * to be written. Interrupted, it is run again: what was migrated is kept. Nobody else should write meanwhile; programs of
 * either version refuse what is of the other.
 *
 * @throws {@link SessionStoreError} `DATA_CORRUPT` if a content is not verified, or a record is damaged; what was migrated
 * before it stays so.
 */
export async function migrateRecords(
  kv: Kv,
  records: RecordContext,
  migrations: readonly RecordMigration[],
): Promise<MigrationReport> {
  const report = { migrated: 0, kept: 0 };
  for (const { key } of await scanAll(viewOf(kv, records.partition), {})) {
    const steps = migrations.filter(({ row }) => decodeKey(key)[0] === row);
    const migrated = steps.length > 0 && (await migrateRecord(kv, records, key, steps));
    report[migrated ? "migrated" : "kept"] += 1;
  }
  return report;
}

function migrateRecord(
  kv: Kv,
  records: RecordContext,
  key: KvKey,
  steps: readonly RecordMigration[],
): Promise<boolean> {
  return runDecision(
    kv,
    records.partition,
    (view) => view.get([key]),
    ([value]) => {
      const item = value === undefined ? undefined : migratedItem({ key, value }, records, steps);
      const puts = item === undefined ? [] : [item];
      return { checks: [{ key, value }], puts, deletes: [], result: item !== undefined };
    },
  );
}

/** The record of the last version; `undefined` if it is that already. */
function migratedItem(
  { key, value }: KvItem,
  records: RecordContext,
  steps: readonly RecordMigration[],
): KvItem | undefined {
  const { kind } = steps[0]!;
  const place = { partition: records.partition, key };
  const versions = [...new Set(steps.flatMap(({ from, to }) => [from, to]))];
  const stored = decodeRecord(value, { kind, versions }, place, records.hasher);
  let { version } = stored;
  let body = parseBody(stored.body, kind) as JsonValue;
  for (let step = stepFrom(steps, version); step !== undefined; step = stepFrom(steps, version)) {
    const after = step.migrate(body);
    if (step.to <= version || !step.verify(body, after)) throw unverified(kind, step);
    body = after;
    version = step.to;
  }
  if (version === stored.version) return undefined;
  const text = canonicalJson(body);
  const bytes = encodeRecord({ kind, version }, new TextEncoder().encode(text), place, records.hasher);
  const back = decodeRecord(bytes, { kind, versions: [version] }, place, records.hasher);
  if (canonicalJson(parseBody(back.body, kind) as JsonValue) !== text) {
    throw new SessionStoreError("DATA_CORRUPT", `Cannot migrate a ${kind}: it does not read back`, { kind });
  }
  return { key, value: bytes };
}

function stepFrom(steps: readonly RecordMigration[], version: number): RecordMigration | undefined {
  return steps.find(({ from }) => from === version);
}

function unverified(kind: string, { from, to }: RecordMigration): SessionStoreError {
  return new SessionStoreError(
    "DATA_CORRUPT",
    `Cannot migrate a ${kind} from version ${from} to ${to}: its content is not verified`,
    { kind, actual: from, expected: to },
  );
}
