import { logId, nobleHasher, regionId, type LogId } from "@tidemark/core";
import { Vector, type WalBatch } from "@tidemark/wal";
import fc from "fast-check";
import { beforeAll, expect, test } from "vitest";
import {
  AckSchedule,
  decideEpoch,
  LogReceiver,
  PoisonBox,
  ReplicationState,
  ShardRouter,
  ShipWindow,
  type ShipEffect,
  SLOT_COUNT,
  slotOf,
  Stability,
} from "../src/index.ts";
import { LagClock } from "../src/lag-clock.ts";
import { WaitSet } from "../src/wait-set.ts";
import { makeBatches } from "./batches.ts";
import { VirtualTimers } from "./virtual-timers.ts";

const LOG = logId(1, 0, 7, "sessions");
const EMPTY = { lsn: 0, digest: new Uint8Array(16) };
let batches: WalBatch[];
/** The same log up to its 10th batch, another history after it. */
let forked: WalBatch[];

beforeAll(async () => {
  const sizes = Array.from({ length: 30 }, (_, at) => (at % 3) + 1);
  batches = await makeBatches(sizes);
  forked = [...batches.slice(0, 10), ...(await makeBatches(sizes, "other")).slice(10)];
});

const receiver = (aheadBytesMax = 1 << 20): LogReceiver =>
  new LogReceiver({ id: LOG, durable: EMPTY, aheadBytesMax });

test("REP-2 LogReceiver gives out any shuffled, doubled and lossy delivery as one unbroken log", () => {
  fc.assert(
    fc.property(
      fc.array(fc.nat(29), { maxLength: 200 }),
      fc.integer({ min: 100, max: 3_000 }),
      (order, bound) => {
        const machine = receiver(bound);
        const stored: WalBatch[] = [];
        let now = 0;
        const give = (at: number): void => {
          const effect = machine.receive(now++, batches[at]!);
          if (effect.kind === "store") stored.push(...effect.batches);
          expect(effect.kind).not.toBe("forked");
          expect(machine.aheadBytes).toBeLessThanOrEqual(bound);
          // The naive model: everything from the first batch on, without a hole.
          expect(stored).toEqual(batches.slice(0, stored.length));
          expect(machine.accepted.lsn).toBe(stored.at(-1)?.lastLsn ?? 0);
        };
        for (const at of order) give(at);
        machine.announce(now, batches.at(-1)!.lastLsn);
        // Whatever is asked for arrives at last, a batch at a time: the log is whole in a bounded number of steps.
        for (let step = 0; machine.missing() !== undefined; step++) {
          expect(step).toBeLessThan(30);
          const { from, to } = machine.missing()!;
          expect(from).toBe(machine.accepted.lsn + 1);
          expect(to).toBeGreaterThanOrEqual(from);
          give(batches.findIndex(({ firstLsn, lastLsn }) => firstLsn <= from && from <= lastLsn));
        }
        expect(stored).toEqual(batches);
      },
    ),
  );
});

test("REP-2 LogReceiver drops nothing it should store without remembering to ask for it", () => {
  const machine = receiver(batches[5]!.bytes.length);
  expect(machine.receive(0, batches[5]!).kind).toBe("ahead");
  expect(machine.receive(0, batches[6]!).kind).toBe("dropped");
  expect(machine.receive(0, batches[5]!).kind).toBe("duplicate");
  expect(machine.missing()).toEqual({ from: 1, to: batches[5]!.firstLsn - 1 });
  for (const batch of batches.slice(0, 5)) machine.receive(1, batch);
  expect(machine.accepted.lsn).toBe(batches[5]!.lastLsn);
  expect(machine.missing()).toEqual({ from: batches[6]!.firstLsn, to: batches[6]!.lastLsn });
});

