import { LiveCursor, openLive, openMemoryReplayStore, type LiveSource } from "@tidemark/live";
import { describe, expect, test, vi } from "vitest";
import { decodeItem, readSseEvents, type WatchedItem } from "../src/client.ts";
import { liveHandler, type LiveHandlerOptions } from "../src/index.ts";
import { TestLive, type TestView } from "./test-live.ts";
import { Timers } from "./timers.ts";

const BASE = "http://localhost/sessions";
const say = (text: string) => ({ kind: "turn_activity", turn: "t", activity: text }) as const;

type Options = Partial<LiveHandlerOptions<TestView>>;

function world(options: Options = {}): {
  live: TestLive;
  timers: Timers;
  ask: (path: string, init?: RequestInit) => Promise<Response>;
} {
  const live = new TestLive();
  const timers = new Timers();
  const handler = liveHandler<TestView>({
    live,
    authorize: () => true,
    setTimer: timers.setTimer,
    ...options,
  });
  return { live, timers, ask: (path, init) => handler(new Request(`${BASE}${path}`, init)) };
}

/** Opens a stream behind a cursor; a virtual moment makes it answer. */
function open(
  { ask, timers }: ReturnType<typeof world>,
  path: string,
  init?: RequestInit,
): Promise<Response> {
  return timers.until(ask(path, init));
}

/** The next items of a stream, read until there are so many, or to its end. */
async function itemsOf(response: Response, count: number): Promise<WatchedItem[]> {
  const items: WatchedItem[] = [];
  for await (const event of readSseEvents(response.body!)) {
    items.push(decodeItem(event)!);
    if (items.length === count) break;
  }
  return items;
}

async function codeOf(response: Response): Promise<[number, string]> {
  return [response.status, ((await response.json()) as { code: string }).code];
}

