import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createInProcessNetwork } from "../src/index.ts";
import type { InProcessNetworkOptions } from "../src/index.ts";
import { collect, numbered, range, turn } from "./helpers.ts";
import { VirtualTime } from "./virtual-time.ts";

/** What arrives of 200 frames on one link, while another link may carry its own. */
async function traceOf(options: InProcessNetworkOptions, noise: number = 0): Promise<readonly number[]> {
  const time = new VirtualTime();
  await using network = createInProcessNetwork({ setTimer: time.setTimer, ...options });
  const [a, b, c] = [network.join("a"), network.join("b"), network.join("c")];
  const trace = collect(await b.subscribe("sessions.1.0"));
  await c.subscribe("signals.1.0");
  for (const index of range(200)) {
    await a.publish("sessions.1.0", numbered(index));
    for (let extra = 0; extra < noise; extra++) await a.publish("signals.1.0", numbered(extra));
  }
  time.advance(1_000);
  await turn();
  await turn();
  return trace;
}

const bad = { lossRate: 0.2, duplicateRate: 0.2, reorderRate: 0.2 };

describe("TRN-5 faults follow from the seed", () => {
  test("the same seed gives the same delivery trace, another seed another", async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(), fc.constantFrom(0, 5), async (seed, latencyMs) => {
        const trace = await traceOf({ seed, latencyMs, ...bad });
        expect(await traceOf({ seed, latencyMs, ...bad })).toEqual(trace);
        expect(await traceOf({ seed: seed + 1, latencyMs, ...bad })).not.toEqual(trace);
      }),
      { numRuns: 20 },
    );
  });

  test("traffic on one link changes nothing on another", async () => {
    expect(await traceOf({ seed: 5, ...bad }, 3)).toEqual(await traceOf({ seed: 5, ...bad }));
  });

  test("one rate shifts no decision of another", async () => {
    const lost = (trace: readonly number[]): number[] => range(200).filter((index) => !trace.includes(index));
    const alone = lost(await traceOf({ seed: 5, lossRate: 0.2 }));
    expect(alone.length).toBeGreaterThan(0);
    expect(lost(await traceOf({ seed: 5, ...bad }))).toEqual(alone);
  });
});

describe("TRN-5 links are made to lie", () => {
  test("lossRate loses about its share, and 1 loses all", async () => {
    const trace = await traceOf({ seed: 3, lossRate: 0.25 });
    expect(trace.length).toBeGreaterThan(120);
    expect(trace.length).toBeLessThan(180);
    expect(await traceOf({ lossRate: 1 })).toEqual([]);
  });

  test("duplicateRate repeats next to the original, so that order is kept", async () => {
    const trace = await traceOf({ seed: 3, duplicateRate: 0.25 });
    expect([...new Set(trace)]).toEqual(range(200));
    expect(trace).toEqual([...trace].sort((left, right) => left - right));
    expect(trace.length).toBeGreaterThan(220);
  });

  test("reorderRate lets the next frame overtake, loses none, and is said in the claims", async () => {
    const trace = await traceOf({ seed: 3, reorderRate: 0.25 });
    expect(trace).not.toEqual(range(200));
    expect([...trace].sort((left, right) => left - right)).toEqual(range(200));
    for (const [place, index] of trace.entries()) expect(Math.abs(place - index)).toBeLessThanOrEqual(2);
    expect(createInProcessNetwork({ reorderRate: 0.1 }).join("a").capabilities.ordered).toBe(false);
  });

  test("a frame that nothing overtakes arrives a millisecond late", async () => {
    const time = new VirtualTime();
    await using network = createInProcessNetwork({ reorderRate: 1, setTimer: time.setTimer });
    const [a, b] = [network.join("a"), network.join("b")];
    const trace = collect(await b.subscribe("ack.1"));
    await a.publish("ack.1", numbered(7));
    await turn();
    expect(trace).toEqual([]);
    time.advance(1);
    await turn();
    expect(trace).toEqual([7]);
    expect(time.pendingCount).toBe(0);
  });

  test("disturb() touches the links between two, until they heal", async () => {
    await using network = createInProcessNetwork();
    const [a, b, c] = [network.join("a"), network.join("b"), network.join("c")];
    const [atB, atC] = [collect(await b.subscribe("ack.1")), collect(await c.subscribe("ack.1"))];
    network.disturb("a", "b", { lossRate: 1 }, { oneWay: true });
    await a.publish("ack.1", numbered(1));
    network.heal("a", "b");
    await a.publish("ack.1", numbered(2));
    await turn();
    expect([atB, atC]).toEqual([[2], [1, 2]]);
    expect(a.capabilities.ordered).toBe(true);
    network.disturb("a", "b", { reorderRate: 0.5 });
    expect(c.capabilities.ordered).toBe(false);
  });

  test("rates and latencies that are none are refused", () => {
    expect(() => createInProcessNetwork({ lossRate: 1.1 })).toThrow(RangeError);
    expect(() => createInProcessNetwork({ reorderRate: Number.NaN })).toThrow(RangeError);
    expect(() => createInProcessNetwork({ latencyMs: -1 })).toThrow(RangeError);
    expect(() => createInProcessNetwork().slow("a", "b", Infinity)).toThrow(RangeError);
    expect(() => createInProcessNetwork().cut("a", "a")).toThrow(RangeError);
  });
});

