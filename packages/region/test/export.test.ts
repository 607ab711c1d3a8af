import { logId, nobleHasher } from "@tidemark/core";
import { encodeOp, type Op } from "@tidemark/session";
import { defineSignals, EffectIdSet } from "@tidemark/signals";
import { memoryFs, openWal, type MemoryFs } from "@tidemark/wal";
import fc from "fast-check";
import { expect, test } from "vitest";
import { OnceFilter } from "../src/export-effects.ts";
import {
  exportDirectory,
  exportLine,
  type ExportOptions,
  type ExportRow,
  type ExportSummary,
  type Session,
} from "../src/index.ts";
import { Cluster } from "./cluster.ts";
import { naiveExport } from "./naive-export.ts";

const NOW = Date.now();
const SCHEMA = defineSignals([
  { name: "save", halfLifeMs: 86_400_000, windows: ["24h"] },
  { name: "skip", permanent: true },
]);

async function collect(
  rows: AsyncGenerator<ExportRow, ExportSummary, undefined>,
): Promise<{ lines: string[]; summary: ExportSummary }> {
  const lines: string[] = [];
  for (;;) {
    const { done, value } = await rows.next();
    if (done === true) return { lines, summary: value };
    lines.push(exportLine(value));
  }
}

const ofDisk = (fs: MemoryFs, options: ExportOptions): ReturnType<typeof collect> =>
  collect(exportDirectory({ fs, dir: "data", hasher: nobleHasher }, options));

test("SIG-4 an export of 10,000 operations is the naive one: retries, relays, hides and removals included", async () => {
  let seed = 20_261_121;
  const random = (below: number): number => {
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((seed / 2 ** 32) * below);
  };
  await using cluster = new Cluster(["us-east", "eu-west"]);
  const names = ["us-east", "eu-west"] as const;
  for (const name of names) await cluster.open(name, { bootstrap: name === "us-east", schema: SCHEMA });
  await cluster.region("eu-west").ready({ timeoutMs: 5_000 });
  const ids: string[] = [];
  for (let at = 0; at < 40; at++) {
    const started = await cluster
      .region(names[at % 2]!)
      .sessions.start({ user: `user ${at % 9}`, agent: "scout" });
    ids.push(started.id);
  }
  await cluster.converged();
  let written = ids.length;
  const write = async (at: number): Promise<void> => {
    const region = cluster.region(names[random(2)]!);
    const session: Session = region.sessions.get(ids[random(ids.length)]!)!;
    const eventTimeMs = NOW - random(1_000);
    const named = random(2) === 0 ? { operationId: `op ${random(at + 1)}` } : {};
    const explored = random(5) === 0 ? { propensity: (1 + random(8)) / 8 } : {};
    const item = `item ${random(30)}`;
    const kind = random(20);
    if (kind < 13)
      await session.signal(item, kind < 9 ? "save" : "skip", random(9) - 4, {
        eventTimeMs,
        ...named,
        ...explored,
      });
    else if (kind < 15)
      await region.signals.record(item, "save", random(9), { eventTimeMs, ...named, ...explored });
    else if (kind < 17) await session.hide(item, named);
    else if (kind < 18) await session.mute(item);
    else if (kind < 19) await session.unhide(item, named);
    else await session.annotate("noted");
    written += 1;
  };
  for (let round = 0; round < 10; round++) {
    if (round % 2 === 0) cluster.network.cut("us-east", "eu-west");
    for (let at = 0; at < 20; at++)
      await Promise.all(Array.from({ length: 50 }, () => write(round * 1_000 + at * 50)));
    if (round % 2 === 0) {
      // The same retried on both sides of the cut, and a device that carries operations across it.
      for (let at = 0; at < 20; at++) {
        const retry = { operationId: `retry ${round} ${at}`, eventTimeMs: NOW - at };
        for (const name of names) {
          await cluster.region(name).sessions.get(ids[at]!)!.signal("item 0", "save", 1, retry);
          await cluster.region(name).signals.record("item 0", "save", 1, retry);
        }
      }
      for (const user of ["user 1", "user 2"]) {
        const ticket = cluster.region("us-east").users.get(user).ticket();
        if (ticket.complete) await cluster.region("eu-west").users.resume(user, { ticket });
      }
      cluster.network.heal();
    }
  }
  await cluster.converged();
  expect(written).toBeGreaterThan(10_000);
  for (const [sinceMs, untilMs] of [
    [NOW - 1_000, NOW + 60_000],
    [NOW - 500, NOW + 60_000],
  ] as const) {
    const want = await naiveExport(cluster.disk("us-east"), "data", sinceMs, untilMs);
    expect(want.length).toBeGreaterThan(3_000);
    for (const name of names) {
      const { lines, summary } = await ofDisk(cluster.disk(name), { sinceMs, untilMs });
      expect(lines.toSorted()).toEqual(want);
      expect(summary.signals + summary.hides).toBe(want.length);
      expect(summary.leftOut).toEqual({ unreadable: 0, purged: 0, unknownUser: 0, malformed: 0 });
      const live = await collect(cluster.region(name).signals.export({ sinceMs, untilMs }));
      expect(live.lines.toSorted()).toEqual(want);
    }
  }
  // As many contributions as the ledger has.
  const all = await ofDisk(cluster.disk("us-east"), { untilMs: NOW + 60_000 });
  expect(all.summary.signals).toBe(cluster.region("us-east").health().signals.folded);
});

