import type { FaultFamily } from "./fault.ts";
import type { NemesisOptions } from "./nemesis.ts";
import type { Random } from "./random.ts";
import type { WorkloadOptions } from "./workload.ts";
import type { WorldOptions } from "./world.ts";

/** What a run is made of: a world, what its clients do, and what is done to it. */
export interface SimulationPlan {
  readonly world: Omit<WorldOptions, "seed">;
  readonly workload: WorkloadOptions;
  readonly nemesis: NemesisOptions;
  /** Virtual milliseconds that faults come for. */
  readonly faultsMs: number;
}

/** Draws a plan from the seed of a run. */
export type Profile = (random: Random) => SimulationPlan;

const NAMES = ["us-east", "eu-west", "ap-south", "sa-east"];
/** Two of a cluster are told apart quickest, three have a majority, four have pairs. */
const SIZES = [2, 2, 3, 3, 3, 4];
/** Small runs: many of them see more than one long one. */
const TURNS = { min: 8, max: 40 };
const FAULTS_MS = { min: 600, max: 2_500 };
const PAUSE_MS = { min: 20, max: 500 };
const LASTS_MS = { min: 20, max: 1_500 };

/** A profile of some families of faults, with whatever else is to be different. */
function profileOf(
  families: readonly FaultFamily[],
  change: (plan: SimulationPlan, random: Random) => SimulationPlan = (plan) => plan,
): Profile {
  return (random) => {
    const plan: SimulationPlan = {
      world: {
        regions: NAMES.slice(0, random.pick(SIZES)),
        network: {
          medium: families.includes("broker") || random.chance(0.3) ? "broker" : "direct",
          delay: { minMs: 1, maxMs: random.pick([2, 5, 20, 80]) },
        },
        latency: { chance: random.pick([0, 0.02, 0.1]), maxMs: random.pick([1, 4, 15]) },
        region: { segmentBytes: random.pick([16_384, 65_536]), shards: random.pick([1, 1, 1, 2]) },
      },
      workload: {
        users: random.between(1, 2),
        devices: random.between(1, 3),
        turns: random.between(TURNS.min, TURNS.max),
        thinkMsMax: random.pick([20, 100, 400]),
      },
      nemesis: { families, pauseMs: PAUSE_MS, lastsMs: LASTS_MS },
      faultsMs: random.between(FAULTS_MS.min, FAULTS_MS.max),
    };
    return change(plan, random);
  };
}

function withMix(mix: WorkloadOptions["mix"] & {}): (plan: SimulationPlan) => SimulationPlan {
  return (plan) => ({ ...plan, workload: { ...plan.workload, mix } });
}

/** A cluster that encrypts, whose users are erased now and then. */
function encrypted(plan: SimulationPlan): SimulationPlan {
  const { world } = plan;
  const erasing = withMix({ erase: 2 })(plan);
  return { ...erasing, world: { ...world, region: { ...world.region, encryption: true } } };
}

const EVERYTHING: readonly FaultFamily[] = ["network", "processes", "clocks", "disk", "rot", "members"];

/** Mixes of world, workload and faults, by name. */
export const PROFILES: Readonly<Record<string, Profile>> = {
  /** Nothing fails. */
  calm: profileOf([]),
  network: profileOf(["network"]),
  processes: profileOf(["processes"]),
  clocks: profileOf(["clocks"]),
  disk: profileOf(["disk", "processes"]),
  rot: profileOf(["rot", "processes"]),
  members: profileOf(["members", "processes", "network"]),
  broker: profileOf(["broker", "network"]),
  /** Clients that are hardly ever twice in the same place. */
  roam: profileOf(["network", "processes"], withMix({ roam: 40, read: 20, look: 20 })),
  /** Hides and unhides, everywhere at once. */
  hides: profileOf(["network", "processes"], withMix({ hide: 30, unhide: 25, mute: 8, unmute: 6, read: 30 })),
  erase: profileOf(["network", "processes"], encrypted),
  /** Everything: each run draws which families it has. */
  mixed: (random) => {
    const some = EVERYTHING.filter(() => random.chance(0.5));
    const families: readonly FaultFamily[] = random.chance(0.2) ? [...some, "broker"] : some;
    return profileOf(families, random.chance(0.1) ? encrypted : undefined)(random);
  },
};

/** The profile of a run that names none. */
export const DEFAULT_PROFILE = "mixed";
