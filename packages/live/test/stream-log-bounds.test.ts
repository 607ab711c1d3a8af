import { expect, test } from "vitest";
import { formatStreamOffset, MemoryJournals, openStreamLogs, parseStreamOffset } from "../src/index.ts";
import { openRegions, Reading, settled } from "./stream-log-bench.ts";

const CHAT = { session: "chat" };

test("openStreamLogs() puts text together for a moment, and cuts no character in two", async () => {
  const { clock, us, journals } = openRegions(["us"], { coalesceMs: 50, pieceLengthMax: 4 });
  let appended = 0;
  const journal = journals.journal("us");
  const logs = openStreamLogs({
    journal: { ...journal, append: (...entry) => ((appended += 1), journal.append(...entry)) },
    clock,
    coalesceMs: 50,
    pieceLengthMax: 4,
  });
  const writer = await logs.start("s");
  expect(appended).toBe(1);
  await writer.write("a");
  await settled();
  // After a pause at once; what follows is put together.
  expect(appended).toBe(2);
  for (const text of ["b", "c", "\uD83C"]) await writer.write(text);
  await settled();
  expect(appended).toBe(2);
  await writer.flush();
  expect(appended).toBe(3);
  expect(await us.status("s")).toMatchObject({ length: 3 });
  await writer.write("\uDF0A and more than a piece");
  await settled();
  expect(appended).toBeGreaterThan(7);
  await writer.close();
  const reading = new Reading(us.read("s"));
  await reading.done;
  expect(reading.text).toBe("abc\u{1F30A} and more than a piece");
});

test("openStreamLogs() a writer waits for a slow journal, and is refused at the length of a stream", async () => {
  const { clock, journals } = openRegions(["us"]);
  const journal = journals.journal("us");
  let go = (): void => undefined;
  let slow = false;
  const logs = openStreamLogs({
    journal: {
      ...journal,
      append: async (...entry) => {
        if (slow) await new Promise<void>((resolve) => (go = resolve));
        await journal.append(...entry);
      },
    },
    clock,
    bufferedLengthMax: 10,
    lengthMax: 20,
  });
  const writer = await logs.start("s");
  slow = true;
  await writer.write("0123");
  let room = false;
  const write = writer.write("4567890123").then(() => (room = true));
  await settled();
  expect(room).toBe(false);
  slow = false;
  go();
  await clock.advance(100);
  await write;
  await expect(writer.write("4567890")).rejects.toMatchObject({ code: "STREAM_TOO_LONG", limit: 20 });
  await writer.write("456789");
  await writer.close();
  expect(await logs.status("s")).toMatchObject({ state: "done", length: 20 });
});

test("openStreamLogs() goes over from one namespace to the next, and reads what was there before it came", async () => {
  const { clock, us, eu } = openRegions(["us", "eu"], { coalesceMs: 0, lengthMax: 10_000 });
  const writer = await us.start("s");
  const live = new Reading(eu.read("s"));
  for (let index = 0; index < 1_100; index++) {
    await writer.write(`${index},`);
    await writer.flush();
  }
  await writer.close();
  await live.done;
  const whole = Array.from({ length: 1_100 }, (_, index) => `${index},`).join("");
  expect(live.text).toBe(whole);
  const late = new Reading(eu.read("s", { after: 17 }));
  await late.done;
  expect(late.text).toBe(whole.slice(17));
  expect(clock.pending).toBe(0);
});

test("openStreamLogs() tries an append again, which is one entry, and says so when the journal fails for good", async () => {
  const { clock, journals } = openRegions(["us"]);
  const journal = journals.journal("us");
  let failures: ("before" | "after")[] = [];
  const logs = openStreamLogs({
    journal: {
      ...journal,
      append: async (...entry) => {
        const failure = failures.shift();
        if (failure === "before") throw new Error("down");
        await journal.append(...entry);
        if (failure === "after") throw new Error("down");
      },
    },
    clock,
  });
  failures = ["after"];
  const starting = logs.start("s");
  await clock.advance(100);
  const writer = await starting;
  failures = ["after", "before", "after"];
  await writer.write("once");
  await clock.advance(3_000);
  expect(await logs.status("s")).toMatchObject({ state: "streaming", length: 4 });
  failures = ["before", "before", "before", "before"];
  await writer.write(" lost");
  await clock.advance(3_000);
  expect(writer.signal.reason).toMatchObject({ code: "STREAM_UNAVAILABLE", retryable: true });
  await expect(writer.flush()).rejects.toMatchObject({ code: "STREAM_UNAVAILABLE" });
  const reading = new Reading(logs.read("s"));
  await clock.advance(20_000);
  expect(reading).toMatchObject({ text: "once", end: { state: "orphaned" } });
});

