import { jetstreamManager } from "@nats-io/jetstream";
import type { StreamAPI } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import type { NatsConnection } from "@nats-io/transport-node";
import { freePort, openFaultProxy, startNats } from "@tidemark/servers";
import type { NatsServer } from "@tidemark/servers";
import type { Delivery, Subscription, Transport } from "@tidemark/transport";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { openNatsTransport } from "../src/index.ts";
import type { NatsTransportOptions } from "../src/index.ts";
import { hasServer, newPrefix, openOn, QUICK, RECONNECT } from "./broker.ts";

const SUBJECT = "sessions.1.0";

/** Everything a subscription hands out, as the first bytes of its frames. */
function collect(subscription: Subscription): { readonly heard: number[]; readonly deliveries: Delivery[] } {
  const [heard, deliveries]: [number[], Delivery[]] = [[], []];
  void (async () => {
    for await (const delivery of subscription) {
      deliveries.push(delivery);
      heard.push(delivery.frame[0]!);
    }
  })();
  return { heard, deliveries };
}

function send(transport: Transport, last: number, signal?: AbortSignal): Promise<void> {
  const sequence = { epoch: 1, last };
  return transport.publish(
    SUBJECT,
    Uint8Array.of(last),
    signal === undefined ? { sequence } : { sequence, signal },
  );
}

/** Freezes a server, and waits until it answers nothing: a busy machine takes its time to stop all threads. */
async function freeze(server: NatsServer, admin: NatsConnection): Promise<void> {
  server.freeze();
  let silent = false;
  while (!silent) {
    const answered = admin.flush().then(
      () => false,
      () => true,
    );
    const late = new Promise<boolean>((resolve) => setTimeout(resolve, 100, true));
    silent = await Promise.race([answered, late]);
  }
}

const range = (first: number, last: number): number[] =>
  Array.from({ length: last - first + 1 }, (_, index) => first + index);
const soon = { timeout: 10_000, interval: 10 };

