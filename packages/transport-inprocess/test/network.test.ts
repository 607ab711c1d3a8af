import { describe, expect, test } from "vitest";
import { createInProcessNetwork } from "../src/index.ts";
import { collect, numbered, range, turn } from "./helpers.ts";
import { VirtualTime } from "./virtual-time.ts";

describe("TRN-5 the cluster key", () => {
  test("has 32 random bytes, or bytes that follow from the seed", () => {
    const [one, two] = [createInProcessNetwork().clusterKey, createInProcessNetwork().clusterKey];
    expect([one.length, two.length]).toEqual([32, 32]);
    expect(one).not.toEqual(two);
    const seeded = createInProcessNetwork({ seed: 9 }).clusterKey;
    expect(createInProcessNetwork({ seed: 9 }).clusterKey).toEqual(seeded);
    expect(createInProcessNetwork({ seed: 10 }).clusterKey).not.toEqual(seeded);
    expect(createInProcessNetwork({ seed: 9 }).seed).toBe(9);
  });
});

describe("TRN-5 queues are bounded", () => {
  test("a full reader drops and is counted; a prompt one on the same subject misses nothing", async () => {
    await using network = createInProcessNetwork();
    const [a, b, c] = [network.join("a"), network.join("b"), network.join("c")];
    const slow = await b.subscribe("sessions.1.0");
    const prompt = collect(await c.subscribe("sessions.1.0"));
    for (const index of range(1_000)) await a.publish("sessions.1.0", numbered(index));
    await turn();
    expect(prompt).toEqual(range(1_000));
    expect(network.stats()).toMatchObject({ sent: 2_000, lost: 0, dropped: 744 });
    expect(network.stats().subscriptions).toEqual([
      { name: "b", subject: "sessions.1.0", queued: 256, dropped: 744 },
      { name: "c", subject: "sessions.1.0", queued: 0, dropped: 0 },
    ]);
    // What it holds are the oldest: the rest is a gap at the end, which the layer above asks for.
    expect(await firstOf(slow)).toEqual(numbered(0));
  });

  test("the 256th frame is kept and the 257th dropped", async () => {
    await using network = createInProcessNetwork();
    const [a, b] = [network.join("a"), network.join("b")];
    await b.subscribe("ack.1");
    for (const index of range(256)) await a.publish("ack.1", numbered(index));
    expect(network.stats().dropped).toBe(0);
    await a.publish("ack.1", numbered(256));
    expect(network.stats().dropped).toBe(1);
  });

  test("TRN-3 the bound is tuned by subject, and no subject takes room from another", async () => {
    await using network = createInProcessNetwork({
      queueFramesMax: (subject) => (subject.startsWith("signals.") ? 4 : 16),
    });
    const [a, b] = [network.join("a"), network.join("b")];
    await b.subscribe("signals.1.0");
    await b.subscribe("sessions.1.0");
    for (const index of range(20)) {
      await a.publish("signals.1.0", numbered(index));
      await a.publish("sessions.1.0", numbered(index));
    }
    expect(network.stats().subscriptions).toEqual([
      { name: "b", subject: "signals.1.0", queued: 4, dropped: 16 },
      { name: "b", subject: "sessions.1.0", queued: 16, dropped: 4 },
    ]);
  });

  test("frames in flight are bounded by subject as well", async () => {
    const time = new VirtualTime();
    await using network = createInProcessNetwork({
      latencyMs: 10,
      queueFramesMax: 8,
      setTimer: time.setTimer,
    });
    const [a, b] = [network.join("a"), network.join("b")];
    const [sessions, signals] = [
      collect(await b.subscribe("sessions.1.0")),
      collect(await b.subscribe("signals.1.0")),
    ];
    for (const index of range(20)) await a.publish("sessions.1.0", numbered(index));
    await a.publish("signals.1.0", numbered(1));
    expect(network.stats().dropped).toBe(12);
    time.advance(10);
    await turn();
    expect([sessions, signals]).toEqual([range(8), [1]]);
  });

  test("so are the requests a service has running: what is above waits for its deadline", async () => {
    const time = new VirtualTime();
    await using network = createInProcessNetwork({ queueFramesMax: 2, setTimer: time.setTimer });
    const [a, b] = [network.join("a"), network.join("b")];
    const answers: (() => void)[] = [];
    await b.serve("inbox.2", (frame) => new Promise((resolve) => answers.push(() => resolve(frame))));
    const outcomes = range(3).map((index) =>
      a.request("inbox.2", numbered(index), { timeoutMs: 100 }).then(
        () => "answered",
        (error: { code: string }) => error.code,
      ),
    );
    await turn();
    expect([answers.length, network.stats().dropped]).toEqual([2, 1]);
    for (const answer of answers) answer();
    await turn();
    time.advance(100);
    expect(await Promise.all(outcomes)).toEqual(["answered", "answered", "REQUEST_TIMEOUT"]);
  });
});

