import { compareState, Difference } from "./compare.ts";
import { areEqual, converge } from "./convergence.ts";
import { Crash, type CrashListener } from "./crash.ts";
import { Link, type LinkListener } from "./link.ts";
import type { Claim } from "./manifest.ts";
import { Model } from "./model.ts";
import { Pacer } from "./pacer.ts";
import { planRun } from "./plan.ts";
import { Player } from "./player.ts";
import type { Recording } from "./recording.ts";
import type { Cluster } from "./region-driver.ts";
import { isHeld, quantilesOf, type Report } from "./report.ts";
import { LINE, type Survey } from "./survey.ts";
import type { TransportName } from "./transports.ts";
import type { StateView } from "./view.ts";

/** What a run needs. */
export interface RunOptions {
  readonly recording: Recording;
  readonly survey: Survey;
  readonly seed: number;
  /** Operations offered a second; left out: as fast as they are acknowledged. */
  readonly speed?: number;
  /** What joins the regions that `open` opens. */
  readonly transport: TransportName;
  /** Opens the regions; closed again when the run is over. */
  readonly open: () => Promise<Cluster>;
  readonly claim: Claim;
  readonly nowMs: () => number;
  readonly events: RunEvents;
  /** Given the final states, if the run reached its end. */
  readonly onState: (views: readonly StateView[]) => void;
}

/** Told how the run goes. */
export interface RunEvents extends LinkListener, CrashListener {
  onPlayed(played: number): void;
  onConverging(): void;
}

/** Plays a recording through two regions and measures what became of the promises. */
export async function run(options: RunOptions): Promise<Report> {
  const { recording, survey, claim, nowMs, events } = options;
  const cluster = await options.open();
  const { network, regions } = cluster;
  try {
    // What an earlier run left in one region only has to reach the others before anything is replayed.
    if (claim.isResumed) await converge(regions, nowMs);
    const plan = planRun(recording, survey, options.seed);
    let player: Player | undefined;
    const link = new Link(network, plan.cuts, {
      onCut: (cut) => {
        player?.sightings.interrupted();
        events.onCut(cut);
      },
      onHeal: () => events.onHeal(),
    });
    const { kill } = regions[plan.crash.region]!;
    const crash =
      kill === undefined
        ? undefined
        : new Crash({
            plan: plan.crash,
            link,
            kill: () => kill.call(regions[plan.crash.region]),
            nowMs,
            listener: {
              onKill: (region) => {
                player?.sightings.interrupted();
                events.onKill(region);
              },
              onReopened: (region) => events.onReopened(region),
            },
          });
    player = new Player({
      recording,
      survey,
      plan,
      regions,
      link,
      crash,
      pacer: new Pacer(options.speed, nowMs),
      startedMs: claim.startedMs,
      nowMs,
      onPlayed: (played) => events.onPlayed(played),
    });
    await player.play();
    link.heal();
    const crashed = await crash?.finish();
    events.onConverging();
    const certificates = await converge(regions, nowMs);

    const { tally, hidden, sightings } = player;
    player = undefined;
    const model = readInOrder(recording, survey);
    const views = await Promise.all(regions.map((region) => region.view(model)));
    const health = await Promise.all(regions.map((region) => region.health()));
    const difference = new Difference();
    for (const view of views) compareState(view, model, difference);
    options.onState(views);

    const report = {
      transport: options.transport,
      operations: survey.operations,
      refused: survey.refused,
      malformed: survey.malformed,
      regions: regions.map((region, number) => {
        const { opsApplied, duplicates, walSegments, durableLsn } = health[number]!;
        return {
          name: region.name,
          role: region.role,
          opsApplied,
          duplicates,
          withheld: tally.withheld[number]!,
          walSegments,
          durableLsn,
          digest: certificates[number]!.digest,
        };
      }),
      visibilityLagMs: quantilesOf(sightings.lagsMs),
      hiddenShown: hidden.shown,
      // An outcome that is not the recording's leaves no trace in some states: a lost unhide of nothing.
      lostOps: Math.max(difference.lost, tally.unexpectedRefusals),
      doubleApplied: Math.max(difference.doubled, tally.unexpectedAccepts),
      roam: {
        sessions: tally.roamed,
        duringPartition: tally.roamedDuringPartition,
        deferred: tally.deferred,
        ownWritesMissing: tally.ownWritesMissing,
      },
      certificatesEqual: areEqual(certificates),
      ...(crashed === undefined ? {} : { killed: { ...crashed, region: regions[crashed.region]!.name } }),
    };
    return { ok: isHeld(report), ...report };
  } finally {
    await cluster.close();
  }
}

function readInOrder(recording: Recording, survey: Survey): Model {
  const model = new Model();
  for (let line = 1; line <= recording.lineCount; line++) {
    if (survey.status[line]! >= LINE.refused) model.read(recording.operation(line));
  }
  return model;
}
