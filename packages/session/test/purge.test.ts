import { readFileSync } from "node:fs";
import { effectKey, logId, nobleHasher } from "@tidemark/core";
import fc from "fast-check";
import { expect, test } from "vitest";
import { FOLD_VERSION, type OpRequest, SessionFold, type StableFrontier } from "../src/index.ts";
import { CLUSTER_ID, courseOf, hex, hideHistory, type ModelOp, opBytes, run } from "./history.ts";
import { naiveHides } from "./naive-fold.ts";
import { PURGE_SAMPLES, SAMPLES } from "./ops.ts";
import { exchange, settle, started, TestRegion } from "./region.ts";

const like: OpRequest = {
  kind: "signal",
  entity: "e",
  signal: "like",
  weight: 1,
  eventTimeMs: 1_790_000_000_000,
};
const openFold = (): SessionFold => new SessionFold({ hasher: nobleHasher, clusterId: CLUSTER_ID });
const digests = (regions: readonly TestRegion[]): Set<string> =>
  new Set(regions.map(({ fold }) => hex(fold.digest())));

test("REP-12 golden digest and snapshot with a close, a purge and what it leaves", () => {
  const region = new TestRegion(1);
  const samples = { start: SAMPLES["start with everything"]!, hide: SAMPLES["hide"]!, ...PURGE_SAMPLES };
  for (const [at, op] of Object.values(samples).entries()) region.append(opBytes({ ...op, seqno: at + 1 }));
  region.append(opBytes({ ...SAMPLES["hide"]!, session: "s-9", seqno: 9 }));
  region.fold.stable({ lsnOf: () => 2, foldVersionMin: FOLD_VERSION });
  const golden = JSON.parse(
    readFileSync(new URL("golden/state-purge-v1.json", import.meta.url), "utf8"),
  ) as Readonly<Record<string, string>>;
  expect({ digest: hex(region.fold.digest()), snapshot: hex(region.fold.snapshot()) }).toEqual(golden);
  const restored = new TestRegion(1);
  restored.fold.restore(Uint8Array.from(Buffer.from(golden["snapshot"]!, "hex")));
  expect(hex(restored.fold.digest())).toBe(golden["digest"]);
});

test("SES-16 a purged session shows nothing, in any region and order; its id is spent and the user's hides stay", () => {
  const regions = [1, 2, 3].map((id) => new TestRegion(id));
  const [a, b, c] = regions as [TestRegion, TestRegion, TestRegion];
  a.write("s", { kind: "start", user: "ann", agent: "a" }, "begin");
  a.write("s", { kind: "hide", item: "x" });
  b.receive(a);
  a.write("s", { kind: "close" });
  a.write("s", { kind: "purge" });
  // Accepted where the purge is not known.
  b.write("s", like, "once");
  b.write("s", { kind: "hide", item: "y" });
  // Everything of it comes after the purge.
  for (const lsn of [4, 3, 2, 1]) c.fold.apply(a.records[lsn - 1]!, a.log, lsn);
  exchange(regions);
  for (const { fold, admission } of regions) {
    expect(fold.session("s")).toBeUndefined();
    expect(fold.purged("s")).toBe(true);
    expect(fold.user("ann").sessions()).toEqual([]);
    expect(fold.user("ann").hidden()).toEqual(["x", "y"]);
    expect(fold.stats()).toMatchObject({ sessions: 0, purged: 1 });
    expect(admission.admit("s", like)).toMatchObject({ code: "SESSION_PURGED" });
    expect(admission.admit("s", like, "once")).toMatchObject({ code: "SESSION_PURGED" });
    expect(admission.admit("s", { kind: "start", user: "ann", agent: "a" }, "begin")).toMatchObject({
      code: "SESSION_PURGED",
    });
  }
  expect(digests(regions).size).toBe(1);
  settle(regions);
  settle(regions);
  for (const { fold } of regions) {
    expect(fold.entryOf("s")).toBeUndefined();
    expect(fold.user("ann").hidden()).toEqual(["x", "y"]);
    expect(fold.purged("s")).toBe(true);
  }
  expect(digests(regions).size).toBe(1);
});

