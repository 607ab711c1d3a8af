import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { decideFileMove, MemoryZoneFiles, moveZoneFiles, type ZoneFiles } from "../src/index.ts";
import { nodeZoneFiles } from "../src/node.ts";
import { allFiles, FailingZoneFiles, fileOf } from "./failing-files.ts";

const FROM = "agent:template:current";
const TO = "agent:own:current";
const dirs: string[] = [];

afterAll(() => {
  for (const dir of dirs) rmSync(dir, { recursive: true, force: true });
});

/** Every way that zones are files. */
const KINDS: readonly (readonly [string, () => ZoneFiles])[] = [
  ["memory", () => new MemoryZoneFiles()],
  [
    "a disk",
    () => {
      dirs.push(mkdtempSync(join(tmpdir(), "zones-")));
      return nodeZoneFiles(join(dirs.at(-1)!, "made when it is needed"));
    },
  ],
];

const meta = (revision: number, wallMs: number): string =>
  JSON.stringify({
    version: 1,
    order: { revision, stamp: { wallMs, counter: 0, clockId: 0 } },
    floor: 0,
    origin: "c",
    digest: "d",
  });

test("ZON-4 A-49 A-52 the decision table of a file, by times, and by revision and clock where both zones record them", () => {
  const [a, b] = [fileOf("a", 5), fileOf("b", 5)];
  expect(decideFileMove(a, undefined)).toBe("copy");
  expect(decideFileMove(fileOf("a", 6), b)).toBe("overwrite");
  expect(decideFileMove(a, fileOf("b", 6))).toBe("keep");
  expect(decideFileMove(a, fileOf("a", 5))).toBe("keep");
  expect(decideFileMove(a, b)).toBe("conflict");
  const order = (revision: number, wallMs: number): object => ({
    order: { revision, stamp: { wallMs, counter: 0, clockId: 0 } },
  });
  // The times say the opposite.
  expect(decideFileMove({ ...fileOf("a", 1), ...order(2, 1) }, { ...fileOf("b", 9), ...order(1, 9) })).toBe(
    "overwrite",
  );
  expect(decideFileMove({ ...fileOf("a", 9), ...order(1, 1) }, { ...fileOf("b", 1), ...order(1, 2) })).toBe(
    "keep",
  );
  expect(decideFileMove({ ...a, ...order(1, 1) }, { ...fileOf("b", 9), ...order(1, 1) })).toBe("conflict");
  // Of one that records nothing the times are all there is.
  expect(decideFileMove({ ...fileOf("a", 1), ...order(2, 1) }, fileOf("b", 9))).toBe("keep");
});

test.each(KINDS)(
  "ZON-4 A-27 A-48 A-50 on %s a move keeps names, bytes and times of all files, and the source goes",
  async (_, open) => {
    const files = open();
    expect(await moveZoneFiles(files, FROM, TO)).toEqual({ files: [], removed: true });
    const all = {
      "output.state.json": "{}",
      output: '1\n2\n{"to',
      "times.idx": "\0\u00ff",
      "zone.json": meta(1, 1),
    };
    for (const [name, text] of Object.entries(all)) await files.write(FROM, name, fileOf(text, 1_234));
    const moved = await moveZoneFiles(files, FROM, TO);
    expect(moved.removed).toBe(true);
    expect(moved.files.map(({ action }) => action)).toEqual(["copy", "copy", "copy", "copy"]);
    expect(await allFiles(files)).toEqual(
      Object.fromEntries(Object.entries(all).map(([name, text]) => [`${TO} ${name}`, `1234 ${text}`])),
    );
    await expect(moveZoneFiles(files, TO, TO)).rejects.toThrow(RangeError);
  },
);

test.each(KINDS)(
  "ZON-4 A-49 A-50 on %s a conflict keeps both, and other files are moved",
  async (_, open) => {
    const files = open();
    await files.write(FROM, "output", fileOf("mine"));
    await files.write(FROM, "output.state.json", fileOf("{}"));
    await files.write(TO, "output", fileOf("other"));
    const { files: actions, removed } = await moveZoneFiles(files, FROM, TO);
    expect(actions).toEqual([
      { file: "output", action: "conflict" },
      { file: "output.state.json", action: "copy" },
    ]);
    expect(removed).toBe(false);
    expect(await allFiles(files)).toEqual({
      [`${FROM} output`]: "1000 mine",
      [`${FROM} output.state.json`]: "1000 {}",
      [`${TO} output`]: "1000 other",
      [`${TO} output.state.json`]: "1000 {}",
    });
  },
);

