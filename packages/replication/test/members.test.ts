import { logId, regionId, type RegionId } from "@tidemark/core";
import { Vector } from "@tidemark/wal";
import fc from "fast-check";
import { expect, test } from "vitest";
import {
  encodeMembership,
  judgeMembership,
  nextMembership,
  ReplicationError,
  Stability,
  stepFence,
  type FenceEvent,
  type FenceState,
  type Membership,
  type ReplicationState,
} from "../src/index.ts";
import { TestCluster } from "./cluster.ts";

const FIRST: Membership = {
  version: 1,
  regions: new Map([
    ["a", regionId(1)],
    ["b", regionId(2)],
    ["c", regionId(3)],
  ]),
  seed: new Uint8Array(16).fill(7),
  shards: 1,
};

/** Which of six regions are in a list; a list has at least one. */
const anyRegions: fc.Arbitrary<ReadonlyMap<string, RegionId>> = fc
  .uniqueArray(fc.constantFrom("a", "b", "c", "d", "e", "f"), { minLength: 1 })
  .map((names) => new Map(names.map((name) => [name, regionId(name.charCodeAt(0) - 96)])));

const code = (run: () => unknown): string => {
  try {
    run();
    return "none";
  } catch (error) {
    expect(error).toBeInstanceOf(ReplicationError);
    return (error as ReplicationError).code;
  }
};

test("REP-7 whatever lists follow each other, nobody's id is forgotten or given away, and any later one follows any earlier", () => {
  fc.assert(
    fc.property(fc.array(anyRegions, { maxLength: 12 }), (changes) => {
      const lists = [FIRST];
      for (const regions of changes)
        lists.push(nextMembership(lists.at(-1)!, { version: lists.at(-1)!.version + 1, regions }));
      // The naive model: who was ever there, and the versions between which each was.
      const last = lists.at(-1)!;
      for (let id = 1; id <= 6; id++) {
        const there = lists.map(({ regions }) => [...regions.values()].includes(regionId(id)));
        const went = there.findLastIndex((now, at) => !now && there[at - 1] === true);
        const came = there.findLastIndex((now, at) => now && at > 0 && there[at - 1] === false);
        const isThere = there.at(-1)!;
        expect(last.removed?.get(regionId(id))?.version).toBe(
          !isThere && went > 0 ? lists[went]!.version : undefined,
        );
        expect(last.since?.get(regionId(id))).toBe(isThere && came > 0 ? lists[came]!.version : undefined);
      }
      lists.forEach((earlier, at) => {
        for (const later of lists.slice(at + 1)) {
          expect(judgeMembership(earlier, later).kind).toBe("successor");
          expect(judgeMembership(later, earlier).kind).toBe("older");
        }
        expect(judgeMembership(earlier, earlier).kind).toBe("same");
      });
    }),
  );
});

test("REP-7 a list that does not follow is refused: its version, an id given to another or forgotten, another cluster", () => {
  const regions = new Map([["a", regionId(1)]]);
  for (const version of [0, 1, 1.5, 2 ** 32]) {
    expect(code(() => nextMembership(FIRST, { version, regions }))).toBe("MEMBERSHIP_REFUSED");
  }
  expect(code(() => nextMembership(FIRST, { version: 2, regions: new Map() }))).toBe("MEMBERSHIP_REFUSED");
  const second = nextMembership(FIRST, { version: 2, regions });
  for (const wrong of [
    new Map([["x", regionId(1)]]),
    new Map([
      ["a", regionId(1)],
      ["x", regionId(3)],
    ]),
    new Map([
      ["a", regionId(1)],
      ["x", regionId(1)],
    ]),
  ]) {
    expect(code(() => nextMembership(second, { version: 3, regions: wrong }))).toBe("MEMBERSHIP_REFUSED");
  }
  expect(judgeMembership(second, { ...FIRST, version: 3, regions })).toMatchObject({ kind: "refused" });
  expect(judgeMembership(FIRST, { ...second, seed: new Uint8Array(16) })).toMatchObject({ kind: "refused" });
  expect(judgeMembership(FIRST, { ...FIRST, regions })).toEqual({ kind: "differs" });
});

