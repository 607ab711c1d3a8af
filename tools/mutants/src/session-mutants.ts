import type { Mutant } from "./mutant.ts";

const SCENARIOS = { project: "session", file: "packages/session/test/scenarios.test.ts" };
const LANES = { project: "session", file: "packages/session/test/lane.test.ts" };
const ADMISSION = { project: "session", file: "packages/session/test/admission.test.ts" };
const FOLDS = { project: "session", file: "packages/session/test/session-fold.test.ts" };
const PURGES = { project: "session", file: "packages/session/test/purge.test.ts" };
const SKEW = { project: "session", file: "packages/session/test/version-skew.test.ts" };
const KEEPER = { project: "session", file: "packages/session/test/session-keeper.test.ts" };
const ERASE = { project: "session", file: "packages/session/test/erase.test.ts" };
const CURSORS = { project: "session", file: "packages/session/test/cursor.test.ts" };
const TICKETS = { project: "session", file: "packages/session/test/ticket.test.ts" };
const ROAMING = { project: "region", file: "packages/region/test/roaming.test.ts" };
const HIDES = { project: "region", file: "packages/region/test/hides.test.ts" };
const RETENTION = { project: "region", file: "packages/region/test/retention.test.ts" };
const SESSION_FOLD = "packages/session/src/session-fold.ts";
const FOLD_EFFECTS = "packages/session/src/fold-effects.ts";
const FOLD_APPLY = "packages/session/src/fold-apply.ts";
const OP_PLACING = "packages/session/src/op-placing.ts";
const LANE = "packages/session/src/lane.ts";
const HLC_CLOCK = "packages/core/src/hlc-clock.ts";
const TOKENS = "packages/region/src/tokens.ts";
const SIMULATED_NETWORK = {
  project: "simulator",
  file: "packages/simulator/test/network-scenarios.test.ts",
};
const SIMULATED_MACHINE = {
  project: "simulator",
  file: "packages/simulator/test/machine-scenarios.test.ts",
};

