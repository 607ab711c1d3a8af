import * as append from "./append-checks.ts";
import type { LiveStoreCheck } from "./check.ts";
import * as gap from "./gap-checks.ts";
import * as retention from "./retention-checks.ts";
import * as subscription from "./subscribe-checks.ts";

const AGE = { ageMsMax: 1_000 };

/** Every check, the claims first. Names begin with the cases they hold. */
export const LIVE_CHECKS: readonly LiveStoreCheck[] = [
  { name: "LIV-7 the store is the one that was pinned", run: append.isAsPinned },

  { name: "B-11 LIV-3 append() counts each session from 1", run: append.countsFromOne },
  { name: "B-12 replayAfter() gives what was appended, whole", run: append.replaysWhatWasAppended },
  { name: "B-12 an event's cursor leaves the event out", run: append.leavesOutItsOwnEvent },
  { name: "B-14 currentCursor() is the tail and misses nothing", run: append.tellsWhereItIs },
  { name: "B-15 B-30 nobody need be there to hear or to trim", run: append.needsNobody },
  { name: "B-16 calls take effect in the order they are made in", run: append.keepsTheOrderOfCalls },
  { name: "B-17 the revision of a cursor is not looked at", run: append.ignoresTheRevision },

  {
    name: "B-18 B-19 LIV-4 gaps follow the table",
    bounds: gap.TABLE_BOUNDS,
    run: gap.followsTheTable,
  },
  { name: "B-8 LIV-5 a gap tells where to go on", bounds: gap.TABLE_BOUNDS, run: gap.tellsWhereToGoOn },
  { name: "B-39 LIV-1 another incarnation is unavailable", run: gap.refusesAnotherIncarnation },
  { name: "B-39 LIV-1 a loss makes another incarnation", requires: ["forget"], run: gap.isAnotherAfterALoss },
  {
    name: "B-27 an eviction makes another incarnation",
    requires: ["evict"],
    run: gap.isAnotherAfterEviction,
  },

  { name: "B-21 LIV-4 2,048 events are held by default", run: retention.holdsSoManyByDefault },
  { name: "B-24 a store of one event", bounds: { eventsMax: 1 }, run: retention.holdsOne },
  {
    name: "B-26 a store of no event hands on what comes",
    bounds: { eventsMax: 0 },
    run: retention.holdsNone,
  },
  {
    name: "B-22 events are counted in each session",
    bounds: gap.TABLE_BOUNDS,
    run: retention.countsEachSession,
  },
  {
    name: "B-22 B-23 B-25 an event that is too old is dropped, the tail stays",
    requires: ["clock"],
    bounds: AGE,
    run: retention.dropsWhatIsOld,
  },
  {
    name: "B-23 trim() drops what is too old",
    requires: ["clock"],
    bounds: AGE,
    run: retention.trimsWhenTold,
  },
  {
    name: "B-22a the clock on the wall neither drops events nor brings them back",
    requires: ["clock", "wallClock"],
    bounds: AGE,
    run: retention.doesNotMindTheWallClock,
  },

  { name: "B-13 B-28 a subscription is the replay, then what comes", run: subscription.replaysThenFollows },
  { name: "B-20 a subscription to nothing gets all there will be", run: subscription.followsFromNothing },
  { name: "B-28 LIV-3 racing appends leave no hole and no repeat", run: subscription.racesWithAppends },
  { name: "B-30 LIV-6 each of many subscribers gets everything", run: subscription.serveEachAlone },
  {
    name: "B-29 LIV-6 a lag says exactly how many were missed, and costs the others nothing",
    bounds: { bufferedMax: 4 },
    run: subscription.countsWhatWasMissed,
  },
  { name: "B-32 a signal ends a subscription", run: subscription.endsWithItsSignal },
  { name: "B-32 leaving the loop ends a subscription", run: subscription.endsWithItsLoop },
  { name: "B-29 B-32 close() is terminal, and CLOSED says so", run: subscription.closesForGood },
  {
    name: "close() of one handle leaves the other open",
    requires: ["second"],
    run: subscription.leavesTheOtherOpen,
  },
  {
    name: "B-28 a link that was cut costs no event and repeats none",
    requires: ["second", "cut"],
    run: subscription.survivesACut,
  },
  {
    name: "B-39 a subscription whose buffer was lost ends, and says so",
    requires: ["forget"],
    run: subscription.aLossEndsIt,
  },
];
