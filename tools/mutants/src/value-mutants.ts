import type { Mutant } from "./mutant.ts";

const CLOCK = { project: "core", file: "packages/core/test/hlc.test.ts" };
const CRDTS = { project: "core", file: "packages/core/test/crdt.test.ts" };
const COUNTERS = { project: "core", file: "packages/core/test/pn-counter.test.ts" };
const SUMS = { project: "core", file: "packages/core/test/signal-sums.test.ts" };
const STATES = { project: "core", file: "packages/core/test/crdt-signal-state.test.ts" };
const HLC_CLOCK = "packages/core/src/hlc-clock.ts";
const BUCKETS = "packages/core/src/bucket-sums.ts";
const PN_COUNTER = "packages/core/src/pn-counter.ts";

/** Scenarios about single values: clocks, counters, sums that decay, registers that merge. */
export const VALUE_MUTANTS: readonly Mutant[] = [
  {
    scenario: 26,
    name: "a clock that is set back takes its stamps back with it",
    edits: [
      {
        file: HLC_CLOCK,
        pattern: "if (readingMs > wallMs) {",
        replacement: "if (readingMs !== wallMs) {",
      },
    ],
    tests: [
      { ...CLOCK, name: "CORE-5 scenario 26: a clock set back an hour, on an hour, frozen, keeps order" },
    ],
  },
  {
    scenario: 26,
    name: "a restarted clock forgets the bound it had stored",
    edits: [
      {
        file: HLC_CLOCK,
        pattern:
          'resumeAboveMs === undefined ? -1 : guardUpTo(resumeAboveMs, "resumeAboveMs", HLC_WALL_MS_MAX);',
        replacement: "-1;",
      },
    ],
    tests: [
      { ...CLOCK, name: "CORE-5 scenario 26: a restart resumes above the persisted bound" },
      {
        project: "region",
        file: "packages/region/test/restart.test.ts",
        name: "scenario 26: the clock resumes above its persisted bound",
      },
    ],
  },
  {
    scenario: 27,
    name: "a full counter begins anew in the same millisecond",
    edits: [
      {
        file: HLC_CLOCK,
        pattern: "      wallMs += 1;\n      counter = 0;\n",
        replacement: "      counter = 0;\n",
      },
    ],
    tests: [{ ...CLOCK, name: "CORE-5 scenario 27: 70,000 events in one frozen millisecond" }],
  },
  {
    scenario: 35,
    name: "of two values with one stamp each replica keeps its own",
    edits: [
      {
        file: "packages/core/src/lww-table.ts",
        pattern:
          "if (order < 0 || (order === 0 && this.#compareValue(entry, from, start, length) >= 0)) return false;",
        replacement: "if (order <= 0) return false;",
      },
    ],
    tests: [{ ...CRDTS, name: "scenario 35: merge of " }],
  },
  {
    scenario: 35,
    name: "of two states with one count each replica keeps its own",
    edits: [
      {
        file: "packages/core/src/crdt-signal-state.ts",
        pattern: "return a.count === b.count ? compareBytes(bytesOf(a), bytesOf(b)) > 0 : a.count > b.count;",
        replacement: "return a.count > b.count;",
      },
    ],
    tests: [
      { ...STATES, name: "CORE-12 scenario 35: equal counts with different bytes fall to the greater" },
    ],
  },
  {
    scenario: 36,
    name: "an operation that comes again is counted again",
    edits: [
      {
        file: PN_COUNTER,
        pattern: 'const added = Math.max(known.added, guardSafe(operation.added, "added"));',
        replacement: 'const added = known.added + guardSafe(operation.added, "added");',
      },
    ],
    tests: [
      { ...COUNTERS, name: "CORE-9 scenario 36: retried operations and replicas that restart under new ids" },
    ],
  },
  {
    scenario: 36,
    name: "a sum past what a double holds is rounded",
    edits: [
      { file: PN_COUNTER, pattern: "return exact ? sum : this.#wideValue();", replacement: "return sum;" },
    ],
    tests: [{ ...COUNTERS, name: "CORE-9 scenario 36: a total past 2^53-1 is a typed overflow" }],
  },
  {
    scenario: 37,
    name: "an event that is older than the newest is not counted",
    edits: [
      {
        file: BUCKETS,
        pattern: "} else if (index > newest - keep) {",
        replacement: "} else if (index > newest) {",
      },
    ],
    tests: [
      { ...SUMS, name: "CORE-12 scenario 37: three replicas fed in different orders over ten years" },
      {
        project: "signals",
        file: "packages/signals/test/signal-ledger.test.ts",
        name: "SIG-2 scenario 37: three ledgers fed in different orders over ten years",
      },
    ],
  },
  {
    scenario: 37,
    name: "sums are added as doubles, which round in the order of arrival",
    edits: [
      {
        file: BUCKETS,
        pattern: "  let sumLo = (cells[at + 3] as number) + lo;\n  if (sumLo >= BASE) {",
        replacement: "  let sumLo = (cells[at + 3] as number) + lo;\n  if (sumLo < 0) {",
      },
    ],
    tests: [{ ...SUMS, name: "CORE-12 scenario 37: three replicas fed in different orders over ten years" }],
  },
];