test("REP-2 LogReceiver stops for good at another history, wherever it meets it", () => {
  fc.assert(
    fc.property(fc.integer({ min: 10, max: 28 }), fc.boolean(), (at, ahead) => {
      const machine = receiver();
      for (const batch of batches.slice(0, 10)) machine.receive(0, batch);
      if (ahead) {
        // The fork waits behind a hole, and shows when the hole is filled.
        expect(machine.receive(0, forked[at + 1]!).kind).toBe("ahead");
        for (const batch of batches.slice(10, at + 1)) machine.receive(0, batch);
      } else {
        for (const batch of batches.slice(10, at)) machine.receive(0, batch);
        expect(machine.receive(0, forked[at]!)).toEqual({ kind: "forked", batch: forked[at] });
      }
      expect(machine.stopped).toBe("forked");
      expect(machine.accepted.lsn).toBeGreaterThanOrEqual(batches[Math.min(at, 10) - 1]!.lastLsn);
      expect(machine.missing()).toBeUndefined();
      expect(machine.receive(0, batches[29]!).kind).toBe("duplicate");
    }),
  );
});

test("REP-2 LogReceiver gives frames under way a moment to fill a hole, and a moving log a moment to arrive", () => {
  const machine = receiver();
  machine.receive(100, batches[1]!);
  expect(machine.dueAt(10)).toBe(110);
  machine.receive(105, batches[0]!);
  expect(machine.dueAt(10)).toBeUndefined();
  machine.announce(200, batches[3]!.lastLsn);
  expect(machine.dueAt(10)).toBe(300);
  machine.receive(215, batches[2]!);
  // Batches come every 110 ms: the next one is given twice that, not less than was asked for.
  expect(machine.dueAt(10)).toBe(435);
});

test("REP-2 LogReceiver goes on from what the disk really holds when storing failed", () => {
  const machine = receiver();
  for (const batch of batches.slice(0, 4)) machine.receive(0, batch);
  machine.storeFailed(1, { lsn: batches[1]!.lastLsn, digest: batches[1]!.digest });
  expect(machine.missing()).toEqual({ from: batches[2]!.firstLsn, to: batches[3]!.lastLsn });
  expect(machine.receive(2, batches[2]!).kind).toBe("store");
});

const FOLLOWERS = [regionId(2), regionId(3)];

