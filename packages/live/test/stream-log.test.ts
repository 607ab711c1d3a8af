import { expect, test } from "vitest";
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
