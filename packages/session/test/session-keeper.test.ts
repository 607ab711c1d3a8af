import { nobleHasher } from "@tidemark/core";
import fc from "fast-check";
import { expect, test } from "vitest";
import {
  type ColdStore,
  FOLD_VERSION,
  KEEPER_COLD_READS_MAX,
  KEEPER_OPS_MAX,
  KEEPER_VISITS_MIN,
  MemoryColdStore,
  type OpRequest,
  PolicyBook,
  type SessionFoldOptions,
  SessionKeeper,
  SessionPolicy,
  type SessionPolicyRules,
} from "../src/index.ts";
import { hex } from "./history.ts";
import { exchange, settle, TestRegion } from "./region.ts";

const START = 1_790_000_000_000;
const search: OpRequest = { kind: "search", query: "q" };
const policyOf = (rules: Partial<SessionPolicyRules>): SessionPolicy =>
  new SessionPolicy(nobleHasher, { name: "shop", version: 1, ...rules });

/** A region with a keeper. */
class KeptRegion extends TestRegion {
  readonly keeper: SessionKeeper;
  readonly policy: SessionPolicy;

  constructor(id: number, policy: SessionPolicy, options: Partial<SessionFoldOptions> = {}) {
    super(id, START, options);
    this.policy = policy;
    this.keeper = new SessionKeeper({ fold: this.fold, book: new PolicyBook([policy]), self: id });
  }

  begin(session: string, agent: string = "a"): void {
    const { id, rules } = this.policy;
    this.write(session, { kind: "start", user: "ann", agent, policy: id, policyVersion: rules.version });
  }

  /** One tick; writes what it asks for, and tells what that was. */
  keep(members: readonly number[] = [1, 2], foldVersionMin: number = FOLD_VERSION): string[] {
    return this.keeper.due({ nowMs: this.nowMs, members, foldVersionMin }).map((op) => {
      const { session, request } = op;
      const answer = this.write(session, request);
      this.keeper.done(op);
      const reason = request.kind === "close" ? ` ${request.reason}` : "";
      return `${request.kind}${reason} ${session} ${answer.type}`;
    });
  }
}

function pass(regions: readonly KeptRegion[], ms: number): void {
  for (const region of regions) region.nowMs += ms;
}

test("SES-16 the owner closes what is idle, and purges it once it is stable and the time to retain it is over", () => {
  const policy = policyOf({ idleMs: 1_000, retainMs: 5_000 });
  const regions = [new KeptRegion(1, policy), new KeptRegion(2, policy)] as const;
  const [a, b] = regions;
  a.begin("s");
  a.write("s", { kind: "hide", item: "x" });
  exchange(regions);
  pass(regions, 999);
  expect(a.keep()).toEqual([]);
  pass(regions, 1);
  expect(b.keep()).toEqual([]);
  expect(a.keep()).toEqual(["close 1 s accepted"]);
  expect(a.keep()).toEqual([]);
  exchange(regions);
  expect(b.admission.admit("s", search)).toMatchObject({ code: "SESSION_CLOSED" });
  // As long as it is not known everywhere, whatever the time.
  pass(regions, 60_000);
  expect(a.keep()).toEqual([]);
  settle(regions);
  expect(b.keep()).toEqual([]);
  expect(a.keep()).toEqual(["purge s accepted"]);
  expect(a.keep()).toEqual([]);
  settle(regions);
  settle(regions);
  for (const { fold } of regions) {
    expect(fold.purged("s")).toBe(true);
    expect(fold.entryOf("s")).toBeUndefined();
    expect(fold.user("ann").hidden()).toEqual(["x"]);
  }
});

