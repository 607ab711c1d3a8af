import { readFileSync } from "node:fs";
import { HlcClock, logId, nobleHasher } from "@tidemark/core";
import fc from "fast-check";
import { expect, test } from "vitest";
import {
  type OpRequest,
  OP_BYTES_MAX,
  SessionFold,
  type SessionState,
  type Op,
  SessionAdmission,
} from "../src/index.ts";
import { CLUSTER_ID, hex, LOGS, opBytes } from "./history.ts";
import { FORK_SAMPLES } from "./ops.ts";
import { exchange, settle, started, TestRegion } from "./region.ts";
import { sealedFold, sealedOp } from "./sealed-history.ts";

const GOLDEN = JSON.parse(readFileSync(new URL("golden/state-forks-v1.json", import.meta.url), "utf8")) as {
  readonly digest: string;
  readonly snapshot: string;
};
const open = (): SessionFold => new SessionFold({ hasher: nobleHasher, clusterId: CLUSTER_ID });
const like: OpRequest = {
  kind: "signal",
  entity: "e",
  signal: "like",
  weight: 1,
  eventTimeMs: 1_789_999_999_999,
};
const note = (text: string): OpRequest => ({ kind: "annotate", text });
const texts = (state: SessionState | undefined): string[] => state?.annotations.map(({ text }) => text) ?? [];
const likes = (state: SessionState | undefined): number => state?.signals.get("e")?.get("like")?.count ?? 0;

test("SES-17 a fork begins with all its parent holds, below its own operations, and later ones of the parent do not flow in", () => {
  const region = new TestRegion(1);
  region.write("p", { kind: "start", user: "ann", agent: "shopper", metadata: { plan: "pro" } });
  for (const request of [
    like,
    { kind: "prefer", key: "size", value: "m" },
    { kind: "prefer", key: "tone", value: "dry" },
    { kind: "annotate", text: "likes linen", entity: "e" },
    { kind: "search", query: "linen" },
    { kind: "app", namespace: "chat", bytes: Uint8Array.of(1) },
    { kind: "hide", item: "x" },
    { kind: "close" },
  ] satisfies OpRequest[])
    region.write("p", request);
  expect(region.write("f", { kind: "fork", parent: "p" }, "fork-1").type).toBe("accepted");
  region.write("f", like);
  region.write("f", { kind: "prefer", key: "size", value: "l" });
  region.write("f", note("mine"));
  region.write("f", { kind: "search", query: "wool" });
  region.write("f", { kind: "app", namespace: "chat", bytes: Uint8Array.of(2) });
  const state = region.fold.session("f")!;
  expect(state).toMatchObject({
    user: "ann",
    agent: "shopper",
    parents: ["p"],
    open: true,
    searches: ["linen", "wool"],
  });
  expect(state.metadata).toEqual({ plan: "pro" });
  expect(state.annotations).toEqual([{ text: "likes linen", entity: "e" }, { text: "mine" }]);
  expect([...state.hints].sort()).toEqual([
    ["size", "l"],
    ["tone", "dry"],
  ]);
  expect(state.apps.get("chat")).toEqual([Uint8Array.of(1), Uint8Array.of(2)]);
  expect(state.signals.get("e")?.get("like")).toMatchObject({ count: 2, weight: 2 });
  expect(region.fold.session("p")).toMatchObject({ open: false, searches: ["linen"] });
  expect(region.fold.session("p")?.parents).toBeUndefined();
  expect(region.fold.user("ann").sessions()).toEqual(["f", "p"]);
  expect(region.write("f", { kind: "fork", parent: "p" }, "fork-1").type).toBe("duplicate");
});