test("REP-7 two memories of one list become the same one, whoever takes the other's, in any order", () => {
  const past = fc.record({
    removed: fc.uniqueArray(fc.tuple(fc.integer({ min: 4, max: 7 }), fc.nat(9)), { selector: ([id]) => id }),
    since: fc.uniqueArray(fc.tuple(fc.integer({ min: 1, max: 3 }), fc.nat(9)), { selector: ([id]) => id }),
  });
  const list = ({
    removed,
    since,
  }: {
    removed: [number, number][];
    since: [number, number][];
  }): Membership => ({
    ...FIRST,
    version: 9,
    removed: new Map(removed.map(([id, version]) => [regionId(id), { name: `r${id}`, version }])),
    since: new Map(since.map(([id, version]) => [regionId(id), version])),
  });
  const merge = (a: Membership, b: Membership): Membership => {
    const verdict = judgeMembership(a, b);
    return verdict.kind === "merge" ? verdict.merged : a;
  };
  fc.assert(
    fc.property(past, past, past, (x, y, z) => {
      const [a, b, c] = [list(x), list(y), list(z)];
      const bytes = (of: Membership): string => Buffer.from(encodeMembership(of)).toString("hex");
      expect(bytes(merge(a, b))).toBe(bytes(merge(b, a)));
      expect(bytes(merge(merge(a, b), c))).toBe(bytes(merge(a, merge(b, c))));
      expect(judgeMembership(merge(a, b), merge(b, a)).kind).toBe("same");
    }),
  );
});

test("REP-7 the fence opens only after shipping, a member's state and the own tail, in this order", () => {
  const events: FenceEvent[] = [
    { kind: "listed", standing: "member" },
    { kind: "listed", standing: "returning" },
    { kind: "listed", standing: "removed" },
    { kind: "behind" },
    { kind: "shipped" },
    { kind: "restored" },
    { kind: "replayed" },
  ];
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...events), { maxLength: 30 }), (history) => {
      let state: FenceState = { stage: "open" };
      // The naive model: what has happened, in order, since the region was last found to be away.
      let done: string[] | undefined;
      for (const event of history) {
        const before = state;
        state = stepFence(before, event);
        const { stage } = before;
        if (before.stage === "open" && state.stage !== "open") done = [];
        if (event.kind === "shipped" && stage === "shipping") done?.push("shipped");
        if (event.kind === "restored" && stage === "restoring") done?.push("restored");
        if (event.kind === "replayed" && stage === "replaying") done?.push("replayed");
        if (state.stage === "shipping" && stage !== "shipping") done = [];
        if (before.stage !== "open" && state.stage === "open")
          expect(done).toEqual(["shipped", "restored", "replayed"]);
        if (event.kind === "listed" && event.standing === "removed")
          expect(["shipping", "removed"]).toContain(state.stage);
        if (event.kind === "listed" && event.standing === "returning") expect(state.stage).not.toBe("open");
      }
    }),
  );
});

test("REP-7 REP-5 Stability: through any changes of the list the frontier never goes back, and moves only by acks of the list in force", () => {
  const LOG = logId(1, 0, 7, "sessions");
  const vectorOf = (lsn: number): Vector =>
    Vector.of(lsn === 0 ? [] : [{ log: LOG, lsn, digest: new Uint8Array(8) }]);
  const step = fc.oneof(
    fc.record({
      do: fc.constant("ack" as const),
      who: fc.constantFrom(2, 2, 3, 3, 4),
      lsn: fc.nat(4),
      stale: fc.constantFrom(0, 0, 0, 1),
    }),
    fc.record({ do: fc.constant("own" as const) }),
    fc.record({ do: fc.constant("list" as const), who: fc.uniqueArray(fc.constantFrom(2, 3, 4)) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60, size: "max" }), (steps) => {
      let own = 0;
      let [version, others] = [1, [2, 3]];
      const state = {
        lsnOf: () => own,
        vector: () => vectorOf(own),
        covers: (vector: Vector) => vector.lsnOf(LOG) <= own,
      } as unknown as ReplicationState;
      const options = { state, others: others.map(regionId), membershipVersion: 1, foldVersion: 1, now: 0 };
      const stability = new Stability(options);
      let acks: { who: number; lsn: number }[] = [];
      let before = 0;
      for (const each of steps) {
        if (each.do === "own") own += 1;
        if (each.do === "list") {
          [version, others, acks] = [version + 1, each.who, []];
          stability.setMembers(version, others.map(regionId), 0);
        }
        if (each.do === "ack") {
          const ack = {
            epoch: 0,
            membershipVersion: version - each.stale,
            foldVersion: 1,
            vector: vectorOf(each.lsn),
          };
          const counted = stability.acked(regionId(each.who), ack);
          expect(counted).toBe(each.stale === 0 && others.includes(each.who));
          if (counted) acks.push({ who: each.who, lsn: each.lsn });
        }
        stability.advance(0);
        const now = stability.frontier.lsnOf(LOG);
        expect(now).toBeGreaterThanOrEqual(before);
        for (const who of now > before ? others : []) {
          const covered = acks.filter((ack) => ack.who === who && ack.lsn <= own).map(({ lsn }) => lsn);
          expect(Math.max(0, ...covered)).toBeGreaterThanOrEqual(now);
        }
        before = now;
      }
    }),
  );
});

