import { nobleHasher, regionId, type RegionId } from "@tidemark/core";
import fc from "fast-check";
import { expect, test } from "vitest";
import {
  agreesToRemoval,
  decideRemoval,
  membershipDigest,
  type Membership,
  type MembershipPromise,
  type MembershipStore,
} from "../src/index.ts";
import { TestCluster } from "./cluster.ts";

const REMOVE_AFTER_MS = 30_000;
const NAMES = ["a", "b", "c", "d", "e"];

/** What a region has on disk of lists. */
class Store implements MembershipStore {
  list: Membership | undefined;
  promised: MembershipPromise | undefined;
  /** Every list that came into force here. */
  readonly history: Membership[] = [];

  async keep(list: Membership): Promise<void> {
    this.list = list;
    if (this.promised !== undefined && this.promised.version <= list.version) this.promised = undefined;
    this.history.push(list);
  }

  async promise(promised: MembershipPromise | undefined): Promise<void> {
    this.promised = promised;
  }
}

/** A cluster whose members remove who is silent for 30 s. */
async function removing(
  names: readonly string[],
  removeAfterMs: number = REMOVE_AFTER_MS,
): Promise<TestCluster & { readonly stores: Map<string, Store>; start(name: string): Promise<void> }> {
  const cluster = new TestCluster(names);
  const stores = new Map(names.map((name) => [name, new Store()]));
  const start = async (name: string): Promise<void> => {
    const store = stores.get(name)!;
    await cluster.open(name, {
      removeAfterMs,
      membershipStore: store,
      joinedSince: 0,
      joining: false,
      membership: store.list ?? cluster.membership,
      ...(store.promised === undefined ? {} : { promised: store.promised }),
    });
  };
  for (const name of names) await start(name);
  await cluster.timers.advance(100);
  return Object.assign(cluster, { stores, start });
}

const apart = (cluster: TestCluster, left: readonly string[], right: readonly string[]): void => {
  for (const a of left) for (const b of right) cluster.network.cut(a, b);
};
const versions = (cluster: TestCluster, names: readonly string[]): number[] =>
  names.map((name) => cluster.node(name).replication.membership.version);

test("REP-7 removeAfter: however members see each other, any two decisions share a member, which promises one of them", () => {
  const matrix = fc.integer({ min: 2, max: 6 }).chain((count) =>
    fc.record({
      count: fc.constant(count),
      silent: fc.array(fc.constantFrom(0, 3_000, 10_000, 40_000), {
        minLength: count * count,
        maxLength: count * count,
      }),
    }),
  );
  fc.assert(
    fc.property(matrix, ({ count, silent }) => {
      const views = Array.from({ length: count }, (_, self) => ({
        self: regionId(self + 1),
        sightings: Array.from({ length: count }, (_, other) => ({
          region: regionId(other + 1),
          silentMs: silent[self * count + other]!,
        })).filter(({ region }) => region !== self + 1),
        removeAfterMs: REMOVE_AFTER_MS,
        peerSilentMs: 5_000,
      }));
      // Decided: everyone who is to remain agrees.
      const decided = views.flatMap((view) => {
        const gone = decideRemoval(view);
        const rest = views.filter(({ self }) => !gone.includes(self));
        const all = gone.length > 0 && rest.every((each) => each === view || agreesToRemoval(each, gone));
        return all ? [gone] : [];
      });
      for (const gone of decided) {
        expect((count - gone.length) * 2).toBeGreaterThan(count);
        // A member that is heard by one of those who remain is not removed.
        for (const view of views.filter(({ self }) => !gone.includes(self)))
          for (const { region, silentMs } of view.sightings)
            if (gone.includes(region)) expect(silentMs).toBeGreaterThanOrEqual(REMOVE_AFTER_MS);
      }
      const rests = decided.map((gone) =>
        views.map(({ self }) => self).filter((self) => !gone.includes(self)),
      );
      for (const rest of rests)
        for (const other of rests) expect(rest.some((region) => other.includes(region))).toBe(true);
    }),
    { numRuns: 2_000 },
  );
});

test("REP-7 removeAfter: a member that is silent for too long is removed once, by all who remain, and never before", async () => {
  await using cluster = await removing(["a", "b", "c"]);
  await cluster.stop("c");
  await cluster.timers.advance(REMOVE_AFTER_MS - 2_000);
  expect(versions(cluster, ["a", "b"])).toEqual([1, 1]);
  await cluster.timers.advance(12_000);
  expect(versions(cluster, ["a", "b"])).toEqual([2, 2]);
  for (const name of ["a", "b"]) {
    const { replication } = cluster.node(name);
    expect(replication.health()).toMatchObject({
      state: "ready",
      removed: [{ region: 3, name: "c", version: 2 }],
    });
    expect(cluster.stores.get(name)!.promised).toBeUndefined();
  }
  // It comes back, is told so, and has nothing to say any more.
  await cluster.start("c");
  await cluster.timers.advance(3_000);
  expect(cluster.node("c").replication.fence).toEqual({ stage: "removed" });
  // Two are left: neither removes the other, however long it is silent.
  await cluster.stop("b");
  await cluster.timers.advance(REMOVE_AFTER_MS * 4);
  expect(versions(cluster, ["a"])).toEqual([2]);
});

