import { formatLogId, nobleHasher, regionId, type Channel } from "@tidemark/core";
import type { Transport } from "@tidemark/transport";
import type { WalBatch } from "@tidemark/wal";
import { expect, test } from "vitest";
import type { Replicated } from "../src/index.ts";
import { TestCluster, type NodeOptions } from "./cluster.ts";
import { copyDisk } from "./disk-image.ts";
import type { ModelState } from "./model-state.ts";

/** A state that is cheap to fold: how many records each log had, and the sum of their bytes. */
class CountState implements Replicated {
  readonly channel: Channel = "sessions";
  readonly foldVersion = 1;
  counts = new Map<string, { records: number; sum: number }>();

  apply(batch: WalBatch): void {
    const key = formatLogId(batch.log);
    const count = this.counts.get(key) ?? { records: 0, sum: 0 };
    this.counts.set(key, count);
    if (batch.firstLsn !== count.records + 1) throw new Error(`LSN ${batch.firstLsn} after ${count.records}`);
    for (const { body } of batch.records()) {
      count.records += 1;
      for (const byte of body) count.sum += byte;
    }
  }

  stable(): void {}
  snapshot = (): Uint8Array => new TextEncoder().encode(JSON.stringify([...this.counts]));
  restore(bytes: Uint8Array): void {
    this.counts = new Map(JSON.parse(new TextDecoder().decode(bytes)));
  }
  digest = (): Uint8Array =>
    nobleHasher.digest(
      "tidemark test state",
      new TextEncoder().encode(JSON.stringify([...this.counts].toSorted())),
    );
}

interface Wire {
  bytes: number;
  questions: number;
}

/** Counts what a region sends, and what it is answered. */
function counted(transport: Transport, wire: Wire): Transport {
  return new Proxy(transport, {
    get(target, name) {
      if (name === "publish") {
        return async (...[subject, frame, options]: Parameters<Transport["publish"]>) => {
          await target.publish(subject, frame, options);
          wire.bytes += frame.length;
        };
      }
      if (name === "request") {
        return async (...[subject, frame, options]: Parameters<Transport["request"]>) => {
          const reply = await target.request(subject, frame, options);
          wire.bytes += frame.length + reply.length;
          wire.questions += 1;
          return reply;
        };
      }
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

async function pair(wire: Wire, options: NodeOptions = {}): Promise<TestCluster> {
  const cluster = new TestCluster(["a", "b"]);
  for (const name of ["a", "b"]) {
    const state = new CountState();
    await cluster.open(name, {
      ...options,
      channels: { sessions: state },
      state: state as unknown as ModelState,
      transport: counted(cluster.network.join(name), wire),
      limits: { certificateMs: 0, ...options.limits },
    });
  }
  await cluster.timers.advance(50);
  await cluster.write("a", "first");
  await cluster.write("b", "first");
  await cluster.timers.advance(2_000);
  return cluster;
}

/** Appends many small records to the log a region writes, a thousand a batch. */
async function writeMany(cluster: TestCluster, name: string, count: number): Promise<number> {
  const { wal, replication } = cluster.node(name);
  const log = wal.log(replication.ownLogs("sessions")[0]!)!;
  const before = wal.bytesOf(log.id);
  for (let left = count; left > 0; left -= 1_000) {
    const body = Uint8Array.of(left & 0xff, (left >> 8) & 0xff);
    await log.appendMany(Array.from({ length: Math.min(left, 1_000) }, () => ({ type: 2, body })));
  }
  return wal.bytesOf(log.id) - before;
}

async function reconciled(cluster: TestCluster, ms: number): Promise<number> {
  const [a, b] = ["a", "b"].map((name) => cluster.node(name).replication);
  let spent = 0;
  for (; spent < ms; spent += 20) {
    if (a!.vector().covers(b!.vector()) && b!.vector().covers(a!.vector())) break;
    await cluster.timers.advance(20);
  }
  const compared = await cluster.timers.until(a!.requestCertificate(regionId(2)));
  expect(compared.verdict).toBe("equal");
  return spent;
}

test.each([
  [0, 0],
  [1, 1],
  [500, 500],
  [1_000, 0],
  [1_000_000, 0],
])(
  "REP-11 scenario 33: %i and %i differences cost bytes in proportion, not the log again",
  async (ofA, ofB) => {
    const wire: Wire = { bytes: 0, questions: 0 };
    await using cluster = await pair(wire);
    // What both hold is no part of the price.
    await writeMany(cluster, "a", 20_000);
    await reconciled(cluster, 20_000);
    await cluster.timers.advance(2_000);
    cluster.network.cut("a", "b");
    const missing = (await writeMany(cluster, "a", ofA)) + (await writeMany(cluster, "b", ofB));
    await cluster.timers.advance(1_000);
    wire.bytes = 0;
    wire.questions = 0;
    cluster.network.heal("a", "b");
    await reconciled(cluster, 60_000);
    expect(wire.bytes, `${missing} bytes were missing`).toBeLessThan(missing * 1.3 + 4_096);
    // Acks and questions grow with what is fetched, in pieces of a frame.
    expect(wire.questions).toBeLessThan(20 + missing / 100_000);
  },
  60_000,
);

test("REP-11 scenario 34: reconciling while both sides write and one of them dies in the middle ends in one state, each record once", async () => {
  for (const turns of [1, 5, 20, 60]) {
    const wire: Wire = { bytes: 0, questions: 0 };
    await using cluster = await pair(wire);
    cluster.network.cut("a", "b");
    await writeMany(cluster, "a", 30_000);
    await writeMany(cluster, "b", 30_000);
    cluster.network.heal("a", "b");
    for (let turn = 0; turn < turns; turn++) {
      if (turn % 5 === 0)
        void cluster.node("a").replication.append("sessions", 2, (writer) => writer.u8(turn));
      await new Promise<void>((resolve) => setImmediate(resolve));
    }
    const { transport, replication } = cluster.node("b");
    await transport.close();
    cluster.disk("b").crash();
    cluster.disks.set("b", await copyDisk(cluster.disk("b")));
    void replication.close();
    cluster.nodes.delete("b");
    await cluster.write("a", "while b is down");
    const state = new CountState();
    await cluster.open("b", {
      channels: { sessions: state },
      state: state as unknown as ModelState,
      limits: { certificateMs: 0 },
    });
    await cluster.write("a", "and again");
    await reconciled(cluster, 60_000);
    await cluster.write("b", "after");
    await reconciled(cluster, 20_000);
    const { counts } = cluster.node("a").state as unknown as CountState;
    const total = [...counts.values()].reduce((sum, { records }) => sum + records, 0);
    // 60,000, five texts, what was written meanwhile, and the first record of each epoch.
    expect(total, `${turns} turns`).toBeGreaterThanOrEqual(60_005);
    expect(total, `${turns} turns`).toBeLessThan(60_030);
  }
}, 60_000);
