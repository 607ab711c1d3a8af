import {
  memoryFs,
  readCheckpoint,
  Vector,
  writeCheckpoint,
  type Log,
  type MemoryFs,
  type WalFs,
} from "@tidemark/wal";
import { nobleHasher, logId } from "@tidemark/core";
import { OWN, body, own } from "../support.ts";
import { explore, type Explored, type Promised, type World } from "./explore.ts";
import { bodyOf, checkLog, checkRecords, openOn, promiseLogs, reboot, type LogPromise } from "./promises.ts";

/** Where segments end. */
interface Segments {
  readonly segmentBytes: number;
}

/** Rotates every few hundred bytes. */
const SMALL: Segments = { segmentBytes: 1024 };
/** Never rotates, and no zeros are laid while it is watched. */
const ROOMY: Segments = { segmentBytes: 32 * 1024 };

/** One batch of `bytes` bytes of body behind one of `before`: every subset of its sectors. */
export function oneAppend(before: number, bytes: number, options: Segments = ROOMY): World {
  return {
    name: `append ${bytes} bytes behind ${before}`,
    tearsBytes: false,
    prepare: () => written([before], options),
    run: async (fs, promise) => {
      promise(promiseLogs([{ acked: [before] }], options));
      const log = own(await openOn(fs, options));
      promise(promiseLogs([{ acked: [before], pending: [bytes] }], options));
      await log.append(2, bodyOf(2, bytes));
      promise(promiseLogs([{ acked: [before, bytes] }], options));
    },
  };
}

/** A fetched run of batches under one sync. */
export function oneRun(sizes: readonly number[]): World {
  return {
    name: `fetched run of ${sizes.join(", ")} bytes`,
    prepare: () => written([], ROOMY),
    run: async (fs, promise) => {
      const run = await runOf(sizes);
      promise(promiseLogs([{ acked: [] }], ROOMY));
      const log = own(await openOn(fs, ROOMY));
      promise(promiseLogs([{ acked: [], pending: sizes }], ROOMY));
      await log.appendVerbatim(run);
      promise(promiseLogs([{ acked: sizes }], ROOMY));
    },
  };
}

/** Appends from an empty directory on, one after the other, over segments of 1 KiB; then closes. */
export function appending(sizes: readonly number[]): World {
  return {
    name: `open, create, append ${sizes.join(", ")} bytes, rotate, close`,
    run: async (fs, promise) => {
      promise(promiseLogs([{ acked: [] }], SMALL));
      const wal = await openOn(fs, SMALL);
      const log = await wal.createLog(OWN);
      await appendAll(log, [], sizes, promise);
      await wal.close();
    },
  };
}

/** A second epoch beside a first, both appending. */
export const TWO_EPOCHS: World = {
  name: "a next epoch",
  prepare: () => written([100, 200], SMALL),
  run: async (fs, promise) => {
    const acked = [100, 200];
    promise(promiseLogs([{ acked }], SMALL));
    const wal = await openOn(fs, SMALL);
    const next = logId(OWN.region, OWN.shard, OWN.epoch + 1, OWN.channel);
    const other = await wal.createLog(next);
    for (const [at, bytes] of [300, 500].entries()) {
      const log = { log: next, acked: [300, 500].slice(0, at), pending: [bytes] };
      promise(promiseLogs([{ acked }, log], SMALL));
      await other.append(2, bodyOf(at + 1, bytes));
    }
    promise(promiseLogs([{ acked }, { log: next, acked: [300, 500] }], SMALL));
    await wal.close();
  },
};

/** Checkpoints that take each other's place: the newest that was written is read, or the one under way. */
export const CHECKPOINTS: World = {
  name: "checkpoints",
  run: async (fs, promise) => {
    let done: number | undefined;
    for (let next = 1; next <= 4; next++) {
      const newest = done;
      promise({
        key: `checkpoint ${newest}`,
        check: async (disk) => {
          const found = await readCheckpoint(disk, "wal/checkpoints", nobleHasher);
          const number = found && Number(new TextDecoder().decode(found.body.subarray(0, 1)));
          if (number !== newest && number !== next)
            throw new Error(`Checkpoint ${number} is read: ${newest} was written`);
        },
      });
      await writeCheckpoint(fs, "wal/checkpoints", nobleHasher, {
        vector: Vector.of([]),
        body: body(`${next}`.repeat(1300)),
      });
      done = next;
    }
  },
};

/** Old segments that are let go. */
export const RETENTION: World = {
  name: "retain",
  prepare: () => written([300, 300, 300, 300, 300, 300, 300, 300], SMALL),
  run: async (fs, promise) => {
    const acked = [300, 300, 300, 300, 300, 300, 300, 300];
    promise(promiseLogs([{ acked }], SMALL));
    const wal = await openOn(fs, SMALL);
    promise(promiseLogs([{ acked, floor: 6 }], SMALL));
    await wal.retain([{ log: OWN, lsn: 6 }]);
    await appendAll(own(wal), acked, [500], promise, 6);
    await wal.close();
  },
};

const REPAIRED = [300, 300, 300, 300, 300, 300];