describe("liveHandler() shows a session", () => {
  test("LIV-10 B-43: the id of an event is its cursor, and Last-Event-ID goes on behind it; the header before the address", async () => {
    const it = world();
    await it.live.publish("trip:1", say("a"));
    const first = await it.ask("/trip%3A1/events");
    expect(first.headers.get("content-type")).toBe("text/event-stream; charset=utf-8");
    expect(first.headers.get("cache-control")).toContain("no-store");
    const reading = itemsOf(first, 3);
    await it.timers.advance(0);
    await it.live.publish("trip:1", say("b"));
    await it.live.publish("trip:1", say("c"));
    const [observation, b, c] = await reading;
    expect(observation).toMatchObject({
      kind: "observation",
      observation: { session: "trip:1", revision: 0, view: { text: "" } },
    });
    expect([b, c].map((item) => item?.kind === "event" && item.event.payload)).toEqual([say("b"), say("c")]);
    const cursor = b?.kind === "event" ? b.event.cursor : "";
    expect(LiveCursor.parse(cursor, "trip:1").position).toBe(2);
    const begun = observation?.kind === "observation" ? observation.observation.cursor : "";
    const again = await open(it, `/trip%3A1/events?after=${encodeURIComponent(begun)}`, {
      headers: { "last-event-id": cursor },
    });
    expect(await itemsOf(again, 1)).toEqual([c]);
    const address = await open(it, `/trip%3A1/events?after=${encodeURIComponent(begun)}`);
    expect(await itemsOf(address, 2)).toEqual([b, c]);
  });

  test("LIV-10: GET gives what is to be seen, with the cursor to watch from", async () => {
    const { live, ask } = world();
    live.view = { text: "hello" };
    await live.publish("s", say("a"));
    const response = await ask("/s");
    const { cursor, ...seen } = (await response.json()) as { cursor: string };
    expect(seen).toEqual({ session: "s", revision: 0, view: { text: "hello" } });
    expect(LiveCursor.parse(cursor, "s").position).toBe(1);
    expect(response.headers.get("cache-control")).toBe("no-store");
  });

  test("B-43: a malformed cursor is 400 and one of another session 403, before the store is asked", async () => {
    const { live, ask } = world();
    const asked = vi.spyOn(live.store, "subscribeAfter");
    const other = (await live.store.currentCursor("other", 0)).toString();
    expect(await codeOf(await ask("/s/events?after=nonsense"))).toEqual([400, "MALFORMED"]);
    expect(await codeOf(await ask("/s/events", { headers: { "last-event-id": other } }))).toEqual([
      403,
      "WRONG_SESSION",
    ]);
    expect(asked).not.toHaveBeenCalled();
  });

  test("B-43: a gap is the first event of a stream with status 200, with what is to be seen instead", async () => {
    const it = world();
    it.live.view = { text: "now" };
    const gone = LiveCursor.of({ session: "s", revision: 0, position: 7, incarnation: "before" }).toString();
    const response = await it.ask("/s/events", { headers: { "last-event-id": gone } });
    expect(response.status).toBe(200);
    const [item] = await itemsOf(response, 1);
    expect(item).toMatchObject({
      kind: "gap",
      gap: { session: "s", reason: "unavailable", requested: gone },
      observation: { view: { text: "now" } },
    });
    // Whoever comes back behind the gap goes on without another.
    const cursor = item?.kind === "gap" ? item.observation.cursor : "";
    const again = await open(it, "/s/events", { headers: { "last-event-id": cursor } });
    await it.live.publish("s", say("next"));
    expect((await itemsOf(again, 1))[0]).toMatchObject({ kind: "event", event: { payload: say("next") } });
  });

  test("B-43: finished and fully read is 204; not fully read is read first, and then the stream ends", async () => {
    const over = new Set<string>();
    const it = world({ finished: (session) => over.has(session) });
    const start = (await it.live.store.currentCursor("s", 0)).toString();
    await it.live.publish("s", say("a"));
    over.add("s");
    await it.live.publish("s", { kind: "turn_state", turn: "t", state: "done" });
    const rest = await itemsOf(await it.ask("/s/events", { headers: { "last-event-id": start } }), 99);
    expect(rest.map(({ kind }) => kind)).toEqual(["event", "event"]);
    const last = rest[1]?.kind === "event" ? rest[1].event.cursor : "";
    const done = await it.ask("/s/events", { headers: { "last-event-id": last } });
    expect([done.status, done.body]).toEqual([204, null]);
  });

  test("B-43: a session that is over while nothing happens ends its streams with the next heartbeat", async () => {
    const over = new Set<string>();
    const { timers, ask } = world({ finished: (session) => over.has(session) });
    const reading = itemsOf(await ask("/s/events"), 99);
    await timers.advance(1_000);
    over.add("s");
    await timers.advance(10_000);
    expect((await reading).map(({ kind }) => kind)).toEqual(["observation"]);
  });

  test("LIV-9 LIV-10: POST stop ends the turn; going away does not", async () => {
    const { live, timers, ask } = world();
    const response = await ask("/s/events");
    await response.body!.cancel();
    await timers.advance(60_000);
    expect(live.cancelled).toEqual([]);
    const stop = (body: string, type = "application/json"): Promise<Response> =>
      ask("/s/stop", { method: "POST", body, headers: { "content-type": type } });
    expect(await (await stop('{"turn":"t1"}')).json()).toEqual({ cancelled: true });
    expect(live.cancelled).toEqual(["t1"]);
    for (const body of ["", "{", "[]", "null", '{"turn":7}', '{"turn":""}'])
      expect(await codeOf(await stop(body)), body).toEqual([400, "BODY_INVALID"]);
    expect(await codeOf(await stop('{"turn":"t1"}', "text/plain"))).toEqual([400, "BODY_INVALID"]);
    expect(await codeOf(await stop(`{"turn":"${"x".repeat(4_096)}"}`))).toEqual([413, "BODY_TOO_LARGE"]);
    expect(live.cancelled).toEqual(["t1"]);
  });
});

