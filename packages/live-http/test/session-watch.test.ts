import { openMemoryReplayStore } from "@tidemark/live";
import { describe, expect, test, vi } from "vitest";
import {
  stopTurn,
  watchSession,
  type Fetch,
  type WatchedItem,
  type WatchSessionOptions,
  type WatchState,
} from "../src/client.ts";
import { liveHandler } from "../src/index.ts";
import { TestLive, type TestView } from "./test-live.ts";
import { settle, Timers } from "./timers.ts";

const A = "https://a.example/sessions/s";
const B = "https://b.example/sessions/s";
const say = (text: string) => ({ kind: "turn_activity", turn: "t", activity: text }) as const;

/** A network between one watch and the handlers of some hosts, on virtual time. */
class Network {
  readonly timers = new Timers();
  readonly states: WatchState[] = [];
  readonly asked: string[] = [];
  readonly items: WatchedItem<TestView, string>[] = [];
  readonly gone = new AbortController();
  /** What a host does to a request instead of answering it. */
  readonly faults = new Map<string, () => Response | Promise<Response>>();
  readonly #handlers = new Map<string, (request: Request) => Promise<Response>>();
  readonly #links = new Map<string, Set<ReadableStreamDefaultController<Uint8Array>>>();
  outcome: Promise<void> | undefined;

  host(name: string, live: TestLive, options: { finished?: (session: string) => boolean } = {}): this {
    const { setTimer } = this.timers;
    this.#handlers.set(name, liveHandler({ live, authorize: () => true, setTimer, ...options }));
    return this;
  }

  readonly fetch: Fetch = async (url, init) => {
    const { host } = new URL(url);
    this.asked.push(host);
    const fault = this.faults.get(host);
    if (fault !== undefined) return fault();
    const response = await this.#handlers.get(host)!(new Request(url, init));
    return response.body === null || init.method === "POST"
      ? response
      : this.#carry(host, response, init.signal);
  };

  /** Breaks every link to a host, as a cable that is pulled. */
  cut(host: string): void {
    for (const link of this.#links.get(host) ?? []) link.error(new TypeError("network error"));
    this.#links.delete(host);
  }

  watch(options: Partial<WatchSessionOptions> = {}): void {
    const watching = async (): Promise<void> => {
      const watch = watchSession<TestView, string>({
        url: A,
        fetch: this.fetch,
        signal: this.gone.signal,
        setTimer: this.timers.setTimer,
        random: () => 0.5,
        onState: (state) => this.states.push(state),
        ...options,
      });
      for await (const item of watch) this.items.push(item);
    };
    this.outcome = watching();
    this.outcome.catch(() => undefined);
  }

  /** Texts of the activities that came, in order. */
  get texts(): string[] {
    return this.items.flatMap((item) =>
      item.kind === "event" && item.event.payload.kind === "turn_activity"
        ? [item.event.payload.activity]
        : [],
    );
  }

  #carry(host: string, response: Response, signal: AbortSignal | undefined): Response {
    const reader = response.body!.getReader();
    const links = this.#links.get(host) ?? new Set();
    this.#links.set(host, links);
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => {
        links.add(controller);
        signal?.addEventListener("abort", () => {
          void reader.cancel().catch(() => undefined);
          controller.error(signal.reason);
        });
      },
      pull: async (controller) => {
        const { done, value } = await reader.read();
        if (!links.has(controller)) return;
        if (done) controller.close();
        else controller.enqueue(value);
      },
      cancel: () => reader.cancel(),
    });
    return new Response(body, response);
  }
}