test("REP-1 ShipWindow publishes every record once and in order, with at most the window unacknowledged by the best follower", () => {
  const step = fc.oneof(
    fc.record({ do: fc.constant("commit" as const), bytes: fc.integer({ min: 1, max: 400 }) }),
    fc.record({
      do: fc.constant("ack" as const),
      who: fc.nat(1),
      share: fc.double({ min: 0, max: 1, noNaN: true }),
    }),
    fc.constant({ do: "begin" as const }),
    // One that is under way, the first or another, ends.
    fc.record({ do: fc.constant("end" as const), which: fc.nat(3), fails: fc.boolean() }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 160 }), fc.constantFrom(1, 2, 4), (steps, underWayMax) => {
      const options = { windowBytes: 1_000, frameBytes: 500, underWayMax, shipped: 0, followers: FOLLOWERS };
      const window = new ShipWindow(options);
      const sizes: number[] = [];
      /** What the medium took without a hole, and what it was given, which is not below that unless a frame failed. */
      let [taken, given] = [0, 0];
      let underWay: { readonly effect: ShipEffect; readonly last: number; outcome?: boolean }[] = [];
      const acks = new Map<number, number>();
      const heldByAll = (): number => Math.min(...FOLLOWERS.map((region) => acks.get(region) ?? 0));
      const begin = (): void => {
        const failing = underWay.some(({ outcome }) => outcome === false);
        const effect = window.next();
        if (effect === undefined) return;
        expect(failing).toBe(false);
        expect(underWay.length).toBeLessThan(underWayMax);
        let [first, last] =
          effect.kind === "publish" ? [effect.first, effect.last] : [effect.from, effect.from];
        if (effect.kind === "read") {
          expect(window.next()).toBeUndefined();
          // The log gives whole batches, at least one, at most a frame.
          let bytes = sizes[first - 1]!;
          for (; last < effect.to && bytes + sizes[last]! <= options.frameBytes; last++)
            bytes += sizes[last]!;
          window.reading(effect, last, bytes);
        } else {
          const bytes = effect.parts.reduce((sum, part) => sum + part.length, 0);
          expect(effect.parts).toHaveLength(last - first + 1);
          expect(bytes <= options.frameBytes || effect.parts.length === 1).toBe(true);
        }
        const bytes = sizes.slice(first - 1, last).reduce((sum, size) => sum + size, 0);
        // The best follower was within its window before this frame.
        const unacked = Math.min(...FOLLOWERS.map((region) => window.unackedBytes(region)));
        expect(unacked - bytes).toBeLessThan(options.windowBytes);
        // Nothing is skipped but what every follower has, and nothing is given twice unless a frame failed.
        expect(first).toBeLessThanOrEqual(Math.max(given, heldByAll()) + 1);
        expect(first).toBeGreaterThan(given);
        given = last;
        underWay.push({ effect, last });
      };
      const end = (which: number, fails: boolean): void => {
        const open = underWay.filter(({ outcome }) => outcome === undefined);
        const one = open[which % Math.max(1, open.length)];
        if (one === undefined) return;
        one.outcome = !fails;
        if (fails) window.failed(one.effect);
        else window.published(one.effect);
        while (underWay[0]?.outcome === true) taken = underWay.shift()!.last;
        expect(window.shipped).toBeGreaterThanOrEqual(taken);
        if (underWay.some(({ outcome }) => outcome === undefined)) return;
        // All are settled: what was not taken is given again.
        if (underWay.length > 0) given = window.shipped;
        underWay = [];
      };
      for (const each of steps) {
        if (each.do === "commit") {
          sizes.push(each.bytes);
          window.committed(sizes.length, sizes.length, new Uint8Array(each.bytes));
        } else if (each.do === "ack") {
          const region = FOLLOWERS[each.who]!;
          const lsn = Math.floor(each.share * sizes.length);
          acks.set(region, Math.max(lsn, acks.get(region) ?? 0));
          window.acknowledged(region, lsn);
        } else if (each.do === "begin") begin();
        else end(each.which, each.fails);
      }
      while (underWay.length > 0) end(0, false);
      // Once the followers have caught up, everything goes out.
      for (let more = 0; more <= sizes.length; more++) {
        for (const region of FOLLOWERS) window.acknowledged(region, window.shipped);
        begin();
        end(0, false);
      }
      expect(window.shipped).toBe(sizes.length);
      for (const region of FOLLOWERS) {
        window.acknowledged(region, window.shipped);
        expect(window.unackedBytes(region)).toBe(0);
      }
    }),
  );
});

test("REP-1 ShipWindow counts what a follower had fetched before it was shipped as acknowledged", () => {
  const window = new ShipWindow({
    windowBytes: 1_000,
    frameBytes: 500,
    underWayMax: 1,
    shipped: 0,
    followers: FOLLOWERS,
  });
  window.committed(1, 1, new Uint8Array(100));
  window.acknowledged(FOLLOWERS[0]!, 1);
  const effect = window.next()!;
  expect(effect.kind).toBe("publish");
  window.published(effect);
  expect(FOLLOWERS.map((region) => window.unackedBytes(region))).toEqual([0, 100]);
});

const big = (): Uint8Array => new Uint8Array(64 * 1024);
const FURTHER = { windowBytes: 1 << 20, frameBytes: 100_000, shipped: 0, followers: FOLLOWERS };

