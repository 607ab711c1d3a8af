import { logId, nobleHasher, TidemarkError } from "@tidemark/core";
import {
  inspectDirectory,
  memoryFs,
  openWal,
  repairDirectory,
  verifyDirectory,
  writeCheckpoint,
  type MemoryFs,
} from "@tidemark/wal";
import { bytesOf, type FuzzTarget } from "../target.ts";

const LOG = logId(1, 0, 10, "sessions");
const FILES = [
  "wal/sessions/r00001-s00000-e0000000010-00000000000000000001.wal",
  "wal/sessions/r00001-s00000-e0000000010-00000000000000000003.wal",
  "wal/watermark",
  "wal/checkpoint-00000000000000000001.tmcp",
  "wal/sessions/r00001-s00000-e0000000010.run",
  "wal/sessions/r00001-s00000-e0000000010.begin",
] as const;

/**
 * A whole directory under bytes: the first byte names a file, the rest is its content. What opens must go on, and what
 * the tools say before must be what opening finds.
 */
export const WAL_DIRECTORY: readonly FuzzTarget[] = [
  {
    name: "wal-directory",
    seeds: async () => {
      const disk = await sound();
      const inputs: Uint8Array[] = [];
      for (const [index, path] of FILES.entries()) {
        const bytes = (await disk.readFile(path)) ?? new Uint8Array(40).fill(index);
        inputs.push(Uint8Array.of(index, ...bytes));
      }
      return inputs;
    },
    run: async (input) => {
      const disk = (await sound()).copy();
      await replace(disk, FILES[(input[0] ?? 0) % FILES.length] as string, input.subarray(1));
      const options = { hasher: nobleHasher };
      await typed(inspectDirectory(disk, "wal", options));
      const verified = await typed(verifyDirectory(disk, "wal", options));
      await typed(repairDirectory(disk.copy(), "wal", options));
      const wal = await typed(openWal({ fs: disk, dir: "wal", hasher: nobleHasher }));
      if (wal === undefined) return;
      const log = wal.log(LOG);
      const served = log !== undefined && log.failed === undefined;
      if (verified?.openable === true && !served && log !== undefined)
        throw new Error("Opening refuses what the tools call openable", { cause: log.failed });
      if (log !== undefined) {
        try {
          for await (const batch of log.read(log.first))
            for (const record of batch.records()) record.body.slice();
        } catch (error) {
          if (!(error instanceof TidemarkError)) throw error;
        }
      }
      await wal.close();
    },
  },
];

let made: Promise<MemoryFs> | undefined;

/** Two segments, a watermark and a checkpoint. */
function sound(): Promise<MemoryFs> {
  made ??= (async () => {
    const disk = memoryFs();
    const wal = await openWal({ fs: disk, dir: "wal", hasher: nobleHasher, segmentBytes: 400 });
    const log = await wal.createLog(LOG);
    for (const text of ["one", "two", "three", "four"]) await log.append(2, bytesOf(text.repeat(20)));
    await writeCheckpoint(disk, "wal", nobleHasher, { vector: wal.vector(), body: bytesOf("state") });
    await wal.close();
    return disk;
  })();
  return made;
}

async function replace(disk: MemoryFs, path: string, bytes: Uint8Array): Promise<void> {
  await disk.unlink(path);
  const file = await disk.open(path, "create");
  file.write(bytes, 0);
  file.syncNow();
  await file.close();
  await disk.syncDir(path.slice(0, path.lastIndexOf("/")));
}

async function typed<T>(running: Promise<T>): Promise<T | undefined> {
  try {
    return await running;
  } catch (error) {
    if (error instanceof TidemarkError) return undefined;
    throw error;
  }
}
