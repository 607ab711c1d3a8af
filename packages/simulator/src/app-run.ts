import { TidemarkError } from "@tidemark/core";
import type { Region, Session } from "@tidemark/region";
import type { AppSimulationOptions, AppSimulationResult, AppViolation } from "./app-simulation.ts";
import { AppStory } from "./app-story.ts";
import { checkHistory } from "./check-history.ts";
import type { FaultFamily } from "./fault.ts";
import type { Machine } from "./machine.ts";
import { Nemesis } from "./nemesis.ts";
import type { Random } from "./random.ts";
import { openRegions, settle } from "./settle.ts";
import { sameState } from "./same-state.ts";
import { Watch } from "./watch.ts";
import type { World } from "./world.ts";

const SESSION = "shared";
const FAULTS: readonly FaultFamily[] = ["network", "processes", "clocks"];
/** Virtual milliseconds that steps may take all together, besides the pauses between them. */
const STEPS_LIMIT_MS = 600_000;
/** Virtual milliseconds from one fault to the next. */
const FAULT_PAUSE_MS = { min: 20, max: 500 };
/** Lines of the story in a report. */
const REPORT_LINES = 30;

/** One run of an application. */
export class AppRun<Signal extends string, States extends object> {
  readonly #options: AppSimulationOptions<Signal, States>;
  readonly #world: World;
  readonly #namespaces: readonly (keyof States & string)[];
  readonly #story: AppStory;
  readonly #refused: Record<string, number> = {};
  #taken = 0;
  #cutOff = 0;
  /** Events of the history that were looked at. */
  #judged = 0;

  /** @param world - With every region open; it is ended by the run. */
  constructor(options: AppSimulationOptions<Signal, States>, world: World) {
    this.#options = options;
    this.#namespaces = Object.keys(options.reducers ?? {}) as (keyof States & string)[];
    this.#world = world;
    this.#story = new AppStory(() => world.time.now());
  }

  /** Runs it, and ends its world whatever happens. */
  async result(): Promise<AppSimulationResult> {
    const world = this.#world;
    try {
      const { faults: families = FAULTS } = this.#options;
      const nemesis = new Nemesis(world, { families, pauseMs: FAULT_PAUSE_MS });
      const watch = new Watch({ history: world.history, regions: () => openRegions(world) });
      world.time.afterStep(() => {
        watch.afterStep();
        this.#afterStep();
      });
      const violation = await this.#violation(nemesis);
      const { seed, trace, time } = world;
      return {
        seed,
        hash: trace.hash,
        steps: time.steps,
        virtualMs: time.now(),
        taken: this.#taken,
        cutOff: this.#cutOff,
        refused: this.#refused,
        faults: nemesis.counts,
        ...(violation === undefined ? {} : { violation }),
      };
    } finally {
      world.end();
    }
  }