test("REP-1 ShipWindow begins a further frame behind those under way once 64 KiB wait for it, up to its limit", () => {
  const window = new ShipWindow({ ...FURTHER, underWayMax: 3 });
  window.committed(1, 1, new Uint8Array(50));
  const first = window.next()!;
  window.committed(2, 2, new Uint8Array(50));
  expect(window.next()).toBeUndefined();
  window.committed(3, 3, big());
  expect(window.next()).toMatchObject({ kind: "publish", first: 2, last: 3 });
  window.committed(4, 4, big());
  window.committed(5, 5, big());
  expect(window.next()).toMatchObject({ first: 4, last: 4 });
  expect(window.next()).toBeUndefined();
  window.published(first);
  expect(window.shipped).toBe(1);
  expect(window.next()).toMatchObject({ first: 5, last: 5 });
});

test("REP-1 ShipWindow publishes again all behind a frame that failed, once every frame under way is settled", () => {
  const window = new ShipWindow({ ...FURTHER, underWayMax: 3 });
  for (let lsn = 1; lsn <= 4; lsn++) window.committed(lsn, lsn, big());
  const [first, second, third] = [window.next()!, window.next()!, window.next()!];
  window.published(third);
  window.failed(second);
  expect([window.shipped, window.next()]).toEqual([0, undefined]);
  window.published(first);
  expect(window.shipped).toBe(1);
  expect(window.unackedBytes(FOLLOWERS[0]!)).toBe(big().length);
  expect(window.next()).toEqual({ kind: "read", from: 2, to: 4 });
});

test("REP-1 ShipWindow makes one frame of what committed while a frame was under way", () => {
  const window = new ShipWindow({ windowBytes: 1_000, frameBytes: 500, shipped: 0, followers: FOLLOWERS });
  window.committed(1, 3, new Uint8Array(50));
  const first = window.next()!;
  expect(first).toMatchObject({ kind: "publish", first: 1, last: 3 });
  for (let lsn = 4; lsn < 9; lsn++) window.committed(lsn, lsn, new Uint8Array(50));
  window.published(first);
  expect(window.next()).toMatchObject({ kind: "publish", first: 4, last: 8 });
});

test("REP-1 ShipWindow ships from memory again once it has read what it missed, though commits go on", () => {
  const window = new ShipWindow({ windowBytes: 1_000, frameBytes: 500, shipped: 0, followers: FOLLOWERS });
  window.durable = 2;
  const read = window.next()!;
  expect(read).toEqual({ kind: "read", from: 1, to: 2 });
  window.committed(3, 3, new Uint8Array(50));
  window.reading(read, 2, 100);
  window.committed(4, 4, new Uint8Array(50));
  window.published(read);
  expect(window.next()).toMatchObject({ kind: "publish", first: 3, last: 4 });
});

test("REP-1 ShipWindow of a region without others keeps and publishes nothing", () => {
  const window = new ShipWindow({ windowBytes: 1_000, frameBytes: 500, shipped: 0, followers: [] });
  window.committed(1, 3, new Uint8Array(50));
  expect(window.next()).toBeUndefined();
  expect(window.shipped).toBe(3);
});

const LOGS: readonly LogId[] = [LOG, logId(2, 0, 7, "sessions"), logId(3, 0, 7, "sessions")];
const vectorOf = (lsns: readonly number[]): Vector =>
  Vector.of(
    lsns.flatMap((lsn, at) => (lsn === 0 ? [] : [{ log: LOGS[at]!, lsn, digest: new Uint8Array(8) }])),
  );

