import { expect, test } from "vitest";
import { formatStreamOffset, MemoryJournals, openStreamLogs, parseStreamOffset } from "../src/index.ts";
import { openRegions, Reading, settled } from "./stream-log-bench.ts";

const CHAT = { session: "chat" };

test("LIV-8 a stream that is cut off in mid-sentence goes on in the other region at the same character", async () => {
  const { clock, us, eu } = openRegions(["us", "eu"]);
  const writer = await us.start("answer", CHAT);
  await writer.write("The tide ");
  await clock.advance(100);
  const abort = new AbortController();
  const first = new Reading(us.read("answer", { ...CHAT, signal: abort.signal }));
  await settled();
  expect(first.text).toBe("The tide ");
  abort.abort();
  await first.done;
  expect(first.end).toBeUndefined();

  await writer.write("comes ");
  await writer.write("in.");
  await clock.advance(100);
  const rest = new Reading(eu.read("answer", { ...CHAT, after: first.offset! }));
  await settled();
  expect(rest.text).toBe("comes in.");
  await writer.close();
  await rest.done;
  expect(rest.end).toMatchObject({ kind: "end", state: "done", offset: writer.offset });
  // The same place in both, and as a number of characters.
  for (const logs of [us, eu]) {
    expect((await logs.status("answer", CHAT)).offset).toBe(rest.end?.offset);
    const all = new Reading(logs.read("answer", { ...CHAT, after: 4 }));
    await all.done;
    expect(all.text).toBe("tide comes in.");
  }
});

test("LIV-9 states: missing, pending, streaming, done, error; only an end is final", async () => {
  const { clock, us, eu } = openRegions(["us", "eu"]);
  expect(await us.status("s")).toEqual({ state: "missing", final: false, length: 0 });
  const writer = await us.start("s");
  expect(await eu.status("s")).toMatchObject({ state: "pending", final: false });
  await writer.write("a");
  await writer.flush();
  expect(await eu.status("s")).toMatchObject({ state: "streaming", final: false, length: 1 });
  await writer.close();
  expect(await eu.status("s")).toMatchObject({ state: "done", final: true });
  await expect(writer.write("b")).rejects.toMatchObject({ code: "STREAM_ENDED" });
  await writer.fail("too late");
  expect(await eu.status("s")).toMatchObject({ state: "done", final: true });

  const failing = await us.start("f");
  await failing.write("half an ans");
  await failing.fail("The model is gone \uD800");
  expect(await eu.status("f")).toMatchObject({
    state: "error",
    final: true,
    message: "The model is gone \uFFFD",
  });
  const reading = new Reading(eu.read("f"));
  await reading.done;
  expect(reading).toMatchObject({
    text: "half an ans",
    end: { state: "error", message: "The model is gone \uFFFD" },
  });
  {
    await using _abandoned = await us.start("a");
  }
  expect(await eu.status("a")).toMatchObject({ state: "error", message: "The producer gave up" });
  // Nothing runs for streams that nobody reads or writes.
  expect(clock.pending).toBe(0);
});

test("LIV-9 a cancellation in any region reaches the producer, and readers get what it had written", async () => {
  const { clock, journals, us, eu } = openRegions(["us", "eu"]);
  const writer = await us.start("s", CHAT);
  await writer.write("one ");
  await writer.flush();
  const reading = new Reading(eu.read("s", CHAT));
  journals.cut("eu", "us");
  expect(await eu.cancel("s", CHAT)).toMatchObject({ state: "cancelled", final: false });
  await writer.write("two ");
  await clock.advance(100);
  expect(writer.signal.aborted).toBe(false);
  expect(reading).toMatchObject({ text: "one two ", end: undefined });

  await writer.write("three");
  journals.heal("eu", "us");
  await settled();
  expect(writer.signal.reason).toMatchObject({ code: "STREAM_CANCELLED", stream: "s" });
  await expect(writer.write("four")).rejects.toMatchObject({ code: "STREAM_CANCELLED" });
  await writer.close();
  await reading.done;
  expect(reading).toMatchObject({ text: "one two three", end: { state: "cancelled" } });
  expect(await us.status("s", CHAT)).toMatchObject({ state: "cancelled", final: true });
});

test("LIV-9 reading that stops cancels nothing, and a cancellation of what has ended changes nothing", async () => {
  const { us, eu } = openRegions(["us", "eu"]);
  const writer = await us.start("s");
  for (const logs of [us, eu]) {
    const items = logs.read("s");
    const first = items.next();
    await writer.write("x");
    await writer.flush();
    await first;
    await items.return?.();
  }
  expect(writer.signal.aborted).toBe(false);
  await writer.close();
  expect(await eu.cancel("s")).toMatchObject({ state: "done", final: true });
  expect(await us.status("s")).toMatchObject({ state: "done", final: true });
});

test("LIV-9 a cancellation that is there before its stream lets none begin", async () => {
  const { us, eu } = openRegions(["us", "eu"]);
  await eu.cancel("s");
  expect(await us.status("s")).toMatchObject({ state: "cancelled", final: false });
  await expect(us.start("s")).rejects.toMatchObject({ code: "STREAM_CANCELLED" });
});