describe("watchSession() goes on", () => {
  test("LIV-10 B-43: over a link that breaks and comes back, nothing is missing and nothing comes twice", async () => {
    const live = new TestLive();
    const it = new Network().host("a.example", live);
    it.watch();
    await it.timers.advance(100);
    await live.publish("s", say("a"));
    await it.timers.advance(100);
    it.faults.set("a.example", () => Promise.reject(new TypeError("network error")));
    it.cut("a.example");
    await live.publish("s", say("b"));
    await it.timers.advance(2_000);
    expect(it.states).toEqual([
      "connecting",
      "live",
      "offline",
      "connecting",
      "offline",
      "connecting",
      "offline",
      "connecting",
      "offline",
    ]);
    it.faults.clear();
    await it.timers.advance(2_000);
    await live.publish("s", say("c"));
    await it.timers.advance(100);
    expect(it.items[0]).toMatchObject({ kind: "observation" });
    expect(it.texts).toEqual(["a", "b", "c"]);
    expect(it.states.at(-1)).toBe("live");
    it.gone.abort();
    await it.outcome;
    expect(it.states.at(-1)).toBe("ended");
    expect(it.timers.count).toBe(0);
  });

  test("LIV-8 LIV-10: a region that fails is left for the other at once, which says what it cannot go on with", async () => {
    const [left, right] = [new TestLive(), new TestLive()];
    const it = new Network().host("a.example", left).host("b.example", right);
    it.watch({ url: [A, B] });
    await it.timers.advance(0);
    await left.publish("s", say("a"));
    await settle();
    right.view = { text: "a" };
    await right.publish("s", say("seen in the view"));
    it.cut("a.example");
    await it.timers.advance(100);
    expect(it.asked).toEqual(["a.example", "b.example"]);
    expect(it.states).toEqual(["connecting", "live", "connecting", "live", "gap"]);
    expect(it.items.at(-1)).toMatchObject({
      kind: "gap",
      gap: { reason: "unavailable" },
      observation: { view: { text: "a" } },
    });
    await right.publish("s", say("b"));
    await settle();
    expect(it.texts).toEqual(["a", "b"]);
    expect(it.states.at(-1)).toBe("live");
    it.gone.abort();
    await it.outcome;
  });

  test("LIV-10: a region whose stream breaks off is left for the other, and a refusal counts again after each link", async () => {
    const [left, right] = [new TestLive(), new TestLive()];
    const it = new Network().host("a.example", left).host("b.example", right);
    it.watch({ url: [A, B] });
    await it.timers.advance(0);
    await left.store.close();
    await it.timers.advance(100);
    expect(it.asked).toEqual(["a.example", "b.example"]);
    it.faults.set("a.example", () => new Response(null, { status: 403 }));
    for (let round = 0; round < 2; round++) {
      it.cut("b.example");
      await it.timers.advance(1_000);
    }
    expect(it.asked.slice(2)).toEqual(["a.example", "b.example", "a.example", "b.example"]);
    expect(it.states.at(-1)).toBe("live");
    it.gone.abort();
    await it.outcome;
  });

  test("LIV-10: a page that is online again does not wait any longer", async () => {
    const it = new Network().host("a.example", new TestLive());
    const page = new EventTarget();
    vi.stubGlobal("addEventListener", page.addEventListener.bind(page));
    vi.stubGlobal("removeEventListener", page.removeEventListener.bind(page));
    try {
      it.faults.set("a.example", () => Promise.reject(new TypeError("network error")));
      it.watch({ backoff: { firstMs: 8_000 } });
      await it.timers.advance(1_000);
      it.faults.clear();
      page.dispatchEvent(new Event("online"));
      await it.timers.advance(0);
      expect(it.states).toEqual(["connecting", "offline", "connecting", "live"]);
      it.gone.abort();
      await it.outcome;
    } finally {
      vi.unstubAllGlobals();
    }
  });

  test("LIV-10: a link that has gone silent is given up after 25 seconds; a slow reader is no silence", async () => {
    const live = new TestLive();
    const it = new Network().host("a.example", live);
    it.faults.set(
      "a.example",
      () => new Response(new ReadableStream(), { headers: { "content-type": "text/event-stream" } }),
    );
    it.watch();
    await it.timers.advance(24_999);
    expect(it.asked.length).toBe(1);
    it.faults.clear();
    await it.timers.advance(1_000);
    expect(it.asked.length).toBe(2);
    expect(it.items.length).toBe(1);
    // In silence the heartbeats of the server keep it.
    await it.timers.advance(120_000);
    expect(it.asked.length).toBe(2);
    it.gone.abort();
    await it.outcome;
    const slow = watchSession({ url: A, fetch: it.fetch, setTimer: it.timers.setTimer, random: () => 0 });
    await slow.next();
    await it.timers.advance(50_000);
    await live.publish("s", say("late"));
    expect((await slow.next()).value).toMatchObject({ kind: "event" });
    expect(it.asked.length).toBe(3);
    await slow.return();
  });

  test("B-43: 204 ends it, and so does leaving the loop", async () => {
    const live = new TestLive();
    const over = new Set<string>();
    const it = new Network().host("a.example", live, { finished: (session) => over.has(session) });
    it.watch();
    await it.timers.advance(0);
    over.add("s");
    await live.publish("s", { kind: "turn_state", turn: "t", state: "done" });
    await it.timers.advance(1_000);
    await it.outcome;
    expect(it.states).toEqual(["connecting", "live", "connecting", "ended"]);
    expect(it.items.map(({ kind }) => kind)).toEqual(["observation", "event"]);
    over.clear();
    for await (const item of watchSession({ url: A, fetch: it.fetch, setTimer: it.timers.setTimer })) {
      expect(item.kind).toBe("observation");
      break;
    }
    await settle();
    expect(it.timers.count).toBe(0);
  });

  test("LIV-5: events that were dropped while it was away are a gap, and a cursor kept from before goes on", async () => {
    const live = new TestLive(openMemoryReplayStore({ eventsMax: 2 }));
    const it = new Network().host("a.example", live);
    const kept = (await live.store.currentCursor("s", 0)).toString();
    for (const text of ["a", "b", "c"]) await live.publish("s", say(text));
    it.watch({ after: kept });
    await it.timers.advance(100);
    expect(it.items[0]).toMatchObject({ kind: "gap", gap: { reason: "trimmed", requested: kept } });
    expect(it.states.at(-1)).toBe("gap");
    it.gone.abort();
    await it.outcome;
  });
});