/** Scenarios about what a session shows: operations folded once, hides that hold, roaming, erasing, closing. */
export const SESSION_MUTANTS: readonly Mutant[] = [
  {
    scenario: 14,
    name: "the mark of a lane jumps over a number that is missing",
    edits: [
      {
        file: LANE,
        pattern: "if (seqno === this.hwm + 1 && this.ahead === undefined) {",
        replacement: "if (seqno > this.hwm && this.ahead === undefined) {",
      },
    ],
    tests: [
      { ...LANES, name: "SES-2 7 before 6 loses nothing: it waits as an exception until the hole fills" },
      { ...LANES, name: "SES-2 the high-water mark is the highest contiguous number, whatever the order" },
    ],
  },
  {
    scenario: 15,
    name: "of two operations under one number the first to arrive is kept, and nobody is told",
    edits: [
      {
        file: SESSION_FOLD,
        pattern: 'if (place === "fork" && !session.purged) this.#applying.fork(session, lane, op.seqno);',
        replacement: 'if (place === "fork") return "duplicate";',
      },
    ],
    tests: [{ ...SCENARIOS, name: "SES-6 same lane and number, different bytes: both fold, in one order" }],
  },
  {
    scenario: 16,
    name: "an operation is known only while the cache remembers it",
    edits: [
      {
        file: "packages/session/src/admission.ts",
        pattern: "const index = effects.find(operation.tag, operation.digest);",
        replacement: 'const index = cached as number | "conflict" | undefined;',
      },
    ],
    tests: [{ ...ADMISSION, name: "SES-4 evicting every key of the store changes no answer" }],
  },
  {
    scenario: 16,
    name: "an operation is known only until it is stable",
    edits: [
      {
        file: LANE,
        pattern: '    if (this.unstable?.get(seqno) === undefined) return "known";\n',
        replacement: '    if (this.unstable?.get(seqno) === undefined) return "new";\n',
      },
    ],
    tests: [{ ...FOLDS, name: "SES-4 replaying all history changes nothing" }],
  },
  {
    scenario: 23,
    name: "an unhide removes hides that it had not seen",
    edits: [
      {
        file: FOLD_EFFECTS,
        pattern: "const dots = (op.clear as UnhideClear).dots.map((dot) => effectKey(dot));",
        replacement: `const dots = (op.clear as UnhideClear).dots
      .map((dot) => effectKey(dot))
      .concat(user.hides.observed(HIDE_OF[kind], (op.sealed as HideSealed).item));`,
      },
    ],
    tests: [
      { ...SIMULATED_NETWORK, name: "scenario 23: three parts, hides and unhides in each" },
      { ...SCENARIOS, name: "SES-9 hide in A, like in B, unhide in C that has not seen the hide" },
      { ...HIDES, name: "scenario 23: hide in A, like in B, unhide in C that has not seen the hide" },
    ],
  },
  {
    scenario: 23,
    name: "the last word wins: an unhide with a later stamp lifts every hide before it",
    edits: [
      {
        file: FOLD_EFFECTS,
        pattern: "user.hides.hide(kind, (op.sealed as HideSealed).item, dot);",
        replacement: `user.hides.hide(kind, (op.sealed as HideSealed).item, dot);
    const written = user as UserEntry & { lastUnhide?: typeof op.stamp };
    if (written.lastUnhide !== undefined && laterHlc(written.lastUnhide, op.stamp) !== op.stamp) {
      user.hides.unhide(kind, (op.sealed as HideSealed).item, [dot], effectKey(waiting.key));
      user.hides.settle(effectKey(waiting.key));
    }`,
      },
      {
        file: FOLD_EFFECTS,
        pattern: "const dots = (op.clear as UnhideClear).dots.map((dot) => effectKey(dot));",
        replacement: `const dots = (op.clear as UnhideClear).dots.map((dot) => effectKey(dot));
    (user as UserEntry & { lastUnhide?: typeof op.stamp }).lastUnhide = op.stamp;`,
      },
    ],
    tests: [
      { ...SIMULATED_NETWORK, name: "scenario 23: three parts, hides and unhides in each" },
      { ...SCENARIOS, name: "SES-9 hide in A, like in B, unhide in C that has not seen the hide" },
      { ...HIDES, name: "scenario 23: hide in A, like in B, unhide in C that has not seen the hide" },
    ],
  },
  {
    scenario: 24,
    name: "a client's stamp is taken however far ahead it is",
    edits: [
      {
        file: HLC_CLOCK,
        pattern: "if (aheadMs <= this.driftMsMax) return;",
        replacement: "if (aheadMs <= Number.MAX_VALUE) return;",
      },
    ],
    tests: [
      { ...SCENARIOS, name: "CORE-7 an unhide and a hide stamped ten years ahead are refused at ingest" },
      { ...HIDES, name: "scenario 24: a signal stamped ten years ahead is refused at ingest" },
    ],
  },
  {
    scenario: 24,
    name: "a stamp ten years ahead pulls every clock that receives it",
    edits: [
      {
        file: HLC_CLOCK,
        pattern: "if (!pulls || !(wallMs <= nowMs + this.driftMsMax) || Math.floor(nowMs) > wallMs) {",
        replacement: "if (!pulls || Math.floor(nowMs) > wallMs) {",
      },
    ],
    tests: [
      {
        ...SIMULATED_MACHINE,
        name: "scenario 24: hides and unhides stamped ten years ahead poison no clock",
      },
      {
        project: "core",
        file: "packages/core/test/hlc.test.ts",
        name: "CORE-5 scenario 24: a stamp ten years ahead is ordered behind, and pulls no clock",
      },
    ],
  },
  {
    scenario: 25,
    name: "an operation of a purged session begins it anew",
    edits: [
      {
        file: SESSION_FOLD,
        pattern: "if (tombstone !== undefined) return tombstone.kept ?? this.purges.recall(tombstone, op);",
        replacement: "",
      },
    ],
    tests: [
      { ...PURGES, name: "SES-10 a region dead since before a tombstone was stable brings nothing back" },
      {
        project: "region",
        file: "packages/region/test/returning.test.ts",
        name: "scenario 25: removed, and dead since before a session was purged and the logs let go",
      },
    ],
  },
  {
    scenario: 25,
    name: "a member that was away for too long serves what it has, without a snapshot",
    edits: [
      {
        file: "packages/replication/src/fence.ts",
        pattern: `      case "restoring":
        this.#restore();
        return;`,
        replacement: `      case "restoring":
        this.step({ kind: "restored" });
        return;`,
      },
    ],
    tests: [
      {
        project: "region",
        file: "packages/region/test/returning.test.ts",
        name: "scenario 25: removed, and dead since before a session was purged and the logs let go",
      },
      { ...RETENTION, name: "REP-7 REP-12 scenario 25: cut off past the cap, a member is named" },
    ],
  },
  {
    scenario: 28,
    name: "a cursor is honoured before what it names has arrived",
    edits: [
      {
        file: TOKENS,
        pattern:
          'if (missing !== "covered") throw this.notYetVisible(missing, `it has not arrived after ${timeoutMs} ms`);',
        replacement: "",
      },
    ],
    tests: [{ ...ROAMING, name: "scenario 28: five writes, roam before they ship" }],
  },
  {
    scenario: 28,
    name: "the operations that a ticket carries are not applied",
    edits: [
      {
        file: TOKENS,
        pattern: "return { tail: content.ops, need: content.complete ? base : seen, seen };",
        replacement: "return { tail: [], need: content.complete ? base : seen, seen };",
      },
    ],
    tests: [{ ...ROAMING, name: "scenario 28: five writes, roam before they ship" }],
  },
  {
    scenario: 29,
    name: "every region numbers the operations of a session in one lane",
    edits: [
      {
        file: OP_PLACING,
        pattern: "const op = { session, lane, seqno, stamp, userKey, operation, kind, clear, sealed };",
        replacement:
          "const op = { session, lane: { region: 1, epoch: 1 }, seqno, stamp, userKey, operation, kind, clear, sealed };",
      },
    ],
    tests: [
      { ...SIMULATED_NETWORK, name: "scenario 29: roaming there and back while cut, writing in each" },
      { ...SCENARIOS, name: "SES-1 roam A, B, A, writing in each while partitioned: no fork" },
      { ...ROAMING, name: "scenario 29: roaming there and back while cut reads what was written" },
    ],
  },
  {
    scenario: 30,
    name: "a token is trusted whatever its signature says",
    edits: [
      {
        file: "packages/session/src/token.ts",
        pattern: `  if (!sameBytes(bytes.subarray(end), macOf(kind, key.key, bytes.subarray(0, end), hasher)))
    throw forged(kind);
`,
        replacement: "",
      },
    ],
    tests: [
      {
        ...CURSORS,
        name: "SES-12 scenario 30: a signed cursor that is cut at any byte or has any bit flipped",
      },
      {
        ...TICKETS,
        name: "SES-14 scenario 30: a signed ticket that is cut at any byte or has any bit flipped",
      },
    ],
  },
  {
    scenario: 30,
    name: "a cursor that names what was never written is waited for",
    edits: [
      {
        file: "packages/replication/src/region-replication.ts",
        pattern: "    coverage.requirePossible(need);\n",
        replacement: "",
      },
    ],
    tests: [
      {
        project: "region",
        file: "packages/region/test/tickets.test.ts",
        name: "SES-13 scenario 30: more of this region's own log than it has is refused at once",
      },
    ],
  },
  {
    scenario: 44,
    name: "a retry of a hide in another region is a second hide",
    edits: [
      {
        file: FOLD_EFFECTS,
        pattern:
          "const dot = waiting.effect >= 0 ? effectKey(op.bytes, op.operationAt) : effectKey(waiting.key);",
        replacement: "const dot = effectKey(waiting.key);",
      },
    ],
    tests: [{ ...SCENARIOS, name: "SES-5 a hide retried in two regions while cut is one hide" }],
  },
  {
    scenario: 44,
    name: "a retry that moves an effect to an earlier position is called a conflict",
    edits: [
      {
        file: "packages/session/src/effect-table.ts",
        pattern: "return { index, isNew: false, lowered, conflict: false };",
        replacement: "return { index, isNew: false, lowered, conflict: lowered };",
      },
    ],
    tests: [
      { ...SCENARIOS, name: "SES-5 retry by operationId in two regions while cut, of every kind" },
      {
        project: "region",
        file: "packages/region/test/exactly-once.test.ts",
        name: "scenario 44: SES-5 a retry of every kind in two regions while cut is one effect each",
      },
    ],
  },
  {
    scenario: 45,
    name: "a ticket waits for the log positions it names, though it carries every operation",
    edits: [
      {
        file: TOKENS,
        pattern: "need: content.complete ? base : seen, seen };",
        replacement: "need: seen, seen };",
      },
    ],
    tests: [
      {
        ...ROAMING,
        name: "scenario 45: a ticket whose positions have other users' records in between resumes at once",
      },
    ],
  },
  {
    scenario: 46,
    name: "an operation is stamped by the region's clock alone, also behind what it overwrites",
    edits: [
      {
        file: OP_PLACING,
        pattern: "const stamp = compareHlc(tick, above) > 0 ? tick : stepHlc(above, tick.clockId);",
        replacement: "const stamp = compareHlc(tick, above) > 0 ? tick : stepHlc(tick, tick.clockId);",
      },
    ],
    tests: [
      { ...SCENARIOS, name: "CORE-7 a region's clock ten minutes ahead; write there, roam, overwrite" },
      { ...ROAMING, name: "scenario 46: written under a clock ten minutes ahead, roamed and overwritten" },
    ],
  },
  {
    scenario: 48,
    name: "what was written under an erased key is folded like the rest",
    edits: [
      {
        file: "packages/session/src/fold-erase.ts",
        pattern:
          "return pseudonym !== undefined && userKey <= (this.erasures.get(hexOf(pseudonym))?.upTo ?? 0);",
        replacement: "return pseudonym !== undefined && userKey < 0;",
      },
    ],
    tests: [
      { ...ERASE, name: "SES-18 scenario 48: every order of arrival gives the same digest" },
      {
        project: "region",
        file: "packages/region/test/erase.test.ts",
        name: "SES-18 scenario 48: erased while cut off, with writes under the old key on the other side",
      },
    ],
  },
  {
    scenario: 49,
    name: "an operation of an unknown kind is counted and dropped",
    edits: [
      {
        file: FOLD_APPLY,
        pattern: "      session.unknown.set(hexOf(key), op.bytes.slice());\n",
        replacement: "",
      },
    ],
    tests: [{ ...SKEW, name: "REP-13 what an older version kept whole is folded once it is upgraded" }],
  },
  {
    scenario: 49,
    name: "an unhide takes effect though a member does not know its kind",
    edits: [
      {
        file: "packages/session/src/fold-settling.ts",
        pattern: "if (frontier.foldVersionMin < foldVersionOf(kind)) {",
        replacement: "if (frontier.foldVersionMin < 0) {",
      },
    ],
    tests: [{ ...SKEW, name: "REP-13 no unhide takes effect before every member knows its kind" }],
  },
  {
    scenario: 51,
    name: "an idle close holds, whatever its writer had missed",
    edits: [
      {
        file: "packages/session/src/idle-close.ts",
        pattern:
          "return active !== undefined && compareHlc(latest, active) < 0 && compareHlc(active, stamp) < 0;",
        replacement:
          "return active !== undefined && compareHlc(latest, active) < 0 && compareHlc(stamp, latest) < 0;",
      },
    ],
    tests: [
      {
        ...PURGES,
        name: "scenario 51: idle close by the owner against activity elsewhere: the close is void",
      },
      {
        ...KEEPER,
        name: "scenario 51: the owner closes for idleness while another region serves the session",
      },
    ],
  },
];
