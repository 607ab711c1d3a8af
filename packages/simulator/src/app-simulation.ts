import type { RegionOptions } from "@tidemark/region";
import type { AppReducers, SessionPolicyRules } from "@tidemark/session";
import { AppRun } from "./app-run.ts";
import type { AppClient, AppView } from "./app-view.ts";
import type { FaultFamily } from "./fault.ts";
import { World, type WorldOptions } from "./world.ts";

/** An application in a simulated world: what its clients do, and what must hold. */
export interface AppOptions<Signal extends string = string, States extends object = object> {
  /** What a client does at one of its steps. Everything random it draws from `client.random`; it waits for nothing real. */
  readonly step: (client: AppClient<Signal, States>) => void | Promise<void>;
  /**
   * What must hold, in every region at every moment: called with each region that has applied something, and in the end
   * with every region, `settled`. What it throws is a violation, and so is what `step` throws, but for what a region refuses.
   */
  readonly check?: (view: AppView<Signal, States>) => void;
  /** Of every region, see `RegionOptions`. Each must make the same state in every region in the end. */
  readonly reducers?: AppReducers<States>;
  readonly policies?: readonly SessionPolicyRules[];
  /** What else every region is opened with: a schema, shards, limits. */
  readonly region?: Omit<NonNullable<WorldOptions["region"]>, "reducers" | "policies" | "schema"> &
    Pick<RegionOptions<Signal>, "schema">;
  /** How the session of all clients begins. @defaultValue the user `ada` and the agent `simulated` */
  readonly start?: { readonly user: string; readonly agent: string; readonly policy?: string };
  /** Names of the regions. @defaultValue us-east, eu-west and ap-south */
  readonly regions?: readonly string[];
  /** Clients at a time. @defaultValue 3 */
  readonly clients?: number;
  /** Steps of each. @defaultValue 12 */
  readonly steps?: number;
  /** Virtual milliseconds between two steps of a client, drawn. @defaultValue 0 to 400 */
  readonly pauseMs?: { readonly min: number; readonly max: number };
  /** What happens meanwhile; an empty list for nothing. @defaultValue network, processes and clocks */
  readonly faults?: readonly FaultFamily[];
}

/** How an application is run once. */
export interface AppSimulationOptions<
  Signal extends string = string,
  States extends object = object,
> extends AppOptions<Signal, States> {
  /** Everything random is drawn from it: the same seed gives the same run. */
  readonly seed: number | string;
}

/** Something that had to hold and did not. */
export interface AppViolation {
  /** What was thrown, in words. */
  readonly message: string;
  /** What was thrown. */
  readonly cause: unknown;
  /** Milliseconds of virtual time since the run began. */
  readonly atMs: number;
  /** For people: the seed, what broke, how to run it again, and the end of the story. */
  readonly report: string;
  /** What happened before it, oldest first: steps of clients, operations that regions applied, faults. */
  readonly story: readonly string[];
  /** The last calls of all machines to disk, network and timers, oldest first. */
  readonly trace: readonly string[];
}

/** What became of a run. */
export interface AppSimulationResult {
  readonly seed: number | string;
  /** 32 hexadecimal digits over everything that happened: the same for the same seed, options and versions. */
  readonly hash: string;
  /** Events of virtual time, and how much of it passed. */
  readonly steps: number;
  readonly virtualMs: number;
  /** Steps of clients that were taken, and those that the death of a process cut off. */
  readonly taken: number;
  readonly cutOff: number;
  /** Errors of regions that clients met, by code. */
  readonly refused: Readonly<Record<string, number>>;
  /** What was done to the world, by name. */
  readonly faults: Readonly<Record<string, number>>;
  readonly violation?: AppViolation;
}

/**
 * Runs an application in a world drawn from a seed: real regions with virtual time, disks, clocks and a network that fail.
 *
 * Clients take their steps side by side, each in a region drawn anew, while faults come and go. Then everything is
 * healed; all regions must come to the same state, and every reducer to the same in each.
 *
 * @throws what opening a region throws for options that cannot be, `RangeError` for counts that cannot be.
 */
export async function simulateApp<Signal extends string = string, States extends object = object>(
  options: AppSimulationOptions<Signal, States>,
): Promise<AppSimulationResult> {
  const { seed, regions, region, reducers, policies, clients = 3, steps = 12, faults } = options;
  for (const [name, count] of Object.entries({ clients, steps }))
    if (!Number.isSafeInteger(count) || count < 0)
      throw new RangeError(`${name} must be a whole number from 0: ${count}`);
  const world = await World.open({
    seed,
    ...(regions === undefined ? {} : { regions }),
    ...(faults?.includes("broker") === true ? { network: { medium: "broker" } } : {}),
    region: {
      ...region,
      ...(reducers === undefined ? {} : { reducers }),
      ...(policies === undefined ? {} : { policies }),
    },
  });
  return new AppRun(options, world).result();
}
