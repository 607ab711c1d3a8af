import { TransportError } from "@tidemark/transport";
import { expect, test } from "vitest";
import { TestCluster } from "./cluster.ts";
import { tapped } from "./tapped-transport.ts";

const RECORD_BYTES = 4_000;

/** Frames of one log that were begun, each until the test lets the medium take it. */
class Custody {
  readonly begun: number[] = [];
  mostAtOnce: number = 0;
  readonly #open: Map<number, { take(): void; fail(error: Error): void }> = new Map();
  #free: boolean = false;

  async begin(last: number): Promise<void> {
    this.begun.push(last);
    if (this.#free) return;
    await new Promise<void>((take, fail) => {
      this.#open.set(last, { take, fail });
      this.mostAtOnce = Math.max(this.mostAtOnce, this.#open.size);
    });
  }

  take(last: number): void {
    this.#open.get(last)!.take();
    this.#open.delete(last);
  }

  fail(last: number): void {
    this.#open.get(last)!.fail(new TransportError("PUBLISH_FAILED", "not confirmed"));
    this.#open.delete(last);
  }

  freeAll(): void {
    this.#free = true;
    for (const last of [...this.#open.keys()]) this.take(last);
  }
}

test("REP-1 frames of a log are under way at once up to a limit, in its order; after one fails what is behind it goes out again", async () => {
  await using cluster = new TestCluster(["a", "b"]);
  const custody = new Custody();
  const tap = {
    custody: async (subject: string, options?: { sequence?: { last: number } }) => {
      if (subject.startsWith("sessions.")) await custody.begin(options!.sequence!.last);
    },
  };
  const a = await cluster.open("a", {
    batchBytesMax: 70_000,
    limits: { publishesInFlightMax: 4 },
    transport: tapped(cluster.network.join("a"), tap),
  });
  await cluster.open("b");
  const COUNT = 300;
  const texts = Array.from({ length: COUNT }, (_, at) => `${at}`.padStart(RECORD_BYTES, "0"));
  await cluster.timers.until(
    Promise.all(
      texts.map((text) =>
        a.replication.append("sessions", 2, (writer) => writer.raw(new TextEncoder().encode(text))),
      ),
    ),
  );
  await cluster.timers.settle();
  expect(custody.mostAtOnce).toBe(4);
  const [first, second, third, fourth] = custody.begun as [number, number, number, number];
  expect(custody.begun).toEqual([first, second, third, fourth].toSorted((x, y) => x - y));
  const { id: log, durable } = a.wal.logs()[0]!;
  // The last one first: nothing behind a hole counts as shipped.
  custody.take(fourth);
  custody.fail(second);
  await cluster.timers.settle();
  expect(a.replication.metrics().publishFailures).toBe(1);
  expect(custody.begun).toHaveLength(4);
  custody.take(first);
  custody.take(third);
  custody.freeAll();
  const { replication } = cluster.node("b");
  for (let steps = 0; replication.vector().lsnOf(log) < durable.lsn; steps++) {
    expect(steps).toBeLessThan(1_000);
    await cluster.timers.advance(5);
  }
  // From behind the first one on, each once more and in order.
  expect(custody.begun.slice(4)).toEqual([...new Set(custody.begun.slice(4))].toSorted((x, y) => x - y));
  expect(custody.begun[4]).toBeGreaterThan(first);
  expect(custody.begun.at(-1)).toBe(durable.lsn);
  expect(cluster.node("b").state.texts()).toEqual(texts);
});