  async #violation(nemesis: Nemesis): Promise<AppViolation | undefined> {
    try {
      await this.#live(nemesis);
      await this.#settle();
      return undefined;
    } catch (cause) {
      const { trace, time, seed } = this.#world;
      const message = cause instanceof Error ? cause.message : String(cause);
      const story = this.#story.lines();
      const atMs = time.now();
      const report = [
        `Seed ${JSON.stringify(seed)} broke after ${atMs.toFixed(0)} ms of virtual time: ${message.replaceAll(/\s+/g, " ")}`,
        `Run it again: simulateApp({ ...options, seed: ${JSON.stringify(seed)} })`,
        ...story.slice(-REPORT_LINES),
      ].join("\n");
      return { message, cause, atMs, report, story, trace: trace.lines() };
    }
  }

  /** Clients take their steps while the world goes wrong. */
  async #live(nemesis: Nemesis): Promise<void> {
    const world = this.#world;
    const { start = { user: "ada", agent: "simulated" }, clients = 3, steps = 12 } = this.#options;
    const { pauseMs = { min: 0, max: 400 }, faults = FAULTS } = this.#options;
    const [founder] = world.machines.values();
    const { region } = founder as Machine;
    await world.run(
      region!.sessions
        .start({ ...start, id: SESSION })
        .then(() => Promise.all([...world.machines.values()].map((machine) => machine.region!.synced()))),
      { what: "the session to be known everywhere" },
    );
    const untilMs = world.time.now() + (steps * (pauseMs.min + pauseMs.max)) / 2;
    const lives = Array.from({ length: clients }, (_, client) => this.#client(client, steps, pauseMs));
    if (faults.length > 0) lives.push(nemesis.run(untilMs));
    const limitMs = STEPS_LIMIT_MS + steps * pauseMs.max;
    await world.run(Promise.all(lives), { limitMs, what: "the clients" });
  }

  async #client(
    client: number,
    steps: number,
    pauseMs: { readonly min: number; readonly max: number },
  ): Promise<void> {
    const { time, random } = this.#world;
    const own = random.fork(`client ${client}`);
    for (let step = 0; step < steps; step++) {
      await time.sleep(own.between(pauseMs.min, pauseMs.max));
      // A stream for each step: what one draws shifts no other.
      await this.#step(client, step, own.fork(`step ${step}`));
    }
  }

  async #step(client: number, step: number, random: Random): Promise<void> {
    const { machines, trace, time } = this.#world;
    const machine = random.pick([...machines.values()]);
    const { life } = machine;
    const place = this.#placeIn(machine);
    if (place === undefined || life === undefined) return;
    const name = `${client}.${step}`;
    trace.note(machine.name, "step", name);
    this.#story.tell(machine.name, `step ${name}`);
    try {
      const taken = Promise.resolve(
        this.#options.step({
          ...place,
          ...{ client, step, name, random },
          sleep: (ms) => time.sleep(ms),
          note: (what) => {
            trace.note(machine.name, "note", what);
            this.#story.tell(machine.name, `step ${name}: ${what}`);
          },
        }),
      );
      if ((await life.answer(taken)) === undefined) this.#cutOff += 1;
      else this.#taken += 1;
    } catch (error) {
      if (!isRefusal(error)) throw error;
      const code = String(error.code);
      this.#refused[code] = (this.#refused[code] ?? 0) + 1;
    }
  }

  /** Looks at each region that has applied something since. */
  #afterStep(): void {
    const { check } = this.#options;
    const { history, machines } = this.#world;
    const { events } = history;
    const changed = new Set<string>();
    for (; this.#judged < events.length; this.#judged++) {
      const event = events[this.#judged]!;
      this.#story.hear(event);
      if (event.type === "applied") changed.add(event.region);
    }
    if (check === undefined) return;
    for (const name of changed) {
      const machine = machines.get(name);
      const place = machine === undefined ? undefined : this.#placeIn(machine);
      if (place !== undefined) check({ ...place, settled: false });
    }
  }

  /** A region and the session there; `undefined` while it does not serve. */
  #placeIn(
    machine: Machine,
  ): { region: Region<Signal, States>; session: Session<Signal, States> } | undefined {
    // The world opens its regions with these reducers and this schema.
    const region = machine.region as Region<Signal, States> | undefined;
    try {
      const session = region?.sessions.get(SESSION);
      return region === undefined || session === undefined ? undefined : { region, session };
    } catch (error) {
      if (!isRefusal(error)) throw error;
      return undefined;
    }
  }

  /** Everything is healed: all regions come to the same, and show the same. */
  async #settle(): Promise<void> {
    const world = this.#world;
    const { history, machines, hasher } = world;
    await settle(world);
    const [violation] = checkHistory(history.events, [], { hasher });
    if (violation !== undefined) throw violation;
    const views = [...machines.values()].map((machine) => this.#placeIn(machine)!);
    for (const view of views) this.#compare(view.region, views[0]!.region);
    for (const view of views) this.#options.check?.({ ...view, settled: true });
  }

  /** One region shows what another does: the same operations, and the same of each reducer, each time it is asked. */
  #compare(region: Region<Signal, States>, other: Region<Signal, States>): void {
    if (region.certificate().digest !== other.certificate().digest)
      throw new Error(`${region.name} and ${other.name} have different states in the end`);
    for (const id of this.#sessions()) {
      const [here, there] = [region.sessions.get(id), other.sessions.get(id)];
      for (const namespace of this.#namespaces) {
        if (!sameState(here?.appState(namespace), there?.appState(namespace)))
          throw new Error(
            `The reducer of ${namespace} is not pure: ${region.name} and ${other.name} have the same operations of session ${id}, and it makes different states of them`,
          );
      }
    }
  }

  /** Every session that any region applied an operation of. */
  #sessions(): Set<string> {
    const { events } = this.#world.history;
    return new Set(events.flatMap((event) => (event.type === "applied" ? [event.session] : [])));
  }
}

/** What a region refuses, an application lives with; anything else is a violation. */
function isRefusal(error: unknown): error is TidemarkError {
  return error instanceof TidemarkError && error.code !== "REDUCER_FAILED";
}
