import { BROKER_FAULTS } from "./broker-faults.ts";
import { DISK_FAULTS, ROT_FAULTS } from "./disk-faults.ts";
import type { Fault, FaultFamily, FaultMaker } from "./fault.ts";
import { CLOCK_FAULTS, PROCESS_FAULTS } from "./machine-faults.ts";
import { MEMBER_FAULTS } from "./member-faults.ts";
import { NETWORK_FAULTS } from "./network-faults.ts";
import type { Random } from "./random.ts";
import type { World } from "./world.ts";

/** Every fault there is, by family. */
export const FAULTS: Readonly<Record<FaultFamily, readonly FaultMaker[]>> = {
  network: NETWORK_FAULTS,
  broker: BROKER_FAULTS,
  processes: PROCESS_FAULTS,
  clocks: CLOCK_FAULTS,
  disk: DISK_FAULTS,
  rot: ROT_FAULTS,
  members: MEMBER_FAULTS,
};

/** How a {@link Nemesis} treats a world. */
export interface NemesisOptions {
  /** @defaultValue all of them */
  readonly families?: readonly FaultFamily[];
  /** Virtual milliseconds from one fault to the next, drawn. @defaultValue 50 to 1,500 */
  readonly pauseMs?: { readonly min: number; readonly max: number };
  /** How long a fault lasts, drawn. @defaultValue 20 to 4,000 */
  readonly lastsMs?: { readonly min: number; readonly max: number };
  /** Faults at a time, at most. @defaultValue 3 */
  readonly atOnceMax?: number;
}

/**
 * Does to a world what its seed says, one fault after the other and some at once, and heals each after a while.
 *
 * Promises stay possible: what a region has acknowledged is never destroyed on all disks that hold it. So only one
 * machine, drawn, has a disk that rots or is replaced by an older image, and only while others hold all that it has.
 */
export class Nemesis {
  /** How often each fault was applied, by its name. */
  readonly counts: Record<string, number> = {};
  readonly #world: World;
  readonly #random: Random;
  readonly #options: Required<NemesisOptions>;
  readonly #weak: string;
  /** Faults in force, by what they hold. */
  readonly #active: Map<string, Promise<void>> = new Map();
  /** Why a fault could not be applied or healed. */
  readonly #failures: unknown[] = [];

  constructor(world: World, options: NemesisOptions = {}) {
    const {
      families = Object.keys(FAULTS) as FaultFamily[],
      pauseMs = { min: 50, max: 1_500 },
      lastsMs = { min: 20, max: 4_000 },
      atOnceMax = 3,
    } = options;
    this.#world = world;
    this.#random = world.random.fork("nemesis");
    this.#options = { families, pauseMs, lastsMs, atOnceMax };
    this.#weak = this.#random.pick([...world.machines.keys()]);
  }

  /** Applies faults until that moment of virtual time; resolves once all of them are healed. */
  async run(untilMs: number): Promise<void> {
    const { time } = this.#world;
    const { pauseMs, atOnceMax } = this.#options;
    for (;;) {
      await time.sleep(this.#random.between(pauseMs.min, pauseMs.max));
      if (time.now() >= untilMs) break;
      const fault = this.#active.size >= atOnceMax ? undefined : this.draw();
      if (fault === undefined || this.#active.has(fault.holds)) continue;
      const lastsMs = this.#random.between(this.#options.lastsMs.min, this.#options.lastsMs.max);
      const over = this.inflict(fault, Math.min(lastsMs, untilMs - time.now()))
        .catch((error: unknown) => this.#failures.push(error))
        .then(() => void this.#active.delete(fault.holds));
      this.#active.set(fault.holds, over);
    }
    await Promise.all(this.#active.values());
    if (this.#failures.length > 0) throw this.#failures[0];
  }

  /** A fault drawn from the seed; `undefined` where the one that was drawn has nothing to be done to. */
  draw(): Fault | undefined {
    const { families } = this.#options;
    // By family first: one of many kinds is no more likely than one of few.
    const maker = this.#random.pick(FAULTS[this.#random.pick(families)]);
    return maker({ world: this.#world, random: this.#random, weak: this.#weak });
  }

  /** Applies a fault, notes it, and heals it after a while. */
  async inflict(fault: Fault, lastsMs: number): Promise<void> {
    const { name, target, damages = false } = fault;
    const { history, time, trace } = this.#world;
    this.counts[name] = (this.counts[name] ?? 0) + 1;
    trace.note("nemesis", name, target);
    history.fault(name, target, damages ? { damages } : {});
    await fault.apply(this.#world);
    if (fault.heal === undefined) return;
    await time.sleep(lastsMs);
    trace.note("nemesis", `heal ${name}`, target);
    await fault.heal(this.#world);
  }
}