test("REP-7 removeAfter: without it, and with it in one member only, nobody is removed", async () => {
  const cluster = new TestCluster(["a", "b", "c"]);
  await using _ = cluster;
  await cluster.open("a", { removeAfterMs: 10_000 });
  await cluster.open("b");
  await cluster.open("c");
  await cluster.timers.advance(100);
  await cluster.stop("c");
  await cluster.timers.advance(60_000);
  expect(versions(cluster, ["a", "b"])).toEqual([1, 1]);
  expect(cluster.node("a").replication.health().membershipVersion).toBe(1);
});

test("REP-7 removeAfter: of a partition the side with more than half goes on, the other waits; of two halves neither does", async () => {
  await using five = await removing(NAMES);
  apart(five, ["a", "b"], ["c", "d", "e"]);
  await five.write("a", "on the smaller side");
  await five.timers.advance(REMOVE_AFTER_MS + 15_000);
  expect(versions(five, NAMES)).toEqual([1, 1, 2, 2, 2]);
  five.network.heal();
  await five.timers.advance(5_000);
  expect(versions(five, NAMES)).toEqual([2, 2, 2, 2, 2]);
  expect(NAMES.map((name) => five.node(name).replication.fence.stage)).toEqual([
    "removed",
    "removed",
    "open",
    "open",
    "open",
  ]);
  // What the smaller side had acknowledged is not lost.
  for (const name of ["c", "d", "e"]) expect(five.node(name).state.texts()).toEqual(["on the smaller side"]);

  await using four = await removing(NAMES.slice(0, 4));
  apart(four, ["a", "b"], ["c", "d"]);
  await four.timers.advance(REMOVE_AFTER_MS * 4);
  expect(versions(four, NAMES.slice(0, 4))).toEqual([1, 1, 1, 1]);
});

test("REP-7 removeAfter: who is heard by anybody stays, also where links are cut one way or between two only", async () => {
  await using cluster = await removing(["a", "b", "c"]);
  cluster.network.cut("a", "c");
  await cluster.timers.advance(REMOVE_AFTER_MS * 3);
  expect(versions(cluster, ["a", "b", "c"])).toEqual([1, 1, 1]);
});

test("REP-7 removeAfter: whatever is cut, healed and restarted, lists of one version are one list, and each has more than half of the one before", async () => {
  const names = NAMES;
  const step = fc.oneof(
    fc.record({
      do: fc.constant("cut" as const),
      side: fc.uniqueArray(fc.constantFrom(...names), { minLength: 1, maxLength: 4 }),
    }),
    fc.record({
      do: fc.constant("oneWay" as const),
      from: fc.constantFrom(...names),
      to: fc.constantFrom(...names),
    }),
    fc.record({ do: fc.constant("heal" as const) }),
    fc.record({ do: fc.constant("restart" as const), name: fc.constantFrom(...names) }),
    fc.record({ do: fc.constant("wait" as const), ms: fc.constantFrom(1_000, 6_000, 15_000) }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 14, size: "max" }), async (steps) => {
      await using cluster = await removing(names, 10_000);
      for (const each of steps) {
        if (each.do === "cut")
          apart(
            cluster,
            each.side,
            names.filter((name) => !each.side.includes(name)),
          );
        if (each.do === "oneWay" && each.from !== each.to)
          cluster.network.cut(each.from, each.to, { oneWay: true });
        if (each.do === "heal") cluster.network.heal();
        if (each.do === "wait") await cluster.timers.advance(each.ms);
        if (each.do === "restart") {
          await cluster.stop(each.name);
          await cluster.start(each.name);
        }
      }
      // Healed, all of them get to the newest list: whoever is in it and whoever is not.
      cluster.network.heal();
      await cluster.timers.advance(6_000);
      expect(new Set(versions(cluster, names)).size).toBe(1);
      const lists = new Map<number, Membership>([[1, cluster.membership]]);
      const hex = (list: Membership): string =>
        Buffer.from(membershipDigest(nobleHasher, list)).toString("hex");
      for (const store of cluster.stores.values()) {
        for (const list of store.history) {
          expect(hex(lists.get(list.version) ?? list)).toBe(hex(list));
          lists.set(list.version, list);
        }
      }
      const chain = [...lists.values()].toSorted((a, b) => a.version - b.version);
      for (const [at, list] of chain.slice(1).entries())
        expect(list.regions.size * 2).toBeGreaterThan(chain[at]!.regions.size);
    }),
    { numRuns: 25 },
  );
}, 60_000);