describe("TRN-5 bursts leave the event loop its turns", () => {
  test("100,000 frames arrive, all of them, while other work goes on", async () => {
    await using network = createInProcessNetwork();
    const [a, b] = [network.join("a"), network.join("b")];
    const subscription = await b.subscribe("sessions.1.0");
    let turns = 0;
    let received = 0;
    const work = (): void => {
      turns += 1;
      if (received < 100_000) setImmediate(work);
    };
    setImmediate(work);
    const reading = (async () => {
      for await (const { frame } of subscription) if (frame.length === 2 && ++received === 100_000) break;
    })();
    for (const index of range(100_000)) await a.publish("sessions.1.0", numbered(index & 65_535));
    await reading;
    expect(received).toBe(100_000);
    expect(turns).toBeGreaterThan(300);
  });

  test("so do two that answer each other without awaiting", async () => {
    await using network = createInProcessNetwork();
    const [a, b] = [network.join("a"), network.join("b")];
    let volleys = 0;
    const play = async (peer: typeof a, hears: string, says: string): Promise<void> => {
      for await (const { frame } of await peer.subscribe(hears)) {
        // A bound, so that a network that starves everybody fails here instead of hanging.
        if (++volleys === 100_000) return;
        void peer.publish(says, frame);
      }
    };
    const playing = [play(a, "ack.1", "ack.2"), play(b, "ack.2", "ack.1")];
    await turn();
    void a.publish("ack.2", numbered(0));
    // On microtasks alone this turn would never come.
    for (let wait = 0; wait < 20; wait++) await turn();
    expect(volleys).toBeGreaterThan(256);
    expect(volleys).toBeLessThan(100_000);
    await network.close();
    await Promise.all(playing);
  });

  test("a frame takes no turn and no timer when there is no burst", async () => {
    await using network = createInProcessNetwork({
      setTimer: () => expect.unreachable("a timer"),
      defer: () => expect.unreachable("a turn"),
    });
    const [a, b] = [network.join("a"), network.join("b")];
    const trace = collect(await b.subscribe("ack.1"));
    await a.publish("ack.1", numbered(1));
    for (let microtask = 0; microtask < 5; microtask++) await Promise.resolve();
    expect(trace).toEqual([1]);
  });
});

describe("TRN-1 everything settles", () => {
  test("a publish that rests and a request that waits, when the endpoint is closed or the signal aborted", async () => {
    const network = createInProcessNetwork({ defer: () => undefined });
    const [a, b] = [network.join("a"), network.join("b")];
    await b.subscribe("ack.1");
    await b.serve("inbox.2", async (frame) => frame);
    const controller = new AbortController();
    const { signal } = controller;
    // The turn that would let them go on never comes.
    const publishes = range(200).map((index) => a.publish("ack.1", numbered(index)));
    const asking = a.request("inbox.2", numbered(1), { timeoutMs: 60_000 });
    const aborted = [
      a.publish("ack.1", numbered(1), { signal }),
      a.request("inbox.2", numbered(1), { timeoutMs: 60_000, signal }),
    ];
    controller.abort("enough");
    const reasons = (await Promise.allSettled(aborted)).map((one) => (one as PromiseRejectedResult).reason);
    expect(reasons).toEqual(["enough", "enough"]);
    await Promise.all([network.close(), expect(asking).rejects.toMatchObject({ code: "TRANSPORT_CLOSED" })]);
    // Their frames were delivered long ago.
    await Promise.all(publishes);
  });

  test("close() leaves no timer behind, and a closed network takes nobody in", async () => {
    const time = new VirtualTime();
    const network = createInProcessNetwork({ latencyMs: 5, reorderRate: 0.5, setTimer: time.setTimer });
    const [a, b] = [network.join("a"), network.join("b")];
    await b.subscribe("ack.1");
    await b.serve("inbox.2", () => new Promise(() => undefined));
    for (const index of range(10)) await a.publish("ack.1", numbered(index));
    const asking = a.request("inbox.2", numbered(1), { timeoutMs: 1_000 });
    await Promise.all([network.close(), expect(asking).rejects.toMatchObject({ code: "TRANSPORT_CLOSED" })]);
    await network.close();
    expect(time.pendingCount).toBe(0);
    expect(() => network.join("c")).toThrow(expect.objectContaining({ code: "TRANSPORT_CLOSED" }));
  });

  test("asks nobody: NO_RESPONDER at once, also when the service closes meanwhile", async () => {
    await using network = createInProcessNetwork({ setTimer: () => () => undefined });
    const [a, b] = [network.join("a"), network.join("b")];
    const ask = (): Promise<Uint8Array> => a.request("inbox.2", numbered(1), { timeoutMs: 1 });
    await expect(ask()).rejects.toMatchObject({ code: "NO_RESPONDER", retryable: true });
    const service = await b.serve("inbox.2", () => new Promise(() => undefined));
    const asking = ask();
    await service.close();
    await expect(asking).rejects.toMatchObject({ code: "NO_RESPONDER" });
  });
});

describe("TRN-5 names", () => {
  test("a name is taken until its endpoint is closed, and a subject has one handler on the network", async () => {
    await using network = createInProcessNetwork();
    const [a, b] = [network.join("a"), network.join("b")];
    expect(() => network.join("a")).toThrow(TypeError);
    await a.serve("inbox.1", async (frame) => frame);
    await expect(b.serve("inbox.1", async (frame) => frame)).rejects.toMatchObject({
      code: "SUBJECT_IN_USE",
    });
    await a.close();
    await b.serve("inbox.1", async (frame) => frame);
    expect(network.join("a").status).toEqual({ state: "ready" });
  });
});

describe("TRN-4 frames are opaque", () => {
  test("a Buffer is copied too, and arrives as a plain Uint8Array", async () => {
    await using network = createInProcessNetwork();
    const [a, b] = [network.join("a"), network.join("b")];
    const subscription = await b.subscribe("ack.1");
    const buffer = Buffer.from([1, 2, 3]);
    await a.publish("ack.1", buffer);
    buffer.fill(0);
    const frame = await firstOf(subscription);
    expect(frame).toEqual(Uint8Array.of(1, 2, 3));
    expect(Object.getPrototypeOf(frame)).toBe(Uint8Array.prototype);
  });
});

async function firstOf(subscription: AsyncIterable<{ readonly frame: Uint8Array }>): Promise<Uint8Array> {
  for await (const { frame } of subscription) return frame;
  throw new Error("The subscription ended");
}