test("SES-17 a fork folds without its parent, in any order, in a region that never saw it", () => {
  const region = new TestRegion(1);
  started([region], "p");
  region.write("p", like);
  const from = region.records.length;
  region.write("f", { kind: "fork", parent: "p", agent: "cook", metadata: {} });
  region.write("f", like);
  region.write("f", note("mine"));
  fc.assert(
    fc.property(fc.shuffledSubarray([0, 1, 2], { minLength: 3 }), (order) => {
      const fold = open();
      for (const [at, index] of order.entries())
        fold.apply(region.records[from + index]!, region.log, at + 1);
      expect(fold.session("p")).toBeUndefined();
      const state = fold.session("f");
      expect(state).toMatchObject({ agent: "cook", metadata: {}, parents: ["p"] });
      expect([likes(state), texts(state)]).toEqual([2, ["mine"]]);
      const restored = open();
      restored.restore(fold.snapshot());
      expect(hex(restored.digest())).toBe(hex(fold.digest()));
      expect(hex(restored.snapshot())).toBe(hex(fold.snapshot()));
      expect(likes(restored.session("f"))).toBe(2);
    }),
  );
});

/** What a script does next; numbers choose among what there is. */
const step = fc.record({
  region: fc.nat(2),
  what: fc.constantFrom(
    "note",
    "like",
    "like",
    "fork",
    "fork",
    "merge",
    "merge",
    "merge",
    "receive",
    "exchange",
  ),
  one: fc.nat(),
  other: fc.nat(),
});

test("SES-17 forks and merges agree with a model of sets: what two parents have in common counts once", () => {
  fc.assert(
    fc.property(
      fc.array(step, { minLength: 10, maxLength: 40, size: "max" }),
      fc.infiniteStream(fc.nat()),
      (script, draws) => {
        const regions = [1, 2, 3].map((id) => new TestRegion(id));
        started(regions, "s0");
        /** What each session carries, and what is known of its own in each region: facts are `session kind number`. */
        const bases = new Map<string, Set<string>>([["s0", new Set()]]);
        const own = regions.map(() => new Set<string>());
        const known = regions.map(() => new Set(["s0"]));
        const inbox = regions.map(() => regions.map(() => ({ facts: 0, sessions: 0 })));
        const written = regions.map(() => ({ facts: [] as string[], sessions: [] as string[] }));
        const stateOf = (at: number, id: string): Set<string> =>
          new Set([...bases.get(id)!, ...[...own[at]!].filter((fact) => fact.startsWith(`${id} `))]);
        const receive = (to: number, from: number): void => {
          if (to === from) return;
          regions[to]!.receive(regions[from]!);
          const seen = inbox[to]![from]!;
          for (const fact of written[from]!.facts.slice(seen.facts)) own[to]!.add(fact);
          for (const id of written[from]!.sessions.slice(seen.sessions)) known[to]!.add(id);
          inbox[to]![from] = { facts: written[from]!.facts.length, sessions: written[from]!.sessions.length };
        };
        for (const [number, { region: at, what, one, other }] of script.entries()) {
          const region = regions[at]!;
          const sessions = [...known[at]!];
          const [a, b] = [sessions[one % sessions.length]!, sessions[other % sessions.length]!];
          if (what === "receive") receive(at, other % 3);
          else if (what === "exchange")
            for (const to of [0, 1, 2]) for (const from of [0, 1, 2]) receive(to, from);
          else if (what === "note" || what === "like") {
            region.write(a, what === "note" ? note(String(number)) : like);
            written[at]!.facts.push(`${a} ${what} ${number}`);
            own[at]!.add(`${a} ${what} ${number}`);
          } else {
            if (what === "merge" && a === b) continue;
            const id = `s${number + 1}`;
            const answer = region.write(
              id,
              what === "fork" ? { kind: "fork", parent: a } : { kind: "merge", parents: [a, b] },
            );
            const [left, right] = [stateOf(at, a), what === "fork" ? new Set<string>() : stateOf(at, b)];
            if (answer.type !== "accepted") {
              // Only where neither has all that the other has of some session.
              expect(answer).toMatchObject({ type: "refused", code: "SESSION_STATES_CROSSED" });
              const crossed = [...bases.keys()].some((origin) => {
                const of = (facts: Set<string>): string[] =>
                  [...facts].filter((fact) => fact.startsWith(`${origin} `));
                return of(left).some((fact) => !right.has(fact)) && of(right).some((fact) => !left.has(fact));
              });
              expect(crossed).toBe(true);
              continue;
            }
            bases.set(id, new Set([...left, ...right]));
            written[at]!.sessions.push(id);
            known[at]!.add(id);
          }
        }
        for (const to of [0, 1, 2]) for (const from of [0, 1, 2]) receive(to, from);
        const shuffled = open();
        const records = regions.flatMap(({ records: all, log }) => all.map((bytes) => ({ bytes, log })));
        const keys = records.map(() => draws.next().value as number);
        const order = [...records.keys()].sort((x, y) => keys[x]! - keys[y]!);
        for (const [at, index] of order.entries())
          shuffled.apply(records[index]!.bytes, records[index]!.log, at + 1);
        const restored = open();
        restored.restore(shuffled.snapshot());
        for (const fold of [...regions.map((region) => region.fold), shuffled, restored]) {
          expect(hex(fold.digest())).toBe(hex(regions[0]!.fold.digest()));
          for (const id of bases.keys()) {
            const facts = [...stateOf(0, id)];
            const state = fold.session(id);
            expect(likes(state)).toBe(facts.filter((fact) => fact.includes(" like ")).length);
            expect(texts(state).sort()).toEqual(
              facts
                .filter((fact) => fact.includes(" note "))
                .map((fact) => fact.split(" ")[2]!)
                .sort(),
            );
          }
        }
      },
    ),
    { numRuns: 80 },
  );
});