test("SES-16 a purge waits with forgetting until it is stable and every member knows what a purge is", () => {
  const [a, b] = [new TestRegion(1), new TestRegion(2)];
  started([a, b]);
  settle([a, b]);
  b.write("s", like, "once");
  a.write("s", { kind: "purge" });
  a.fold.stable({ lsnOf: ({ region }) => (region === 1 ? 1 : 0), foldVersionMin: FOLD_VERSION });
  expect(a.fold.entryOf("s")).toBeDefined();
  settle([a, b], FOLD_VERSION - 1);
  for (const { fold } of [a, b]) expect(fold.effects.size).toBe(1);
  // Kept through a restart.
  const restored = new TestRegion(1);
  restored.fold.restore(a.fold.snapshot());
  expect(hex(restored.fold.snapshot())).toBe(hex(a.fold.snapshot()));
  for (const { fold } of [a, b, restored]) {
    fold.stable({ lsnOf: () => 0, foldVersionMin: FOLD_VERSION });
    expect(fold.entryOf("s")).toBeUndefined();
    expect(fold.effects.size).toBe(0);
  }
  expect(digests([a, b, restored]).size).toBe(1);
});

test("SES-16 a copy that comes after the purge is forgotten changes nothing, and is not relayed", () => {
  const [a, b] = [new TestRegion(1), new TestRegion(2)];
  started([a, b]);
  a.write("s", { kind: "hide", item: "x" }, "hide-1");
  a.write("s", { kind: "unhide", item: "x" });
  a.write("s", { kind: "purge" });
  settle([a, b]);
  settle([a, b]);
  expect(b.fold.user("ann").hidden()).toEqual([]);
  const before = hex(b.fold.digest());
  const { effects } = b.fold.stats();
  for (const bytes of a.records) {
    expect(b.admission.relay(bytes)).toBe("known");
    // All the same, a region that did not know yet had put it into its log.
    b.append(bytes);
  }
  expect(hex(b.fold.digest())).toBe(before);
  expect(b.fold.stats()).toMatchObject({ effects, sessions: 0, unstable: 0 });
  expect(b.fold.user("ann").hidden()).toEqual([]);
});

test("SES-16 10,000 sessions that are purged one after the other leave a tombstone each and nothing else", () => {
  const region = new TestRegion(1);
  const everything = { lsnOf: () => region.records.length, foldVersionMin: FOLD_VERSION };
  const bytes: number[] = [];
  for (let round = 0; round < 10_000; round++) {
    const id = `s-${round}`;
    region.write(id, { kind: "start", user: `user-${round % 7}`, agent: "a" }, "begin");
    region.write(id, { kind: "hide", item: "x" }, "hide");
    region.write(id, { kind: "unhide", item: "x" });
    region.write(id, { kind: "purge" });
    region.fold.stable(everything);
    bytes.push(region.fold.effects.byteLength);
  }
  expect(region.fold.stats()).toMatchObject({ sessions: 0, users: 0, purged: 10_000, unstable: 0 });
  expect(region.fold.effects.size).toBe(0);
  expect(region.fold.lanes.length).toBe(1);
  expect(new Set(bytes).size).toBe(1);
  const restored = new TestRegion(1);
  restored.fold.restore(region.fold.snapshot());
  expect(restored.fold.purged("s-9999")).toBe(true);
  expect(hex(restored.fold.digest())).toBe(hex(region.fold.digest()));
});

test("SES-10 what is removed and stable is forgotten: hides that come and go leave nothing", () => {
  const [a, b] = [new TestRegion(1), new TestRegion(2)];
  started([a, b]);
  for (let round = 0; round < 50; round++) {
    a.write("s", { kind: "hide", item: `item-${round}` });
    exchange([a, b]);
    // Both lift it at once, and one of them again.
    a.write("s", { kind: "unhide", item: `item-${round}` });
    b.write("s", { kind: "unhide", item: `item-${round}` });
    b.write("s", { kind: "unhide", item: `item-${round}` });
    settle([a, b]);
  }
  for (const { fold } of [a, b]) expect(fold.users.get("ann")?.hides.isEmpty).toBe(true);
  expect(digests([a, b]).size).toBe(1);
});