test("SIG-4 an export needs a first or a last time", async () => {
  const fs = memoryFs({ seed: 1 });
  const unbounded = expect.objectContaining({ code: "EXPORT_UNBOUNDED" });
  await expect(ofDisk(fs, {})).rejects.toEqual(unbounded);
  await using cluster = await Cluster.of("us-east");
  await expect(collect(cluster.region("us-east").signals.export({}))).rejects.toEqual(unbounded);
  await expect(ofDisk(fs, { sinceMs: 2, untilMs: 1 })).rejects.toThrow(RangeError);
  await expect(ofDisk(fs, { sinceMs: NaN })).rejects.toThrow(RangeError);
  await expect(ofDisk(fs, { sinceMs: 1 })).rejects.toMatchObject({ code: "WAL_NOT_HELD" });
});

test("SIG-4 a filter decides what leaves, line by line; a purged session and an unknown one do not", async () => {
  await using cluster = new Cluster(["us-east"]);
  const region = await cluster.open("us-east", { bootstrap: true });
  const [ada, bob] = await Promise.all(
    ["ada", "bob"].map((user) => region.sessions.start({ user, agent: "scout", id: `of ${user}` })),
  );
  const eventTimeMs = NOW - 10;
  await ada!.signal("Metropolis", "save", 1.5, { eventTimeMs, propensity: 0.25 });
  await bob!.signal("Stalker", "save", -1, { eventTimeMs });
  await bob!.hide("Solaris");
  const filter = (row: ExportRow): boolean => row.kind !== "signal" || row.user !== "bob";
  const { lines, summary } = await collect(region.signals.export({ sinceMs: NOW - 1_000, filter }));
  expect(lines.map((line) => line.replace(/"timeMs":\d+/, '"timeMs":0'))).toEqual([
    '{"kind":"signal","entity":"Metropolis","signal":"save","weight":1.5,"timeMs":0,"propensity":0.25,"user":"ada","session":"of ada"}',
    '{"kind":"hide","user":"bob","item":"Solaris","timeMs":0}',
  ]);
  expect(summary).toMatchObject({ signals: 1, hides: 1, filtered: 1 });
  // Another log, with a session that began elsewhere, and one that was purged.
  await cluster.close("us-east");
  const fs = cluster.disk("us-east");
  const wal = await openWal({ fs, dir: "data", hasher: nobleHasher });
  const log = await wal.createLog(logId(9, 0, 1, "sessions"));
  const header = {
    lane: { region: 9, epoch: 1 },
    stamp: { wallMs: NOW, counter: 0, clockId: 9 },
    userKey: 0,
  };
  const clear = { entity: "e", signal: "save", weight: 1, eventTimeMs };
  const ops: Op[] = [
    { ...header, session: "unknown", seqno: 1, kind: "signal", clear, sealed: {} },
    { ...header, session: "of bob", seqno: 1, kind: "purge", clear: {}, sealed: {} } as never,
  ];
  for (const op of ops) await log.append(2, (writer) => encodeOp(writer, op));
  await log.append(2, Uint8Array.of(1, 2, 3));
  await log.append(1, Uint8Array.of(9));
  await log.append(0x99, Uint8Array.of(9));
  await wal.close();
  const after = await ofDisk(fs, { untilMs: NOW + 60_000 });
  expect(after.lines.length).toBe(2);
  expect(after.summary).toMatchObject({
    signals: 1,
    hides: 1,
    leftOut: { unreadable: 0, purged: 1, unknownUser: 1, malformed: 2 },
  });
});