/** A log with rot in the middle and at an end, and a peer that has it all. */
export const REPAIR: World = {
  name: "repair",
  prepare: async () => {
    const disk = await written(REPAIRED, SMALL);
    const names = (await disk.list("wal/sessions")).filter((name) => name.endsWith(".wal")).toSorted();
    disk.flipBit(`wal/sessions/${names[0]}`, 400, 3);
    disk.flipBit(`wal/sessions/${names[1]}`, 90, 6);
    return disk;
  },
  run: async (fs, promise) => {
    const peer = own(await openOn(await written(REPAIRED, SMALL), SMALL));
    const fetch = (from: number, to: number): Promise<Uint8Array> => peer.readBatches(from, to, 1 << 20);
    promise({
      key: "repairing",
      check: async (disk) => {
        const wal = await openOn(disk, SMALL);
        const log = own(wal);
        const good = log.failed === undefined ? [] : [5, 6];
        for (const lsn of good) await checkRecords(log, lsn, REPAIRED);
        await wal.repair(OWN, fetch);
        const held = await checkLog(wal, { acked: REPAIRED });
        if (held !== REPAIRED.length) throw new Error(`${held} records are there after the repair`);
      },
    });
    const wal = await openOn(fs, SMALL);
    await wal.repair(OWN, fetch);
    promise(promiseLogs([{ acked: REPAIRED }], SMALL));
    await wal.close();
  },
};

/** A foreign log that begins anew behind a position: the old one or the new one is found, never a mixture. */
export const REPLACING: World = {
  name: "replace a log",
  prepare: () => written([300, 300, 300, 300], SMALL),
  run: async (fs, promise) => {
    const acked = [300, 300, 300, 300];
    promise(promiseLogs([{ acked }], SMALL));
    const wal = await openOn(fs, SMALL);
    const after = { lsn: 9, digest: bodyOf(9, 16) };
    promise({
      key: "replacing",
      check: async (disk) => {
        const log = own(await openOn(disk, SMALL));
        if (log.durable.lsn !== after.lsn) await promiseLogs([{ acked }], SMALL).check(reboot(disk));
        else await beginsAnew(log, after.lsn);
      },
    });
    await wal.replaceLog(OWN, { after });
    promise({
      key: "replaced",
      check: async (disk) => beginsAnew(own(await openOn(disk, SMALL)), after.lsn),
    });
    await wal.close();
  },
};

/**
 * Every disk that a crash in an append leaves, opened, appended to where that is allowed and in a next epoch where it is
 * not, and crashed again before each step of that.
 */
export async function crashTwice(
  before: number,
  bytes: number,
  segmentBytes: number,
  total: Explored,
): Promise<void> {
  const torn: MemoryFs[] = [];
  // What is cut off a torn segment is sectors too: the fewer, the sooner all their subsets are tried.
  const first = oneAppend(before, bytes, { segmentBytes });
  await explore(
    {
      ...first,
      run: (fs, promise, disk) => first.run(fs, (promised) => promise(alsoKeeping(promised, torn)), disk),
    },
    total,
  );
  for (const [index, disk] of torn.entries()) await explore(goingOn(disk, index, [before, bytes]), total);
}

function alsoKeeping(promised: Promised, torn: MemoryFs[]): Promised {
  return {
    key: promised.key,
    check: (disk) => {
      torn.push(disk.copy());
      return promised.check(disk);
    },
  };
}

function goingOn(disk: MemoryFs, index: number, sizes: readonly number[]): World {
  return {
    name: `go on after tear ${index} of ${sizes.join(", ")}`,
    prepare: async () => disk,
    run: async (fs, promise) => {
      promise(promiseLogs([{ acked: sizes.slice(0, 1), pending: sizes.slice(1) }], SMALL));
      // Small segments: each new one has few sectors, so that all their subsets can be tried.
      const wal = await openOn(fs, SMALL);
      const acked = sizes.slice(0, own(wal).durable.lsn);
      promise(promiseLogs([{ acked }], SMALL));
      if (wal.recovery[0]?.resumable === true) {
        await appendAll(own(wal), acked, [40], promise);
        return;
      }
      const next = logId(OWN.region, OWN.shard, OWN.epoch + 1, OWN.channel);
      const log = await wal.createLog(next);
      promise(promiseLogs([{ acked }, { log: next, acked: [], pending: [40] }], SMALL));
      await log.append(2, bodyOf(1, 40));
      promise(promiseLogs([{ acked }, { log: next, acked: [40] }], SMALL));
    },
  };
}

async function appendAll(
  log: Log,
  before: readonly number[],
  sizes: readonly number[],
  promise: (promised: Promised) => void,
  floor = 0,
): Promise<void> {
  const acked = [...before];
  for (const bytes of sizes) {
    const entry: LogPromise = { acked: [...acked], pending: [bytes], floor };
    promise(promiseLogs([entry], SMALL));
    await log.append(2, bodyOf(acked.length + 1, bytes));
    acked.push(bytes);
    promise(promiseLogs([{ acked: [...acked], floor }], SMALL));
  }
}

async function beginsAnew(log: Log, lsn: number): Promise<void> {
  if (log.failed !== undefined || log.durable.lsn !== lsn || log.first !== lsn + 1)
    throw new Error(`The log does not begin behind ${lsn}: ${log.first}, ${log.durable.lsn}`);
  if ((await checkRecords(log, lsn + 1, [])) !== lsn) throw new Error("An old record is there");
}

/** A disk whose log holds records of these sizes, closed in order. */
async function written(sizes: readonly number[], options: Segments): Promise<MemoryFs> {
  const disk = memoryFs();
  await append(disk, sizes, options);
  return disk;
}

async function append(fs: WalFs, sizes: readonly number[], options: Segments): Promise<void> {
  const wal = await openOn(fs, options);
  const log = await wal.createLog(OWN);
  for (const [at, bytes] of sizes.entries()) await log.append(2, bodyOf(at + 1, bytes));
  await wal.close();
}

/** The same as one run of batches. */
async function runOf(sizes: readonly number[]): Promise<Uint8Array> {
  const log = own(await openOn(await written(sizes, ROOMY), ROOMY));
  return log.readBatches(1, sizes.length, 1 << 20);
}
