import { describe, expect, test } from "vitest";
import type { NetworkRates, SimNetworkOptions } from "../src/index.ts";
import { collect, numbered, openNet, range, StubLife } from "./net.ts";

/** What arrives at b of frames that a publishes, a millisecond apart. */
async function arrivals(
  seed: number,
  rates: NetworkRates,
  options: Partial<SimNetworkOptions> = {},
  count: number = 200,
) {
  const { network, time, trace, join } = openNet(seed, options);
  const [a, b] = [join("a"), join("b")];
  const heard = collect(await b.subscribe("sessions.1.0"));
  network.rates(rates);
  for (const index of range(count)) {
    await a.publish("sessions.1.0", numbered(index));
    await time.advance(1);
  }
  await time.advance(1_000);
  return { heard, hash: trace.hash, counts: network.counts };
}

describe("SIM-1 the network follows from the seed", () => {
  test("same seed, same arrivals and trace; another seed, others", async () => {
    const bad = { loss: 0.2, duplicate: 0.2, reorder: 0.2 };
    for (const medium of ["direct", "broker"] as const) {
      const first = await arrivals(5, bad, { medium });
      expect(await arrivals(5, bad, { medium })).toEqual(first);
      expect((await arrivals(6, bad, { medium })).hash).not.toBe(first.hash);
    }
  });

  test("one rate shifts no decision of another", async () => {
    const lost = (heard: readonly number[]) => range(200).filter((index) => !heard.includes(index));
    const alone = lost((await arrivals(5, { loss: 0.2 })).heard);
    expect(alone.length).toBeGreaterThan(20);
    expect(lost((await arrivals(5, { loss: 0.2, duplicate: 0.3, reorder: 0.3 })).heard)).toEqual(alone);
  });
});

describe("SIM-1 links lie", () => {
  test("without faults all arrives, once and in order", async () => {
    expect((await arrivals(1, {})).heard).toEqual(range(200));
  });

  test("loss loses its share, and 1 all", async () => {
    const { heard, counts } = await arrivals(1, { loss: 0.25 });
    expect(heard.length).toBeGreaterThan(120);
    expect(heard.length).toBeLessThan(180);
    expect(counts.lost).toBe(200 - heard.length);
    expect((await arrivals(1, { loss: 1 })).heard).toEqual([]);
  });

  test("duplicate repeats, later than the original", async () => {
    const { heard, counts } = await arrivals(1, { duplicate: 0.25 });
    expect([...new Set(heard)]).toEqual(range(200));
    expect(heard.length).toBe(200 + counts.duplicated);
    expect(heard).not.toEqual([...heard].sort((left, right) => left - right));
  });

  test("reorder lets others pass, and loses none", async () => {
    const { heard } = await arrivals(1, { reorder: 0.25 });
    expect(heard).not.toEqual(range(200));
    expect([...heard].sort((left, right) => left - right)).toEqual(range(200));
  });

  test("a cut loses one way what is in flight and what comes, and both ends are told", async () => {
    const { network, time, join } = openNet(1);
    const [a, b, c] = [join("a"), join("b"), join("c")];
    const states: string[] = [];
    for (const transport of [a, b, c])
      transport.onStatus(({ state }) => states.push(`${transport.machine} ${state}`));
    const [atA, atB] = [collect(await a.subscribe("x")), collect(await b.subscribe("y"))];
    await a.publish("y", numbered(1));
    network.cut("a", "b");
    expect([network.isCut("a", "b"), network.isCut("b", "a")]).toEqual([true, false]);
    await a.publish("y", numbered(2));
    await b.publish("x", numbered(3));
    await time.advance(100);
    network.heal("a", "b");
    await a.publish("y", numbered(4));
    await time.advance(100);
    expect([atA, atB]).toEqual([[3], [4]]);
    expect(states).toEqual(["a degraded", "b degraded", "a ready", "b ready"]);
  });

  test("nobody is told of a silent cut", async () => {
    const { network, time, join } = openNet(1);
    const [a, b] = [join("a"), join("b")];
    const states: string[] = [];
    a.onStatus(({ state }) => states.push(state));
    const heard = collect(await b.subscribe("y"));
    network.cut("a", "b", { silent: true });
    await a.publish("y", numbered(1));
    await time.advance(10);
    expect([a.status.state, heard, network.isCut("a", "b")]).toEqual(["ready", [], true]);
    network.heal();
    await a.publish("y", numbered(2));
    await time.advance(10);
    expect([states, heard]).toEqual([[], [2]]);
  });

  test("a flapping link is cut and whole in turn, and whole in the end", async () => {
    const { network, time } = openNet(1);
    network.flap("a", "b", 50, 210);
    const seen: boolean[] = [];
    for (const _ of range(8)) {
      seen.push(network.isCut("a", "b"));
      await time.advance(50);
    }
    expect(seen).toEqual([true, false, true, false, false, false, false, false]);
    network.flap("a", "b", 50, 100_000);
    network.heal();
    await time.advance(200);
    expect(network.isCut("a", "b")).toBe(false);
  });

  test("a slow link sends byte after byte, and holds up no other", async () => {
    const { network, time, join } = openNet(1);
    const [a, b, c] = [join("a"), join("b"), join("c")];
    const [atB, atC] = [collect(await b.subscribe("y")), collect(await c.subscribe("y"))];
    network.slow("a", "b", { bytesPerSecond: 1 });
    for (const index of range(3)) await a.publish("y", numbered(index));
    await time.advance(100);
    expect([atB, atC]).toEqual([[], [0, 1, 2]]);
    await time.advance(4_100);
    expect(atB).toEqual([0, 1]);
    network.heal("a");
    await a.publish("y", numbered(9));
    await time.advance(10);
    expect(atB).toEqual([0, 1, 9]);
  });

  test("delay() holds for every link", async () => {
    const { network, time, join } = openNet(1);
    const [a, b] = [join("a"), join("b")];
    const heard = collect(await b.subscribe("y"));
    network.delay({ minMs: 100, maxMs: 120 });
    await a.publish("y", numbered(1));
    await time.advance(99);
    expect(heard).toEqual([]);
    await time.advance(21);
    expect(heard).toEqual([1]);
  });

  test("what is under way, and what nobody reads, is bounded", async () => {
    const { network, time, join } = openNet(1, { linkFramesMax: 10, queueFramesMax: 4 });
    const [a, b] = [join("a"), join("b")];
    const subscription = await b.subscribe("y");
    for (const index of range(30)) await a.publish("y", numbered(index));
    await time.advance(10);
    expect(network.counts).toMatchObject({ sent: 30, arrived: 10, overflowed: 26 });
    const heard = collect(subscription);
    await time.advance(0);
    expect(heard).toEqual(range(4));
  });

  test("what is no rate, delay or speed is refused", () => {
    const { network } = openNet(1);
    expect(() => network.rates({ loss: 1.1 })).toThrow(RangeError);
    expect(() => network.delay({ minMs: 3, maxMs: 2 })).toThrow(RangeError);
    expect(() => network.slow("a", "b", { bytesPerSecond: 0 })).toThrow(RangeError);
    expect(() => network.flap("a", "b", 0, 1)).toThrow(RangeError);
    expect(() => network.cut("a", "a")).toThrow(RangeError);
  });
});

