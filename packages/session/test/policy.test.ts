import { nobleHasher } from "@tidemark/core";
import fc from "fast-check";
import { expect, test } from "vitest";
import {
  FOLD_VERSION,
  type OpRequest,
  POLICIES_MAX,
  PolicyBook,
  PolicyGate,
  RateLimits,
  SessionAdmission,
  SessionPolicy,
  type SessionPolicyRules,
} from "../src/index.ts";
import { hex } from "./history.ts";
import { exchange, settle, TestRegion } from "./region.ts";

const START = 1_790_000_000_000;
const policyOf = (rules: Partial<SessionPolicyRules>): SessionPolicy =>
  new SessionPolicy(nobleHasher, { name: "shop", version: 1, ...rules });
const like = (signal: string = "like"): OpRequest => ({
  kind: "signal",
  entity: "e",
  signal,
  weight: 1,
  eventTimeMs: START,
});
const search: OpRequest = { kind: "search", query: "q" };

/** A region whose admission enforces policies. */
class PolicyRegion extends TestRegion {
  readonly gate: PolicyGate;
  override readonly admission: SessionAdmission<string>;

  constructor(id: number, ...policies: SessionPolicy[]) {
    super(id, START);
    this.gate = new PolicyGate({ book: new PolicyBook(policies), region: id, now: () => this.nowMs });
    this.admission = new SessionAdmission({ fold: this.fold, clock: this.clock, gate: this.gate });
  }

  begin(policy: SessionPolicy, session: string = "s"): void {
    const answer = this.write(session, {
      kind: "start",
      user: "ann",
      agent: "a",
      policy: policy.id,
      policyVersion: policy.rules.version,
    });
    expect(answer.type).toBe("accepted");
  }

  /** The code of a refusal, or what else was answered. */
  tell(request: OpRequest, session: string = "s", operationId?: string): string {
    const answer = this.write(session, request, operationId);
    return answer.type === "refused" ? answer.code : answer.type;
  }
}

const name = fc
  .string({ unit: "grapheme", minLength: 1, maxLength: 12 })
  .filter((text) => !text.includes("@"));
const ms = fc.nat(1_000_000_000);
const rules: fc.Arbitrary<SessionPolicyRules> = fc
  .record(
    {
      name,
      version: fc.integer({ min: 1, max: 0xffff_ffff }),
      signals: fc.array(name, { maxLength: 4 }),
      kinds: fc.subarray(["signal", "prefer", "hide", "app", "search"] as const),
      opsMax: fc.nat(),
      rate: fc.record({ ops: fc.integer({ min: 1 }), perMs: fc.integer({ min: 1, max: 1e9 }) }),
      durationMs: ms,
      idleMs: ms,
      retainMs: ms,
      visible: fc.oneof(
        fc.constantFrom("user" as const, "agent" as const),
        fc.record({ agents: fc.array(name, { maxLength: 3 }) }),
      ),
    },
    { requiredKeys: ["name", "version"] },
  )
  .filter(({ name }) => Buffer.byteLength(name) <= 64);

test("SES-16 a policy is named by its content: canonical bytes come back, and any others are refused", () => {
  fc.assert(
    fc.property(rules, fc.nat(), fc.nat(255), (given, at, value) => {
      const policy = new SessionPolicy(nobleHasher, given);
      const bytes = policy.encode();
      const decoded = SessionPolicy.decode(nobleHasher, bytes);
      expect([decoded.id, hex(decoded.digest)]).toEqual([policy.id, hex(policy.digest)]);
      const shuffled = { ...given, ...(given.signals && { signals: given.signals.toReversed() }) };
      expect(new SessionPolicy(nobleHasher, shuffled).id).toBe(policy.id);
      bytes[at % bytes.length] = value;
      try {
        expect(hex(SessionPolicy.decode(nobleHasher, bytes).encode())).toBe(hex(bytes));
      } catch (error) {
        expect(error).toMatchObject({ code: "DECODE_FAILED" });
      }
    }),
  );
});

test("SES-16 golden bytes and digest of a policy", () => {
  const policy = policyOf({
    version: 3,
    signals: ["save", "buy"],
    kinds: ["signal", "hide", "unhide"],
    opsMax: 500,
    rate: { ops: 10, perMs: 1_000 },
    durationMs: 86_400_000,
    idleMs: 600_000,
    retainMs: 2_592_000_000,
    visible: { agents: ["guide"] },
  });
  expect(hex(policy.encode())).toBe(
    "010473686f7003000000010203627579047361766501030205060" +
      "1f403010ae8070180b8992901c0cf24018090fbd309020105" +
      "6775696465",
  );
  expect(policy.id).toMatch(/^shop@[0-9a-f]{16}$/);
});

