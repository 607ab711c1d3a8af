import { type Kv, KvError, openMemoryKv } from "@tidemark/kv";
import { describe, expect, test } from "vitest";
import { durableStreams } from "../../src/durable-streams/index.ts";
import {
  BYTES,
  codeOf,
  JSON_TYPE,
  manualTimers,
  nextEvents,
  openStreams,
  producer,
  readAll,
  send,
  TEXT,
  withoutWatch,
} from "./support.ts";

const offsetOf = (response: Response): string => response.headers.get("stream-next-offset")!;

describe("durableStreams() authorises", () => {
  test("LIV-10 nothing over a store that does not scan", () => {
    const kv = openMemoryKv({ scan: false });
    expect(() => openStreams({ kv })).toThrow(expect.objectContaining({ code: "KV_UNSUPPORTED" }));
  });

  test("LIV-10 nobody without a hook, but in development", () => {
    expect(() => durableStreams({ kv: openMemoryKv() })).toThrow(TypeError);
    const said: string[] = [];
    durableStreams({ kv: openMemoryKv(), development: true, log: (line) => said.push(line) });
    expect(said).toHaveLength(1);
  });

  test("LIV-10 each request by what it does, and a fork by what it reads", async () => {
    const asked: string[] = [];
    const handle = openStreams({
      authorize: (_request, { action, path }) => {
        asked.push(`${action} ${path}`);
        if (path === "/secret") return new Response(null, { status: 401 });
        return action !== "delete";
      },
    });
    await send(handle, "PUT", "/a", { headers: TEXT });
    await send(handle, "POST", "/a", { headers: TEXT, body: "x" });
    await send(handle, "HEAD", "/a");
    await send(handle, "GET", "/a?offset=-1");
    const refused = await send(handle, "DELETE", "/a");
    expect([refused.status, await codeOf(refused)]).toEqual([403, "FORBIDDEN"]);
    const forked = await send(handle, "PUT", "/b", { headers: { "stream-forked-from": "/secret" } });
    expect(forked.status).toBe(401);
    expect(asked).toEqual([
      "create /a",
      "append /a",
      "read /a",
      "read /a",
      "delete /a",
      "create /b",
      "read /secret",
    ]);
    expect((await send(handle, "GET", "/b")).status).toBe(404);
  });

  test("LIV-10 nothing if the hook fails", async () => {
    const errors: unknown[] = [];
    const authorize = () => Promise.reject(new Error("down"));
    const handle = openStreams({ authorize, onError: (error) => errors.push(error) });
    const response = await send(handle, "PUT", "/a", { headers: TEXT });
    expect([response.status, await response.json()]).toEqual([
      500,
      { code: "INTERNAL", message: "The server failed" },
    ]);
    expect(errors).toEqual([new Error("down")]);
  });
});

describe("durableStreams() answers pages", () => {
  test("LIV-10 of origins that may, and no others", async () => {
    const handle = openStreams({ cors: { origins: ["https://a.example"] } });
    const [mine, other] = ["https://a.example", "https://b.example"].map((origin) => ({
      headers: { origin },
    }));
    const allowed = await send(handle, "OPTIONS", "/a", mine);
    expect(allowed.headers.get("access-control-allow-origin")).toBe("https://a.example");
    expect(allowed.headers.get("access-control-allow-headers")).toContain("if-none-match");
    const refused = await send(handle, "OPTIONS", "/a", other);
    expect(refused.headers.get("access-control-allow-origin")).toBeNull();
    expect(refused.headers.get("access-control-allow-headers")).toBeNull();
    expect((await send(handle, "GET", "/a", mine)).headers.get("vary")).toBe("Origin");
    const closed = await send(openStreams(), "GET", "/a", mine);
    expect(closed.headers.get("access-control-allow-origin")).toBeNull();
    expect(closed.headers.get("cross-origin-resource-policy")).toBe("same-origin");
  });
});