test("SIG-4 SES-18 what is under a key that nobody gives is left out, and what it opens is not", async () => {
  await using cluster = new Cluster(["us-east"]);
  const region = await cluster.open("us-east", { bootstrap: true });
  const session = await region.sessions.start({ user: "ada", agent: "scout", id: "s" });
  await session.signal("Metropolis", "save", 1);
  await cluster.close("us-east");
  const fs = cluster.disk("us-east");
  const wal = await openWal({ fs, dir: "data", hasher: nobleHasher });
  const log = await wal.createLog(logId(9, 0, 1, "sessions"));
  const header = {
    lane: { region: 9, epoch: 1 },
    stamp: { wallMs: NOW, counter: 0, clockId: 9 },
    userKey: 0,
  };
  const sealed = { annotation: "x".repeat(15) };
  const clear = { entity: "e", signal: "save", weight: 1, eventTimeMs: NOW };
  await log.append(2, (writer) => {
    const at = writer.length;
    encodeOp(writer, { ...header, session: "s", seqno: 1, kind: "signal", clear, sealed });
    // The generation of a key, behind the stamp.
    const stampAt = at + 3 + 2 + 7 + 1;
    writer.bytes[stampAt + 10] = 1;
  });
  await wal.close();
  const { lines, summary } = await ofDisk(fs, { sinceMs: 0 });
  expect(lines.length).toBe(1);
  expect(summary.leftOut.unreadable).toBe(1);
});

test("SIG-4 an abort ends an export, and leaving the loop closes it", async () => {
  await using cluster = new Cluster(["us-east"]);
  const region = await cluster.open("us-east", { bootstrap: true });
  const session = await region.sessions.start({ user: "ada", agent: "scout" });
  for (let at = 0; at < 5; at++) await session.signal(`item ${at}`, "save", 1);
  const controller = new AbortController();
  const rows = region.signals.export({ sinceMs: 0, signal: controller.signal });
  expect((await rows.next()).done).toBe(false);
  const reason = new Error("Enough");
  controller.abort(reason);
  await expect(collect(rows)).rejects.toBe(reason);
  for await (const row of exportDirectory(
    { fs: cluster.disk("us-east"), dir: "data", hasher: nobleHasher },
    { sinceMs: 0 },
  )) {
    expect(row.kind).toBe("signal");
    break;
  }
});

test("SIG-4 OnceFilter gives each effect once, whatever the filter takes for a repeat", () => {
  const effect = fc.nat(40);
  fc.assert(
    fc.property(fc.array(fc.tuple(effect, fc.boolean()), { maxLength: 120 }), (list) => {
      const idOf = (number: number): Uint8Array => {
        const id = new Uint8Array(16);
        new DataView(id.buffer).setUint32(0, Math.imul(number + 1, 2_654_435_761));
        id[12] = number % 3;
        return id;
      };
      const once = new OnceFilter(1, 1);
      for (const [number, named] of list) {
        if (named) once.note(idOf(number));
        else once.noteRelayed(idOf(number + 1_000), number);
      }
      const given = list.filter(([number, named]) =>
        named ? once.first(idOf(number)) : once.firstUnnamed(number, () => idOf(number + 1_000)),
      );
      const want = new Set(list.map(([number, named]) => `${number} ${named}`));
      expect(given.map(([number, named]) => `${number} ${named}`).sort()).toEqual([...want].sort());
    }),
  );
  // A million effects in a filter for a sixteenth of them: still once each, and few are remembered.
  const once = new OnceFilter(64 * 1_000_000, 4 * 1024 * 1024);
  const id = new Uint8Array(16);
  const words = new Uint32Array(id.buffer);
  const mixed = (value: number): number => {
    let x = Math.imul(value ^ (value >>> 16), 0x21f0aaad);
    x = Math.imul(x ^ (x >>> 15), 0x735a2d97);
    return x ^ (x >>> 15);
  };
  const draw = (at: number): void => {
    for (let part = 0; part < 4; part++) words[part] = mixed(at * 4 + part);
  };
  for (let at = 0; at < 1_000_000; at++) {
    draw(at % 990_000);
    once.note(id);
  }
  expect(once.remembered).toBeGreaterThanOrEqual(10_000);
  expect(once.remembered).toBeLessThan(60_000);
  let given = 0;
  for (let at = 0; at < 1_000_000; at++) {
    draw(at % 990_000);
    if (once.first(id)) given += 1;
  }
  expect(given).toBe(990_000);
  expect(new EffectIdSet().byteLength).toBeLessThan(1_000);
});
