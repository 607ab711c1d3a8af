import { decodeKey, prefixRange } from "@tidemark/kv";
import { asSessionStoreError, recordCodec, type RecordCodec, scanAll, viewOf } from "@tidemark/session-store";
import type { ZoneContext } from "./zone-context.ts";
import { DIRECTORY_PARTITION, ledgerKey } from "./zone-keys.ts";

/** A migration that is done, with what it did: evidence, written once a check of the content has passed. */
export interface LedgerEntry {
  readonly migration: string;
  /** Of the migration: a later one runs again. */
  readonly version: number;
  /** Unix ms. */
  readonly finishedAtMs: number;
  readonly counts: Readonly<Record<string, number>>;
}

const ledgerRecord: RecordCodec<LedgerEntry> = recordCodec("zone-ledger", 1);

/** What is noted of a migration; nothing if it is not done. */
export async function readLedger(
  { kv, hasher }: ZoneContext,
  migration: string,
): Promise<LedgerEntry | undefined> {
  const key = ledgerKey(migration);
  try {
    const [value] = await kv.get(DIRECTORY_PARTITION, [key]);
    return ledgerRecord.read(value, key, { partition: DIRECTORY_PARTITION, hasher });
  } catch (error) {
    throw asSessionStoreError(error);
  }
}

/** All migrations that are done, by name. */
export async function listLedger({ kv, hasher }: ZoneContext): Promise<LedgerEntry[]> {
  const items = await scanAll(viewOf(kv, DIRECTORY_PARTITION), prefixRange(["ledger"]));
  const records = { partition: DIRECTORY_PARTITION, hasher };
  return items
    .filter(({ key }) => decodeKey(key).length === 2)
    .map(({ key, value }) => ledgerRecord.read(value, key, records) as LedgerEntry);
}

/** Notes that a migration is done. */
export async function writeLedger(
  { kv, hasher }: ZoneContext,
  entry: Omit<LedgerEntry, "finishedAtMs">,
): Promise<void> {
  const records = { partition: DIRECTORY_PARTITION, hasher };
  const key = ledgerKey(entry.migration);
  try {
    const finishedAtMs = await kv.nowMs();
    await kv.commit(DIRECTORY_PARTITION, {
      puts: [ledgerRecord.item({ ...entry, finishedAtMs }, key, records)],
    });
  } catch (error) {
    throw asSessionStoreError(error);
  }
}