test("REP-7 a member that leaves drains first; the others go on without it, and it may come back", async () => {
  await using cluster = await TestCluster.of(["a", "b", "c"]);
  await cluster.write("c", "one", "two");
  const c = cluster.node("c").replication;
  expect(await cluster.timers.until(c.leave({ timeoutMs: 5_000 }))).toBe(true);
  await cluster.timers.advance(1_500);
  expect(versions(cluster, ["a", "b", "c"])).toEqual([2, 2, 2]);
  expect(c.fence).toEqual({ stage: "removed" });
  const { log, lsn } = await cluster.writeOne("a", "three");
  await cluster.timers.advance(1_500);
  expect(cluster.node("a").replication.frontier().covers(log, lsn)).toBe(true);
  expect(cluster.node("b").state.texts()).toEqual(["one", "three", "two"]);
  // Of two, the one that leaves is half of those who agree.
  expect(await cluster.timers.until(cluster.node("b").replication.leave({ timeoutMs: 5_000 }))).toBe(true);
  await cluster.timers.advance(1_500);
  expect([...cluster.node("a").replication.membership.regions.keys()]).toEqual(["a"]);
  // The last one stays.
  expect(await cluster.timers.until(cluster.node("a").replication.leave({ timeoutMs: 1_000 }))).toBe(false);
});

test("REP-7 a member that cannot be heard by more than half, or whose records are nowhere else, does not leave", async () => {
  await using cluster = await TestCluster.of(["a", "b", "c"]);
  cluster.network.cut("a", "c");
  cluster.network.cut("b", "c");
  await cluster.write("c", "nowhere else");
  const c = cluster.node("c").replication;
  expect(await cluster.timers.until(c.leave({ timeoutMs: 8_000 }))).toBe(false);
  expect([c.membership.version, c.fence.stage]).toEqual([1, "open"]);
  cluster.network.heal();
  await cluster.timers.advance(2_000);
  expect(cluster.node("a").state.texts()).toEqual(["nowhere else"]);
  await cluster.write("c", "still a member");
});

test("REP-7 a member that leaves waits until others hold what it has of them: it may be the only one", async () => {
  await using cluster = await TestCluster.of(["a", "b", "c"]);
  await cluster.timers.advance(1_000);
  cluster.network.cut("a", "b");
  cluster.network.cut("b", "c");
  await cluster.write("a", "only at a and c");
  await cluster.timers.advance(500);
  expect(cluster.node("c").state.texts()).toEqual(["only at a and c"]);
  const c = cluster.node("c").replication;
  expect(await cluster.timers.until(c.leave({ timeoutMs: 1_000 }))).toBe(false);
  cluster.network.heal();
  expect(await cluster.timers.until(c.leave({ timeoutMs: 10_000 }))).toBe(true);
  expect(cluster.node("b").state.texts()).toEqual(["only at a and c"]);
});

test("REP-7 two members that leave at once are both gone, and lists of one version are one list", async () => {
  await using cluster = await TestCluster.of(["a", "b", "c", "d"]);
  const left = await cluster.timers.until(
    Promise.all(["c", "d"].map((name) => cluster.node(name).replication.leave({ timeoutMs: 15_000 }))),
  );
  await cluster.timers.advance(2_000);
  const digests = ["a", "b"].map((name) =>
    membershipDigest(nobleHasher, cluster.node(name).replication.membership),
  );
  expect(digests[0]).toEqual(digests[1]);
  const members: RegionId[] = [...cluster.node("a").replication.membership.regions.values()];
  expect(members.includes(regionId(3))).toBe(!left[0]);
  expect(members.includes(regionId(4))).toBe(!left[1]);
  expect(left).toContain(true);
});

test("REP-7 what was promised to a proposal binds also after a restart, until it is taken back or decided", async () => {
  await using cluster = await removing(["a", "b", "c"]);
  const list = cluster.listOf("a", "a", "b");
  const promised = { version: 2, digest: membershipDigest(nobleHasher, list) };
  await cluster.stop("b");
  cluster.stores.get("b")!.promised = promised;
  await cluster.start("b");
  await cluster.timers.advance(1_000);
  const b = cluster.node("b").replication;
  const other = cluster.listOf("b", "b", "c");
  await expect(cluster.timers.until(b.setMembership(other))).rejects.toMatchObject({
    code: "MEMBERSHIP_REFUSED",
    message: expect.stringContaining("version 2 was promised to another one"),
  });
  // Another member takes a list of that version: why it is not in force here is told to whoever can mend it.
  await cluster.timers.until(
    cluster.node("c").replication.setMembership(cluster.listOf("c", "a", "b", "c", "d")),
  );
  await cluster.timers.advance(2_000);
  expect(b.health().reasons).toContainEqual(
    expect.stringMatching(/^c acks under version 2 .* write it with a version above that$/),
  );
  await cluster.timers.until(
    b.setMembership({ ...other, version: 3, removed: new Map([[regionId(1), { name: "a", version: 3 }]]) }),
  );
  expect(b.membership.version).toBe(3);
  // Decided: what was promised is taken.
  await cluster.stop("b");
  Object.assign(cluster.stores.get("b")!, { promised, list: undefined });
  await cluster.start("b");
  await cluster.timers.until(cluster.node("b").replication.setMembership(list));
  expect(cluster.node("b").replication.membership.version).toBe(2);
});