test("REP-5 Stability: an ack counts only once we cover all of it, and the frontier never goes back", () => {
  const lsns = fc.array(fc.nat(20), { minLength: 3, maxLength: 3 });
  const step = fc.oneof(
    fc.record({
      do: fc.constant("ack" as const),
      who: fc.constantFrom(2, 3),
      lsns,
      version: fc.constantFrom(1, 1, 1, 2),
    }),
    fc.record({ do: fc.constant("own" as const), at: fc.nat(2) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
      const own = [0, 0, 0];
      const state = {
        lsnOf: (log: LogId) => own[log.region - 1]!,
        vector: () => vectorOf(own),
        covers: (vector: Vector) => vector.entries().every(({ log, lsn }) => own[log.region - 1]! >= lsn),
      } as unknown as ReplicationState;
      const stability = new Stability({
        state,
        others: FOLLOWERS,
        membershipVersion: 1,
        foldVersion: 1,
        now: 0,
      });
      const acked = new Map<number, number[][]>([
        [2, []],
        [3, []],
      ]);
      let before = [0, 0, 0];
      for (const each of steps) {
        if (each.do === "own") own[each.at]! += 1;
        else {
          const counted = stability.acked(regionId(each.who), {
            epoch: 7,
            membershipVersion: each.version,
            foldVersion: 1,
            vector: vectorOf(each.lsns),
          });
          expect(counted).toBe(each.version === 1);
          if (counted) acked.get(each.who)!.push(each.lsns);
        }
        stability.advance(0);
        const frontier = LOGS.map((log) => stability.frontier.lsnOf(log));
        frontier.forEach((lsn, at) => {
          expect(lsn).toBeGreaterThanOrEqual(before[at]!);
          expect(lsn).toBeLessThanOrEqual(own[at]!);
          // The naive model: for every member some counted ack, wholly covered by now, reaches it.
          for (const all of acked.values()) {
            const covered = all.filter((ack) => ack.every((entry, log) => entry <= own[log]!));
            expect(Math.max(0, ...covered.map((ack) => ack[at]!))).toBeGreaterThanOrEqual(lsn);
          }
        });
        before = frontier;
      }
    }),
  );
});

test("REP-5 Stability: the ack under test is held until covered, so newer ones cannot starve it", () => {
  const state = new ReplicationState();
  const stability = new Stability({
    state,
    others: [regionId(2)],
    membershipVersion: 1,
    foldVersion: 1,
    now: 0,
  });
  const ack = (lsn: number): boolean =>
    stability.acked(regionId(2), {
      epoch: 0,
      membershipVersion: 1,
      foldVersion: 1,
      vector: Vector.of([{ log: LOG, lsn, digest: new Uint8Array(8) }]),
    });
  for (const batch of batches) {
    // The member is always ahead of us: what we just applied is never the newest it acked.
    ack(batch.lastLsn + 5);
    state.advance(batch);
    stability.advance(0);
  }
  expect(stability.frontier.lsnOf(LOG)).toBeGreaterThan(batches.at(-1)!.lastLsn - 20);
});

test("REP-5 Stability: acks from before a member's latest epoch do not count, and its new ones do", () => {
  const state = new ReplicationState();
  for (const batch of batches) state.advance(batch);
  const last = batches.at(-1)!.lastLsn;
  const stability = new Stability({
    state,
    others: [regionId(2)],
    membershipVersion: 1,
    foldVersion: 1,
    now: 0,
  });
  const ack = (epoch: number, lsn: number): boolean =>
    stability.acked(regionId(2), {
      epoch,
      membershipVersion: 1,
      foldVersion: 1,
      vector: Vector.of([{ log: LOG, lsn, digest: new Uint8Array(8) }]),
    });
  ack(7, 5);
  stability.advance(0);
  stability.epochSeen(regionId(2), 8);
  expect(ack(7, last)).toBe(false);
  stability.advance(0);
  expect(stability.frontier.lsnOf(LOG)).toBe(5);
  expect(stability.ackedBy(LOG, 5)).toBe(0);
  expect(ack(8, last)).toBe(true);
  stability.advance(0);
  expect(stability.frontier.lsnOf(LOG)).toBe(last);
});

test("REP-9 ReplicationState goes forward only, batch by batch", () => {
  const state = new ReplicationState();
  state.advance(batches[0]!);
  expect(() => state.advance(batches[0]!)).toThrow(RangeError);
  expect(() => state.advance(batches[2]!)).toThrow(RangeError);
  state.advance(batches[1]!);
  const again = new ReplicationState(Vector.decode(state.vector().encode()));
  again.advance(batches[2]!);
  expect(again.lsnOf(LOG)).toBe(batches[2]!.lastLsn);
});