describe("durableStreams() bounds", () => {
  const limits = { bodyBytesMax: 8, streamBytesMax: 12, producersMax: 1, forksMax: 1, forkDepthMax: 2 };

  test("LIV-10 bodies, also of unknown length, streams, producers and forks", async () => {
    const handle = openStreams(limits);
    await send(handle, "PUT", "/a", { headers: TEXT, body: "12345678" });
    const cases = {
      "POST /a": [{ headers: TEXT, body: "123456789" }, "TOO_LARGE"],
      "POST /a ": [{ headers: TEXT, body: "12345" }, "TOO_LARGE"],
      "PUT /b": [{ headers: { ...TEXT, "stream-ttl": "20000000000" } }, "BAD_REQUEST"],
      "PUT /c": [{ headers: { "content-type": `text/${"x".repeat(600)}` } }, "BAD_REQUEST"],
    } as const;
    for (const [line, [given, code]] of Object.entries(cases)) {
      const [method, path] = line.split(" ") as [string, string];
      expect(await codeOf(await send(handle, method, path, given)), line).toBe(code);
    }
    const streamed = new Request("http://streams.test/a", {
      method: "POST",
      headers: TEXT,
      body: new ReadableStream({ pull: (controller) => controller.enqueue(new Uint8Array(5)) }),
      duplex: "half",
    });
    expect((await handle(streamed)).status).toBe(413);
    expect(
      (await send(handle, "POST", "/a", { headers: { ...TEXT, ...producer("p", 0, 0) }, body: "1" })).status,
    ).toBe(200);
    const second = await send(handle, "POST", "/a", {
      headers: { ...TEXT, ...producer("q", 0, 0) },
      body: "1",
    });
    expect([second.status, await codeOf(second)]).toEqual([429, "TOO_MANY"]);
    expect((await send(handle, "PUT", "/f", { headers: { "stream-forked-from": "/a" } })).status).toBe(201);
    expect((await send(handle, "PUT", "/g", { headers: { "stream-forked-from": "/a" } })).status).toBe(429);
    await send(handle, "POST", "/f", { headers: TEXT, body: "x" });
    expect((await send(handle, "PUT", "/h", { headers: { "stream-forked-from": "/f" } })).status).toBe(201);
    await send(handle, "POST", "/h", { headers: TEXT, body: "x" });
    expect((await send(handle, "PUT", "/i", { headers: { "stream-forked-from": "/h" } })).status).toBe(429);
    expect(await readAll(handle, "/h")).toBe("123456781xx");
  });

  test("LIV-10 paths: what is too long, reserved or outside is not found", async () => {
    const handle = openStreams({ basePath: "/streams" });
    for (const path of [
      "/other",
      "/streams/",
      "/streams/__ds/subscriptions/a",
      `/streams/${"x".repeat(400)}`,
    ]) {
      expect((await send(handle, "PUT", path, { headers: TEXT })).status, path).toBe(404);
    }
    expect((await send(handle, "PATCH", "/streams/a")).status).toBe(405);
    expect((await send(handle, "PUT", "/streams/a", { headers: TEXT })).status).toBe(201);
  });

  test("LIV-10 readers that wait, who make room when they go", async () => {
    const handle = openStreams({ waitersMax: 1 });
    await send(handle, "PUT", "/a", { headers: TEXT });
    const leaving = new AbortController();
    const waiting = send(handle, "GET", "/a?offset=now&live=long-poll", { signal: leaving.signal });
    const refused = await send(handle, "GET", "/a?offset=now&live=sse");
    expect([refused.status, refused.headers.get("retry-after")]).toEqual([429, "1"]);
    leaving.abort();
    await waiting;
    const events = await send(handle, "GET", "/a?offset=now&live=sse");
    expect(events.status).toBe(200);
    await events.body!.cancel();
    const again = await send(handle, "GET", "/a?offset=now&live=sse");
    expect(again.status).toBe(200);
    await again.body!.cancel();
  });

  test("LIV-10 what one response gives, and what is left is read from its offset", async () => {
    const handle = openStreams({ readBytesMax: 4 });
    await send(handle, "PUT", "/a", { headers: JSON_TYPE, body: "[1,2]" });
    for (const body of ["[3,4]", "[5]", "6"]) await send(handle, "POST", "/a", { headers: JSON_TYPE, body });
    const first = await send(handle, "GET", "/a?offset=-1");
    expect([await first.json(), first.headers.get("stream-up-to-date")]).toEqual([[1, 2, 3, 4], null]);
    expect(first.headers.get("cache-control")).toBe("private, max-age=60, stale-while-revalidate=300");
    const second = await send(handle, "GET", `/a?offset=${offsetOf(first)}`);
    expect([await second.json(), second.headers.get("stream-up-to-date")]).toEqual([[5, 6], "true"]);
    expect(second.headers.get("cache-control")).toBe("private, no-cache");
  });
});

