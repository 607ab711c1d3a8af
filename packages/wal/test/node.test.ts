import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { logId, nobleHasher } from "@tidemark/core";
import { inspectDirectory, openWal, repairDirectory, verifyDirectory, type Wal } from "@tidemark/wal";
import { nodeFs, nodeTimers } from "@tidemark/wal/node";
import { expect, onTestFinished, test } from "vitest";
import { OWN, bodies, body, own } from "./support.ts";

function folder(): string {
  const dir = mkdtempSync(join(tmpdir(), "tidemark-wal-"));
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

const open = (dir: string): Promise<Wal> =>
  openWal({ fs: nodeFs(), dir, hasher: nobleHasher, timers: nodeTimers(), segmentBytes: 64 * 1024 });

test("WAL-2, WAL-5 a log on a real disk rotates, closes and reopens, alone and with many callers", async () => {
  const dir = folder();
  const wal = await open(dir);
  const log = await wal.createLog(OWN);
  const wanted: string[] = [];
  for (let round = 0; round < 20; round++) {
    const each = Array.from({ length: 50 }, (_, index) => `${round}/${index} ${"x".repeat(100)}`);
    wanted.push(...each);
    await Promise.all(each.map((one) => log.append(2, body(one))));
    wanted.push(`alone ${round}`);
    await log.append(2, body(`alone ${round}`));
  }
  expect(wal.segmentCount()).toBeGreaterThan(1);
  expect(await bodies(log)).toEqual(wanted);
  await wal.close();
  const again = await open(dir);
  expect(again.recovery).toMatchObject([{ resumable: true, durable: { lsn: wanted.length } }]);
  expect(await bodies(own(again))).toEqual(wanted);
  await again.close();
});

test("WAL-2 a small log takes little room", async () => {
  const dir = folder();
  const wal = await openWal({ fs: nodeFs(), dir, hasher: nobleHasher });
  const log = await wal.createLog(logId(2, 0, 3, "signals"));
  await log.append(1, body("a"));
  const path = join(dir, "signals", "r00002-s00000-e0000000003-00000000000000000001.wal");
  expect(statSync(path).size).toBeLessThanOrEqual(128 * 1024);
  expect(readFileSync(path).subarray(0, 4).toString()).toBe("TMWL");
  await wal.close();
});

test("scenario 11, WAL-9: a second process is refused and told who holds the log; a killed holder frees it; tools name it too (WAL-16)", async () => {
  const dir = folder();
  const wal = await open(dir);
  await expect(open(dir)).rejects.toMatchObject({ code: "WAL_LOCKED", holder: `process ${process.pid}` });
  await expect(open(`${dir}/../${dir.split("/").at(-1)}`)).rejects.toMatchObject({ code: "WAL_LOCKED" });
  await wal.close();

  const holder = fileURLToPath(new URL("lock-holder.ts", import.meta.url));
  const child = spawn(process.execPath, ["--conditions=@tidemark/source", "--import", "tsx", holder, dir], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  await new Promise((resolve) => child.stdout.once("data", resolve));
  await expect(open(dir)).rejects.toMatchObject({ code: "WAL_LOCKED", holder: `process ${child.pid}` });
  const options = { hasher: nobleHasher };
  expect((await inspectDirectory(nodeFs(), dir, options)).holder).toBe(`process ${child.pid}`);
  expect(await verifyDirectory(nodeFs(), dir, options)).toMatchObject({
    holder: `process ${child.pid}`,
    openable: true,
  });
  const gone = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGKILL");
  await gone;
  const again = await open(dir);
  expect(await bodies(own(again))).toEqual(["from the other process"]);
  await again.close();
});

test("WAL-16 the tools on a real disk: missing, a file, empty, foreign, sound and torn, and nothing is changed by looking", async () => {
  const dir = folder();
  const options = { hasher: nobleHasher };
  const state = async (path: string): Promise<string> =>
    (await verifyDirectory(nodeFs(), path, options)).state;
  expect([await state(join(dir, "nowhere")), await state(dir)]).toEqual(["missing", "empty"]);
  mkdirSync(join(dir, "theirs", "folder"), { recursive: true });
  writeFileSync(join(dir, "theirs", "notes"), "x");
  expect([await state(join(dir, "theirs")), await state(join(dir, "theirs", "notes"))]).toEqual([
    "foreign",
    "file",
  ]);

  const path = join(dir, "wal");
  const wal = await open(path);
  const log = await wal.createLog(OWN);
  for (let round = 0; round < 60; round++) await log.append(2, new Uint8Array(3000).fill(round));
  await wal.retain([{ log: OWN, lsn: 30 }]);
  const { first } = log;
  expect(first).toBeGreaterThan(1);
  await wal.close();
  expect(await verifyDirectory(nodeFs(), path, options)).toMatchObject({
    holder: undefined,
    openable: true,
    findings: [],
    logs: [{ first, last: 60 }],
  });
  const segments = join(path, "sessions");
  const last = join(
    segments,
    readdirSync(segments)
      .filter((name) => name.endsWith(".wal"))
      .toSorted()
      .at(-1) ?? "",
  );
  const bytes = readFileSync(last);
  const end = bytes.findLastIndex((byte) => byte !== 0) + 1;
  writeFileSync(last, Buffer.concat([bytes.subarray(0, end), Buffer.from("TMWL\0 torn")]));
  const torn = readFileSync(last);
  const dry = await repairDirectory(nodeFs(), path, { ...options, dryRun: true });
  expect(dry.actions).toMatchObject([{ kind: "cut", offset: end, bytes: 10 }]);
  expect(readFileSync(last)).toEqual(torn);
  expect((await repairDirectory(nodeFs(), path, options)).remaining).toEqual([]);
  expect(statSync(last).size).toBe(end);
});