test("LIV-9 a producer that is not heard of is orphaned by the reader's clock, and a late piece brings it back", async () => {
  const { clock, journals, us, eu } = openRegions(["us", "eu"], { ttlMs: 9_000 });
  const writer = await us.start("s", CHAT);
  await writer.write("to be ");
  await writer.flush();
  const reading = new Reading(eu.read("s", CHAT));
  // A producer with nothing to say renews: no reader gives up on it.
  await clock.advance(60_000);
  expect(reading.end).toBeUndefined();
  journals.cut("us", "eu");
  await clock.advance(9_001);
  expect(reading).toMatchObject({ text: "to be ", end: { state: "orphaned" } });
  // Who comes now has the stamp alone, and clocks may be five seconds apart.
  await clock.advance(5_000);
  expect(await eu.status("s", CHAT)).toMatchObject({ state: "orphaned", final: false });
  expect(await us.status("s", CHAT)).toMatchObject({ state: "streaming" });

  await writer.write("continued");
  await writer.close();
  journals.heal("us", "eu");
  const rest = new Reading(eu.read("s", { ...CHAT, after: reading.offset! }));
  await rest.done;
  expect(rest).toMatchObject({ text: "continued", end: { state: "done" } });
});

test("LIV-9 who comes long after a producer died is told at once, by the stamp of what it wrote last", async () => {
  const { clock, journals, us, eu } = openRegions(["us", "eu"], { ttlMs: 9_000 });
  await (await us.start("s")).write("half");
  await clock.advance(100);
  // The process ends: nothing of it arrives any more.
  journals.cut("us", "eu");
  await clock.advance(30_000);
  const reading = new Reading(eu.read("s"));
  await settled();
  expect(reading).toMatchObject({ text: "half", end: { state: "orphaned" } });
});

test("LIV-9 a stream nobody has heard of may be under way", async () => {
  const { clock, journals, us, eu } = openRegions(["us", "eu"]);
  const none = new Reading(eu.read("s"));
  await none.done;
  expect(none.end).toEqual({ kind: "end", state: "missing" });
  const waiting = new Reading(eu.read("s", { missingMs: 1_000 }));
  const patient = new Reading(eu.read("s", { missingMs: 5_000 }));
  await clock.advance(1_100);
  expect(waiting.end).toEqual({ kind: "end", state: "missing" });
  journals.cut("us", "eu");
  const writer = await us.start("s");
  await writer.write("here");
  await writer.close();
  await settled();
  expect(patient.text).toBe("");
  journals.heal("us", "eu");
  await patient.done;
  expect(patient).toMatchObject({ text: "here", end: { state: "done" } });
});

test("LIV-9 the second writer of a stream is fenced, in every region alike", async () => {
  const { clock, journals, us, eu, ap } = openRegions(["us", "eu", "ap"]);
  for (const [from, to] of [
    ["us", "eu"],
    ["eu", "us"],
    ["us", "ap"],
  ] as const)
    journals.cut(from, to);
  const first = await us.start("s");
  await clock.advance(10);
  const second = await eu.start("s");
  await first.write("FIRST");
  await second.write("second");
  await first.flush();
  await second.flush();
  const misled = new Reading(ap.read("s"));
  await settled();
  expect(misled.text).toBe("second");
  for (const [from, to] of [
    ["us", "eu"],
    ["eu", "us"],
    ["us", "ap"],
  ] as const)
    journals.heal(from, to);
  await misled.done;
  // What was read is not mixed with another text, here or where it is resumed.
  expect(misled.error).toMatchObject({ code: "STREAM_FENCED" });
  for (const logs of [us, eu, ap]) {
    const resumed = new Reading(logs.read("s", { after: misled.offset! }));
    await resumed.done;
    expect(resumed.error).toMatchObject({ code: "STREAM_FENCED" });
  }
  expect(second.signal.reason).toMatchObject({ code: "STREAM_FENCED", stream: "s" });
  await expect(second.write("more")).rejects.toMatchObject({ code: "STREAM_FENCED" });
  await expect(second.close()).rejects.toMatchObject({ code: "STREAM_FENCED" });
  await first.close();
  for (const logs of [us, eu, ap]) {
    const reading = new Reading(logs.read("s"));
    await reading.done;
    expect(reading).toMatchObject({ text: "FIRST", end: { state: "done" } });
  }
  await expect(eu.start("s")).rejects.toMatchObject({ code: "STREAM_EXISTS" });
});

test("LIV-9 of two that begin a stream at once in one region one writes it", async () => {
  const { us } = openRegions(["us"]);
  const started = await Promise.allSettled([us.start("s"), us.start("s")]);
  expect(started.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
  expect(started.find(({ status }) => status === "rejected")).toMatchObject({
    reason: { code: "STREAM_EXISTS" },
  });
});

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
  for (const bad of ["tms1:1:w:", "tms1:1:w:%", "tms1:1:w:a:b", "tms1:1:w w:s"])
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
