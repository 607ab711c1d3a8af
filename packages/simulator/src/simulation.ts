import { checkHistory } from "./check-history.ts";
import { finalState } from "./final-state.ts";
import type { FinalState } from "./final-state.ts";
import type { HistoryEvent } from "./history-events.ts";
import type { DirectoryFiles } from "./log-reader.ts";
import { REGION_DIRECTORY } from "./machine.ts";
import type { Machine } from "./machine.ts";
import { Nemesis } from "./nemesis.ts";
import { DEFAULT_PROFILE, PROFILES } from "./profile.ts";
import type { SimulationPlan } from "./profile.ts";
import { Random } from "./random.ts";
import { openRegions, settle } from "./settle.ts";
import { Violation } from "./violation.ts";
import { Watch } from "./watch.ts";
import { Workload } from "./workload.ts";
import { World } from "./world.ts";

/** What is run. */
export interface SimulationOptions {
  readonly seed: number;
  /** The name of one of {@link PROFILES}. @defaultValue "mixed" */
  readonly profile?: string;
  /** Instead of a profile. */
  readonly plan?: SimulationPlan;
  /** Is called with the world before anything happens in it. */
  readonly prepare?: (world: World) => void;
}

/** What did not hold in a run. */
export interface SimulationViolation {
  /** One of the letters A to J, or `client`. */
  readonly invariant: string;
  readonly message: string;
  /** What shows it, as plain data. */
  readonly evidence?: unknown;
  /** The last lines of the trace, up to where it was seen. */
  readonly trace: readonly string[];
}

/** A run and what came of it. */
export interface SimulationResult {
  readonly seed: number;
  readonly profile: string;
  /** Over everything that happened: the same seed has the same, everywhere. */
  readonly hash: string;
  readonly steps: number;
  readonly virtualMs: number;
  readonly writes: number;
  readonly reads: number;
  /** How often each fault was applied. */
  readonly faults: Readonly<Record<string, number>>;
  /** The first thing that did not hold; absent in a good run. */
  readonly violation?: SimulationViolation;
  readonly history: readonly HistoryEvent[];
  /** The last lines of the trace. */
  readonly trace: readonly string[];
}

/** A region is looked at so often. */
const WATCH_STEPS = 100;
/** The longest that clients and faults may take together. */
const RUN_LIMIT_MS = 600_000;

/**
 * Runs one seed: regions are opened, clients use them while faults come, everything is healed, and the history of it all
 * is judged.
 *
 * @throws `RangeError` for a profile that there is not.
 */
export async function simulate(options: SimulationOptions): Promise<SimulationResult> {
  const { seed, profile = DEFAULT_PROFILE } = options;
  const draw = PROFILES[profile];
  if (draw === undefined)
    throw new RangeError(`There is no profile ${profile}: ${Object.keys(PROFILES).join(", ")}`);
  const plan = options.plan ?? draw(new Random(`${profile}/${seed}`));
  const run = new Run(new World({ ...plan.world, seed: `${profile}/${seed}` }), plan);
  options.prepare?.(run.world);
  const violation = await run.violation();
  const { world, nemesis } = run;
  const trace = world.trace.lines();
  const { events } = world.history;
  world.end();
  return {
    seed,
    profile,
    hash: world.trace.hash,
    steps: world.time.steps,
    virtualMs: Math.round(world.time.now()),
    writes: events.filter(({ type }) => type === "write").length,
    reads: events.filter(({ type }) => type === "read" || type === "state").length,
    faults: nemesis?.counts ?? {},
    ...(violation === undefined
      ? {}
      : {
          violation: {
            invariant: violation.invariant,
            message: violation.message,
            evidence: violation.evidence,
            trace,
          },
        }),
    history: events,
    trace,
  };
}

/** One run, from its first process to its verdict. */
class Run {
  readonly world: World;
  nemesis: Nemesis | undefined;
  readonly #plan: SimulationPlan;

  constructor(world: World, plan: SimulationPlan) {
    this.world = world;
    this.#plan = plan;
  }

  /** Runs it; the first thing that does not hold. */
  async violation(): Promise<Violation | undefined> {
    try {
      await this.#happen();
      await this.#settle();
      return (
        unnamedFailures(this.world.history.events) ??
        checkHistory(this.world.history.events, await this.#finals(), { hasher: this.world.hasher })[0]
      );
    } catch (error) {
      if (error instanceof Violation) return error;
      // A run that cannot go on is one that does not converge.
      return new Violation("J", String(error), { stack: error instanceof Error ? error.stack : undefined });
    }
  }

  async #happen(): Promise<void> {
    const { world } = this;
    await world.openAll();
    const { workload, nemesis, faultsMs } = this.#plan;
    const watch = new Watch({
      history: world.history,
      regions: () => openRegions(world),
      everySteps: WATCH_STEPS,
    });
    const stop = world.time.afterStep(() => watch.afterStep());
    this.nemesis = new Nemesis(world, nemesis);
    const faults =
      nemesis.families?.length === 0 ? Promise.resolve() : this.nemesis.run(world.time.now() + faultsMs);
    await world.run(Promise.all([new Workload(world, workload).run(), faults]), {
      what: "clients and faults",
      limitMs: RUN_LIMIT_MS,
    });
    stop();
  }

  /** Heals everything and lets the regions have everything. */
  async #settle(): Promise<void> {
    const { world } = this;
    await settle(world, { roundTripMs: 2 * (world.options.network?.delay?.maxMs ?? 5) });
    for (const { name, region } of world.machines.values())
      if (region !== undefined) world.trace.note(name, "certificate", region.certificate().digest);
  }

  async #finals(): Promise<FinalState[]> {
    const { world } = this;
    const finals: FinalState[] = [];
    for (const machine of world.machines.values()) {
      if (machine.region === undefined) continue;
      world.history.sample(machine.region.metrics());
      world.history.certificate(machine.name, machine.region.certificate());
      finals.push(finalState(machine.region, world.history.events, await filesOf(machine)));
    }
    return finals;
  }
}

/** Everything in a region's directory. */
async function filesOf({ disk }: Machine): Promise<DirectoryFiles> {
  const { files } = await disk.image();
  return Object.fromEntries(
    [...files].map(([path, bytes]) => [path.slice(REGION_DIRECTORY.length + 1), bytes]),
  );
}

/** Every write that fails names a code that somebody can act on. */
function unnamedFailures(events: readonly HistoryEvent[]): Violation | undefined {
  for (const event of events) {
    if (event.type !== "return" || event.outcome.kind !== "failed") continue;
    if (!/^[A-Z][A-Z0-9_]+$/.test(event.outcome.code))
      return new Violation(
        "client",
        `A write failed with what no contract names: ${event.outcome.code}`,
        event,
      );
  }
  return undefined;
}