test("SES-17 of two copies of one fork the smallest position gives the content, whichever arrives first", () => {
  const [a, b] = [new TestRegion(1), new TestRegion(2, 1_790_000_000_400)];
  started([a, b], "p");
  a.write("p", note("only in a"));
  b.write("p", note("only in b"));
  const fork: OpRequest = { kind: "fork", parent: "p" };
  const effects = [a, b].map((region) => {
    const answer = region.write("f", fork, "fork-1");
    return answer.type === "accepted" ? answer.draft.effectId : undefined;
  });
  expect(effects[0]).toBe(effects[1]);
  exchange([a, b]);
  for (const { fold } of [a, b]) {
    expect(texts(fold.session("f"))).toEqual(["only in a"]);
    expect(fold.session("f")?.conflicts.starts).toBe(0);
  }
  expect(hex(a.fold.digest())).toBe(hex(b.fold.digest()));
  settle([a, b]);
  const restored = open();
  restored.restore(b.fold.snapshot());
  expect(texts(restored.session("f"))).toEqual(["only in a"]);
});

test("SES-17 a merge takes in what its filter lets through, of both and of what they were made of", () => {
  const region = new TestRegion(1);
  for (const id of ["a", "b"]) started([region], id);
  for (const id of ["a", "b"]) {
    region.write(id, like);
    region.write(id, note(`of ${id}`));
    region.write(id, { kind: "search", query: id });
  }
  region.write("c", {
    kind: "merge",
    parents: ["a", "b"],
    allows: ({ session, kind, name }) =>
      kind === "signal" ? name === "like" : session === "b" && kind !== "search",
  });
  const state = region.fold.session("c");
  expect(state).toMatchObject({ parents: ["a", "b"], searches: [] });
  expect([likes(state), texts(state)]).toEqual([2, ["of b"]]);
});