describe("durableStreams() keeps offsets", () => {
  test("LIV-10 of one life: those of another are gone, never taken for a position", async () => {
    const handle = openStreams();
    await send(handle, "PUT", "/a", { headers: TEXT, body: "first" });
    const old = offsetOf(await send(handle, "GET", "/a"));
    await send(handle, "DELETE", "/a");
    await send(handle, "PUT", "/a", { headers: TEXT, body: "second life" });
    for (const query of [`offset=${old}`, `offset=${old}&live=sse`, `offset=${old}&live=long-poll`]) {
      const response = await send(handle, "GET", `/a?${query}`);
      expect([response.status, await codeOf(response)], query).toEqual([410, "STREAM_GONE"]);
    }
  });

  test("LIV-10 of a fork: the source's up to where it leaves it, then its own, always growing, though the clock goes back", async () => {
    let nowMs = 2_000_000;
    const handle = openStreams({ kv: openMemoryKv({ nowMs: () => (nowMs -= 1_000) }) });
    const offsets = [offsetOf(await send(handle, "PUT", "/a", { headers: TEXT, body: "ab" }))];
    offsets.push(offsetOf(await send(handle, "POST", "/a", { headers: TEXT, body: "cd" })));
    const fork = { "stream-forked-from": "/a", "stream-fork-offset": offsets[1]! };
    expect(offsetOf(await send(handle, "PUT", "/f", { headers: fork }))).toBe(offsets[1]);
    offsets.push(offsetOf(await send(handle, "POST", "/f", { headers: TEXT, body: "ef" })));
    const beyond = offsetOf(await send(handle, "POST", "/a", { headers: TEXT, body: "not of the fork" }));
    expect(offsets).toEqual(offsets.toSorted());
    const rest = await Promise.all(offsets.map((offset) => send(handle, "GET", `/f?offset=${offset}`)));
    expect(await Promise.all(rest.map((response) => response.text()))).toEqual(["cdef", "ef", ""]);
    expect((await send(handle, "GET", `/f?offset=${beyond}`)).status).toBe(410);
  });

  test("LIV-10 at any byte of an append, which a reader of events may be given", async () => {
    const handle = openStreams();
    await send(handle, "PUT", "/a", { headers: TEXT, body: "0123456789" });
    const start = offsetOf(await send(handle, "GET", "/a"))
      .slice(0, -1)
      .slice(0, -1);
    expect(await (await send(handle, "GET", `/a?offset=${start}04`)).text()).toBe("456789");
  });
});

describe("durableStreams() makes a fork", () => {
  test("LIV-10 once, though two processes are asked for it at the same time", async () => {
    const kv = openMemoryKv();
    const [mine, slow] = [openStreams({ kv }), openStreams({ kv: heldAt(kv.handle(), 3) })];
    await send(mine, "PUT", "/a", { headers: TEXT, body: "kept" });
    const headers = { "stream-forked-from": "/a" };
    // It stands before the last of its three commits: the other goes on from there.
    const waiting = send(slow, "PUT", "/f", { headers });
    await settled();
    expect((await send(mine, "PUT", "/f", { headers })).status).toBe(201);
    release();
    expect((await waiting).ok).toBe(true);
    await send(mine, "DELETE", "/a");
    expect((await send(mine, "GET", "/a")).status).toBe(410);
    expect(await readAll(mine, "/f")).toBe("kept");
    await send(mine, "DELETE", "/f");
    expect((await send(mine, "GET", "/a")).status).toBe(404);
  });

  test("LIV-10 or leaves nothing: what is refused has no register", async () => {
    const kv = openMemoryKv();
    const handle = openStreams({ kv });
    await send(handle, "PUT", "/a", { headers: TEXT, body: "x" });
    for (const [from, type] of [
      ["/a", "text/html"],
      ["/missing", "text/plain"],
    ]) {
      const headers = { "content-type": type!, "stream-forked-from": from! };
      expect((await send(handle, "PUT", "/f", { headers })).ok).toBe(false);
      expect((await kv.scan("durable-streams//f", {})).items).toEqual([]);
    }
    expect((await send(handle, "DELETE", "/a")).status).toBe(204);
    expect((await kv.scan("durable-streams//a", {})).items).toEqual([]);
  });

  let release = (): void => {};

  /** A store whose commit of that number waits to be released. */
  function heldAt(kv: Kv, number: number): Kv {
    const held = new Promise<void>((resolve) => (release = resolve));
    let commits = 0;
    return {
      ...withoutWatch(kv),
      commit: async (...given) => {
        if ((commits += 1) === number) await held;
        return kv.commit(...given);
      },
    };
  }
});

