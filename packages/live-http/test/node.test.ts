import { once } from "node:events";
import { createServer, type Server } from "node:http";
import { connect, type AddressInfo } from "node:net";
import { openMemoryReplayStore } from "@tidemark/live";
import { openFaultProxy } from "@tidemark/servers";
import { describe, expect, test, vi } from "vitest";
import { decodeItem, readSseEvents, watchSession, type WatchedItem } from "../src/client.ts";
import { liveHandler, type LiveHandlerOptions } from "../src/index.ts";
import { nodeListener } from "../src/node.ts";
import { TestLive, type TestView } from "./test-live.ts";

const say = (text: string) => ({ kind: "turn_activity", turn: "t", activity: text }) as const;

/** A server on a free port, stopped with everything that is connected to it. */
class TestServer implements AsyncDisposable {
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  static async start(handler: (request: Request) => Promise<Response>): Promise<TestServer> {
    const server = createServer(nodeListener(handler));
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return new TestServer(server);
  }

  static serve(live: TestLive, options: Partial<LiveHandlerOptions<TestView>> = {}): Promise<TestServer> {
    return TestServer.start(liveHandler({ live, authorize: () => true, ...options }));
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** The address of a session. */
  get url(): string {
    return `http://127.0.0.1:${this.port}/sessions/s`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, "close");
  }
}

describe("over node:http", () => {
  test("LIV-10 B-43: a watch goes on over a link that is cut and comes back, nothing missing and nothing twice", async () => {
    const live = new TestLive();
    await using server = await TestServer.serve(live);
    await using proxy = await openFaultProxy({ target: server.port });
    const texts: unknown[] = [];
    const states: string[] = [];
    const watch = watchSession<TestView, string>({
      url: `http://127.0.0.1:${proxy.port}/sessions/s`,
      backoff: { firstMs: 5 },
      onState: (state) => {
        states.push(state);
        // Once it knows that it is cut off.
        if (state === "offline") void live.publish("s", say("c")).then(() => proxy.heal());
      },
    });
    for await (const item of watch) {
      if (item.kind === "observation") await live.publish("s", say("a"));
      if (item.kind !== "event" || item.event.payload.kind !== "turn_activity") continue;
      texts.push(item.event.payload.activity);
      if (texts.length === 1) {
        proxy.cut();
        await live.publish("s", say("b"));
      }
      if (texts.length === 3) break;
    }
    expect(texts).toEqual(["a", "b", "c"]);
    expect(states.filter((state, index) => index === 0 || state !== states[index - 1])).toContain("offline");
  });

  test("B-32 LIV-9: a client that goes away ends its watch and nothing else", async () => {
    const store = openMemoryReplayStore();
    const live = new TestLive(store);
    const subscribe = vi.spyOn(store, "subscribeAfter");
    await using server = await TestServer.serve(live);
    const events = readSseEvents((await fetch(`${server.url}/events`)).body!);
    expect((await events.next()).value).toMatchObject({ event: "observation" });
    const { signal } = subscribe.mock.calls[0]![1]!;
    const released = once(signal!, "abort");
    await events.return();
    await released;
    expect(live.cancelled).toEqual([]);
    const stop = { method: "POST", headers: { "content-type": "application/json" }, body: '{"turn":"t"}' };
    expect(await (await fetch(`${server.url}/stop`, stop)).json()).toEqual({ cancelled: true });
    expect(live.cancelled).toEqual(["t"]);
  });

  test("LIV-6 LIV-10: a client that never reads holds no more than its sockets do, and reads of a gap then", async () => {
    const live = new TestLive(openMemoryReplayStore({ eventsMax: 64, bufferedMax: 64 }));
    await using server = await TestServer.serve(live);
    const response = await fetch(`${server.url}/events`);
    const piece = "x".repeat(64 * 1024);
    const events = 500;
    for (let count = 0; count < events; count++) {
      await live.publish("s", say(piece));
      await new Promise((resolve) => setImmediate(resolve));
    }
    let last: WatchedItem | undefined;
    let seen = 0;
    for await (const event of readSseEvents(response.body!)) {
      last = decodeItem(event);
      seen++;
      if (last?.kind === "gap") break;
    }
    expect(last).toMatchObject({ kind: "gap", gap: { reason: "lagged" } });
    expect(seen).toBeLessThan(events);
  });

  test("a client that goes away before it has an answer aborts its request", async () => {
    let come: (request: Request) => void = () => undefined;
    const asked = new Promise<Request>((resolve) => (come = resolve));
    await using server = await TestServer.start((request) => {
      come(request);
      return new Promise(() => undefined);
    });
    const gone = new AbortController();
    const answer = fetch(server.url, { signal: gone.signal });
    const { signal } = await asked;
    const aborted = once(signal, "abort");
    gone.abort();
    await expect(answer).rejects.toThrow("aborted");
    await aborted;
  });

  test("a request that is none is 400, and a handler that rejects 500", async () => {
    await using server = await TestServer.start(() => Promise.reject(new Error("a bug")));
    expect((await fetch(server.url)).status).toBe(500);
    const socket = connect(server.port, "127.0.0.1");
    socket.write("GET / HTTP/1.1\r\nhost: no host at all\r\nconnection: close\r\n\r\n");
    const [answer] = (await once(socket, "data")) as [Buffer];
    expect(answer.toString()).toMatch(/^HTTP\/1.1 400 /);
    socket.destroy();
  });
});
