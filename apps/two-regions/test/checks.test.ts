import { describe, expect, test } from "vitest";
import { HiddenCheck, ITEMS_READ_MAX, type Shows } from "../src/hidden-check.ts";
import { Link } from "../src/link.ts";
import type { Cut } from "../src/plan.ts";
import { formatReport, isHeld, quantilesOf, type Report } from "../src/report.ts";
import { EVERYWHERE, Sightings, type OperationPlace } from "../src/sightings.ts";

/** A region that hides these items and shows everything else. */
function hiding(...items: string[]): Shows & { readonly asked: string[] } {
  const asked: string[] = [];
  return {
    asked,
    async filterVisible(_user, list) {
      asked.push(...list);
      return list.filter((item) => !items.includes(item));
    },
  };
}

describe("APP-1 hidden items shown", () => {
  test("are counted where the device is, whether or not the region has applied the hide", async () => {
    const check = new HiddenCheck();
    check.hide("u", "a", 1, 0b001);
    await check.read("u", [hiding("a"), hiding(), hiding()], 0);
    expect(check.shown).toBe(0);
    await check.read("u", [hiding("a"), hiding(), hiding()], 1);
    expect(check.shown).toBe(1);
  });

  test("are counted elsewhere once the region has applied the hide", async () => {
    const check = new HiddenCheck();
    check.hide("u", "a", 1, 0b001);
    check.applied(1, 2, false);
    await check.read("u", [hiding("a"), hiding(), hiding()], 0);
    expect(check.shown).toBe(1);
    check.applied(1, 1, true);
    await check.read("u", [hiding("a"), hiding(), hiding()], 0);
    expect(check.shown).toBe(3);
  });

  test("are not counted after an unhide, also where an earlier hide arrives late", async () => {
    const check = new HiddenCheck();
    check.hide("u", "a", 1, 0b001);
    check.unhide("u", "a");
    await check.read("u", [hiding(), hiding(), hiding()], 0);
    check.hide("u", "a", 3, 0b001);
    check.applied(1, 1, false);
    await check.read("u", [hiding("a"), hiding(), hiding()], 0);
    expect(check.shown).toBe(0);
    check.applied(3, 1, false);
    await check.read("u", [hiding("a"), hiding(), hiding()], 0);
    expect(check.shown).toBe(1);
  });

  test("a second hide of a hidden item leaves the first one in force", async () => {
    const check = new HiddenCheck();
    check.hide("u", "a", 1, EVERYWHERE);
    check.hide("u", "a", 2, 0b001);
    await check.read("u", [hiding("a"), hiding(), hiding("a")], 0);
    expect(check.shown).toBe(1);
  });

  test("of a long list are read in turn, the item of the operation always", async () => {
    const check = new HiddenCheck();
    const items = Array.from({ length: 2 * ITEMS_READ_MAX }, (_, index) => `i${index}`);
    for (const [index, item] of items.entries()) check.hide("u", item, index + 1, 0b001);
    const region = hiding(...items);
    await check.read("u", [region, hiding(), hiding()], 0, "i1000");
    expect(region.asked.length).toBe(ITEMS_READ_MAX + 1);
    expect(region.asked).toContain("i1000");
    await check.read("u", [region, hiding(), hiding()], 0);
    expect(new Set(region.asked)).toEqual(new Set(items));
  });
});

