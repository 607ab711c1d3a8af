import { logId, nobleHasher } from "@tidemark/core";
import {
  memoryFs,
  openWal,
  readCheckpoint,
  writeCheckpoint,
  Vector,
  type Checkpoint,
  type WalFs,
} from "@tidemark/wal";
import { expect, test } from "vitest";
import { encodeSnapshotBody, finishInstall } from "../src/index.ts";
import { beginInstall, endInstall, placeLogs } from "../src/snapshot-install.ts";
import { copyDisk } from "./disk-image.ts";

type Disk = ReturnType<typeof memoryFs>;

const BEHIND = logId(1, 0, 7, "sessions");
const AHEAD = logId(2, 0, 7, "sessions");
const NEW = logId(3, 0, 7, "signals");
const DIR = "data";

/** The disk as one process sees it, which dies at its `count`th call: whatever that was is not done, nor anything after it. */
function dyingAt(disk: Disk, count: number): { readonly fs: WalFs; readonly calls: () => number } {
  let calls = 0;
  const counted =
    (value: (...args: never[]) => unknown, target: object, name: string) =>
    (...args: never[]): unknown => {
      calls += 1;
      if (calls > count) {
        if (/^(write|syncNow)$/.test(name)) throw new Error("The process is dead");
        return Promise.reject(new Error("The process is dead"));
      }
      const result = value.apply(target, args);
      return name === "open" ? (result as Promise<object>).then((file) => wrap(file)) : result;
    };
  const wrap = <T extends object>(target: T): T =>
    new Proxy(target, {
      get: (object, name) => {
        const value: unknown = Reflect.get(object, name, object);
        return typeof value === "function" ? counted(value as never, object, String(name)) : value;
      },
    });
  return { fs: wrap(disk as WalFs), calls: () => calls };
}

function snapshotOf(entries: readonly [typeof BEHIND, number][], state: string): Checkpoint {
  const ends = entries.map(([log, lsn]) => ({ log, digest: new Uint8Array(16).fill(lsn) }));
  const parts = new Map([["sessions", new TextEncoder().encode(state)] as const]);
  return {
    vector: Vector.of(entries.map(([log, lsn]) => ({ log, lsn, digest: new Uint8Array(8).fill(lsn) }))),
    body: encodeSnapshotBody({ membershipVersion: 1, foldVersion: 1, parts, ends }),
  };
}

/** A directory with two logs, five and fifty records long, and a checkpoint. */
async function directory(): Promise<Disk> {
  const disk = memoryFs({ seed: 1 });
  const wal = await openWal({ fs: disk, dir: DIR, hasher: nobleHasher });
  for (const [id, count] of [
    [BEHIND, 5],
    [AHEAD, 50],
  ] as const) {
    const log = await wal.createLog(id);
    for (let at = 0; at < count; at++) await log.append(2, Uint8Array.of(at));
  }
  await wal.close();
  await writeCheckpoint(disk, DIR, nobleHasher, snapshotOf([[BEHIND, 3]], "old"));
  return disk;
}

const SNAPSHOT = snapshotOf(
  [
    [BEHIND, 90],
    [AHEAD, 40],
    [NEW, 7],
  ],
  "new",
);

async function install(fs: WalFs): Promise<void> {
  const wal = await openWal({ fs, dir: DIR, hasher: nobleHasher });
  const place = { fs, dir: DIR, hasher: nobleHasher };
  await beginInstall(place, SNAPSHOT);
  await placeLogs(wal, SNAPSHOT);
  await endInstall(place);
  await wal.close();
}

test("REP-12 crashed at any step, a directory is as it was, or has the snapshot in place: nothing in between", async () => {
  const image = await directory();
  const whole = dyingAt(await copyDisk(image), Number.POSITIVE_INFINITY);
  await install(whole.fs);
  const outcomes = new Set<string>();
  for (let step = 0; step < whole.calls(); step++) {
    const disk = await copyDisk(image);
    await install(dyingAt(disk, step).fs).catch(() => undefined);
    // The power goes with it: half of what was not synced is gone. The next opening may die as well, anywhere.
    disk.crash();
    const again = dyingAt(disk, (step * 7) % 40);
    try {
      const wal = await openWal({ fs: again.fs, dir: DIR, hasher: nobleHasher });
      await finishInstall({ fs: again.fs, dir: DIR, hasher: nobleHasher }, wal);
    } catch {
      // It is opened once more.
    }
    disk.crash();
    const wal = await openWal({ fs: disk, dir: DIR, hasher: nobleHasher });
    await finishInstall({ fs: disk, dir: DIR, hasher: nobleHasher }, wal);
    const checkpoint = (await readCheckpoint(disk, DIR, nobleHasher))!;
    const isNew = checkpoint.vector.lsnOf(NEW) === 7;
    outcomes.add(isNew ? "new" : "old");
    const [behind, ahead] = [wal.log(BEHIND)!, wal.log(AHEAD)!];
    // What is stored above the snapshot stays, whichever it is.
    expect(ahead, `step ${step}`).toMatchObject({ first: 1, failed: undefined, durable: { lsn: 50 } });
    if (isNew) {
      expect(behind, `step ${step}`).toMatchObject({ first: 91, failed: undefined, durable: { lsn: 90 } });
      expect(behind.durable.digest, `step ${step}`).toEqual(new Uint8Array(16).fill(90));
      expect(wal.log(NEW), `step ${step}`).toMatchObject({ first: 8, durable: { lsn: 7 } });
    } else {
      expect(behind, `step ${step}`).toMatchObject({ first: 1, failed: undefined, durable: { lsn: 5 } });
      expect(wal.log(NEW), `step ${step}`).toBeUndefined();
    }
    expect(
      (await disk.list(DIR)).filter((name) => name.startsWith("snapshot")),
      `step ${step}`,
    ).toEqual([]);
    await wal.close();
  }
  expect([...outcomes].toSorted()).toEqual(["new", "old"]);
});
