import { openMemoryReplayStore } from "@tidemark/live";
import { describe, expect, test, vi } from "vitest";
import { decodeItem, readSseEvents } from "../src/client.ts";
import { liveHandler, type LiveHandlerOptions } from "../src/index.ts";
import { TestLive, type TestView } from "./test-live.ts";
import { settle, Timers } from "./timers.ts";

const say = (text: string) => ({ kind: "turn_activity", turn: "t", activity: text }) as const;

/** A stream of the session "s", opened. */
async function stream(options: Partial<LiveHandlerOptions<TestView>> = {}, live = new TestLive()) {
  const timers = new Timers();
  const handler = liveHandler<TestView>({
    live,
    authorize: () => true,
    setTimer: timers.setTimer,
    ...options,
  });
  const response = await handler(new Request("http://localhost/sessions/s/events"));
  return { live, timers, handler, body: response.body! };
}

const text = async (body: ReadableStream<Uint8Array>): Promise<string> => new Response(body).text();

describe("a stream of a session", () => {
  test("LIV-10: in silence something is sent each 10 seconds, and nothing else", async () => {
    const { live, timers, body } = await stream({ streamMsMax: 65_000 });
    const reading = text(body);
    await timers.advance(29_000);
    await live.publish("s", say("a"));
    await timers.advance(36_000);
    const [retry, ...lines] = (await reading).split("\n\n");
    expect(retry).toMatch(/^retry: \d{3,4}$/);
    const kinds = lines.map((line) =>
      line.startsWith(": ") ? "alive" : line.includes("event: ") ? "now" : line && "event",
    );
    // At 10 and 20, at 29, and then at 39, 49 and 59.
    expect(kinds).toEqual(["now", "alive", "alive", "event", "alive", "alive", "alive", ""]);
    expect(timers.count).toBe(0);
  });

  test("LIV-10: what happens while a heartbeat is under way is not lost", async () => {
    const asked: ((over: boolean) => void)[] = [];
    const finished = (): Promise<boolean> => new Promise((resolve) => asked.push(resolve));
    const { live, timers, body } = await stream({ finished });
    const events = readSseEvents(body);
    const observation = events.next();
    await settle();
    asked.shift()!(false);
    await observation;
    const next = events.next();
    await timers.advance(10_000);
    await live.publish("s", say("a"));
    await settle();
    asked.shift()!(false);
    expect(decodeItem((await next).value!)).toMatchObject({ kind: "event", event: { payload: say("a") } });
    await events.return();
  });

  test("LIV-6 LIV-10: a client that does not read holds little, and is told what it missed when it reads", async () => {
    const store = openMemoryReplayStore({ eventsMax: 64, bufferedMax: 64 });
    const { live, timers, body } = await stream({}, new TestLive(store));
    const piece = "x".repeat(1_000);
    live.view = { text: "all of it" };
    const before = process.memoryUsage().arrayBuffers;
    for (let count = 0; count < 5_000; count++) {
      await live.publish("s", say(piece));
      // At first it gets what it has room for.
      if (count < 40) await settle();
    }
    await settle();
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(1_000_000);
    const seen: string[] = [];
    let missed = 0;
    for await (const event of readSseEvents(body)) {
      const item = decodeItem<TestView>(event)!;
      seen.push(item.kind);
      if (item.kind !== "gap") continue;
      missed = item.gap.missed ?? 0;
      expect(item).toMatchObject({ gap: { reason: "lagged" }, observation: { view: { text: "all of it" } } });
      break;
    }
    const events = seen.filter((kind) => kind === "event").length;
    // What waits for it: 16 KiB and one more.
    expect(events).toBeLessThan(20);
    expect(seen).toEqual(["observation", ...Array<string>(events).fill("event"), "gap"]);
    expect(missed).toBeGreaterThan(4_000);
    await timers.advance(0);
    expect(timers.count).toBe(0);
  });

  test("LIV-10: one that reads nothing for a minute is given up, and what was kept for it let go", async () => {
    const onError = vi.fn();
    const { live, timers, handler, body } = await stream({ streamsMax: 1, onError });
    for (let count = 0; count < 50; count++) await live.publish("s", say("x".repeat(1_000)));
    await timers.advance(59_000);
    expect(timers.count).toBeGreaterThan(0);
    await timers.advance(1_001);
    expect(timers.count).toBe(0);
    await expect(text(body)).rejects.toThrow("did not read");
    expect((await handler(new Request("http://localhost/sessions/s/events"))).status).toBe(200);
    expect(onError).not.toHaveBeenCalled();
  });

  test("B-32: leaving it releases the watch, its timers and its place", async () => {
    const store = openMemoryReplayStore();
    const subscribe = vi.spyOn(store, "subscribeAfter");
    const { timers, body } = await stream({}, new TestLive(store));
    await settle();
    const { signal } = subscribe.mock.calls[0]![1]!;
    expect(signal?.aborted).toBe(false);
    await body.cancel();
    expect(signal?.aborted).toBe(true);
    expect(timers.count).toBe(0);
  });

  test("a server that is to stop ends its streams in good order, and opens none", async () => {
    const stopping = new AbortController();
    const { timers, handler, body } = await stream({ signal: stopping.signal });
    const reading = text(body);
    await settle();
    stopping.abort();
    expect(await reading).toMatch(/^retry: \d+\n\nid: \S+\nevent: observation\ndata: .*\n\n$/);
    expect(timers.count).toBe(0);
    expect((await handler(new Request("http://localhost/sessions/s/events"))).status).toBe(503);
  });

  test("a stream that fails after it has begun says so with a code, and ends", async () => {
    const onError = vi.fn();
    const live = new TestLive();
    const { body, timers } = await stream({ onError }, live);
    const reading = text(body);
    await settle();
    await live.store.close();
    expect((await reading).split("\n\n")[2]).toBe(
      'event: failed\ndata: {"code":"UNAVAILABLE","message":"Cannot answer now: the events are not to be had"}',
    );
    expect(timers.count).toBe(0);
    expect(onError).not.toHaveBeenCalled();
  });

  test("the signal of a request ends its stream, where a server has one", async () => {
    const gone = new AbortController();
    const timers = new Timers();
    const handler = liveHandler({ live: new TestLive(), authorize: () => true, setTimer: timers.setTimer });
    const request = new Request("http://localhost/sessions/s/events", { signal: gone.signal });
    const reading = text((await handler(request)).body!);
    await settle();
    gone.abort();
    await reading;
    expect(timers.count).toBe(0);
  });
});