describe("APP-1 visibility lag", () => {
  function sightings(): {
    readonly at: (ms: number) => void;
    readonly seen: Sightings;
    readonly applied: string[];
  } {
    let now = 0;
    const applied: string[] = [];
    const seen = new Sightings(
      9,
      () => now,
      (line, region) => applied.push(`${line}@${region}`),
    );
    return { at: (ms) => (now = ms), seen, applied };
  }

  const place = (seqno: number, lane = "us"): OperationPlace => ({ session: "s", lane, seqno });

  test("is measured from the answer to the other region, the follower aside", () => {
    const { at, seen, applied } = sightings();
    seen.saw(0, place(1));
    at(10);
    seen.acknowledged(4, 0, place(1), true);
    at(12);
    seen.saw(2, place(1));
    at(15);
    seen.saw(1, place(1));
    expect(seen.lagsMs).toEqual([5]);
    expect(applied).toEqual(["4@0", "4@2", "4@1"]);
    expect(seen.regionsOf(4)).toBe(EVERYWHERE);
  });

  test("is zero where the other region was faster than the answer", () => {
    const { seen } = sightings();
    seen.saw(0, place(1));
    seen.saw(1, place(1));
    seen.acknowledged(1, 0, place(1), true);
    expect(seen.lagsMs).toEqual([0]);
  });

  test("is not measured across a cut, nor where the caller says so", () => {
    const { seen } = sightings();
    seen.acknowledged(1, 0, place(1), true);
    seen.interrupted();
    seen.acknowledged(2, 0, place(2), false);
    for (const seqno of [1, 2]) for (const region of [0, 1, 2]) seen.saw(region, place(seqno));
    expect(seen.lagsMs).toEqual([]);
    expect(seen.regionsOf(1)).toBe(EVERYWHERE);
  });

  test("is of one line, also where a retry gave it a second place", () => {
    const { seen, applied } = sightings();
    seen.acknowledged(1, 0, place(1, "us"), false);
    seen.acknowledged(1, 1, place(1, "eu"), false);
    seen.saw(2, place(1, "eu"));
    expect(applied).toEqual(["1@0", "1@1", "1@2"]);
    expect(seen.regionsOf(1)).toBe(EVERYWHERE);
  });

  test("is summed up by nearest rank, with zeros for nothing", () => {
    expect(quantilesOf([])).toEqual({ p50: 0, p99: 0, max: 0 });
    expect(quantilesOf(Array.from({ length: 200 }, (_, index) => 200 - index))).toEqual({
      p50: 100,
      p99: 198,
      max: 200,
    });
  });
});

describe("APP-1 the link", () => {
  function linkOf(cuts: readonly Cut[]): { readonly link: Link; readonly log: string[] } {
    const log: string[] = [];
    const network = {
      cut: (region: string) => log.push(`cut ${region}`),
      heal: () => log.push("heal"),
    };
    return {
      link: new Link(network, cuts, { onCut: () => log.push("told"), onHeal: () => log.push("told") }),
      log,
    };
  }

  const first: Cut = { line: 3, after: 0, operations: 2, follower: 1 };

  test("is cut at its line, around the region that loses the follower as well, and healed after its operations and a roam", () => {
    const { link, log } = linkOf([first]);
    link.beforeLine(2);
    link.played();
    expect(link.isCut).toBe(false);
    const signal = link.untilCut;
    link.beforeLine(3);
    expect([link.isCut, signal.aborted]).toEqual([true, true]);
    link.played();
    link.played();
    expect(link.isCut).toBe(true);
    link.roamed();
    link.played();
    expect([link.isCut, link.untilCut.aborted]).toEqual([false, false]);
    expect(log).toEqual(["cut us-east", "told", "heal", "told"]);
  });

  test("is cut again some operations after it was healed", () => {
    const { link, log } = linkOf([first, { line: 0, after: 2, operations: 1, follower: 0 }]);
    link.beforeLine(3);
    link.roamed();
    for (let operation = 0; operation < 4; operation++) link.played();
    expect(link.isCut).toBe(true);
    link.played();
    expect(link.isCut).toBe(false);
    expect(log.filter((entry) => entry.startsWith("cut"))).toEqual(["cut us-east", "cut eu-west"]);
  });
});

describe("APP-1 the report", () => {
  const region = {
    name: "us-east",
    role: "member" as const,
    opsApplied: 2,
    duplicates: 1,
    withheld: 0,
    walSegments: 1,
    durableLsn: { signals: 0, sessions: 2 },
    digest: "00".repeat(32),
  };
  const good: Report = {
    ok: true,
    transport: "inprocess",
    operations: 3,
    refused: 1,
    malformed: 0,
    regions: [region],
    visibilityLagMs: { p50: 1, p99: 2, max: 3 },
    hiddenShown: 0,
    lostOps: 0,
    doubleApplied: 0,
    roam: { sessions: 1, duringPartition: 1, deferred: 0, ownWritesMissing: 0 },
    certificatesEqual: true,
  };

  test.each<[string, Partial<Report>]>([
    ["hiddenShown", { hiddenShown: 1 }],
    ["lostOps", { lostOps: 1 }],
    ["doubleApplied", { doubleApplied: 1 }],
    ["ownWritesMissing", { roam: { ...good.roam, ownWritesMissing: 1 } }],
    ["certificatesEqual", { certificatesEqual: false }],
  ])("says that a promise failed if %s says so", (_, change) => {
    expect(isHeld(good)).toBe(true);
    expect(isHeld({ ...good, ...change })).toBe(false);
  });

  test("reads well", () => {
    const text = formatReport(good, 1234);
    expect(text).toContain("3 operations played in 1.23 s: 2 accepted, 1 refused\n");
    expect(text).toContain("us-east  member  2");
    expect(text.endsWith("\nEvery promise held.\n")).toBe(true);
  });
});
