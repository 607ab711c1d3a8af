import { spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { openLmdbKv } from "../src/index.ts";
import { DiskSpace } from "../src/node/disk-space.ts";
import {
  buildPrograms,
  bytes,
  contentOf,
  newDirectory,
  openFor,
  type Program,
  startProgram,
} from "./support.ts";

/** Nobody's number: what a process of root becomes, since root may write everywhere. */
const NOBODY = 65_534;

beforeAll(buildPrograms);

/** What a program acknowledged and what it could not write. */
function outcomes(program: Program): { acknowledged: string[]; errors: string[] } {
  const after = (word: string): string[] =>
    program
      .lines()
      .filter((line) => line.startsWith(`${word} `))
      .map((line) => line.slice(word.length + 1));
  return { acknowledged: after("ack"), errors: after("error") };
}

const keysOf = async (dir: string): Promise<string[]> =>
  (await contentOf(await openFor(dir), "p")).map(([key]) => key);

test("a file that may not grow: a typed error, not committed, and what was acknowledged is there", async () => {
  const dir = newDirectory({ disk: true });
  // 100 KiB, in the units of the shell's ulimit.
  const program = startProgram(["fills", dir, "60", "4000"], {
    before: ["/bin/sh", "-c", 'ulimit -f 200; exec "$@"', "sh"],
  });
  // lmdb may end the process here: it writes its own message past the end of its memory.
  await program.ended;
  const { acknowledged, errors } = outcomes(program);
  expect(acknowledged.length).toBeGreaterThan(0);
  expect(errors.length).toBeGreaterThan(0);
  for (const error of errors) expect(error).toMatch(/^\d+ KV_UNAVAILABLE no true/);
  expect((await keysOf(dir)).toSorted()).toEqual(acknowledged.toSorted());
});

test("a disk without room is noticed before a transaction is begun", () => {
  const disk = new DiskSpace(newDirectory().replace(/\/store$/, ""));
  disk.require(100, 10_000);
  expect(() => disk.require(1, 2 ** 52)).toThrow(
    expect.objectContaining({ code: "KV_UNAVAILABLE", committed: "no" }),
  );
  disk.require(100, 10_000);
});

describe.skipIf(!canTrace())("with a disk that fails where it is told to", () => {
  const failing = (call: string, when: string): readonly string[] => [
    "strace",
    "-f",
    "-o",
    "/dev/null",
    "-e",
    `trace=${call}`,
    "-e",
    `inject=${call}:error=EIO:when=${when}`,
  ];

  test("a sync that fails: not committed, not acknowledged, and the next commit succeeds", async () => {
    const dir = newDirectory();
    const program = startProgram(["fills", dir, "20", "100"], { before: failing("fdatasync", "8..9") });
    expect(await program.ended).toBe(0);
    const { acknowledged, errors } = outcomes(program);
    expect(errors.map((error) => error.replace(/^\d+ /, ""))).toEqual([
      "KV_UNAVAILABLE no true undefined",
      "KV_UNAVAILABLE no true undefined",
    ]);
    expect(acknowledged.length).toBe(18);
    expect((await keysOf(dir)).toSorted()).toEqual(acknowledged.toSorted());
  });

  test("a root page that fails: unknown, then every call is refused until the store is opened again", async () => {
    // The root page is the last write of a transaction: which one it is differs, so several are tried.
    for (let when = 12; ; when++) {
      const dir = newDirectory();
      const program = startProgram(["fills", dir, "20", "100"], {
        before: failing("pwrite64", String(when)),
      });
      await program.ended;
      const { acknowledged, errors } = outcomes(program);
      expect(when).toBeLessThan(24);
      const keys = await keysOf(dir);
      expect(acknowledged.filter((number) => !keys.includes(number))).toEqual([]);
      if (!errors[0]?.includes("KV_UNAVAILABLE unknown true")) continue;
      expect(errors[1]).toContain("KV_UNAVAILABLE no false");
      expect(program.lines()).toContain("KV_UNAVAILABLE no true undefined");
      expect(program.lines()).toContain("reopened");
      expect(errors.length).toBe(2);
      expect(acknowledged.length).toBe(18);
      return;
    }
  });

  test("one commit is one sync, and commits made at once share one", async () => {
    const dir = newDirectory();
    const trace = join(dir, "..", "trace");
    const before = ["strace", "-f", "-o", trace, "-e", "trace=fdatasync"];
    const syncs = async (flag: string): Promise<number> => {
      const program = startProgram(["fills", dir, "40", "100", flag], { before });
      expect(await program.ended).toBe(0);
      return readFileSync(trace, "utf8").match(/fdatasync\(/g)!.length;
    };
    // The first has one more, for the version of the new store.
    expect(await syncs("alone")).toBe(40 + 1);
    expect(await syncs("together")).toBe(1);
  });
});

test("files that are none of LMDB's are refused, and left as they are", async () => {
  const whole = newDirectory();
  await (await openFor(whole)).close();
  const header = readFileSync(join(whole, "data.mdb")).subarray(0, 8_192);
  const other = Uint8Array.from(header);
  other[0x1c] = 1;
  const foreign = [bytes("hello"), new Uint8Array(20_000).fill(0x41), other, header.subarray(0, 100)];
  for (const content of foreign) {
    const dir = newDirectory();
    mkdirSync(dir);
    writeFileSync(join(dir, "data.mdb"), content);
    await expect(openLmdbKv({ dir })).rejects.toMatchObject({ code: "KV_CORRUPT" });
    expect(readFileSync(join(dir, "data.mdb")).equals(content)).toBe(true);
  }
});

test("an empty data file is a new store", async () => {
  const dir = newDirectory();
  await (await openFor(dir)).close();
  truncateSync(join(dir, "data.mdb"));
  const kv = await openFor(dir);
  expect(await kv.commit("p", { puts: [{ key: bytes("k"), value: bytes("v") }] })).toEqual({
    committed: true,
  });
});

test("a directory that cannot be made, or is no store's, is KV_UNAVAILABLE", async () => {
  const dir = newDirectory();
  writeFileSync(dir, "a file");
  await expect(openLmdbKv({ dir })).rejects.toMatchObject({ code: "KV_UNAVAILABLE", committed: "no" });
  await expect(openLmdbKv({ dir: join(dir, "below") })).rejects.toMatchObject({ code: "KV_UNAVAILABLE" });
  for (const name of ["data.mdb", "lock.mdb"]) {
    const folder = newDirectory();
    mkdirSync(join(folder, name), { recursive: true });
    await expect(openLmdbKv({ dir: folder })).rejects.toMatchObject({ code: "KV_UNAVAILABLE" });
  }
});

test.skipIf(process.platform === "win32")(
  "a directory that may not be written is KV_UNAVAILABLE",
  async () => {
    const dir = newDirectory();
    await (await openFor(dir)).close();
    for (const mode of [0o555, 0o755]) {
      chmodSync(join(dir, ".."), 0o755);
      chmodSync(join(dir, "data.mdb"), 0o444);
      chmodSync(join(dir, "lock.mdb"), 0o444);
      chmodSync(dir, mode);
      const program = startProgram(["fills", dir, "1", "1"], process.getuid!() === 0 ? { uid: NOBODY } : {});
      expect(await program.said(/^failed/)).toBe("failed KV_UNAVAILABLE no true undefined");
      expect(await program.ended).toBe(1);
      chmodSync(dir, 0o755);
    }
  },
);

/** Whether there is a tracer that may trace. */
function canTrace(): boolean {
  return spawnSync("strace", ["-o", "/dev/null", "true"]).status === 0;
}