describe("TRN-5 links are cut, slowed and healed", () => {
  test("a cut loses frames, publishes resolve, and both ends are told", async () => {
    await using network = createInProcessNetwork();
    const [a, b, c] = [network.join("a"), network.join("b"), network.join("c")];
    const heard: string[] = [];
    for (const [name, peer] of Object.entries({ a, b, c })) {
      peer.onStatus(({ state, reason = "" }) => heard.push(`${name} ${state} ${reason}`.trim()));
    }
    const trace = collect(await b.subscribe("ack.1"));
    network.cut("a", "b", { oneWay: true });
    expect([network.isCut("a", "b"), network.isCut("b", "a")]).toEqual([true, false]);
    await a.publish("ack.1", numbered(1));
    network.cut("b", "a");
    network.heal("b", "a");
    await a.publish("ack.1", numbered(2));
    await turn();
    expect(trace).toEqual([2]);
    expect(heard).toEqual([
      "a degraded the link to b is cut",
      "b degraded the link from a is cut",
      "b degraded the link with a is cut",
      "a degraded the link with b is cut",
      "b ready",
      "a ready",
    ]);
    expect(network.stats()).toMatchObject({ sent: 2, lost: 1 });
  });

  test("heal() of one link among several is told, though the endpoint stays degraded", () => {
    const network = createInProcessNetwork();
    const a = network.join("a");
    network.cut("a", "b");
    network.cut("a", "c");
    const heard: string[] = [];
    a.onStatus(({ state, reason = "" }) => heard.push(`${state} ${reason}`.trim()));
    network.heal("a", "b");
    network.heal();
    network.slow("a", "b", 5);
    expect(heard).toEqual(["degraded the link with c is cut", "ready", "ready"]);
  });

  test("heal() with one name mends the links of that name alone", () => {
    const network = createInProcessNetwork();
    network.cut("a", "b");
    network.cut("b", "c");
    network.cut("c", "d");
    network.heal("b");
    expect([network.isCut("a", "b"), network.isCut("c", "b"), network.isCut("c", "d")]).toEqual([
      false,
      false,
      true,
    ]);
  });

  test("a request over a cut link waits for its deadline, in either direction", async () => {
    const time = new VirtualTime();
    await using network = createInProcessNetwork({ setTimer: time.setTimer });
    const [a, b] = [network.join("a"), network.join("b")];
    let calls = 0;
    await b.serve("inbox.2", async () => Uint8Array.of(++calls));
    for (const [from, to] of [
      ["a", "b"],
      ["b", "a"],
    ] as const) {
      network.cut(from, to, { oneWay: true });
      let outcome = "";
      const asking = a.request("inbox.2", numbered(1), { timeoutMs: 500 });
      asking.catch((error: { code: string }) => (outcome = error.code));
      time.advance(499);
      await turn();
      expect(outcome).toBe("");
      time.advance(1);
      await turn();
      expect(outcome).toBe("REQUEST_TIMEOUT");
      network.heal();
    }
    // The second time the request passed, and only its answer was lost.
    expect(calls).toBe(1);
    expect(time.pendingCount).toBe(0);
  });

  test("latency delays, cuts lose what is in flight, and a link that becomes faster keeps the order", async () => {
    const time = new VirtualTime();
    await using network = createInProcessNetwork({ latencyMs: 50, setTimer: time.setTimer });
    const [a, b] = [network.join("a"), network.join("b")];
    const trace = collect(await b.subscribe("ack.1"));
    const buffer = numbered(1);
    await a.publish("ack.1", buffer);
    buffer.fill(0);
    time.advance(49);
    await turn();
    expect(trace).toEqual([]);
    network.slow("a", "b", 0);
    await a.publish("ack.1", numbered(2));
    time.advance(0);
    await turn();
    time.advance(1);
    await turn();
    expect(trace).toEqual([1, 2]);
    network.heal();
    await a.publish("ack.1", numbered(3));
    network.cut("a", "b");
    network.heal();
    await a.publish("ack.1", numbered(4));
    time.advance(50);
    await turn();
    expect(trace).toEqual([1, 2, 4]);
    expect(network.stats().lost).toBe(1);
  });

  test("what was in flight to an earlier life of a peer is lost", async () => {
    const time = new VirtualTime();
    await using network = createInProcessNetwork({ latencyMs: 50, setTimer: time.setTimer });
    const [a, b] = [network.join("a"), network.join("b")];
    await b.subscribe("ack.1");
    await a.publish("ack.1", numbered(1));
    await b.close();
    const trace = collect(await network.join("b").subscribe("ack.1"));
    time.advance(50);
    await turn();
    expect(trace).toEqual([]);
  });
});