test("SES-16 a session that has lasted too long is closed, whatever happens in it", () => {
  const policy = policyOf({ durationMs: 10_000, idleMs: 9_000 });
  const regions = [new KeptRegion(1, policy), new KeptRegion(2, policy)] as const;
  regions[0].begin("s");
  exchange(regions);
  for (let round = 0; round < 2; round++) {
    pass(regions, 4_999);
    regions[1].write("s", search);
    expect(regions[0].keep()).toEqual([]);
    exchange(regions);
  }
  pass(regions, 2);
  expect(regions[0].keep()).toEqual(["close 2 s accepted"]);
  regions[1].write("s", search);
  exchange(regions);
  for (const { fold } of regions) expect(fold.session("s")?.open).toBe(false);
});

test("SES-16 the owner is the region of the start, or the lowest member once that is removed", () => {
  const policy = policyOf({ idleMs: 1_000 });
  const regions = [new KeptRegion(1, policy), new KeptRegion(2, policy), new KeptRegion(3, policy)] as const;
  regions[2].begin("s");
  exchange(regions);
  pass(regions, 5_000);
  for (const region of regions.slice(0, 2)) expect(region.keep([1, 2, 3])).toEqual([]);
  // A region that is no member writes nothing.
  expect(regions[2].keep([1, 2])).toEqual([]);
  expect(regions[1].keep([1, 2])).toEqual([]);
  expect(regions[0].keep([1, 2])).toEqual(["close 1 s accepted"]);
});

test("SES-16 nothing is written before every member can judge it", () => {
  const region = new KeptRegion(1, policyOf({ idleMs: 1_000 }));
  region.begin("s");
  region.nowMs += 5_000;
  expect(region.keep([1], FOLD_VERSION - 1)).toEqual([]);
  expect(region.keep([1])).toEqual(["close 1 s accepted"]);
});

test("SES-16 a tick is bounded in what it asks for and in what it looks at; all have their turn", () => {
  const region = new KeptRegion(1, policyOf({ idleMs: 1_000 }));
  const count = KEEPER_VISITS_MIN + 200;
  for (let at = 0; at < count; at++) region.begin(`s-${at}`);
  region.nowMs += 5_000;
  const tick = { nowMs: region.nowMs, members: [1], foldVersionMin: FOLD_VERSION };
  const first = region.keeper.due(tick);
  expect(first.length).toBe(KEEPER_OPS_MAX);
  // What is being written is not asked for again, and nothing more while so much is.
  expect(region.keeper.due(tick)).toEqual([]);
  for (const op of first) region.keeper.done(op);
  const closed = new Set<string>();
  for (let ticks = 0; ticks < 60 && closed.size < count; ticks++)
    for (const told of region.keep([1])) closed.add(told);
  expect(closed.size).toBe(count);
});

test("SES-16 RGN-4 cold sessions are closed and purged in their time, and are not read back before", () => {
  let reads = 0;
  const store = new MemoryColdStore();
  const counted: ColdStore = {
    put: (bytes) => store.put(bytes),
    get: (place) => {
      reads += 1;
      return store.get(place);
    },
    delete: (place) => store.delete(place),
    clear: () => store.clear(),
  };
  const policy = policyOf({ idleMs: 100_000, retainMs: 500_000 });
  const region = new KeptRegion(1, policy, { cold: { store: counted, budgetBytes: 0 } });
  const other = new TestRegion(2, START);
  const count = KEEPER_COLD_READS_MAX + 50;
  const { id, rules } = policy;
  const start = { kind: "start", user: "bob", agent: "a", policy: id, policyVersion: rules.version } as const;
  for (let at = 0; at < count; at++) region.begin(`s-${at}`);
  for (let at = 0; at < 50; at++) other.write(`t-${at}`, start);
  exchange([region, other]);
  const rest = (): void => {
    settle([region, other]);
    region.fold.sessions.sweep();
  };
  rest();
  expect(region.fold.sessions.hot.sessions).toBe(0);
  const keepAll = (ticks: number): Set<string> => {
    const told = new Set<string>();
    for (let tick = 0; tick < ticks; tick++) {
      for (const one of region.keep([1, 2])) told.add(one);
      rest();
    }
    return told;
  };
  expect(keepAll(3).size).toBe(0);
  region.nowMs += 99_000;
  expect(keepAll(3).size).toBe(0);
  expect(reads).toBe(0);
  region.nowMs += 2_000;
  const closed = keepAll(20);
  // Those of the other region are its own.
  expect([...closed].filter((told) => told.startsWith("close 1 s-")).length).toBe(count);
  expect(closed.size).toBe(count);
  reads = 0;
  expect(keepAll(3).size).toBe(0);
  expect(reads).toBe(0);
  region.nowMs += 502_000;
  expect(keepAll(20).size).toBe(count);
  expect(region.fold.stats()).toMatchObject({ purged: count, sessions: 50 });
  // Once the other is removed they are this region's.
  const left = new Set<string>();
  for (let tick = 0; tick < 4; tick++) for (const one of region.keep([1])) left.add(one);
  expect([...left].filter((told) => told.startsWith("close 1 t-")).length).toBe(50);
});