describe("durableStreams() tells events", () => {
  test("LIV-10 a character cut by an append is told whole", async () => {
    const handle = openStreams();
    const [euro] = [new TextEncoder().encode("€")];
    await send(handle, "PUT", "/a", { headers: TEXT, body: new Uint8Array([0x61, ...euro.subarray(0, 2)]) });
    const reader = (await send(handle, "GET", "/a?offset=-1&live=sse")).body!.getReader();
    expect(await nextEvents(reader)).toMatch(/^event: data\ndata:a\n\nevent: control\n.*"upToDate":true/);
    const next = nextEvents(reader);
    await send(handle, "POST", "/a", { headers: TEXT, body: euro.subarray(2) });
    expect(await next).toMatch(/^event: data\ndata:€\n\n/);
    await send(handle, "POST", "/a", { headers: { "stream-closed": "true" } });
    expect(await nextEvents(reader)).toMatch(/^event: control\n.*"streamClosed":true/);
    expect(await nextEvents(reader)).toBeUndefined();
  });

  test("LIV-10 that the stream lives, at most 10 s apart, and ends after its time", async () => {
    const timers = manualTimers();
    const handle = openStreams({ setTimer: timers.setTimer });
    await send(handle, "PUT", "/a", { headers: TEXT });
    const reader = (await send(handle, "GET", "/a?offset=-1&live=sse")).body!.getReader();
    expect(await nextEvents(reader)).toContain("event: control");
    for (let passed = 10; passed < 60; passed += 10) {
      const next = nextEvents(reader);
      await settled();
      timers.pass(10_000);
      expect(await next).toMatch(/^event: control\n.*"upToDate":true/);
    }
    const last = nextEvents(reader);
    await settled();
    timers.pass(10_000);
    expect(await last).toBeUndefined();
  });

  test("LIV-10 nothing more of a stream that was deleted", async () => {
    const handle = openStreams();
    await send(handle, "PUT", "/a", { headers: BYTES });
    const reader = (await send(handle, "GET", "/a?offset=-1&live=sse")).body!.getReader();
    await nextEvents(reader);
    const polled = send(handle, "GET", "/a?offset=now&live=long-poll");
    const next = nextEvents(reader);
    await settled();
    await send(handle, "DELETE", "/a");
    expect(await next).toBeUndefined();
    expect((await polled).status).toBe(404);
  });
});

describe("durableStreams() wakes", () => {
  test("LIV-10 a reader of another process, through a store without a watch", async () => {
    const kv = openMemoryKv();
    const timers = manualTimers();
    const [mine, other] = [
      openStreams({ kv: withoutWatch(kv), setTimer: timers.setTimer }),
      openStreams({ kv: kv.handle() }),
    ];
    await send(mine, "PUT", "/a", { headers: TEXT });
    const waiting = send(mine, "GET", "/a?offset=now&live=long-poll");
    await settled();
    await send(other, "POST", "/a", { headers: TEXT, body: "x" });
    timers.pass(250);
    expect(await (await waiting).text()).toBe("x");
  });

  test("LIV-10 a reader of a store whose watch failed", async () => {
    const kv = openMemoryKv();
    const failing = Object.assign(Object.create(kv) as typeof kv, {
      watch: () => ({
        [Symbol.asyncIterator]: () => ({
          next: () => Promise.reject(new KvError("KV_UNAVAILABLE", "Down", { committed: "no" })),
        }),
      }),
    });
    for (const name of ["get", "scan", "commit", "nowMs"] as const) {
      Object.assign(failing, { [name]: kv[name].bind(kv) });
    }
    const timers = manualTimers();
    const handle = openStreams({ kv: failing, setTimer: timers.setTimer });
    await send(handle, "PUT", "/a", { headers: TEXT });
    const waiting = send(handle, "GET", "/a?offset=now&live=long-poll");
    await settled();
    await send(openStreams({ kv: kv.handle() }), "POST", "/a", { headers: TEXT, body: "x" });
    timers.pass(250);
    expect(await (await waiting).text()).toBe("x");
  });
});

