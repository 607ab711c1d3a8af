import { formatLogId, nobleHasher, regionId } from "@tidemark/core";
import type { WalBatch } from "@tidemark/wal";
import { expect, test } from "vitest";
import { fetchKeys } from "../src/index.ts";
import { TestCluster } from "./cluster.ts";
import { ModelState } from "./model-state.ts";

/** Records that say "wait" are ready once they are released. */
class WaitingState extends ModelState {
  asked = 0;
  #released = false;
  #release: () => void = () => undefined;
  #fail: (error: unknown) => void = () => undefined;
  readonly #wait: Promise<void> = new Promise((resolve, reject) => {
    this.#release = resolve;
    this.#fail = reject;
  });

  prepare(batch: WalBatch): Promise<void> | undefined {
    this.asked += 1;
    for (const { body } of batch.records())
      if (!this.#released && new TextDecoder().decode(body).startsWith("wait")) return this.#wait;
    return undefined;
  }

  release(): void {
    this.#released = true;
    this.#release();
  }

  fail(): void {
    this.#wait.catch(() => undefined);
    this.#fail(new Error("The disk is gone"));
  }
}

async function waiting(): Promise<{ cluster: TestCluster; b: WaitingState }> {
  const cluster = new TestCluster(["a", "b", "c"]);
  const b = new WaitingState();
  await cluster.open("a");
  await cluster.open("b", { state: b });
  await cluster.open("c");
  await cluster.timers.advance(50);
  return { cluster, b };
}

test("REP-3 a log whose batch is not prepared waits, in order and unacknowledged, and the others go on", async () => {
  const { cluster, b } = await waiting();
  await using _ = cluster;
  await cluster.writeOne("a", "before");
  await cluster.writeOne("a", "wait here");
  const last = await cluster.writeOne("a", "behind");
  await cluster.writeOne("c", "of another log");
  await cluster.timers.advance(200);
  expect(b.texts()).toEqual(["before", "of another log"]);
  const { replication } = cluster.node("a");
  // Stored at b, and not acknowledged by it.
  expect(cluster.node("b").wal.log(last.log)!.durable.lsn).toBe(last.lsn);
  expect(replication.acknowledgedLsn(regionId(2), last.log)).toBe(last.lsn - 2);
  expect(replication.frontier().covers(last.log, last.lsn - 1)).toBe(false);
  b.release();
  await cluster.timers.advance(200);
  expect(b.texts()).toEqual(["before", "behind", "of another log", "wait here"]);
  expect(replication.acknowledgedLsn(regionId(2), last.log)).toBe(last.lsn);
  expect(await cluster.timers.until(replication.synced({ timeoutMs: 5_000 }))).toBe(true);
});

test("REP-3 a region's own write resolves once it is prepared and applied, and those behind it with it", async () => {
  const { cluster, b } = await waiting();
  await using _ = cluster;
  const done: string[] = [];
  const writes = ["wait here", "behind"].map((text) =>
    cluster.writeOne("b", text).then(() => done.push(text)),
  );
  await cluster.timers.advance(100);
  expect(done).toEqual([]);
  b.release();
  await cluster.timers.until(Promise.all(writes));
  expect(done.toSorted()).toEqual(["behind", "wait here"]);
  await cluster.writeOne("b", "at once");
  expect(b.texts()).toEqual(["at once", "behind", "wait here"]);
});

test("REP-3 what cannot be prepared stops its log alone, and nobody waits for it", async () => {
  const { cluster, b } = await waiting();
  await using _ = cluster;
  const write = cluster.writeOne("b", "wait here");
  await cluster.timers.advance(20);
  b.fail();
  const { log } = await cluster.timers.until(write);
  const { logs } = cluster.node("b").replication.health();
  expect(logs.find((one) => formatLogId(one.log) === formatLogId(log))).toMatchObject({
    state: "stopped",
    reason: "apply-failed",
  });
  await cluster.writeOne("a", "of another log");
  await cluster.timers.advance(100);
  expect(b.texts()).toEqual(["of another log"]);
});

test("REP-3 nothing is asked twice, nor waited for, where a state has nothing to prepare", async () => {
  const { cluster, b } = await waiting();
  await using _ = cluster;
  b.release();
  const before = b.asked;
  await cluster.writeOne("b", "one");
  expect(b.asked - before).toBeLessThanOrEqual(2);
});

const table = (bytes: number, salt: number = 0): Uint8Array =>
  Uint8Array.from({ length: bytes }, (_, at) => (at * 31 + salt) & 0xff);

function asking(cluster: TestCluster): Parameters<typeof fetchKeys>[0] {
  return {
    transport: cluster.node("c").transport,
    hasher: nobleHasher,
    self: regionId(3),
    membership: cluster.membership,
    randomBytes: (count) => new Uint8Array(count).fill(5),
    timeoutMs: 500,
  };
}

test("SES-18 the table of user keys is fetched in pieces from the first member that has one", async () => {
  const bytes = table(1_200_000);
  const cluster = new TestCluster(["a", "b", "c"]);
  await using _ = cluster;
  await cluster.open("a");
  await cluster.open("b", { keys: () => bytes });
  await cluster.open("c");
  await cluster.timers.advance(50);
  const fetched = await cluster.timers.until(fetchKeys(asking(cluster)));
  expect(Buffer.compare(fetched, bytes)).toBe(0);
});

test("SES-18 a table that changes while it is fetched is fetched anew, one that never rests is given up", async () => {
  let asked = 0;
  let changes = 1;
  const keys = (): Uint8Array => table(1_200_000, Math.min(asked++, changes));
  const cluster = new TestCluster(["a", "c"]);
  await using _ = cluster;
  await cluster.open("a", { keys });
  await cluster.open("c");
  await cluster.timers.advance(50);
  const fetched = await cluster.timers.until(fetchKeys({ ...asking(cluster), self: regionId(2) }));
  expect(Buffer.compare(fetched, table(1_200_000, 1))).toBe(0);
  changes = Number.POSITIVE_INFINITY;
  const never = cluster.timers.until(fetchKeys({ ...asking(cluster), self: regionId(2) }));
  await expect(never).rejects.toMatchObject({ code: "NO_MEMBER_ANSWERED", retryable: true });
});

test("SES-18 nobody has the keys of a cluster that does not encrypt, nor tells them to a stranger", async () => {
  const cluster = new TestCluster(["a", "c"]);
  await using _ = cluster;
  await cluster.open("a");
  await cluster.open("c");
  await cluster.timers.advance(50);
  const none = cluster.timers.until(fetchKeys({ ...asking(cluster), self: regionId(2) }));
  await expect(none).rejects.toMatchObject({ cause: { code: "REQUEST_REFUSED" } });
  const stranger = cluster.timers.until(fetchKeys({ ...asking(cluster), self: regionId(9) }));
  await expect(stranger).rejects.toMatchObject({ cause: { code: "REQUEST_REFUSED" } });
});
