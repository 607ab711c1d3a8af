import { beforeAll, expect, test } from "vitest";
import { buildPrograms, bytes, contentOf, newDirectory, openFor, startProgram, textOf } from "./support.ts";

const KILLS = Number(process.env["TIDEMARK_KILLS"] ?? 12);
const SEED = Number(process.env["TIDEMARK_SEED"] ?? 20_261_121);

beforeAll(buildPrograms);

test(`RUN-11, scenario 1: kill -9 at any moment loses no acknowledged commit, ${KILLS} times (seed ${SEED})`, async () => {
  const dir = newDirectory();
  const random = seeded(SEED);
  const acknowledged = new Set<number>();
  const tried = new Set<number>();
  for (let kill = 0; kill < KILLS; kill++) {
    // Alone and in groups; killed while it opens, too.
    const callers = kill % 2 === 0 ? 1 : 16;
    const linesMax = kill % 6 === 5 ? 1 : 1 + Math.floor(random() * 600);
    let lines = 0;
    const program = startProgram(["commits", dir, String(kill * 1_000_000), String(callers)], {
      onLine: (_, self) => {
        lines += 1;
        if (lines === linesMax) self.kill("SIGKILL");
      },
    });
    expect(await program.ended).toBe("SIGKILL");
    for (const line of program.lines()) {
      const [word, number] = line.split(" ");
      if (word === "try") tried.add(Number(number));
      if (word === "ack") acknowledged.add(Number(number));
    }
  }
  const kv = await openFor(dir);
  const found: Record<"a" | "b", Set<number>> = { a: new Set(), b: new Set() };
  for (let partition = 0; partition < 5; partition++) {
    for (const [key, value] of await contentOf(kv, `p${partition}`)) {
      const number = Number(key.slice(1));
      expect(value.length).toBe(number % 3_000);
      found[key[0] as "a" | "b"].add(number);
    }
  }
  expect(acknowledged.size).toBeGreaterThan(KILLS);
  expect([...acknowledged].filter((number) => !found.a.has(number))).toEqual([]);
  // All of a commit or nothing, and nothing that nobody asked for.
  expect([...found.a].toSorted()).toEqual([...found.b].toSorted());
  expect([...found.a].filter((number) => !tried.has(number))).toEqual([]);
});

test("processes that open and close a store while others commit take no commit back, and read what is newest", async () => {
  const dir = newDirectory();
  const key = bytes("register");
  const kv = await openFor(dir);
  const openers = [0, 1].map(() => startProgram(["adds", dir]));
  await Promise.all(openers.map((opener) => opener.said(/^ready$/)));
  let own = 0;
  let seen = 0;
  for (let round = 0; round < 12_000; round++) {
    const [value] = await kv.get("p", [key]);
    const number = Number(textOf(value) ?? 0);
    expect(number, "what was read before").toBeGreaterThanOrEqual(seen);
    const puts = [{ key, value: bytes(String(number + 1)) }];
    const { committed } = await kv.commit("p", { checks: [{ key, value }], puts });
    if (committed) own += 1;
    seen = committed ? number + 1 : number;
  }
  const added = await Promise.all(
    openers.map(async (opener) => {
      opener.tell("stop");
      return Number((await opener.said(/^added /)).split(" ")[1]);
    }),
  );
  const [value] = await kv.get("p", [key]);
  expect(Math.min(...added)).toBeGreaterThan(0);
  expect(Number(textOf(value))).toBe(own + added[0]! + added[1]!);
}, 60_000);

test("processes that are often alone in a store find its locks, whoever has just closed it", async () => {
  const dir = newDirectory();
  const openers = [0, 1, 2].map(() => startProgram(["adds", dir]));
  await Promise.all(openers.map((opener) => opener.said(/^ready$/)));
  const kv = await openFor(dir);
  for (let number = 0; ;) {
    const [value] = await kv.get("p", [bytes("register")]);
    number = Number(textOf(value) ?? 0);
    if (number > 300) break;
    await kv.commit("q", { puts: [{ key: bytes("k"), value: bytes(String(number)) }] });
  }
  await kv.close();
  let sum = 0;
  for (const opener of openers) {
    opener.tell("stop");
    sum += Number((await opener.said(/^added /)).split(" ")[1]);
    expect(await opener.ended).toBe(0);
  }
  const [value] = await (await openFor(dir)).get("p", [bytes("register")]);
  expect(Number(textOf(value))).toBe(sum);
}, 60_000);

test("a process killed inside a transaction leaves nothing, and who waits for it goes on", async () => {
  const dir = newDirectory();
  await (await openFor(dir)).close();
  const waiter = startProgram(["fills", dir, "1", "10", "wait"]);
  await waiter.said(/^ready$/);
  const holder = startProgram(["holds", dir]);
  await holder.said(/^held$/);
  waiter.tell("go");
  // From here on it waits for the lock of LMDB.
  await waiter.said(/^begins$/);
  holder.kill("SIGKILL");
  expect(await holder.ended).toBe("SIGKILL");
  await waiter.said(/^closed$/);
  expect(waiter.lines()).toEqual(["ready", "begins", "ack 0", "closed"]);
  const kv = await openFor(dir);
  expect((await contentOf(kv, "p")).map(([key]) => key)).toEqual(["0"]);
});

test("C-11 processes that open a new store at once agree on its version", async () => {
  for (let round = 0; round < 3; round++) {
    const dir = newDirectory();
    const programs = [0, 1].map(() => startProgram(["opens", dir]));
    for (const program of programs) await program.said(/^ready$/);
    for (const program of programs) program.tell("go");
    for (const program of programs) expect(await program.said(/^(opened|failed)/)).toMatch(/^opened/);
  }
});

test("watch() sees commits of another process", async () => {
  const dir = newDirectory();
  const kv = await openFor(dir);
  const watcher = startProgram(["watches", dir]);
  await watcher.said(/^seen 0$/);
  await kv.commit("p", { puts: [{ key: bytes("a1"), value: bytes("1") }] });
  await watcher.said(/^seen 1$/);
  await kv.commit("p", { puts: [{ key: bytes("a2"), value: bytes("2") }] });
  await watcher.said(/^seen 2$/);
});

/** A small seeded generator (mulberry32). */
function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000;
  };
}