describe("watchSession() gives up", () => {
  const refusal = (status: number, code: string) => () =>
    new Response(JSON.stringify({ code }), { status, headers: { "content-length": "40" } });

  test("where it is refused; with several regions only once all refuse", async () => {
    const it = new Network().host("b.example", new TestLive());
    it.faults.set("a.example", refusal(403, "FORBIDDEN"));
    it.watch();
    await settle();
    await expect(it.outcome).rejects.toMatchObject({ code: "REFUSED", status: 403, reason: "FORBIDDEN" });
    it.watch({ url: [A, B] });
    await it.timers.advance(100);
    expect(it.items.length).toBe(1);
    it.faults.set("b.example", refusal(404, "NOT_FOUND"));
    it.cut("b.example");
    await it.timers.advance(1_000);
    await expect(it.outcome).rejects.toMatchObject({ code: "REFUSED" });
    expect(it.timers.count).toBe(0);
  });

  test("where what comes is no session, three times in a row, and not where a page of a proxy answers", async () => {
    const it = new Network().host("a.example", new TestLive());
    const spoilt = (): Response =>
      new Response("id: 1\ndata: {}\n\n", { headers: { "content-type": "text/event-stream" } });
    it.faults.set("a.example", spoilt);
    it.watch();
    await it.timers.advance(5_000);
    await expect(it.outcome).rejects.toMatchObject({ code: "SSE_MALFORMED" });
    expect(it.asked.length).toBe(3);
    it.faults.set(
      "a.example",
      () => new Response("<h1>log in</h1>", { headers: { "content-type": "text/html" } }),
    );
    it.watch();
    await it.timers.advance(60_000);
    it.faults.clear();
    await it.timers.advance(20_000);
    expect(it.items.length).toBe(1);
    it.gone.abort();
    await it.outcome;
  });

  test("and waits as long as a server asks, a minute at most", async () => {
    const it = new Network();
    const answers = ["20", "999999", "soon"];
    it.faults.set(
      "a.example",
      () => new Response(null, { status: 503, headers: { "retry-after": answers.shift() ?? "0" } }),
    );
    const waits: number[] = [];
    it.watch({ onState: (_state, { waitMs }) => waitMs !== undefined && waits.push(waitMs) });
    await it.timers.advance(85_000);
    expect(waits.slice(0, 3)).toEqual([20_000, 60_000, 750]);
    it.gone.abort();
    await it.outcome;
    expect(it.timers.count).toBe(0);
  });
});

describe("stopTurn()", () => {
  test("LIV-9: ends a turn in the first region that answers; leaving a watch ends none", async () => {
    const live = new TestLive();
    const it = new Network().host("b.example", live);
    it.faults.set("a.example", () => Promise.reject(new TypeError("network error")));
    expect(await stopTurn({ url: [A, B], fetch: it.fetch }, "t1")).toBe(true);
    expect(live.cancelled).toEqual(["t1"]);
    await expect(stopTurn({ url: A, fetch: it.fetch }, "t1")).rejects.toThrow("network error");
    await expect(stopTurn({ url: B, fetch: it.fetch }, "")).rejects.toMatchObject({
      status: 400,
      code: "REFUSED",
    });
  });
});
