import type { KvCheckOfStore } from "./check.ts";
import * as close from "./close-checks.ts";
import * as commit from "./commit-checks.ts";
import * as durable from "./durable-checks.ts";
import * as limit from "./limit-checks.ts";
import * as model from "./model-checks.ts";
import * as race from "./race-checks.ts";
import * as read from "./read-checks.ts";
import * as scan from "./scan-checks.ts";
import * as watch from "./watch-checks.ts";

/** Every check, the claims first: what is skipped follows from them. */
export const KV_CHECKS: readonly KvCheckOfStore[] = [
  { name: "RUN-11 capabilities are the claims that were pinned", run: limit.claimsAreAsPinned },

  { name: "get() reads what was put, by either handle", run: read.readsWhatWasPut },
  {
    name: "get() gives values in the order asked for",
    requires: ["scan", "keys"],
    run: read.keepsTheOrderAskedFor,
  },
  { name: "an empty value is not the same as none", run: read.tellsEmptyFromAbsent },
  { name: "partitions that look alike are kept apart", run: read.keepsPartitionsApart },
  { name: "keys of any bytes are kept apart", run: read.takesAnyKey },
  { name: "bytes are copied in and out", run: read.copiesInAndOut },
  { name: "a view is the bytes of the view", run: read.respectsViews },
  { name: "get() is one consistent view", requires: ["scan", "keys"], run: read.readsOneView },
  { name: "a page is one consistent view", requires: ["scan", "keys"], run: read.scansOneView },

  { name: "scan() holds to prefix, start and end", requires: ["scan"], run: scan.holdsToItsBounds },
  { name: "scan() in reverse gives the same from the end", requires: ["scan"], run: scan.scansInReverse },
  { name: "scan() goes on page by page, in both directions", requires: ["scan"], run: scan.goesOnPageByPage },
  { name: "scan() limits a page", requires: ["scan"], run: scan.limitsAPage },
  { name: "scan() goes on through large values", requires: ["scan"], run: scan.goesOnThroughLargeValues },

  { name: "commit() judges every kind of check", run: commit.judgesEveryKindOfCheck },
  { name: "commit() changes nothing if a check fails", run: commit.changesNothingIfACheckFails },
  { name: "commit() is all or nothing", requires: ["scan", "keys"], run: commit.isAllOrNothing },
  { name: "commit() checks what it writes before it writes", run: commit.checksWhatItWrites },
  { name: "commit() takes commits without checks or writes", run: commit.takesCommitsWithoutEither },
  { name: "commit() refuses a key twice", run: commit.refusesAKeyTwice },
  { name: "random histories follow a sorted map", run: model.followsAModel },

  { name: "a value at the limit is taken, one beyond is KV_TOO_LARGE", run: limit.limitsValues },
  { name: "keys of a commit are limited", run: limit.limitsKeysOfACommit },
  { name: "bytes of a commit are limited", run: limit.limitsBytesOfACommit },
  { name: "keys and partitions are limited", run: limit.limitsKeysAndPartitions },
  { name: "what is not claimed is KV_UNSUPPORTED", run: limit.saysWhatItCannotDo },
  { name: "nowMs() is a clock that handles agree on", run: limit.tellsTheTime },

  { name: "C-36 of commits at once on one register exactly one wins", run: race.exactlyOneWins },
  { name: "increments by two handles add up", run: race.incrementsAddUp },
  { name: "there is no write skew", requires: ["keys"], run: race.refusesWriteSkew },
  { name: "a read sees every commit before it", run: race.readsSeeWhatCameBefore },
  { name: "commits to other partitions do not disturb", run: race.partitionsRaceApart },

  { name: "watch() tells of puts and deletes", requires: ["watch"], run: watch.tellsOfChanges },
  { name: "watch() loses no wake-up", requires: ["watch"], run: watch.losesNoWakeUp },
  { name: "watch() shows who looks the last change", requires: ["watch"], run: watch.theLastChangeIsSeen },
  { name: "watch() makes one of many changes", requires: ["watch"], run: watch.coalesces },
  { name: "leaving the loop ends a watch", requires: ["watch"], run: watch.leavingTheLoopEndsIt },
  { name: "close() ends watches", requires: ["watch"], run: watch.closeEndsWatches },
  { name: "an abort ends a watch", requires: ["watch"], run: watch.abortEndsAWatch },

  { name: "close() is idempotent", run: close.closesOnce },
  { name: "a closed store rejects every call", run: close.closedRejectsEverything },
  { name: "close() settles what is pending", run: close.closeSettlesWhatIsPending },
  {
    name: "close() of one handle leaves the other open",
    requires: ["second"],
    run: close.closingOneLeavesTheOther,
  },
  { name: "an aborted signal stops every call", run: close.abortedSignalsStopEveryCall },
  { name: "an abort in the middle of a call settles it", run: close.abortDuringACallSettlesIt },
  { name: "the documented order of errors decides", run: close.theFirstErrorDecides },

  {
    name: "RUN-11 C-86 every acknowledged commit is there after opening again",
    requires: ["durable", "reopen"],
    run: durable.reopenKeepsCommits,
  },
  {
    name: "C-11 a store of another version is refused and left as it is",
    requires: ["durable", "reopen", "version"],
    run: durable.refusesAnotherVersion,
  },
  {
    name: "RUN-11 every acknowledged commit survives kill -9, whole",
    requires: ["durable", "processes"],
    run: durable.keepsCommitsOfAKilledProcess,
  },
  {
    name: "two processes add up 3,000 increments",
    requires: ["processes"],
    run: durable.processesAddUp,
  },
];