test("REP-7 a member is added at run time: the list spreads, it blocks stability until it has acked, then it counts", async () => {
  await using cluster = await TestCluster.of(["a", "b"]);
  const one = await cluster.writeOne("a", "one");
  await cluster.timers.advance(100);
  const [a, b] = [cluster.node("a").replication, cluster.node("b").replication];
  expect(a.frontier().covers(one.log, one.lsn)).toBe(true);
  await cluster.timers.until(a.setMembership(cluster.listOf("a", "a", "b", "c")));
  await cluster.timers.advance(1_500);
  expect(b.membership.version).toBe(2);
  expect(b.health().membershipVersion).toBe(2);
  const two = await cluster.writeOne("b", "two");
  await cluster.timers.advance(2_000);
  for (const replication of [a, b]) {
    expect(replication.frontier().covers(one.log, one.lsn)).toBe(true);
    expect(replication.frontier().covers(two.log, two.lsn)).toBe(false);
    expect(replication.peers().find(({ name }) => name === "c")).toMatchObject({
      state: "unheard",
      blocksStabilitySinceMs: expect.any(Number),
    });
  }
  cluster.membership = a.membership;
  const { replication, state } = await cluster.open("c");
  await cluster.timers.until(replication.ready({ timeoutMs: 5_000 }));
  await cluster.write("c", "three");
  await cluster.timers.advance(1_500);
  expect(state.texts()).toEqual(["one", "three", "two"]);
  expect(cluster.node("a").state.texts()).toEqual(["one", "three", "two"]);
  for (const each of [a, b, replication]) {
    expect(each.frontier().covers(two.log, two.lsn)).toBe(true);
    expect(each.health()).toMatchObject({ state: "ready", reasons: [] });
  }
});

test("REP-7 a list that only its newcomer has left, after the disk that spread it was put back, is in force everywhere", async () => {
  await using cluster = await TestCluster.of(["a", "b"]);
  const first = cluster.membership;
  cluster.network.cut("a", "b");
  const { replication: b } = cluster.node("b");
  await cluster.timers.until(b.setMembership(cluster.listOf("b", "a", "b", "c")));
  cluster.membership = b.membership;
  const { replication: c } = await cluster.open("c");
  await cluster.timers.until(c.ready({ timeoutMs: 5_000, of: "any" }));
  await cluster.stop("b");
  cluster.network.heal();
  const again = await cluster.open("b", { membership: first });
  await cluster.timers.advance(3_000);
  for (const { replication } of [cluster.node("a"), again, cluster.node("c")]) {
    expect(replication.membership).toMatchObject({ version: 2, regions: c.membership.regions });
    expect(replication.health()).toMatchObject({ state: "ready", reasons: [] });
  }
});

test("REP-7 a dead member blocks stability until it is removed; its id is remembered, and what it lacks counts no more", async () => {
  await using cluster = await TestCluster.of(["a", "b", "c"]);
  await cluster.stop("c");
  const { log, lsn } = await cluster.writeOne("a", "one");
  await cluster.timers.advance(10_000);
  const [a, b] = [cluster.node("a").replication, cluster.node("b").replication];
  expect(a.frontier().covers(log, lsn)).toBe(false);
  await cluster.timers.until(b.setMembership(cluster.listOf("b", "a", "b")));
  await cluster.timers.advance(1_500);
  for (const replication of [a, b]) {
    expect(replication.frontier().covers(log, lsn)).toBe(true);
    expect(replication.health()).toMatchObject({
      state: "ready",
      removed: [{ region: 3, name: "c", version: 2 }],
    });
    expect(replication.peers().map(({ name }) => name)).not.toContain("c");
  }
  // Its acks go unheard, and its frames.
  expect(await cluster.timers.until(a.synced({ timeoutMs: 1_000 }))).toBe(true);
});

