import { nobleHasher } from "@tidemark/core";
import { openRegion } from "@tidemark/region";
import { memoryFs } from "@tidemark/wal";
import { expect, test } from "vitest";
import { LogReader } from "../src/log-reader.ts";
import { rewriteLog } from "./planted-log.ts";
import { filesOf } from "./recorded.ts";

test("TST-1 a directory is read from its bytes as its region told: every kind, place and effect", async () => {
  const disk = memoryFs({ seed: 1 });
  let random = 0;
  const region = await openRegion(
    { dir: "data", segmentBytes: 65_536 },
    {
      fs: disk,
      volatile: false,
      now: () => 1_790_000_000_123,
      timers: { now: () => 0, setTimer: () => () => undefined },
      randomBytes: (count) => Uint8Array.from({ length: count }, () => random++ & 255),
      hasher: nobleHasher,
    },
  );
  const session = await region.sessions.start({ id: "s", user: "ada", agent: "guide" });
  const minted = await region.sessions.start({ user: "ada", agent: "guide" });
  const named = { operationId: "n" };
  const results = [
    await session.signal("book", "save", -2.5),
    await session.signal("book", "view", 0, { propensity: 0.5 }),
    await session.prefer("mood", "calm"),
    await session.annotate("one", named),
    await session.annotate("two", { entity: "book" }),
    await session.hide("x"),
    await session.hide("x"),
    await session.unhide("x"),
    await session.mute("x"),
    await session.unmute("x"),
    await session.block("x"),
    await session.unblock("x"),
    await session.search("films"),
    await session.app("chat", new TextEncoder().encode("hello")),
  ];
  await session.fork({ id: "f" });
  await region.sessions.merge("s", minted.id, { id: "m" });
  results.push(await session.close());
  await region.close();

  const files = await filesOf(disk);
  const logs = new LogReader(nobleHasher).read(files);
  expect(logs.map(({ problem }) => problem)).toEqual(logs.map(() => undefined));
  const ops = logs.flatMap(({ batches }) => batches).flatMap((batch) => batch.ops);
  const told = ops.map(({ op }) => op).filter((op) => op.session === "s" && op.kind !== "start");
  const position = { session: "s", lane: expect.stringMatching(/^r00000-e\d{10}$/) };
  expect(told).toEqual(
    results.map((result) => expect.objectContaining({ effect: result.effectId, ...result.position })),
  );
  expect(told[0]).toMatchObject({ ...position, seqno: 2 });
  expect(told[0]!.wallMs).toBeGreaterThanOrEqual(1_790_000_000_123);
  expect(told.map(({ kind, content }) => [kind, content])).toEqual([
    ["signal", { entity: "book", key: "save", weight: -2.5 }],
    ["signal", { entity: "book", key: "view", weight: 0 }],
    ["prefer", { key: "mood", value: "calm" }],
    ["annotate", { text: "one" }],
    ["annotate", { text: "two" }],
    ["hide", { user: "ada", item: "x" }],
    ["hide", { user: "ada", item: "x" }],
    ["unhide", { user: "ada", item: "x", dots: [results[5]!.effectId!, results[6]!.effectId!].sort() }],
    ["mute", { user: "ada", item: "x" }],
    ["unmute", { user: "ada", item: "x", dots: [results[8]!.effectId] }],
    ["block", { user: "ada", item: "x" }],
    ["unblock", { user: "ada", item: "x", dots: [results[10]!.effectId] }],
    ["search", { text: "films" }],
    ["app", { key: "chat", text: "hello" }],
    ["close", { reason: 0 }],
  ]);
  const starts = ops.map(({ op }) => op).filter(({ content }) => content?.parents !== undefined);
  expect(starts.map((op) => [op.session, op.kind, op.content?.parents])).toEqual([
    ["s", "start", []],
    [minted.id, "start", []],
    ["f", "fork", ["s"]],
    ["m", "merge", ["s", minted.id]],
  ]);

  const path = Object.keys(files).find((name) => name.startsWith("sessions/") && name.endsWith(".wal"))!;
  const problemOf = (edited: Readonly<Record<string, Uint8Array>>): string | undefined =>
    new LogReader(nobleHasher).read(edited).find(({ log }) => log.startsWith("sessions:"))?.problem;
  const log = logs.find((one) => one.log.startsWith("sessions:"))!;
  expect(problemOf(rewriteLog(files, log.log, (records) => records))).toBeUndefined();
  for (let at = 0; at < 400; at += 7) {
    const bytes = files[path]!.slice();
    bytes[at]! ^= 0x10;
    expect(problemOf({ ...files, [path]: bytes })).toMatch(`${path} at `);
  }
  const { batches } = log;
  const cut = batches[0]!.bytes.length;
  expect(problemOf({ ...files, [path]: files[path]!.slice(cut) })).toMatch("LSN 2, expected 1");
  expect(problemOf({ ...files, [path]: files[path]!.slice(0, cut + 100) })).toMatch("cut short");
  const later = path.replace(/\d{20}/, String(log.lastLsn + 2).padStart(20, "0"));
  expect(problemOf({ ...files, [later]: new Uint8Array(0) })).toMatch("begins at");
  // A log that is begun anew is void until that is complete.
  const begin = path.replace(/-\d{20}\.wal$/, ".begin");
  expect(new LogReader(nobleHasher).read({ ...files, [begin]: new Uint8Array(40) })).toHaveLength(
    logs.length - 1,
  );
});