test("SES-10 a copy of a hide by its operationId, written where the hide was not known, does not bring it back", () => {
  const regions = [1, 2, 3].map((id) => new TestRegion(id));
  const [a, b, c] = regions as [TestRegion, TestRegion, TestRegion];
  started(regions);
  settle(regions);
  a.write("s", { kind: "hide", item: "x" }, "hide-1");
  b.receive(a);
  b.write("s", { kind: "unhide", item: "x" });
  // The third region has heard of the unhide and not of the hide: the retry is new to it.
  c.receive(b);
  c.write("s", { kind: "hide", item: "x" }, "hide-1");
  expect(c.records.length).toBe(1);
  for (const to of [a, b]) to.receive(to === a ? b : a);
  // All of it is stable in the first before the retry arrives there.
  a.fold.stable({ lsnOf: ({ region }) => (region === 3 ? 0 : 99), foldVersionMin: FOLD_VERSION });
  expect(a.fold.user("ann").hidden()).toEqual([]);
  const restored = new TestRegion(9);
  restored.fold.restore(a.fold.snapshot());
  for (const { fold } of [a, restored]) {
    fold.apply(c.records[0]!, c.log, 1);
    expect(fold.user("ann").hidden()).toEqual([]);
  }
  settle(regions);
  for (const { fold } of regions) expect(fold.user("ann").hidden()).toEqual([]);
  expect(digests(regions).size).toBe(1);
  // It is forgotten with its session.
  restored.receive(c);
  b.write("s", { kind: "purge" });
  settle(regions);
  settle(regions);
  for (const { fold } of regions) expect(fold.users.get("ann")).toBeUndefined();
});

test("SES-10 a region dead since before a tombstone was stable brings nothing back (scenario 25)", () => {
  const regions = [1, 2, 3].map((id) => new TestRegion(id));
  const [a, b, dead] = regions as [TestRegion, TestRegion, TestRegion];
  started(regions);
  settle(regions);
  dead.write("s", { kind: "hide", item: "x" }, "hide-1");
  dead.write("s", like);
  exchange(regions);
  settle(regions);
  // From here on it hears nothing; what it has stays as it was.
  const image = dead.fold.snapshot();
  a.write("s", { kind: "unhide", item: "x" });
  a.write("s", { kind: "close" });
  const lsns = (): { lsnOf: (log: { region: number }) => number; foldVersionMin: number } => ({
    // It was removed from the list of members: its word is not waited for any more.
    lsnOf: ({ region }) => regions[region - 1]!.records.length,
    foldVersionMin: FOLD_VERSION,
  });
  for (const region of [a, b]) {
    exchange([a, b]);
    region.fold.stable(lsns());
    expect(region.fold.user("ann").hidden()).toEqual([]);
  }
  a.write("s", { kind: "purge" });
  for (const region of [a, b, a]) {
    exchange([a, b]);
    region.fold.stable(lsns());
  }
  for (const { fold } of [a, b]) expect(fold.entryOf("s")).toBeUndefined();
  const before = hex(a.fold.digest());
  // It returns with its old state, and everything it ever wrote is offered again, under its log and others.
  const back = new TestRegion(3);
  back.fold.restore(image);
  expect(back.fold.user("ann").hidden()).toEqual(["x"]);
  for (const bytes of dead.records) {
    for (const region of [a, b]) {
      expect(region.admission.relay(bytes)).toBe("known");
      region.fold.apply(bytes, dead.log, 1);
      region.append(bytes);
    }
  }
  expect(hex(a.fold.digest())).toBe(before);
  expect(hex(b.fold.digest())).toBe(before);
  // What it gets instead of its own state is theirs.
  back.fold.restore(b.fold.snapshot());
  expect(back.fold.user("ann").hidden()).toEqual([]);
  expect(back.admission.admit("s", { kind: "start", user: "ann", agent: "a" })).toMatchObject({
    code: "SESSION_PURGED",
  });
});