describe("liveHandler() lets in whom it is told to", () => {
  test("LIV-10 B-42: it is not made without authorize, unless for development, which it says once", () => {
    const live = new TestLive();
    expect(() => liveHandler({ live })).toThrow(TypeError);
    const log = vi.fn();
    liveHandler({ live, development: true, log });
    expect(log).toHaveBeenCalledTimes(1);
  });

  test("B-42: a cursor gives no right: what authorize does not allow is 403, an answer of its own is given as it is", async () => {
    const asked: unknown[] = [];
    const answers: unknown[] = [false, undefined, "yes", {}, new Response("who?", { status: 401 })];
    const { live, ask } = world({
      authorize: (_request, access) => {
        asked.push(access);
        return answers.shift() as boolean;
      },
    });
    const cursor = (await live.store.currentCursor("s", 0)).toString();
    for (const path of ["/s", `/s/events?after=${cursor}`, "/s", "/s"])
      expect(await codeOf(await ask(path))).toEqual([403, "FORBIDDEN"]);
    const own = await ask("/s");
    expect([own.status, await own.text()]).toEqual([401, "who?"]);
    expect(asked[0]).toEqual({ session: "s", action: "observe" });
    expect(asked[1]).toEqual({ session: "s", action: "watch" });
  });

  test("an authorize that throws refuses, and is told of", async () => {
    const onError = vi.fn();
    const failure = new Error("no database");
    const { ask } = world({ authorize: () => Promise.reject(failure), onError });
    const response = await ask("/s");
    expect(await response.clone().text()).not.toContain("database");
    expect(await codeOf(response)).toEqual([500, "INTERNAL"]);
    expect(onError).toHaveBeenCalledWith(failure);
  });

  test("B-42: sealed cursors go on, in every handler with the key; others are 403", async () => {
    const [old, key, foreign] = [1, 2, 3].map((byte) => new Uint8Array(32).fill(byte)) as [
      Uint8Array,
      Uint8Array,
      Uint8Array,
    ];
    const it = world({ cursorKeys: [key, old] });
    const { cursor } = (await (await it.ask("/s")).json()) as { cursor: string };
    expect(cursor).toMatch(/^tmls1:/);
    const again = await open(it, `/s/events?after=${encodeURIComponent(cursor)}`);
    await it.live.publish("s", say("a"));
    const [item] = await itemsOf(again, 1);
    expect(item?.kind === "event" && item.event.cursor).toMatch(/^tmls1:/);
    const sealedBy = async (...cursorKeys: Uint8Array[]): Promise<string> => {
      const handler = liveHandler({ live: it.live, authorize: () => true, cursorKeys });
      return ((await (await handler(new Request(`${BASE}/s`))).json()) as { cursor: string }).cursor;
    };
    const rotated = await open(it, `/s/events?after=${encodeURIComponent(await sealedBy(old))}`);
    expect(rotated.status).toBe(200);
    await rotated.body?.cancel();
    const bare = (await it.live.store.currentCursor("s", 0)).toString();
    const spoilt = cursor.replace(/:s$/, ":x");
    for (const forged of [bare, spoilt, await sealedBy(foreign), "tmls1:", "tmls1:a:b", "nonsense"])
      expect(await codeOf(await it.ask(`/s/events?after=${encodeURIComponent(forged)}`)), forged).toEqual([
        403,
        "CURSOR_FORGED",
      ]);
    expect(() =>
      liveHandler({ live: it.live, authorize: () => true, cursorKeys: [new Uint8Array(31)] }),
    ).toThrow(RangeError);
  });

  test("LIV-10: a browser on another page is let in from the origins listed, and asks before it stops a turn", async () => {
    const { ask } = world({ cors: { origins: ["https://app.example"] } });
    const from = (origin: string, init: RequestInit = {}): RequestInit => ({ ...init, headers: { origin } });
    const question = await ask("/s/stop", from("https://app.example", { method: "OPTIONS" }));
    expect(question.status).toBe(204);
    expect(question.headers.get("access-control-allow-origin")).toBe("https://app.example");
    expect(question.headers.get("access-control-allow-headers")).toContain("content-type");
    expect(question.headers.get("access-control-allow-credentials")).toBe("true");
    const answer = await ask("/s", from("https://app.example"));
    expect(answer.headers.get("access-control-allow-origin")).toBe("https://app.example");
    expect(answer.headers.get("vary")).toBe("Origin");
    const other = await ask("/s", from("https://evil.example"));
    expect(other.headers.get("access-control-allow-origin")).toBeNull();
    const refused = world({ cors: { origins: "*" }, authorize: () => false });
    const open = await refused.ask("/s", from("https://evil.example"));
    expect([open.status, open.headers.get("access-control-allow-origin")]).toEqual([403, "*"]);
    expect(open.headers.get("access-control-allow-credentials")).toBeNull();
    expect(() => world({ cors: { origins: "*", credentials: true } })).toThrow(RangeError);
  });
});