test("openStreamLogs() a journal that ends its changes is told to readers and writers, and asked anew by the next", async () => {
  const { clock, journals } = openRegions(["us"]);
  const journal = journals.journal("us");
  let end = new AbortController();
  const logs = openStreamLogs({
    journal: { ...journal, changes: (signal) => journal.changes(AbortSignal.any([signal, end.signal])) },
    clock,
  });
  const writer = await logs.start("s");
  const reading = new Reading(logs.read("s"));
  await settled();
  end.abort();
  await reading.done;
  expect(reading.error).toMatchObject({ code: "STREAM_UNAVAILABLE" });
  expect(writer.signal.reason).toMatchObject({ code: "STREAM_UNAVAILABLE" });
  end = new AbortController();
  expect(await logs.status("s")).toMatchObject({ state: "pending" });
});

test("openStreamLogs() follows as many streams at once as it may", async () => {
  const { us } = openRegions(["us"], { followedMax: 1 });
  const writer = await us.start("a");
  await expect(us.status("b")).rejects.toMatchObject({ code: "STREAM_LIMIT", limit: 1, retryable: true });
  await writer.close();
  expect(await us.status("b")).toMatchObject({ state: "missing" });
});

test("openStreamLogs() latest() is the stream that began last", async () => {
  const { clock, us, eu } = openRegions(["us", "eu"]);
  expect(await us.latest("chat")).toBeUndefined();
  for (const [logs, stream] of [
    [us, "a"],
    [eu, "b"],
  ] as const) {
    await (await logs.start(stream, CHAT)).close();
    await clock.advance(1);
  }
  expect(await us.latest("chat")).toBe("b");
  expect(await eu.latest("chat")).toBe("b");
});

test("openStreamLogs() refuses what it cannot keep", async () => {
  const { us, journals } = openRegions(["us"]);
  for (const stream of ["", "x".repeat(81), "\uD800"])
    await expect(us.start(stream)).rejects.toThrow(RangeError);
  expect(() => us.read("s", { after: -1 })).toThrow(RangeError);
  const journal = journals.journal("us");
  for (const options of [{ ttlMs: 1 }, { coalesceMs: -1 }, { pieceLengthMax: 1 }, { lengthMax: 2 ** 30 }])
    expect(() => openStreamLogs({ journal, ...options })).toThrow(RangeError);
});

test("parseStreamOffset() reads what formatStreamOffset() wrote, and nothing else", () => {
  const offset = { stream: "chat:7/\u{1F30A}", writer: "0123abcd", position: 12 };
  const text = formatStreamOffset(offset);
  expect(text).toMatch(/^[\x21-\x7e]+$/);
  expect(parseStreamOffset(text)).toEqual(offset);
  for (const bad of [
    "",
    "tms1",
    "tms2:1:w:s",
    "tms1:01:w:s",
    "tms1:-1:w:s",
    "tms1:9007199254740993:w:s",
    "tms1:1::s",
  ])
    expect(() => parseStreamOffset(bad)).toThrow(expect.objectContaining({ code: "STREAM_OFFSET_INVALID" }));
  for (const bad of [
    "tms1:1:w:",
    "tms1:1:w:%",
    "tms1:1:w:a:b",
    "tms1:1:w:\u{1F30A}",
    "tms1:1:w:%61",
    "tms1:1:w w:s",
  ])
    expect(() => parseStreamOffset(bad)).toThrow(expect.objectContaining({ code: "STREAM_OFFSET_INVALID" }));
  expect(() => parseStreamOffset(text, "another")).toThrow(/is of "chat/);
});

test("MemoryJournals holds what waits for a cut link, and no more than it may", async () => {
  const journals = new MemoryJournals(["us", "eu"], { waitingMax: 2, sessionsMax: 1 });
  journals.cut("us", "eu");
  const us = journals.journal("us");
  const eu = journals.journal("eu");
  await us.append("s", "n", Uint8Array.of(1), "1");
  await us.append("s", "n", Uint8Array.of(1), "1");
  await us.append("s", "n", Uint8Array.of(2), "2");
  await expect(us.append("s", "n", Uint8Array.of(3), "3")).rejects.toMatchObject({
    code: "STREAM_UNAVAILABLE",
  });
  expect(journals.deliver("us", "eu", 1)).toBe(1);
  expect(eu.read("s", "n", () => false).map(({ bytes }) => [...bytes])).toEqual([[1]]);
  journals.heal("us", "eu");
  expect(eu.read("s", "n", () => false)).toHaveLength(2);
  await us.append("t", "n", Uint8Array.of(1), "1");
  expect(eu.read("s", "n", () => false)).toHaveLength(0);
  expect(() => journals.journal("ap")).toThrow(RangeError);
  expect(() => journals.cut("us", "ap")).toThrow(RangeError);
});