describe("durableStreams() lets streams expire", () => {
  test("LIV-10 by the clock of the store, later for each read and write, and for those who wait", async () => {
    let nowMs = 1_000_000;
    const timers = manualTimers();
    const handle = openStreams({ kv: openMemoryKv({ nowMs: () => nowMs }), setTimer: timers.setTimer });
    const headers = { ...TEXT, "stream-ttl": "10" };
    await send(handle, "PUT", "/a", { headers });
    const alive = async (): Promise<number> => (await send(handle, "HEAD", "/a")).status;
    for (const touch of [
      () => send(handle, "GET", "/a"),
      () => send(handle, "POST", "/a", { headers: TEXT, body: "x" }),
      () => send(handle, "GET", "/a?offset=now"),
      () => send(handle, "PUT", "/a", { headers }),
    ]) {
      nowMs += 9_999;
      expect((await touch()).ok).toBe(true);
    }
    const waiting = send(handle, "GET", "/a?offset=now&live=long-poll");
    for (let passed = 0; passed < 19; passed += 5) {
      await settled();
      nowMs += 5_000;
      timers.pass(5_000);
    }
    expect((await waiting).status).toBe(204);
    // Who waited said so last 5 s ago.
    nowMs += 4_999;
    expect(await alive()).toBe(200);
    // It may outlive its time by an eighth, and a HEAD adds nothing to that.
    nowMs += 1_252;
    expect(await alive()).toBe(404);
    expect((await send(handle, "POST", "/a", { headers: TEXT, body: "x" })).status).toBe(404);
    expect((await send(handle, "PUT", "/a", { headers: JSON_TYPE })).status).toBe(201);
    expect(await (await send(handle, "GET", "/a")).json()).toEqual([]);
  });

  test("LIV-10 a source that its forks outlive is gone, and makes room when the last has ended", async () => {
    let nowMs = 1_000_000;
    const handle = openStreams({ kv: openMemoryKv({ nowMs: () => nowMs }) });
    const expires = { "stream-expires-at": new Date(nowMs + 1_000).toISOString() };
    await send(handle, "PUT", "/a", { headers: { ...TEXT, ...expires }, body: "kept" });
    await send(handle, "PUT", "/f", { headers: { "stream-forked-from": "/a", "stream-ttl": "3600" } });
    nowMs += 1_000;
    expect((await send(handle, "GET", "/a")).status).toBe(410);
    expect((await send(handle, "PUT", "/a", { headers: TEXT })).status).toBe(409);
    expect(await readAll(handle, "/f")).toBe("kept");
    expect((await send(handle, "DELETE", "/f")).status).toBe(204);
    expect((await send(handle, "PUT", "/a", { headers: TEXT })).status).toBe(201);
  });
});

test("durableStreams() LIV-10 answers 503 to what the store does not, and says when to come again", async () => {
  const kv = openMemoryKv();
  const errors: unknown[] = [];
  const handle = openStreams({ kv, onError: (error) => errors.push(error) });
  await send(handle, "PUT", "/a", { headers: TEXT });
  const down = new KvError("KV_UNAVAILABLE", "secret address", { committed: "no" });
  Object.assign(kv, { get: () => Promise.reject(down) });
  const response = await send(handle, "GET", "/a");
  expect([response.status, response.headers.get("retry-after")]).toEqual([503, "1"]);
  expect(await response.text()).not.toContain("secret");
  expect(errors).toEqual([down]);
});

/** Lets all that is ready run. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await new Promise<void>((resolve) => setImmediate(resolve));
}