test("CORE-2 decideEpoch() resumes only when every other member confirmed and nobody knows more", () => {
  const candidate = { id: LOG, durable: { lsn: 9, digest: new Uint8Array(16) }, resumable: true };
  const evidence = {
    candidate,
    others: FOLLOWERS,
    confirmedBy: new Set(FOLLOWERS),
    contradicted: false,
    highestEpoch: 7,
    wallMs: 1_790_000_000_999,
  };
  expect(decideEpoch(evidence)).toEqual({ kind: "resume" });
  expect(decideEpoch({ ...evidence, others: [], confirmedBy: new Set() })).toEqual({ kind: "resume" });
  const opens = { kind: "open", epoch: 1_790_000_000 };
  expect(decideEpoch({ ...evidence, confirmedBy: new Set([regionId(2)]) })).toEqual(opens);
  expect(decideEpoch({ ...evidence, contradicted: true })).toEqual(opens);
  expect(decideEpoch({ ...evidence, candidate: { ...candidate, resumable: false } })).toEqual(opens);
  expect(decideEpoch({ ...evidence, candidate: undefined })).toEqual(opens);
  // A clock that was set back does not bring an old number back.
  const setBack = { ...evidence, contradicted: true, highestEpoch: 1_800_000_000 };
  expect(decideEpoch(setBack)).toEqual({ kind: "open", epoch: 1_800_000_001 });
});

test("REP-5 AckSchedule: after 5 ms, at once after 256 records, and each second", async () => {
  const timers = new VirtualTimers();
  const sent: number[] = [];
  const schedule = new AckSchedule({
    timers,
    limits: { ackDelayMs: 5, ackRecords: 256, heartbeatMs: 1_000 },
    send: async () => void sent.push(timers.now()),
  });
  schedule.start();
  await timers.advance(2_500);
  expect(sent).toEqual([0, 1_000, 2_000]);
  schedule.moved(10);
  await timers.advance(2);
  schedule.moved(10);
  await timers.advance(2);
  expect(sent).toHaveLength(3);
  await timers.advance(1);
  expect(sent).toEqual([0, 1_000, 2_000, 2_505]);
  await timers.advance(95);
  schedule.moved(255);
  schedule.moved(1);
  expect(sent.at(-1)).toBe(2_600);
  await timers.settle();
  await schedule.close();
  schedule.moved(1_000);
  await timers.advance(5_000);
  expect(sent).toHaveLength(6);
  expect(timers.pending).toBe(0);
});

test("REP-6 WaitSet ends a wait by what happened, a deadline, an abort or the end, and drops its timer each time", async () => {
  const timers = new VirtualTimers();
  const waits = new WaitSet(timers);
  let met = false;
  const waiting = waits.until(() => met, { timeoutMs: 100 });
  waits.check();
  met = true;
  waits.check();
  expect(await waiting).toBe(true);
  met = false;
  const late = waits.until(() => met, { timeoutMs: 100 });
  await timers.advance(100);
  expect(await late).toBe(false);
  const abort = new AbortController();
  const aborted = waits
    .until(() => met, { timeoutMs: 100, signal: abort.signal })
    .catch((error: unknown) => error);
  abort.abort("reason");
  expect(await aborted).toBe("reason");
  const ended = waits.until(() => met, { timeoutMs: 100 }).catch((error: unknown) => error);
  waits.fail("closed");
  expect(await ended).toBe("closed");
  expect([waits.size, timers.pending]).toEqual([0, 0]);
});

