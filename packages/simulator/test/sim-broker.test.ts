import { describe, expect, test } from "vitest";
import type { SimNetworkOptions } from "../src/index.ts";
import { collect, numbered, openNet, range } from "./net.ts";

const SUBJECT = "sessions.1.0";

/** Two machines at a broker, one that publishes numbered frames, and one that reads them. */
async function openPair(options: Partial<SimNetworkOptions> = {}, seed: number = 1) {
  const net = openNet(seed, { medium: "broker", ...options });
  const [a, b] = [net.join("a"), net.join("b")];
  const heard = collect(await b.subscribe(SUBJECT));
  const failures: string[] = [];
  /** Publishes and waits, as long as a broker may be silent. */
  const publish = async (last: number): Promise<void> => {
    const publishing = a
      .publish(SUBJECT, numbered(last), { sequence: { epoch: 1, last } })
      .catch((error: { code: string }) => failures.push(error.code));
    await net.time.until(Promise.resolve(publishing));
  };
  const stored = (): number[] => net.broker.stored(SUBJECT).map(({ sequence }) => sequence.last);
  /** Publishes a range, and lets it arrive. */
  const fill = async (numbers: readonly number[]): Promise<void> => {
    for (const last of numbers) await publish(last);
    await net.time.advance(50);
  };
  return { ...net, a, b, heard, failures, publish, fill, stored };
}

describe("SIM-1 the broker keeps and hands on", () => {
  test("stored frames arrive in order and once, whatever links do to those that were taken", async () => {
    const { network, time, heard, publish, fill, stored } = await openPair();
    network.rates({ loss: 0.2, duplicate: 0.3, reorder: 0.3 });
    for (const last of range(60)) {
      do await publish(last);
      while (!stored().includes(last));
    }
    network.rates({});
    await fill([60]);
    await time.advance(100);
    expect(heard).toEqual(range(61));
  });

  test("a repeat is refused within the window, and is stored again behind it", async () => {
    const { heard, fill } = await openPair({ repeatWindow: 3 });
    await fill([1, 2, 2, 3, 1, 4, 1]);
    expect(heard).toEqual([1, 2, 3, 4, 1]);
  });

  test("scenario 20: duplicate() stores again what it had, as of a client that sends again too late", async () => {
    const { broker, time, heard, fill } = await openPair();
    await fill([1, 2, 3]);
    broker.duplicate(2);
    await time.advance(10);
    expect(heard).toEqual([1, 2, 3, 2, 3]);
  });

  test("what it keeps is bounded, and release() and trim() shorten it", async () => {
    const { a, broker, time, fill, stored } = await openPair({ storedFramesMax: 5 });
    await fill(range(9));
    expect(stored()).toEqual([4, 5, 6, 7, 8]);
    await a.release(SUBJECT, { epoch: 1, last: 5 });
    await time.advance(10);
    expect(stored()).toEqual([6, 7, 8]);
    broker.trim(1);
    expect(stored()).toEqual([8]);
  });

  test("a slow reader loses nothing that the broker keeps, and slows nobody", async () => {
    const { time, b, heard, fill } = await openPair({ queueFramesMax: 4 });
    const slow = await b.subscribe(SUBJECT);
    await fill(range(20));
    expect(heard).toEqual(range(20));
    const late = collect(slow);
    await time.advance(100);
    expect(late).toEqual(range(20));
  });
});

describe("SIM-1 the broker is no truth", () => {
  test("restart() breaks connections, and keeps what is stored", async () => {
    const { a, broker, network, time, heard, failures, fill } = await openPair();
    await fill([1]);
    const states: string[] = [];
    a.onStatus(({ state }) => states.push(state));
    broker.restart({ downMs: 2_000 });
    await expect(a.publish(SUBJECT, numbered(9))).rejects.toMatchObject({ code: "PUBLISH_FAILED" });
    await expect(a.request("inbox.1", numbered(9), { timeoutMs: 1 })).rejects.toMatchObject({
      code: "NO_RESPONDER",
    });
    await fill([2]);
    expect([failures, heard]).toEqual([["PUBLISH_FAILED"], [1]]);
    await time.advance(2_000);
    await fill([2]);
    expect([states, heard]).toEqual([
      ["connecting", "ready"],
      [1, 2],
    ]);
    broker.restart({ downMs: 1_000_000 });
    network.heal();
    expect(broker.up).toBe(true);
  });

  test("freeze() says nothing, and thaw() takes what waited", async () => {
    const { a, broker, time, heard, failures, fill } = await openPair();
    broker.freeze();
    await fill([1, 1]);
    expect([a.status.state, failures, heard]).toEqual(["ready", ["PUBLISH_FAILED", "PUBLISH_FAILED"], []]);
    broker.thaw();
    await time.advance(10);
    expect(heard).toEqual([1]);
  });

  test("scenario 18: forgetPositions() lets readers begin again, at the beginning or at the end", async () => {
    const heardAgain = new Set<number>();
    for (const seed of range(8)) {
      const { broker, time, heard, fill } = await openPair({}, seed);
      await fill([1, 2, 3]);
      broker.forgetPositions();
      await time.advance(10);
      heardAgain.add(heard.length);
      await fill([4]);
      expect(heard.at(-1)).toBe(4);
    }
    expect([...heardAgain].sort()).toEqual([3, 6]);
  });

  test("scenario 18: deleteStreams() loses all, and goes on from 1", async () => {
    const { broker, heard, fill, stored } = await openPair();
    await fill([1, 2, 3]);
    broker.deleteStreams();
    expect(stored()).toEqual([]);
    await fill([4]);
    expect([broker.stored(SUBJECT)[0]?.position, heard]).toEqual([1, [1, 2, 3, 4]]);
  });

  test("scenario 18: renumber() gives positions that mean other frames", async () => {
    const { broker, heard, fill, stored } = await openPair();
    await fill(range(30, 1));
    broker.renumber();
    expect(broker.stored(SUBJECT)[0]?.position).not.toBe(1);
    expect(stored()).toEqual(range(30, 1));
    await fill(range(8, 31));
    // What is told apart by its position alone comes a second time.
    expect(heard.length).toBeGreaterThan(38);
    expect([...new Set(heard)]).toEqual(range(38, 1));
  });

  test("scenario 19: trim() takes what a reader that was away has not read", async () => {
    const { network, broker, time, heard, fill } = await openPair();
    await fill([1]);
    network.cut("broker", "b");
    await fill([2, 3, 4]);
    broker.trim(1);
    network.heal();
    await time.advance(50);
    await fill([5]);
    expect(heard).toEqual([1, 4, 5]);
  });

  test("scenario 21: failover() goes on without the last frames, and returnOld() brings them back behind others", async () => {
    const { broker, time, heard, fill, stored } = await openPair();
    await fill([1, 2, 3]);
    broker.failover(2, { downMs: 10 });
    expect(stored()).toEqual([1]);
    await time.advance(10);
    await fill([4]);
    expect(stored()).toEqual([1, 4]);
    broker.returnOld();
    await fill([5]);
    expect(stored()).toEqual([1, 4, 2, 3, 5]);
    expect(heard.slice(-2)).toEqual([3, 5]);
  });
});
