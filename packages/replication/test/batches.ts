import { logId, nobleHasher, type LogId } from "@tidemark/core";
import { memoryFs, openWal, type WalBatch } from "@tidemark/wal";

/** Batches of a log as its owner would write them: `sizes[i]` records in the i-th. */
export async function makeBatches(
  sizes: readonly number[],
  text: string = "x",
  id: LogId = logId(1, 0, 7, "sessions"),
): Promise<WalBatch[]> {
  const wal = await openWal({ fs: memoryFs({ seed: 1 }), dir: "data", hasher: nobleHasher });
  const log = await wal.createLog(id);
  const batches: WalBatch[] = [];
  log.onCommit((batch) => batches.push(batch));
  for (const [at, size] of sizes.entries()) {
    const body = new TextEncoder().encode(`${text}${at}`);
    await log.appendMany(Array.from({ length: size }, () => ({ type: 2, body })));
  }
  await wal.close();
  return batches;
}