test("SES-16 rules that cannot be are refused with what is wrong", () => {
  const bad: Partial<SessionPolicyRules>[] = [
    { name: "" },
    { name: "a@b" },
    { name: "x".repeat(65) },
    { version: 0 },
    { opsMax: -1 },
    { rate: { ops: 0, perMs: 1 } },
    { idleMs: 0.5 },
    { kinds: ["teleport" as "signal"] },
    { visible: "all" as "user" },
    { signals: Array.from({ length: 4_097 }, (_, at) => `s${at}`) },
  ];
  for (const one of bad) expect(() => policyOf(one)).toThrow();
  expect(() => new PolicyBook([policyOf({}), policyOf({ opsMax: 1 })])).toThrow(RangeError);
  const many = Array.from({ length: POLICIES_MAX + 1 }, (_, at) => policyOf({ version: at + 1 }));
  expect(() => new PolicyBook(many)).toThrow(RangeError);
  expect(new PolicyBook(many.slice(1)).newest("shop")?.rules.version).toBe(POLICIES_MAX + 1);
});

test("SES-16 kinds, signals and counts that a policy does not allow are refused with a type, where they are accepted", () => {
  const policy = policyOf({ signals: ["like"], kinds: ["signal", "search"], opsMax: 3 });
  const [a, b] = [new PolicyRegion(1, policy), new PolicyRegion(2, policy)];
  a.begin(policy);
  exchange([a, b]);
  expect(a.fold.session("s")?.policy).toEqual({ id: policy.id, version: 1 });
  expect(a.tell({ kind: "hide", item: "x" })).toBe("POLICY_KIND");
  expect(a.tell(like("dislike"))).toBe("POLICY_SIGNAL");
  // A kind is judged before a signal, and both before the weight.
  expect(a.tell({ ...like("dislike"), weight: Number.NaN } as OpRequest)).toBe("POLICY_SIGNAL");
  expect([like(), search, search, search].map((request) => a.tell(request))).toEqual([
    "accepted",
    "accepted",
    "accepted",
    "POLICY_COUNT",
  ]);
  // Each region counts what itself accepts.
  exchange([a, b]);
  expect([search, search, search, search].map((request) => b.tell(request))).toEqual([
    "accepted",
    "accepted",
    "accepted",
    "POLICY_COUNT",
  ]);
  // What was accepted folds everywhere; a retry is a duplicate, and closing is always allowed.
  exchange([a, b]);
  expect(a.fold.session("s")?.searches.length).toBe(5);
  expect(a.tell({ kind: "close" })).toBe("accepted");
});

test("SES-16 a count sees what is queued, survives a restart, and needs no memory of its own", () => {
  const policy = policyOf({ opsMax: 4 });
  const region = new PolicyRegion(1, policy);
  const answers = [
    region.admission.admit("s", {
      kind: "start",
      user: "ann",
      agent: "a",
      policy: policy.id,
      policyVersion: 1,
    }),
    ...Array.from({ length: 6 }, () => region.admission.admit("s", search)),
  ];
  expect(answers.map(({ type }) => type)).toEqual([
    ...Array.from({ length: 5 }, () => "accepted"),
    "refused",
    "refused",
  ]);
  const drafts = answers.flatMap((answer) => (answer.type === "accepted" ? [answer.draft] : []));
  // A part is written, a part is folded, a part fails: each counts once, and what failed not at all.
  const bytes = region.encode(drafts.slice(0, 3));
  expect(region.tell(search)).toBe("POLICY_COUNT");
  for (const one of bytes) region.append(one);
  expect(region.tell(search)).toBe("POLICY_COUNT");
  for (const draft of drafts.slice(0, 3)) draft.settle(true);
  expect(region.tell(search)).toBe("POLICY_COUNT");
  drafts[3]!.settle(false);
  expect(region.tell(search)).toBe("accepted");
  region.commit(drafts.slice(4));
  expect(region.tell(search)).toBe("POLICY_COUNT");
  const restarted = new PolicyRegion(1, policy);
  restarted.fold.restore(region.fold.snapshot());
  expect(restarted.tell(search)).toBe("POLICY_COUNT");
});

test("SES-16 a rate refills with time; time that goes back stands still", () => {
  const policy = policyOf({ rate: { ops: 2, perMs: 1_000 } });
  const region = new PolicyRegion(1, policy);
  region.begin(policy);
  region.begin(policy, "t");
  expect([search, search, search].map((one) => region.tell(one))).toEqual([
    "accepted",
    "accepted",
    "POLICY_RATE",
  ]);
  expect(region.tell(search, "t")).toBe("accepted");
  region.nowMs += 499;
  expect(region.tell(search)).toBe("POLICY_RATE");
  region.nowMs += 1;
  expect(region.tell(search)).toBe("accepted");
  expect(region.tell(search)).toBe("POLICY_RATE");
  region.nowMs -= 3_600_000;
  expect(region.tell(search)).toBe("POLICY_RATE");
  region.nowMs += 3_600_000 + 1_000;
  expect(region.tell(search)).toBe("accepted");
  // What is refused for another reason costs nothing.
  expect(() => region.tell({ ...like(), weight: Number.NaN } as OpRequest)).toThrow();
  expect(region.tell(search)).toBe("accepted");
  expect(region.tell(search)).toBe("POLICY_RATE");
});

