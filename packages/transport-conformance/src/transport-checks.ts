import * as abort from "./abort-checks.ts";
import type { TransportCheck } from "./check.ts";
import * as close from "./close-checks.ts";
import * as delivery from "./delivery-checks.ts";
import * as limit from "./limit-checks.ts";
import * as request from "./request-checks.ts";
import * as sequence from "./sequence-checks.ts";
import * as status from "./status-checks.ts";
import * as subject from "./subject-checks.ts";
import * as subscription from "./subscription-checks.ts";

/** Every check, the claims first: what is skipped follows from them. */
export const TRANSPORT_CHECKS: readonly TransportCheck[] = [
  { name: "TRN-2 capabilities are the claims that were pinned", run: limit.claimsAreAsPinned },

  {
    name: "TRN-2 frames published once subscribe() resolved are seen",
    run: delivery.seesFramesOnceSubscribed,
  },
  { name: "TRN-2 frames travel in both directions", run: delivery.carriesBothDirections },
  {
    name: "TRN-2 three peers hear each other and themselves",
    peerCount: 3,
    run: delivery.broadcastsToThreePeers,
  },
  {
    name: "TRN-2 two subscriptions of one subject both get every frame",
    run: delivery.feedsEverySubscription,
  },
  { name: "TRN-2 a reader that keeps up misses nothing", run: delivery.losesNothingOnAQuietDay },
  { name: "TRN-2 frames of one subject arrive in order", requires: ["ordered"], run: delivery.keepsTheOrder },
  { name: "TRN-4 publish() copies before it returns", run: delivery.copiesWhatIsPublished },
  { name: "TRN-4 readers share no bytes", run: delivery.givesEachReaderItsOwnBytes },
  { name: "TRN-4 a view is published as the view", run: delivery.respectsViews },

  { name: "TRN-2 near misses of a subject stay apart", run: subject.tellsSubjectsApart },
  { name: "TRN-2 what is no subject is INVALID_SUBJECT", run: subject.refusesInvalidSubjects },
  { name: "TRN-2 every allowed subject is carried", run: subject.takesEverySubject },

  { name: "TRN-2 empty frames are frames", run: limit.carriesEmptyFrames },
  { name: "TRN-2 a frame at the size limit passes", run: limit.carriesTheLargestFrame },
  { name: "TRN-2 a frame above the size limit is FRAME_TOO_LARGE", run: limit.refusesALargerFrame },
  { name: "TRN-2 a request and an answer at the size limit pass", run: limit.carriesTheLargestRequest },
  { name: "TRN-2 a request above the size limit is FRAME_TOO_LARGE", run: limit.refusesALargerRequest },
  { name: "TRN-2 an answer above the size limit never arrives", run: limit.refusesALargerAnswer },

  { name: "TRN-2 publishing again under one sequence is harmless", run: sequence.repeatsAreHarmless },
  { name: "TRN-2 frames without a sequence pass between others", run: sequence.ephemeralFramesPass },
  { name: "TRN-2 release() is harmless", run: sequence.releaseIsHarmless },
  { name: "TRN-2 an unknown position is ignored", run: sequence.unknownPositionsAreIgnored },
  {
    name: "TRN-2 a subscription resumes after a position",
    requires: ["replay"],
    run: sequence.replaysFromAPosition,
  },
  {
    name: "TRN-2 what can be replayed outlives the broker",
    requires: ["replay", "persistent", "restartBroker"],
    run: sequence.remembersAcrossABrokerRestart,
  },

  { name: "TRN-1 leaving a for await loop ends the subscription", run: subscription.leavingTheLoopEndsIt },
  {
    name: "TRN-1 close() of a subscription ends its iteration",
    run: subscription.closingASubscriptionEndsIt,
  },
  {
    name: "TRN-1 close() of a subscription leaves the others open",
    run: subscription.closingOneLeavesTheOthers,
  },
  { name: "TRN-1 Symbol.asyncDispose closes", run: subscription.disposesEverything },
  { name: "TRN-3 a slow reader slows nobody", run: subscription.aSlowReaderSlowsNobody },
  { name: "TRN-3 a stalled channel starves no other", run: subscription.aStalledChannelStarvesNobody },

  { name: "TRN-1 an aborted signal stops every call", run: abort.abortedSignalsStopEveryCall },
  { name: "TRN-1 an abort in the middle of a call settles it", run: abort.abortDuringACallSettlesIt },
  { name: "TRN-1 an abort ends an open subscription", run: abort.abortEndsASubscription },
  { name: "TRN-1 an abort ends a waiting request", run: abort.abortEndsARequest },
  { name: "TRN-1 an abort ends a service", run: abort.abortEndsAService },

  { name: "TRN-1 close() is idempotent", run: close.closesOnce },
  { name: "TRN-1 close() ends iterations", run: close.closeEndsIterations },
  { name: "TRN-1 close() rejects waiting requests", run: close.closeRejectsRequests },
  { name: "TRN-1 close() does not wait for handlers", run: close.closeDoesNotWaitForHandlers },
  { name: "TRN-1 a closed transport rejects every call", run: close.closedRejectsEverything },
  { name: "TRN-1 the documented order of errors decides", run: close.theFirstErrorDecides },
  { name: "TRN-1 a wait that is none is a RangeError", run: close.refusesAWaitThatIsNone },
  { name: "TRN-2 a peer restarts under its name", run: close.aPeerRestarts },

  { name: "TRN-2 requests are answered in both directions", run: request.answersBothDirections },
  { name: "TRN-2 concurrent requests get their own answers", run: request.concurrentRequestsKeepApart },
  { name: "TRN-2 a handler that throws answers nothing", run: request.aThrowingHandlerAnswersNothing },
  { name: "TRN-2 a handler that hangs is REQUEST_TIMEOUT", run: request.aSlowHandlerTimesOut },
  { name: "TRN-2 a request that nobody serves is not answered", run: request.nobodyAnswers },
  { name: "TRN-2 a second handler is SUBJECT_IN_USE", run: request.refusesASecondHandler },
  { name: "TRN-2 a closed service is gone", run: request.aClosedServiceIsGone },
  { name: "TRN-2 near misses of a served subject reach no handler", run: request.requestsKeepToTheirSubject },
  { name: "TRN-2 requests and frames of one subject stay apart", run: request.requestsAndFramesKeepApart },
  { name: "TRN-4 requests and answers are copied", run: request.copiesRequestsAndAnswers },

  { name: "TRN-1 an open transport becomes ready", run: status.saysThatItIsReady },
  { name: "TRN-1 close() is announced once", run: status.announcesItsEnd },
  { name: "TRN-1 onStatus() listeners can leave", run: status.listenersCanLeave },
  {
    name: "TRN-2 a cut link is told, and flows after it heals",
    requires: ["cut"],
    run: status.recoversFromACut,
  },
  {
    name: "TRN-2 a link cut one way lets the other way through",
    requires: ["cutOneWay"],
    run: status.recoversFromACutOneWay,
  },
  {
    name: "TRN-2 a restart of the broker is survived",
    requires: ["restartBroker"],
    run: status.recoversFromABrokerRestart,
  },
];