describe("SIM-1 processes die on the network", () => {
  test("calls of the dead never settle, and nothing of them is sent", async () => {
    for (const medium of ["direct", "broker"] as const) {
      const { time, network, join } = openNet(1, { medium });
      const life = new StubLife();
      const [a, b] = [join("a", life), join("b")];
      const heard = collect(await b.subscribe("y"));
      const settled: string[] = [];
      const note = (what: string, promise: Promise<unknown>) =>
        promise.then(
          () => settled.push(what),
          () => settled.push(what),
        );
      void note(
        "asked",
        a.request("nobody.else", numbered(1), { timeoutMs: 50 }).catch(() => new Promise(() => {})),
      );
      life.alive = false;
      void note("publish", a.publish("y", numbered(1), { sequence: { epoch: 1, last: 1 } }));
      void note("subscribe", a.subscribe("y"));
      void note(
        "serve",
        a.serve("inbox.1", async (frame) => frame),
      );
      void note("request", a.request("inbox.1", numbered(1), { timeoutMs: 50 }));
      void note("release", a.release("y", { epoch: 1, last: 1 }));
      void note("close", a.close());
      await time.advance(1_000);
      expect([settled, heard]).toEqual([[], []]);
      expect([...network.transports()]).toEqual([b]);
    }
  });

  test("a process that comes back under its name hears, and its former life does not", async () => {
    for (const medium of ["direct", "broker"] as const) {
      const { time, network, join } = openNet(1, { medium });
      const life = new StubLife();
      const [a, former] = [join("a"), join("b", life)];
      expect(() => join("b")).toThrow(TypeError);
      const before = collect(await former.subscribe("y"));
      life.alive = false;
      const heard = collect(await network.transport("b", new StubLife()).subscribe("y"));
      await a.publish("y", numbered(7));
      await time.advance(10);
      expect([before, heard]).toEqual([[], [7]]);
    }
  });

  test("every call and every arrival is one at which a process can die", async () => {
    const { time, join } = openNet(1);
    const [left, right] = [new StubLife(), new StubLife()];
    const [a, b] = [join("a", left), join("b", right)];
    await b.subscribe("y");
    await b.serve("inbox.2", async (frame) => frame);
    await a.publish("y", numbered(1));
    const asking = a.request("inbox.2", numbered(1), { timeoutMs: 1_000 });
    await time.advance(50);
    await asking;
    await a.release("y", { epoch: 1, last: 1 });
    await a.close();
    expect(left.calls).toEqual(["publish", "request", "hear", "release", "close"]);
    expect(right.calls).toEqual(["subscribe", "serve", "hear", "hear"]);
  });
});