test("SES-17 what cannot be forked or merged is a typed refusal: unknown, of two users, taken, too large, crossed", () => {
  const [region, other] = [new TestRegion(1), new TestRegion(2)];
  started([region, other], "a");
  started([region, other], "b", "bob");
  const code = (session: string, request: OpRequest): string | undefined => {
    const answer = region.write(session, request);
    return answer.type === "refused" ? answer.code : answer.type;
  };
  expect(code("f", { kind: "fork", parent: "nobody" })).toBe("SESSION_UNKNOWN");
  expect(code("f", { kind: "merge", parents: ["a", "nobody"] })).toBe("SESSION_UNKNOWN");
  expect(code("f", { kind: "merge", parents: ["a", "b"] })).toBe("SESSION_USERS_DIFFER");
  expect(code("b", { kind: "fork", parent: "a" })).toBe("SESSION_EXISTS");
  expect(() => code("f", { kind: "merge", parents: ["a", "a"] })).toThrow(
    expect.objectContaining({ code: "INVALID_INPUT" }),
  );
  region.write("a", note("here"));
  other.write("a", note("there"));
  region.write("x", { kind: "fork", parent: "a" });
  other.write("y", { kind: "fork", parent: "a" });
  exchange([region, other]);
  expect(code("f", { kind: "merge", parents: ["x", "y"] })).toBe("SESSION_STATES_CROSSED");
  // The session itself has all of both by now.
  expect(code("g", { kind: "merge", parents: ["x", "a"] })).toBe("accepted");
  const bytes = new Uint8Array(250 * 1024);
  for (let count = 0; count < 9; count++) region.write("a", { kind: "app", namespace: "n", bytes });
  const refused = region.write("f", { kind: "fork", parent: "a" });
  expect(refused).toMatchObject({ type: "refused", code: "SESSION_TOO_LARGE" });
  expect(refused).toMatchObject({
    message: expect.stringContaining(`the limit is ${OP_BYTES_MAX}`) as string,
  });
  const lane = { producer: "00112233445566778899aabbccddeeff", epoch: 1 };
  const sealed = opBytes({ ...FORK_SAMPLES["fork"]!, lane, seqno: 1 });
  expect(() => region.admission.submitSealed(sealed)).toThrow(
    expect.objectContaining({ code: "INVALID_INPUT" }),
  );
});

test("SES-17 a fork whose state is not what its digest says is kept whole and folds to nothing", () => {
  const fold = open();
  const bytes = opBytes(FORK_SAMPLES["fork"]!);
  bytes[bytes.length - 1]! ^= 1;
  fold.apply(bytes, logId(1, 0, 7, "sessions"), 1);
  expect(fold.session("s-fork")).toMatchObject({ unknown: 1 });
  expect(fold.session("s-fork")?.user).toBeUndefined();
});

test("SES-17 golden digest and snapshot of a fork and a merge", () => {
  const fold = open();
  for (const [at, op] of Object.values(FORK_SAMPLES).entries())
    fold.apply(opBytes(op), logId(1, 0, 1_790_000_000, "sessions"), at + 1);
  expect(hex(fold.digest())).toBe(GOLDEN.digest);
  expect(hex(fold.snapshot())).toBe(GOLDEN.snapshot);
  const restored = open();
  restored.restore(Uint8Array.from(Buffer.from(GOLDEN.snapshot, "hex")));
  expect(hex(restored.digest())).toBe(GOLDEN.digest);
});

test("SES-17 SES-18 a session with something of two users under keys is not forked: it would outlive an erasure", () => {
  const fold = sealedFold();
  const clock = new HlcClock({ clockId: 1, now: () => 1_790_000_000_000 });
  const admission = new SessionAdmission({ fold, clock });
  const head = {
    lane: { region: 1, epoch: 7 },
    stamp: { wallMs: 5, counter: 1, clockId: 1 },
    session: "s",
    userKey: 1,
  };
  const start = (user: string) => ({
    kind: "start",
    clear: { policy: "", policyVersion: 0 },
    sealed: { user, agent: "a", metadata: {} },
  });
  for (const [at, user] of ["ann", "bob"].entries()) {
    const op = { ...head, ...start(user), seqno: at + 1 } as Op;
    fold.apply(sealedOp(op, { user, generation: 1 }).bytes, LOGS[0]!, at + 1);
    const answer = admission.admit(`fork-${at}`, { kind: "fork", parent: "s" });
    expect(answer.type === "refused" ? answer.code : answer.type).toBe(
      at === 0 ? "accepted" : "SESSION_USERS_DIFFER",
    );
  }
});