test("scenario 51: the owner closes for idleness while another region serves the session: the close is void", () => {
  const policy = policyOf({ idleMs: 1_000, retainMs: 0 });
  const regions = [new KeptRegion(1, policy), new KeptRegion(2, policy)] as const;
  const [owner, other] = regions;
  owner.begin("s");
  settle(regions);
  // Cut off.
  pass(regions, 600);
  other.write("s", search);
  pass(regions, 600);
  expect(owner.keep()).toEqual(["close 1 s accepted"]);
  // The time to retain it is over at once, and still it is not purged while the close is in doubt.
  expect(owner.keep()).toEqual([]);
  exchange(regions);
  for (const { fold } of regions) expect(fold.session("s")?.open).toBe(true);
  settle(regions);
  expect(owner.keep()).toEqual([]);
  expect(other.write("s", search).type).toBe("accepted");
  exchange(regions);
  // Idle again, and this time everybody agrees.
  pass(regions, 5_000);
  expect(owner.keep()).toEqual(["close 1 s accepted"]);
  settle(regions);
  expect(owner.keep()).toEqual(["purge s accepted"]);
});

test("scenario 51: keepers, cuts and activity in any order: no session is closed for idleness by a close that missed something, and all agree", () => {
  const step = fc.record({
    region: fc.nat(2),
    what: fc.constantFrom("write", "keep", "ship", "settle"),
    from: fc.nat(2),
    ms: fc.nat(700),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const policy = policyOf({ idleMs: 500, retainMs: 400 });
      const regions = [1, 2, 3].map((id) => new KeptRegion(id, policy));
      const members = [1, 2, 3];
      regions[0]!.begin("s");
      regions[1]!.begin("t");
      settle(regions);
      for (const { region: at, what, from, ms } of steps) {
        const region = regions[at]!;
        pass(regions, ms);
        if (what === "write") for (const id of ["s", "t"]) region.write(id, search);
        else if (what === "keep") region.keep(members);
        else if (what === "ship") region.receive(regions[from]!);
        else settle(regions);
      }
      settle(regions);
      expect(new Set(regions.map(({ fold }) => hex(fold.digest()))).size).toBe(1);
      for (const region of regions) {
        const restored = new KeptRegion(9, policy);
        restored.fold.restore(region.fold.snapshot());
        expect(hex(restored.fold.digest())).toBe(hex(region.fold.digest()));
        // Nothing was purged that any region had found open: what is purged accepts nothing, what is open does.
        for (const id of ["s", "t"]) {
          const { fold } = region;
          const answer = region.admission.admit(id, search);
          if (fold.purged(id)) expect(answer).toMatchObject({ code: "SESSION_PURGED" });
          else if (fold.session(id)!.open) expect(answer.type).toBe("accepted");
          else expect(answer).toMatchObject({ code: "SESSION_CLOSED" });
        }
      }
    }),
    { numRuns: 200 },
  );
});