test("SES-10 what a removed member had not told before the purge was forgotten: its hides hold, in every region alike", () => {
  const regions = [1, 2, 3].map((id) => new TestRegion(id));
  const [a, b, removed] = regions as [TestRegion, TestRegion, TestRegion];
  started(regions);
  settle(regions);
  removed.write("s", { kind: "hide", item: "x" });
  removed.write("s", like, "once");
  a.write("s", { kind: "purge" });
  exchange([a, b]);
  // Only one of the two has forgotten it already.
  a.fold.stable({ lsnOf: () => 99, foldVersionMin: FOLD_VERSION });
  expect([a, b].map(({ fold }) => fold.entryOf("s") === undefined)).toEqual([true, false]);
  const restarted = new TestRegion(4);
  restarted.fold.restore(a.fold.snapshot());
  for (const region of [a, b, restarted]) {
    for (const bytes of removed.records) expect(region.admission.relay(bytes)).toBe(bytes);
    region.receive(removed);
    region.receive(removed);
    expect(region.fold.user("ann").hidden()).toEqual(["x"]);
    expect(region.fold.session("s")).toBeUndefined();
  }
  expect(digests([a, b, restarted]).size).toBe(1);
  for (const { fold } of [a, b, restarted]) {
    fold.stable({ lsnOf: () => 99, foldVersionMin: FOLD_VERSION });
    expect(fold.entryOf("s")).toBeUndefined();
    for (const bytes of removed.records) expect(fold.apply(bytes, a.log, 99)).toBe("duplicate");
  }
  expect(new Set([a, b].map(({ fold }) => hex(fold.snapshot()).slice(-60))).size).toBe(1);
});

test("SES-14 a ticket carries the purge and the hides of a purged session until they are stable", () => {
  const [a, b] = [new TestRegion(1), new TestRegion(2)];
  started([a, b]);
  settle([a, b]);
  a.write("s", { kind: "hide", item: "x" });
  a.write("s", { kind: "purge" });
  const { ops, complete } = a.fold.unstableOps("ann");
  expect([ops.length, complete]).toEqual([2, true]);
  const restored = new TestRegion(1);
  restored.fold.restore(a.fold.snapshot());
  expect(restored.fold.unstableOps("ann")).toEqual(a.fold.unstableOps("ann"));
  for (const { bytes } of ops) b.append(bytes);
  expect(b.fold.session("s")).toBeUndefined();
  expect(b.fold.user("ann").hidden()).toEqual(["x"]);
  settle([a, b]);
  settle([a, b]);
  expect(a.fold.unstableOps("ann")).toEqual({ ops: [], complete: true });
});

test("SES-16 only the owner purges or closes for idleness: from a client neither is accepted", () => {
  const region = new TestRegion(1);
  started([region]);
  const lane = { producer: "00112233445566778899aabbccddeeff", epoch: 1 };
  const stamp = { wallMs: region.nowMs, counter: 0, clockId: 9 };
  for (const name of ["purge", "close for idleness", "close when its time was over"]) {
    const bytes = opBytes({ ...PURGE_SAMPLES[name]!, session: "s", lane, seqno: 1, stamp });
    expect(() => region.admission.submitSealed(bytes)).toThrow(
      expect.objectContaining({ code: "INVALID_INPUT" }),
    );
  }
});