describe.skipIf(!(await hasServer()))("TRN-6 the broker fails", { timeout: 30_000 }, () => {
  let server: NatsServer;
  beforeAll(async () => {
    server = await startNats();
  });
  afterAll(() => server.remove());

  interface Scene extends AsyncDisposable {
    readonly prefix: string;
    readonly left: Transport;
    readonly right: Transport;
    /** The broker as its operator sees it. */
    readonly admin: NatsConnection;
    streams(): Promise<StreamAPI>;
    readonly stream: string;
    stored(): Promise<number[]>;
  }

  async function scene(more: Partial<NatsTransportOptions> = {}, on: NatsServer = server): Promise<Scene> {
    const prefix = newPrefix();
    const admin = await connect({ servers: on.url, maxReconnectAttempts: -1, ...RECONNECT });
    const [left, right] = [await openOn(on.port, prefix, more), await openOn(on.port, prefix, more)];
    const stream = `${prefix}+sessions+1`;
    const streams = async (): Promise<StreamAPI> =>
      (await jetstreamManager(admin, { checkAPI: false })).streams;
    return {
      prefix,
      left,
      right,
      admin,
      streams,
      stream,
      stored: async () => {
        const api = await streams();
        // A request that goes out as the server dies is never answered.
        const { state } = await vi.waitFor(() => api.info(stream), soon);
        const frames: number[] = [];
        for (let seq = state.first_seq; seq <= state.last_seq; seq++) {
          const message = await api.getMessage(stream, { seq }).catch(() => null);
          if (message !== null) frames.push(message.data[0]!);
        }
        return frames;
      },
      [Symbol.asyncDispose]: async () => {
        await Promise.all([left.close(), right.close(), admin.close()]);
      },
    };
  }

  test("scenario 41 it is killed and started again under way: every frame is stored once, in order, and read", async () => {
    await using at = await scene();
    const { heard } = collect(await at.right.subscribe(SUBJECT));
    const publishing = (async () => {
      for (const last of range(1, 60)) await send(at.left, last);
    })();
    for (const upTo of [10, 30]) {
      await vi.waitFor(() => expect(heard.length).toBeGreaterThan(upTo), soon);
      await server.kill();
      await server.start();
    }
    await publishing;
    await vi.waitFor(() => expect(new Set(heard)).toEqual(new Set(range(1, 60))), soon);
    expect(await at.stored()).toEqual(range(1, 60));
    await vi.waitFor(() => expect(at.right.status).toEqual({ state: "ready" }), soon);
  });

  test("it is frozen: publishing waits, says so, and stores each frame once when it thaws", async () => {
    // The client finds a silent link by its pings only, which is late: the frames tell first.
    await using at = await scene({ options: { pingInterval: 60_000 } });
    const { heard } = collect(await at.right.subscribe(SUBJECT));
    await send(at.left, 1);
    try {
      await freeze(server, at.admin);
      const publishing = send(at.left, 2).then(() => send(at.left, 3));
      await vi.waitFor(() => expect(at.left.status.reason).toMatch(/does not answer/), soon);
      expect(at.left.status.state).toBe("degraded");
      await vi.waitFor(() => expect(at.right.status.state).toBe("degraded"), soon);
      server.thaw();
      await publishing;
    } finally {
      server.thaw();
    }
    await vi.waitFor(() => expect(new Set(heard)).toEqual(new Set([1, 2, 3])), soon);
    expect(await at.stored()).toEqual([1, 2, 3]);
  });

  test("it is frozen for good: an abort and a close settle what waits", async () => {
    await using own = await startNats();
    await using at = await scene({}, own);
    await send(at.left, 1);
    const subscription = await at.right.subscribe(SUBJECT);
    await freeze(own, at.admin);
    const controller = new AbortController();
    const aborted = send(at.left, 2, controller.signal);
    const closed = send(at.left, 3);
    const reading = subscription[Symbol.asyncIterator]().next();
    const asking = at.right.request("inbox.1", Uint8Array.of(1), { timeoutMs: 60_000 });
    controller.abort("enough");
    await expect(aborted).rejects.toBe("enough");
    const closing = Promise.all([at.left.close(), at.right.close()]);
    await expect(closed).rejects.toMatchObject({ code: "TRANSPORT_CLOSED" });
    await expect(asking).rejects.toMatchObject({ code: "TRANSPORT_CLOSED" });
    expect(await reading).toMatchObject({ done: true });
    await closing;
    own.thaw();
  });

  test("scenario 18 the stream is deleted: it is made again, and read from its first frame", async () => {
    await using at = await scene();
    const { heard, deliveries } = collect(await at.right.subscribe(SUBJECT));
    for (const last of [1, 2, 3]) await send(at.left, last);
    await vi.waitFor(() => expect(heard).toEqual([1, 2, 3]), soon);
    const api = await at.streams();
    await api.delete(at.stream);
    for (const last of [4, 5]) await send(at.left, last);
    await vi.waitFor(() => expect(heard).toEqual([1, 2, 3, 4, 5]), soon);
    // A position in the stream that was deleted is one in no stream: nothing after it is missed.
    const again = collect(await at.right.subscribe(SUBJECT, { from: deliveries[2]!.position! }));
    await vi.waitFor(() => expect(again.heard).toEqual([4, 5]), soon);
  });

  test("scenario 18 the reader is deleted: it is made again after the last frame it had", async () => {
    await using at = await scene();
    const { heard } = collect(await at.right.subscribe(SUBJECT));
    await send(at.left, 1);
    await vi.waitFor(() => expect(heard).toEqual([1]), soon);
    const { consumers } = await jetstreamManager(at.admin);
    for await (const { name } of consumers.list(at.stream)) await consumers.delete(at.stream, name);
    await send(at.left, 2);
    await vi.waitFor(() => expect(heard).toEqual([1, 2]), soon);
  });

  test("scenario 19 frames are trimmed before they are read: what is left is read, and the next ones", async () => {
    await using at = await scene();
    const first = await at.right.subscribe(SUBJECT);
    const { deliveries } = collect(first);
    for (const last of range(1, 9)) await send(at.left, last);
    await vi.waitFor(() => expect(deliveries).toHaveLength(9), soon);
    await first.close();
    await (await at.streams()).purge(at.stream, { seq: 6 });
    const again = collect(await at.right.subscribe(SUBJECT, { from: deliveries[1]!.position! }));
    await send(at.left, 10);
    await vi.waitFor(() => expect(again.heard).toEqual(range(6, 10)), soon);
  });

  test("release() trims what every member holds, and nothing above", async () => {
    await using at = await scene();
    for (const last of range(1, 9)) await send(at.left, last);
    await at.left.release(SUBJECT, { epoch: 1, last: 6 });
    await vi.waitFor(async () => expect(await at.stored()).toEqual([7, 8, 9]), soon);
    // A process that came later knows of the last frame only.
    await at.right.release(SUBJECT, { epoch: 1, last: 8 });
    await at.right.release(SUBJECT, { epoch: 1, last: 9 });
    await vi.waitFor(async () => expect(await at.stored()).toEqual([]), soon);
    await send(at.left, 10);
    expect(await at.stored()).toEqual([10]);
  });

  test("scenario 20 a repeat after the broker's window for repeats is stored once, also by a process that came later", async () => {
    await using at = await scene({ stream: { bytesMax: 2 ** 20, duplicateWindowMs: 100 } });
    const { heard } = collect(await at.right.subscribe(SUBJECT));
    for (const last of [4, 9]) await send(at.left, last);
    const { duplicate_window: windowNs } = (await (await at.streams()).info(at.stream)).config;
    expect(windowNs).toBe(100_000_000);
    const startedMs = performance.now();
    await vi.waitFor(() => expect(performance.now() - startedMs).toBeGreaterThan(300), soon);
    await using later = await openOn(server.port, at.prefix, {
      stream: { bytesMax: 2 ** 20, duplicateWindowMs: 100 },
    });
    for (const last of [4, 9]) await send(later, last);
    await send(later, 10);
    // The first one's idea of the stream is old by now.
    for (const last of [10, 11]) await send(at.left, last);
    expect(await at.stored()).toEqual([4, 9, 10, 11]);
    await vi.waitFor(() => expect(heard).toEqual([4, 9, 10, 11]), soon);
  });

  test("scenario 21 it comes back without its last frames: publishing goes on behind what it has", async () => {
    await using at = await scene();
    const { heard } = collect(await at.right.subscribe(SUBJECT));
    for (const last of range(1, 5)) await send(at.left, last);
    await vi.waitFor(() => expect(heard).toHaveLength(5), soon);
    const api = await at.streams();
    for (const seq of [4, 5]) await api.deleteMessage(at.stream, seq);
    for (const last of [6, 7]) await send(at.left, last);
    await vi.waitFor(() => expect(heard.slice(5)).toEqual([6, 7]), soon);
    expect(await at.stored()).toEqual([1, 2, 3, 6, 7]);
  });

  test("a full stream is waited for, not written over", async () => {
    await using at = await scene({ stream: { bytesMax: 8_192 } });
    let stored = 0;
    const publishing = (async () => {
      for (const last of range(1, 20)) {
        const frame = new Uint8Array(1_000).fill(last);
        await at.left.publish(SUBJECT, frame, { sequence: { epoch: 1, last } });
        stored = last;
      }
    })();
    await vi.waitFor(() => expect(at.left.status.reason).toMatch(/maximum bytes/), soon);
    const atFull = stored;
    expect(atFull).toBeGreaterThan(3);
    expect(await at.stored()).toEqual(range(1, atFull));
    await vi.waitFor(async () => {
      await at.left.release(SUBJECT, { epoch: 1, last: stored });
      expect(stored).toBe(20);
    }, soon);
    await publishing;
    expect(at.left.status).toEqual({ state: "ready" });
  });

  test("a small max_payload: frames, requests and answers travel in parts, interleaved as they may be", async () => {
    await using own = await startNats({ config: () => "max_payload: 2048" });
    await using at = await scene({ frameBytesMax: 50_000 }, own);
    const subscription = await at.right.subscribe(SUBJECT);
    const { deliveries } = collect(subscription);
    const frames = range(1, 6).map((last) =>
      new Uint8Array(last * 8_000).map((_, index) => (index * last) & 255),
    );
    await Promise.all(
      frames.flatMap((frame, index) => [
        at.left.publish(SUBJECT, frame, { sequence: { epoch: 1, last: index + 1 } }),
        at.right.publish(SUBJECT, frame),
      ]),
    );
    await vi.waitFor(() => expect(deliveries).toHaveLength(12), soon);
    const kept = deliveries.filter(({ position }) => position !== undefined);
    expect(kept.map(({ frame }) => frame)).toEqual(frames);
    await at.right.serve("inbox.2", async (frame) => frame.reverse());
    const answers = await Promise.all(
      frames.map((frame) => at.left.request("inbox.2", frame, { timeoutMs: 5_000 })),
    );
    expect(answers).toEqual(frames.map((frame) => frame.toReversed()));
    // From a position in the middle of parts only whole frames come.
    const again = collect(await at.right.subscribe(SUBJECT, { from: kept[3]!.position! }));
    await vi.waitFor(() => expect(again.deliveries.map(({ frame }) => frame)).toEqual(frames.slice(4)), soon);
  });

  test("a reader that stalls loses no kept frame: they wait in the stream", async () => {
    await using at = await scene({ queueFramesMax: 8 });
    const subscription = await at.right.subscribe(SUBJECT);
    for (const last of range(1, 100)) await send(at.left, last);
    const { heard } = collect(subscription);
    await vi.waitFor(() => expect(heard).toEqual(range(1, 100)), soon);
  });

  test.each(["cut", "stall", "halfOpen"] as const)(
    "a link goes %s and heals: nothing is lost",
    async (fault) => {
      const prefix = newPrefix();
      await using proxy = await openFaultProxy({ target: server.port });
      const options = { pingInterval: 150, maxPingOut: 2, reconnectTimeWait: 20, reconnectJitter: 20 };
      await using left = await openOn(proxy.port, prefix, { options });
      await using right = await openOn(server.port, prefix);
      await using third = await openOn(proxy.port, prefix, { options });
      const [near, far] = [collect(await right.subscribe(SUBJECT)), collect(await third.subscribe(SUBJECT))];
      await send(left, 1);
      await vi.waitFor(() => expect([near.heard, far.heard]).toEqual([[1], [1]]), soon);
      proxy[fault]();
      const publishing = send(left, 2).then(() => send(left, 3));
      await vi.waitFor(() => expect(left.status.state).not.toBe("ready"), soon);
      await vi.waitFor(() => expect(third.status.state).not.toBe("ready"), soon);
      proxy.heal();
      await publishing;
      await vi.waitFor(
        () =>
          expect([near.heard, far.heard]).toEqual([
            [1, 2, 3],
            [1, 2, 3],
          ]),
        soon,
      );
      await vi.waitFor(
        () => expect([left.status, third.status]).toEqual([{ state: "ready" }, { state: "ready" }]),
        soon,
      );
    },
  );

  test("a broker that is away when a transport opens is found later, with what was stored meanwhile", async () => {
    const prefix = newPrefix();
    await using proxy = await openFaultProxy({ target: server.port });
    proxy.cut();
    await using late = await openOn(proxy.port, prefix);
    expect(late.status.state).toBe("connecting");
    const { heard } = collect(await late.subscribe(SUBJECT));
    await late.serve("inbox.2", async (frame) => frame);
    await using other = await openOn(server.port, prefix);
    await send(other, 1);
    const publishing = late.publish("signals.2.0", Uint8Array.of(1), { sequence: { epoch: 1, last: 1 } });
    await expect(late.publish("ack.2", Uint8Array.of(1))).rejects.toMatchObject({ code: "PUBLISH_FAILED" });
    proxy.heal();
    await publishing;
    await vi.waitFor(() => expect(heard).toEqual([1]), soon);
    expect(await other.request("inbox.2", Uint8Array.of(7), { timeoutMs: 5_000 })).toEqual(Uint8Array.of(7));
  });

  test("a server that is about to stop is left before it throws anybody out", async () => {
    const routes = [await freePort(), await freePort()];
    const start = (index: number): Promise<NatsServer> =>
      startNats({
        config: () => `server_name: n${index}
cluster { name: C, listen: "127.0.0.1:${routes[index]}", routes: [${routes.map((port) => `"nats://127.0.0.1:${port}"`).join(", ")}] }
jetstream: disabled`,
      });
    await using first = await start(0);
    await using second = await start(1);
    const prefix = newPrefix();
    const open = (port: number): Promise<Transport> =>
      openNatsTransport({
        ...QUICK,
        prefix,
        servers: [`127.0.0.1:${port}`, `127.0.0.1:${second.port}`],
        options: { ...RECONNECT, noRandomize: true },
      });
    await using mover = await open(first.port);
    await using stayer = await open(second.port);
    await mover.serve("inbox.1", async (frame) => frame);
    const states: string[] = [];
    mover.onStatus(({ state }) => states.push(state));
    process.kill(first.pid!, "SIGUSR2");
    await vi.waitFor(() => expect(states.at(-1)).toBe("ready"), soon);
    // It still runs, and nobody needs it.
    expect(first.pid).toBeDefined();
    await first.kill();
    await vi.waitFor(async () => {
      expect(await stayer.request("inbox.1", Uint8Array.of(5), { timeoutMs: 500 })).toEqual(Uint8Array.of(5));
    }, soon);
    expect(mover.status).toEqual({ state: "ready" });
  });

  test("credentials that are refused are UNAUTHORIZED", async () => {
    await using own = await startNats({ config: () => `authorization { user: "app", password: "right" }` });
    const open = (pass: string): Promise<Transport> =>
      openNatsTransport({ servers: own.url, options: { user: "app", pass } });
    await expect(open("wrong")).rejects.toMatchObject({ code: "UNAUTHORIZED" });
    await using transport = await open("right");
    expect(transport.status).toEqual({ state: "ready" });
  });
});