test("ZON-4 A-50 a source that cannot be removed is logged, and goes with the next run", async () => {
  const files = new MemoryZoneFiles();
  await files.write(FROM, "output", fileOf("1\n"));
  const lines: string[] = [];
  const stuck: ZoneFiles = {
    zones: () => files.zones(),
    files: (zone) => files.files(zone),
    read: (zone, file) => files.read(zone, file),
    write: (zone, file, content) => files.write(zone, file, content),
    remove: () => Promise.reject(new Error("it is open")),
  };
  const log = (line: string): void => void lines.push(line);
  expect((await moveZoneFiles(stuck, FROM, TO, { log })).removed).toBe(false);
  expect(lines).toEqual([expect.stringMatching(/^zones: .* could not be removed: Error: it is open$/)]);
  expect(await moveZoneFiles(files, FROM, TO)).toEqual({
    files: [{ file: "output", action: "keep" }],
    removed: true,
  });
});

test("ZON-4 A-51 what a move finds that was begun earlier ends right", async () => {
  const cases: Record<
    string,
    [
      from: Record<string, [string, number]>,
      to: Record<string, [string, number]>,
      end: Record<string, string>,
    ]
  > = {
    "the destination went on after the source was not removed": [
      { output: ["1\n", 5] },
      { output: ["1\n2\n", 6] },
      { [`${TO} output`]: "6 1\n2\n" },
    ],
    "one of two files was copied": [
      { output: ["1\n", 5], "output.state.json": ["{}", 6] },
      { output: ["1\n", 5] },
      { [`${TO} output`]: "5 1\n", [`${TO} output.state.json`]: "6 {}" },
    ],
    "the source went on": [
      { output: ["1\n2\n", 7], "output.state.json": ["{}", 6] },
      { output: ["1\n", 5], "output.state.json": ["{}", 6] },
      { [`${TO} output`]: "7 1\n2\n", [`${TO} output.state.json`]: "6 {}" },
    ],
    "one moment and other bytes": [
      { output: ["1\n", 5] },
      { output: ["2\n", 5] },
      { [`${FROM} output`]: "5 1\n", [`${TO} output`]: "5 2\n" },
    ],
  };
  for (const [name, [from, to, end]] of Object.entries(cases)) {
    const files = new MemoryZoneFiles();
    for (const [file, [text, ms]] of Object.entries(from)) await files.write(FROM, file, fileOf(text, ms));
    for (const [file, [text, ms]] of Object.entries(to)) await files.write(TO, file, fileOf(text, ms));
    await moveZoneFiles(files, FROM, TO);
    expect(await allFiles(files), name).toEqual(end);
    await moveZoneFiles(files, FROM, TO);
    expect(await allFiles(files), name).toEqual(end);
  }
  // Current was moved, the archive was not: each is a zone of its own.
  const files = new MemoryZoneFiles();
  await files.write("agent:template:archive:7", "output", fileOf("old"));
  await files.write(TO, "output", fileOf("moved"));
  await moveZoneFiles(files, FROM, TO);
  await moveZoneFiles(files, "agent:template:archive:7", "agent:own:archive:7");
  expect(await files.zones()).toEqual(["agent:own:archive:7", TO]);
});

test.each(KINDS)(
  "ZON-4 A-48 A-50 A-51 on %s a crash of any call of a move, and the next run, end where a whole move does",
  async (kind, open) => {
    const fill = async (): Promise<ZoneFiles> => {
      const files = open();
      for (const [name, text, ms] of [
        ["output", "1\n2\n", 9],
        ["output.state.json", "{}", 3],
        ["zone.json", meta(2, 1), 3],
        ["times.idx", "x", 9],
      ] as const)
        await files.write(FROM, name, fileOf(text, ms));
      // Of an earlier move.
      await files.write(TO, "output", fileOf("1\n", 4));
      await files.write(TO, "zone.json", fileOf(meta(1, 1), 4));
      return files;
    };
    const whole = await fill();
    await moveZoneFiles(whole, FROM, TO);
    const end = await allFiles(whole);
    expect(Object.keys(end)).toHaveLength(4);
    let crashes = 0;
    for (const when of ["before", "after"] as const) {
      for (let at = 1; ; at++) {
        const files = await fill();
        const failing = new FailingZoneFiles(files, { at, when });
        await moveZoneFiles(failing, FROM, TO).catch(() => undefined);
        if (!failing.failed) break;
        crashes += 1;
        await moveZoneFiles(files, FROM, TO);
        expect(await allFiles(files), `${when} ${at}`).toEqual(end);
      }
    }
    process.stdout.write(`Crashes of calls of a move on ${kind}: ${crashes}\n`);
    expect(crashes).toBeGreaterThan(30);
  },
);