test("REP-7 scenario 47: a removed region ships what it had not, serves nothing, and is told so when all of it is there", async () => {
  await using cluster = await TestCluster.of(["a", "b", "c"]);
  cluster.network.cut("a", "c");
  cluster.network.cut("b", "c");
  await cluster.write("c", "unshipped", "as well");
  const [a, c] = [cluster.node("a").replication, cluster.node("c").replication];
  await cluster.timers.until(a.setMembership(cluster.listOf("a", "a", "b")));
  await cluster.timers.advance(2_000);
  expect(c.membership.version).toBe(1);
  cluster.network.heal();
  await cluster.timers.advance(3_000);
  expect(c.membership.version).toBe(2);
  for (const name of ["a", "b"]) expect(cluster.node(name).state.texts()).toEqual(["as well", "unshipped"]);
  expect(c.fence).toEqual({ stage: "removed" });
  expect(c.health()).toMatchObject({ state: "removed", fence: "removed" });
  await expect(cluster.write("c", "more")).rejects.toMatchObject({ code: "FENCED", retryable: false });
  // What it holds of others' logs is nobody's business any more, and it blocks nobody.
  expect(await cluster.timers.until(a.synced({ timeoutMs: 1_000 }))).toBe(true);
  // It is taken back: it counts for nothing before it is back.
  await cluster.write("a", "later");
  await cluster.timers.until(a.setMembership(cluster.listOf("a", "a", "b", "c")));
  await cluster.timers.advance(3_000);
  expect(c.membership.since).toEqual(new Map([[regionId(3), 3]]));
  expect(c.fence).toEqual({ stage: "open" });
  await cluster.write("c", "back");
  await cluster.timers.advance(1_500);
  for (const name of ["a", "b", "c"]) {
    expect(cluster.node(name).state.texts()).toEqual(["as well", "back", "later", "unshipped"]);
    expect(cluster.node(name).replication.health()).toMatchObject({ state: "ready", reasons: [] });
  }
});

test("REP-7 while it is fenced a region neither writes nor counts, however often it acks", async () => {
  await using cluster = await TestCluster.of(["a", "b", "c"]);
  const a = cluster.node("a").replication;
  await cluster.stop("c");
  await cluster.timers.until(a.setMembership(cluster.listOf("a", "a", "b")));
  await cluster.timers.until(a.setMembership(cluster.listOf("a", "a", "b", "c")));
  const { log, lsn } = await cluster.writeOne("a", "one");
  let noted = (): void => undefined;
  const note = new Promise<void>((resolve) => (noted = resolve));
  const sinces: number[] = [];
  const returned = async (since: number): Promise<void> => {
    sinces.push(since);
    await note;
  };
  const how = { joinedSince: 0, membership: a.membership, joining: false, returned };
  const c = (await cluster.open("c", how)).replication;
  expect(c.fence).toEqual({ stage: "shipping", next: "return" });
  expect(c.health()).toMatchObject({ state: "fenced", fence: "shipping" });
  await expect(cluster.write("c", "too soon")).rejects.toMatchObject({ code: "FENCED", retryable: true });
  await cluster.timers.advance(5_000);
  // It has everything, and its return is not on disk yet.
  expect(cluster.node("c").state.texts()).toEqual(["one"]);
  expect([c.fence.stage, sinces]).toEqual(["replaying", [3]]);
  expect(a.frontier().covers(log, lsn)).toBe(false);
  expect(a.health().reasons).toEqual(["c is fenced: it does not serve yet"]);
  noted();
  await cluster.timers.advance(1_500);
  expect(c.fence.stage).toBe("open");
  expect(a.frontier().covers(log, lsn)).toBe(true);
});

test("REP-7 a list is kept on disk before it counts; one that cannot be kept does not come into force", async () => {
  const cluster = new TestCluster(["a", "b"]);
  await using _ = cluster;
  const kept: number[] = [];
  let broken = true;
  await cluster.open("a");
  await cluster.open("b", {
    membershipStore: {
      keep: async ({ version }) => {
        if (broken) throw new Error("The disk is full");
        kept.push(version);
      },
      promise: async () => undefined,
    },
  });
  await cluster.timers.advance(50);
  const [a, b] = [cluster.node("a").replication, cluster.node("b").replication];
  await cluster.timers.until(a.setMembership(cluster.listOf("a", "a", "b", "c")));
  await cluster.timers.advance(3_000);
  expect(b.membership.version).toBe(1);
  expect(b.peers().map(({ name }) => name)).toEqual(["a"]);
  broken = false;
  await cluster.timers.advance(3_000);
  expect([b.membership.version, kept]).toEqual([2, [2]]);
  await expect(b.setMembership(cluster.membership)).rejects.toMatchObject({ code: "MEMBERSHIP_REFUSED" });
  await expect(
    b.setMembership({
      ...b.membership,
      regions: cluster.membership.regions,
      removed: new Map(),
      since: new Map(),
    }),
  ).rejects.toMatchObject({ code: "MEMBERSHIP_MISMATCH" });
});