describe("liveHandler() has limits", () => {
  test("LIV-10: streams of a client and in all: 429 and 503 with Retry-After, and free again when one ends", async () => {
    let client = "a";
    const it = world({ streamsPerClientMax: 2, streamsMax: 3, authorize: () => ({ client }) });
    const held = [await it.ask("/s/events"), await it.ask("/t/events")];
    const third = await it.ask("/s/events");
    expect(third.headers.get("retry-after")).toMatch(/^\d+$/);
    expect(await codeOf(third)).toEqual([429, "CLIENT_STREAMS_MAX"]);
    client = "b";
    held.push(await it.ask("/s/events"));
    client = "c";
    const fourth = await it.ask("/s/events");
    expect(fourth.headers.get("retry-after")).toMatch(/^\d+$/);
    expect(await codeOf(fourth)).toEqual([503, "STREAMS_MAX"]);
    await held[0]!.body!.cancel();
    expect((await it.ask("/s/events")).status).toBe(200);
  });

  test("LIV-10: what is no path, no method, no session or too much is refused with a code", async () => {
    const { ask } = world();
    for (const path of ["", "/s/", "/s/other", "/s/events/more", "x"])
      expect(await codeOf(await ask(path)), path).toEqual([404, "NOT_FOUND"]);
    const method = await ask("/s/stop");
    expect(method.headers.get("allow")).toBe("POST");
    expect(await codeOf(method)).toEqual([405, "METHOD_NOT_ALLOWED"]);
    for (const session of ["", "%ff", "x".repeat(257)])
      expect(await codeOf(await ask(`/${session}/events`)), session).toEqual([400, "SESSION_INVALID"]);
    const headers = { cookie: "x".repeat(20_000) };
    expect(await codeOf(await ask("/s", { headers }))).toEqual([431, "HEADERS_TOO_LARGE"]);
    expect(await codeOf(await ask(`/s?x=${"x".repeat(20_000)}`))).toEqual([431, "HEADERS_TOO_LARGE"]);
  });

  test("an answer that does not come is 503, and a stream that comes too late is given up", async () => {
    let allow: (allowed: boolean) => void = () => undefined;
    const { timers, ask } = world({
      streamsMax: 1,
      authorize: () => new Promise((resolve) => (allow = resolve)),
    });
    const late = ask("/s/events");
    await timers.advance(10_000);
    expect(await codeOf(await late)).toEqual([503, "UNAVAILABLE"]);
    allow(true);
    await timers.advance(1_000);
    const next = ask("/s/events");
    await timers.advance(0);
    allow(true);
    expect((await next).status).toBe(200);
  });

  test("a source that fails is 500 before anything is sent, and one that does not answer 503", async () => {
    const onError = vi.fn();
    const failure = new Error("no disk");
    const observe: LiveSource<TestView>["observe"][] = [
      () => Promise.reject(failure),
      () => new Promise(() => {}),
    ];
    const source: LiveSource<TestView> = { observe: (session) => observe.shift()!(session) };
    await using live = openLive({ store: openMemoryReplayStore(), source });
    const { timers, ask } = world({ live, onError });
    expect(await codeOf(await ask("/s/events"))).toEqual([500, "INTERNAL"]);
    expect(onError).toHaveBeenCalledWith(failure);
    const late = ask("/s/events");
    await timers.advance(10_000);
    expect(await codeOf(await late)).toEqual([503, "UNAVAILABLE"]);
  });

  test("limits that are none are refused when the handler is made", () => {
    for (const wrong of [
      { heartbeatMs: 10_001 },
      { heartbeatMs: 0 },
      { streamsMax: 1.5 },
      { basePath: "s/" },
    ])
      expect(() => world(wrong), JSON.stringify(wrong)).toThrow(RangeError);
  });
});