test("SES-16 rates are remembered of sessions that are active within their time, up to a bound", () => {
  const limits = new RateLimits(100);
  const rate = { ops: 1, perMs: 1_000 };
  for (let at = 0; at < 1_000; at++) {
    expect(limits.allows(`s${at}`, rate, 0)).toBe(true);
    limits.spend(`s${at}`, rate, 0);
    expect(limits.size).toBeLessThanOrEqual(100);
  }
  expect(limits.allows("s999", rate, 0)).toBe(false);
  // Everything has rested since.
  limits.spend("late", rate, 1_000);
  expect(limits.size).toBe(1);
});

test("SES-16 a session takes no more once it has lasted as long as its policy allows", () => {
  const policy = policyOf({ durationMs: 10_000 });
  const region = new PolicyRegion(1, policy);
  region.begin(policy);
  region.nowMs += 10_000;
  expect(region.tell(search)).toBe("accepted");
  region.nowMs += 1;
  expect(region.tell(search)).toBe("POLICY_DURATION");
});

test("SES-16 a region that lacks a policy stores, does not enforce, and says so; another content is another policy", () => {
  const policy = policyOf({ kinds: ["search"] });
  const other = policyOf({ kinds: ["search", "prefer"] });
  const [a, b] = [new PolicyRegion(1, policy), new PolicyRegion(2, other)];
  a.begin(policy);
  exchange([a, b]);
  expect(b.tell({ kind: "hide", item: "x" })).toBe("accepted");
  expect([...b.gate.missing]).toEqual([[`${policy.id} 1`, 1]]);
  expect(a.gate.missing.size).toBe(0);
  expect(b.tell({ kind: "start", user: "ann", agent: "a", policy: policy.id, policyVersion: 1 }, "new")).toBe(
    "POLICY_UNKNOWN",
  );
  exchange([a, b]);
  expect(a.fold.user("ann").hidden()).toEqual(["x"]);
  for (let version = 2; version < 200; version++) {
    const lacked = policyOf({ version });
    const from = new PolicyRegion(3, lacked);
    from.begin(lacked, `s-${version}`);
    for (const bytes of from.records) b.fold.apply(bytes, { ...from.log, epoch: version }, 1);
    expect(b.tell(search, `s-${version}`)).toBe("accepted");
  }
  expect(b.gate.missing.size).toBe(65);
  expect(b.gate.missing.get("others")).toBe(198 - 63);
});

test("SES-16 which sessions of its user an agent sees follows from the policy", () => {
  expect(policyOf({}).sees("a", "b")).toBe(true);
  expect(policyOf({ visible: "agent" }).sees("a", "b")).toBe(false);
  expect(policyOf({ visible: "agent" }).sees("a", "a")).toBe(true);
  const named = policyOf({ visible: { agents: ["b"] } });
  expect(["a", "b", "c"].map((agent) => named.sees("a", agent))).toEqual([true, true, false]);
});

test("SES-16 what was accepted before a purge was known is judged again as its batch is formed", () => {
  const [a, b] = [new TestRegion(1, START), new TestRegion(2, START)];
  a.write("s", { kind: "start", user: "ann", agent: "a" });
  exchange([a, b]);
  const waiting = b.admission.admit("s", { kind: "hide", item: "x" });
  if (waiting.type !== "accepted") throw new Error(waiting.type);
  a.write("s", { kind: "purge" });
  b.receive(a);
  expect(() => b.encode([waiting.draft])).toThrow(expect.objectContaining({ code: "SESSION_PURGED" }));
  waiting.draft.settle(false);
  // The same behind a purge of its own that is in a batch.
  a.write("t", { kind: "start", user: "ann", agent: "a" });
  const [before, purge, after] = ["search", "purge", "search"].map((kind) => {
    const answer = a.admission.admit("t", kind === "purge" ? { kind: "purge" } : search);
    return answer.type === "accepted" ? answer.draft : undefined;
  });
  expect(after).toBeUndefined();
  a.encode([purge!]);
  expect(() => a.encode([before!])).toThrow(expect.objectContaining({ code: "SESSION_PURGED" }));
  expect(a.admission.end("t", "close")).toBeDefined();
  settle([a, b], FOLD_VERSION);
});