test("TRN-4 PoisonBox keeps evidence only of a source that keeps failing, and a good frame ends it", () => {
  const box = new PoisonBox({ poisonFramesMax: 3, poisonEvidenceBytes: 4 });
  const frame = new Uint8Array(100);
  expect([1, 2, 3, 4].map((at) => box.refuse(at, "s", "tag", frame))).toEqual([false, false, true, false]);
  expect(box.report()).toMatchObject({ total: 4, quarantined: ["s"] });
  expect(box.report().evidence.map(({ atMs, bytes, head }) => [atMs, bytes, head.length])).toEqual([
    [3, 100, 4],
    [4, 100, 4],
  ]);
  expect(box.accept("s")).toBe(true);
  expect(box.accept("s")).toBe(false);
  expect(box.report().quarantined).toEqual([]);
});

test("REP-5 LagClock never says that a record is younger than it is, and stays small", () => {
  fc.assert(
    fc.property(
      fc.array(fc.record({ records: fc.integer({ min: 1, max: 9 }), ms: fc.nat(20) }), {
        minLength: 1,
        maxLength: 1_500,
      }),
      fc.nat(),
      (steps, pick) => {
        const clock = new LagClock();
        const heard: number[] = [];
        let now = 0;
        for (const { records, ms } of steps) {
          now += ms;
          for (let record = 0; record < records; record++) heard.push(now);
          clock.note(LOG, heard.length, now);
        }
        const lsn = pick % heard.length;
        expect(clock.heardAfter(LOG, lsn)).toBeLessThanOrEqual(heard[lsn]!);
        expect(clock.heardAfter(LOG, heard.length)).toBeUndefined();
      },
    ),
    { numRuns: 30 },
  );
});

test("REP-8 ShardRouter.hash() spreads the slots evenly; resizing moves slots and never keys", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 300 }), (shards) => {
      const router = ShardRouter.hash(shards);
      const counts = new Map<number, number>();
      for (let slot = 0; slot < SLOT_COUNT; slot++) {
        const shard = router.shardOf(slot);
        counts.set(shard, (counts.get(shard) ?? 0) + 1);
      }
      expect(counts.size).toBe(shards);
      expect(Math.max(...counts.values()) - Math.min(...counts.values())).toBeLessThanOrEqual(1);
      expect(ShardRouter.parse(router.format()).ranges).toEqual(router.ranges);
    }),
    { numRuns: 30 },
  );
  // Fixed for ever: a key that moved would lose its session.
  expect(["", "u-1", "u-2", "ünïcode"].map((text) => slotOf(nobleHasher, text))).toMatchInlineSnapshot(`
    [
      2073,
      279,
      195,
      1257,
    ]
  `);
});

test("REP-8 ShardRouter.range() takes nothing but a partition of all slots, ends inclusive", () => {
  const range = (...ranges: [number, number, number][]): ShardRouter =>
    ShardRouter.range(ranges.map(([from, to, shard]) => ({ from, to, shard })));
  expect(range([2_048, 4_095, 1], [0, 2_047, 0]).format()).toBe("0-2047:0,2048-4095:1");
  expect(range([0, 99, 0], [100, 4_095, 0]).format()).toBe("0-4095:0");
  for (const bad of [
    [[0, 4_094, 0]],
    [[1, 4_095, 0]],
    [
      [0, 100, 0],
      [100, 4_095, 1],
    ],
    [
      [0, 100, 0],
      [102, 4_095, 1],
    ],
    [[0, 4_096, 0]],
    [[0, 4_095, 70_000]],
    [
      [100, 99, 0],
      [0, 4_095, 0],
    ],
    [],
  ] as [number, number, number][][]) {
    expect(() => range(...bad), JSON.stringify(bad)).toThrow(RangeError);
  }
  for (const bad of ["", "0-4095", "0-4095:00", " 0-4095:0", "0-99:0,100-4095:0", "2048-4095:1,0-2047:0"]) {
    expect(() => ShardRouter.parse(bad), bad).toThrow(expect.objectContaining({ code: "MESSAGE_MALFORMED" }));
  }
});
