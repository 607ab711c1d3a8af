import { ByteWriter, HlcClock, type LogId, logId, nobleHasher, regionId } from "@tidemark/core";
import type { Replication, WalBatch } from "@tidemark/replication";
import { SessionAdmission, SessionFold } from "@tidemark/session";
import { expect, test } from "vitest";
import { RECORD_SESSION_OP, SessionReplicationBridge } from "../src/index.ts";
import type { Submitted } from "../src/index.ts";
import { START } from "./cluster.ts";

/** A region whose disk answers when it is told to. */
class SlowRegion {
  readonly fold: SessionFold = new SessionFold({ hasher: nobleHasher, clusterId: new Uint8Array(8) });
  readonly bridge: SessionReplicationBridge;
  readonly log: LogId;
  readonly records: Uint8Array[] = [];
  /** Batches that are formed and not durable. */
  readonly writing: (() => void)[] = [];
  nowMs: number = 1_790_000_000_000;

  constructor(id: number) {
    const clock = new HlcClock({ clockId: id, now: () => this.nowMs });
    const admission = new SessionAdmission<Promise<Submitted>>({ fold: this.fold, clock });
    this.bridge = new SessionReplicationBridge({ fold: this.fold, admission, clock, self: regionId(id) });
    this.log = logId(id, 0, 1, "sessions");
    const append: Replication["append"] = (_channel, _type, encode) =>
      new Promise((resolve, reject) => {
        const writer = new ByteWriter();
        const lsn = this.records.length + this.writing.length + 1;
        try {
          encode(writer, lsn, this.log);
        } catch (error) {
          reject(error);
          return;
        }
        this.writing.push(() => {
          this.records.push(writer.take());
          this.bridge.apply(this.batch(lsn));
          resolve({ log: this.log, lsn });
        });
      });
    this.bridge.attach({ append } as Replication);
  }

  batch(lsn: number): WalBatch {
    const body = this.records[lsn - 1]!;
    const records = [{ lsn, type: RECORD_SESSION_OP, body }];
    return { log: this.log, firstLsn: lsn, lastLsn: lsn, records: () => records } as unknown as WalBatch;
  }

  sync(): void {
    for (const done of this.writing.splice(0)) done();
  }

  async write(...request: Parameters<SessionReplicationBridge["submit"]>): Promise<Submitted> {
    const result = this.bridge.submit(...request);
    this.sync();
    return result;
  }
}

test("SES-16 a purge by another region is folded only once what is being written of its session is durable", async () => {
  const [a, b] = [new SlowRegion(1), new SlowRegion(2)];
  await a.write("s", START);
  b.bridge.apply(a.batch(1));
  const hidden = b.bridge.submit("s", { kind: "hide", item: "x" });
  await a.write("s", { kind: "purge" });
  const ready = b.bridge.prepare(a.batch(2));
  expect(ready).toBeInstanceOf(Promise);
  // From here on nothing more is accepted, so that the wait ends.
  expect(await b.bridge.submit("s", { kind: "search", query: "q" })).toMatchObject({
    code: "SESSION_PURGED",
  });
  b.sync();
  await ready;
  expect(await hidden).toMatchObject({ outcome: "applied" });
  expect(b.bridge.prepare(a.batch(2))).toBeUndefined();
  b.bridge.apply(a.batch(2));
  expect(b.fold.purged("s")).toBe(true);
  expect(b.fold.user("ada").hidden()).toEqual(["x"]);
});

test("scenario 51: a close by another region waits likewise, and a void one lets writes in again", async () => {
  const [a, b] = [new SlowRegion(1), new SlowRegion(2)];
  await a.write("s", START);
  b.bridge.apply(a.batch(1));
  const latest = a.fold.maxStamp("s");
  const active = b.bridge.submit("s", { kind: "search", query: "q" });
  a.nowMs += 5_000;
  await a.write("s", { kind: "close", reason: 1, latest });
  const close = a.batch(a.records.length);
  const ready = b.bridge.prepare(close);
  expect(ready).toBeInstanceOf(Promise);
  expect(await b.bridge.submit("s", { kind: "search", query: "r" })).toMatchObject({
    code: "SESSION_CLOSED",
  });
  b.sync();
  await active;
  await ready;
  expect(b.bridge.prepare(close)).toBeUndefined();
  b.bridge.apply(close);
  a.bridge.apply(b.batch(1));
  expect([a, b].map(({ fold }) => fold.session("s")?.open)).toEqual([true, true]);
  expect(await b.write("s", { kind: "search", query: "r" })).toMatchObject({ outcome: "applied" });
  // What is replaced waits for nothing.
  void b.bridge.submit("s", { kind: "search", query: "s" });
  expect(b.bridge.prepare(close)).toBeInstanceOf(Promise);
  const image = b.fold.snapshot();
  b.bridge.restore(image);
  b.sync();
  expect(await b.write("s", { kind: "search", query: "t" })).toMatchObject({ outcome: "applied" });
});

test("SES-16 what was accepted and waits for its batch is refused once its session is purged", async () => {
  const region = new SlowRegion(1);
  await region.write("s", START);
  const purge = region.bridge.submit("s", { kind: "purge" });
  expect(await region.bridge.submit("s", { kind: "search", query: "q" })).toMatchObject({
    outcome: "refused",
    code: "SESSION_PURGED",
  });
  region.sync();
  expect(await purge).toMatchObject({ outcome: "applied" });
});