test("scenario 51: idle close by the owner against activity elsewhere: the close is void, in any order", () => {
  const [owner, other] = [new TestRegion(1), new TestRegion(2)];
  started([owner, other]);
  settle([owner, other]);
  const latest = owner.fold.maxStamp("s");
  // Cut off: the other region serves the session, the owner hears nothing of it and closes.
  other.nowMs += 5_000;
  other.write("s", like);
  owner.nowMs += 10_000;
  owner.write("s", { kind: "close", reason: 1, latest });
  expect(owner.fold.session("s")?.open).toBe(false);
  expect(owner.admission.admit("s", like)).toMatchObject({ code: "SESSION_CLOSED" });
  const late = new TestRegion(3);
  for (const from of [owner, other]) late.receive(from);
  exchange([owner, other]);
  for (const { fold } of [owner, other, late]) expect(fold.session("s")?.open).toBe(true);
  expect(digests([owner, other, late]).size).toBe(1);
  settle([owner, other]);
  for (const { fold } of [owner, other]) expect(fold.session("s")?.open).toBe(true);
  expect(owner.write("s", like).type).toBe("accepted");
});

test("scenario 51: an idle close that had seen everything holds, and activity after it does not undo it", () => {
  const [owner, other] = [new TestRegion(1), new TestRegion(2)];
  started([owner, other]);
  owner.nowMs += 10_000;
  owner.write("s", { kind: "close", reason: 1, latest: owner.fold.maxStamp("s") });
  other.nowMs += 20_000;
  // It does not know of the close yet: what it acknowledges folds all the same.
  other.write("s", like);
  exchange([owner, other]);
  for (const { fold } of [owner, other]) {
    expect(fold.session("s")?.open).toBe(false);
    expect(fold.session("s")?.signals.get("e")?.get("like")?.count).toBe(1);
  }
  const restored = new TestRegion(1);
  restored.fold.restore(owner.fold.snapshot());
  settle([owner, other]);
  expect(restored.fold.session("s")?.open).toBe(false);
  expect(digests([owner, other]).size).toBe(1);
});

test("SES-10 copies in any log and order, purges and restarts never bring back what was removed, nor lose what was not", () => {
  const withCourse = hideHistory.chain((past) => fc.tuple(fc.constant(past), courseOf(past), courseOf(past)));
  fc.assert(
    fc.property(withCourse, fc.nat(), ([past, course, again], restart) => {
      let fold = openFold();
      let step = 0;
      const known = new Set<ModelOp>();
      const check = (stable: ReadonlySet<string>): void => {
        const { hidden, withheld } = naiveHides([...known], stable, "ann");
        const view = fold.user("ann");
        expect({ hidden: view.hidden(), withheld: view.withheld() }).toEqual({ hidden, withheld });
      };
      const proxy = {
        apply: (...record: Parameters<SessionFold["apply"]>) => fold.apply(...record),
        stable: (frontier: StableFrontier) => fold.stable(frontier),
      } as SessionFold;
      const stable = run(proxy, past, course, (sofar) => {
        known.add(past.ops[past.records[course.order[step]!]!.op]!);
        if (step++ === restart % course.order.length) {
          const restarted = openFold();
          restarted.restore(fold.snapshot());
          fold = restarted;
        }
        check(sofar);
      });
      // Once more, in other logs and another order, to a region that has settled all it can.
      for (const [at, record] of again.order.entries()) {
        fold.apply(past.ops[past.records[record]!.op]!.bytes, logId(9, 0, 1, "sessions"), at + 1);
        check(stable);
      }
    }),
    { numRuns: 400 },
  );
});

test("SES-10 a hide of a purged session is lifted by an unhide from another session of the user", () => {
  const [a, b] = [new TestRegion(1), new TestRegion(2)];
  started([a, b]);
  a.write("s", { kind: "hide", item: "x" }, "hide-1");
  a.write("s", { kind: "purge" });
  settle([a, b]);
  settle([a, b]);
  b.write("t", { kind: "start", user: "ann", agent: "a" });
  expect(
    b.fold.dotsOf("ann", "hide", "x").map((dot) => effectKey(Buffer.from(dot, "latin1")).length),
  ).toEqual([16]);
  b.write("t", { kind: "unhide", item: "x" });
  settle([a, b]);
  for (const { fold } of [a, b]) {
    expect(fold.user("ann").hidden()).toEqual([]);
    expect(fold.users.get("ann")?.hides.isEmpty).toBe(true);
  }
});
