import { logId, nobleHasher, type LogId } from "@tidemark/core";
import {
  memoryFs,
  openWal,
  type Log,
  type MemoryFs,
  type Wal,
  type WalBatch,
  type WalOptions,
} from "@tidemark/wal";

/** The log that most tests write to. */
export const OWN: LogId = logId(1, 0, 10, "sessions");
/** Its first segment. */
export const SEGMENT = "wal/sessions/r00001-s00000-e0000000010-00000000000000000001.wal";

/** Opens the WAL of a memory file system. */
export function open(fs: MemoryFs, options: Partial<WalOptions> = {}): Promise<Wal> {
  return openWal({ fs, dir: "wal", hasher: nobleHasher, ...options });
}

/** A fresh file system, WAL and log. */
export async function fresh(
  options: Partial<WalOptions> = {},
  seed = 1,
): Promise<{ fs: MemoryFs; wal: Wal; log: Log }> {
  const fs = memoryFs({ seed });
  const wal = await open(fs, options);
  return { fs, wal, log: await wal.createLog(OWN) };
}

/** The log, which must be there. */
export function own(wal: Wal, id: LogId = OWN): Log {
  const log = wal.log(id);
  if (log === undefined) throw new Error("The log is not there");
  return log;
}

/** A body that can be told from others. */
export function body(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

export function text(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

/** Bodies of all records from `from` on. */
export async function bodies(log: Log, from = log.first): Promise<string[]> {
  const found: string[] = [];
  for await (const batch of log.read(from))
    for (const record of batch.records()) found.push(text(record.body));
  return found;
}

/** All batches from `from` on. */
export async function batches(log: Log, from = log.first): Promise<WalBatch[]> {
  const found: WalBatch[] = [];
  for await (const batch of log.read(from)) found.push(batch);
  return found;
}

/** How a promise ended. */
export async function outcome(promise: Promise<unknown>): Promise<unknown> {
  try {
    return await promise;
  } catch (error) {
    return (error as { code?: string }).code ?? error;
  }
}

/** Every file of a memory file system below `wal`, to compare with later. */
export async function image(fs: MemoryFs, dir = "wal"): Promise<Record<string, Uint8Array | undefined>> {
  const files: Record<string, Uint8Array | undefined> = {};
  for (const folder of [dir, `${dir}/signals`, `${dir}/sessions`]) {
    for (const name of await fs.list(folder))
      files[`${folder}/${name}`] = await fs.readFile(`${folder}/${name}`);
  }
  return files;
}

/** Overwrites bytes of a file, durably. */
export async function patch(fs: MemoryFs, path: string, position: number, bytes: Uint8Array): Promise<void> {
  const file = await fs.open(path, "write");
  file.write(bytes, position);
  file.syncNow();
  await file.close();
}

/** Makes a file with these bytes, durably. */
export async function plant(fs: MemoryFs, path: string, bytes: Uint8Array): Promise<void> {
  const folder = path.slice(0, path.lastIndexOf("/"));
  await fs.mkdir(folder);
  const file = await fs.open(path, "create");
  file.write(bytes, 0);
  file.syncNow();
  await file.close();
  await fs.syncDir(folder);
}

/** Gives a batch the digest of what it is now: so a newer version would have written it, which rot does not do. */
export function reseal(batch: Uint8Array): Uint8Array {
  const hashed = new Uint8Array(batch.length - 16);
  hashed.set(batch.subarray(0, 48));
  hashed.set(batch.subarray(64), 48);
  batch.set(nobleHasher.digest("tidemark 2026 wal-batch v2", hashed, 16), 48);
  return batch;
}
