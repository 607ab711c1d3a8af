import type { Hasher } from "@tidemark/core";
import { openRegion } from "@tidemark/region";
import type { Region, RegionOptions, RegionPlatform } from "@tidemark/region";
import type { Timers } from "@tidemark/wal";
import type { History } from "./history.ts";
import { Life } from "./life.ts";
import type { Death } from "./life.ts";
import type { Random } from "./random.ts";
import type { SimClock } from "./sim-clock.ts";
import type { DiskImage, SimDisk } from "./sim-disk.ts";
import type { SimNetwork } from "./sim-network.ts";
import type { SimTransport } from "./sim-transport.ts";
import type { Trace } from "./trace.ts";

/** The directory of a region on its machine's disk. */
export const REGION_DIRECTORY = "data";

/** What a {@link Machine} is made of. */
export interface MachineOptions {
  readonly name: string;
  /** The region's number. */
  readonly id: number;
  readonly disk: SimDisk;
  readonly clock: SimClock;
  readonly network: SimNetwork;
  readonly time: Timers;
  readonly trace: Trace;
  readonly random: Random;
  readonly history: History;
  readonly hasher: Hasher;
  /** How its region is opened, unless {@link Machine.start} says otherwise. */
  readonly region: Omit<RegionOptions, "dir" | "transport" | "name">;
}

/** One machine of a simulated world: its disk and clock stay, processes come and go. */
export class Machine {
  readonly name: string;
  readonly id: number;
  readonly disk: SimDisk;
  readonly clock: SimClock;
  readonly #options: MachineOptions;
  #life: Life | undefined;
  #lives = 0;
  #transport: SimTransport | undefined;
  #region: Region | undefined;
  #stopObserving: (() => void) | undefined;
  #forgets = false;
  #armed: { readonly calls: number; readonly how: Death } | undefined;
  #highestWallMs = Number.NEGATIVE_INFINITY;

  constructor(options: MachineOptions) {
    this.#options = options;
    this.name = options.name;
    this.id = options.id;
    this.disk = options.disk;
    this.clock = options.clock;
  }

  /** The open region; `undefined` while there is none. */
  get region(): Region | undefined {
    return this.#region;
  }

  /** The process that runs, or ran last. */
  get life(): Life | undefined {
    return this.#life;
  }

  /** Whether a process runs. */
  get up(): boolean {
    return this.#life?.alive === true;
  }

  /** The highest reading that the machine's clock ever gave to a process. */
  get highestWallMs(): number {
    return this.#highestWallMs;
  }

  /**
   * Starts a process that opens the region; `undefined` if it died before the region was open.
   *
   * @throws what `openRegion` throws; the process has ended then.
   */
  async start(options: Partial<RegionOptions> = {}): Promise<Region | undefined> {
    if (this.up) throw new TypeError(`${this.name} runs already`);
    const { name, network, history, time, trace, random, region } = this.#options;
    const number = ++this.#lives;
    const life = new Life({ machine: name, number, time, trace, random: random.fork(`life ${number}`) });
    this.#life = life;
    life.onDeath((how) => this.#died(how));
    trace.note(name, "start", `life ${number}`);
    if (this.#armed !== undefined) life.dieAt(this.#armed.calls, this.#armed.how);
    this.#armed = undefined;
    const transport = network.transport(name, life);
    this.#transport = transport;
    // The number of shards is chosen by the first life of the founder, and may have changed since.
    const { shards, ...lasting } = region;
    try {
      const asked: RegionOptions = {
        logger: this.#logger(life),
        ...lasting,
        ...(shards === undefined || number > 1 || region.bootstrap !== true ? {} : { shards }),
        ...options,
        name,
        dir: REGION_DIRECTORY,
        transport,
      };
      const opened = await life.answer(openRegion(asked, this.platform(life)));
      if (opened === undefined) return undefined;
      this.#region = opened.value;
      this.#stopObserving = history.observe(opened.value, {
        life: number,
        forgets: this.#forgets,
        wallMs: () => this.#highestWallMs,
      });
      this.#forgets = false;
      return opened.value;
    } catch (error) {
      trace.note(name, "cannot start", String(error));
      life.die("exit");
      throw error;
    }
  }

  /** Closes the region in good order and ends the process; it may die on the way. */
  async stop(): Promise<void> {
    const life = this.#life;
    if (life === undefined || !life.alive) return;
    try {
      await life.answer(this.#region?.close() ?? Promise.resolve());
      await life.answer(this.#transport?.close() ?? Promise.resolve());
    } finally {
      life.die("exit");
    }
  }

  /** The process dies: nobody is told, what it wrote stays in the page cache. */
  kill(): void {
    this.#life?.die("kill");
  }

  /** Power loss: of what was not synced any part survives. */
  crash(): void {
    if (this.up) this.#life?.die("crash");
    else this.disk.crash();
  }

  /** Lets the process, or the next one while none runs, die at a call to disk, network or timer: 1 is the next. */
  armCrash(callsFromNow: number, how: Death): void {
    if (this.up) this.#life?.dieAt(callsFromNow, how);
    else this.#armed = { calls: callsFromNow, how };
  }

  /** Puts an older image in place of what is on the disk. The machine must be down. */
  async restore(image: DiskImage): Promise<void> {
    if (this.up) throw new TypeError(`${this.name} runs: stop it before its disk is replaced`);
    this.#options.trace.note(this.name, "restore");
    this.#forgets = true;
    await this.disk.restore(image);
  }

  /** What one process has of this machine. */
  platform(life: Life): RegionPlatform {
    const { random, hasher } = this.#options;
    const bytes = random.fork(`bytes ${life.number}`);
    return {
      fs: this.disk.fsFor(life),
      volatile: false,
      now: () => {
        const now = this.clock.now();
        if (life.alive) this.#highestWallMs = Math.max(this.#highestWallMs, now);
        return now;
      },
      timers: life.timers,
      randomBytes: (count) => bytes.bytes(count),
      hasher,
      process: { pid: life.number, version: "simulated" },
    };
  }

  #died(how: Death): void {
    this.#region = undefined;
    this.#stopObserving?.();
    this.#stopObserving = undefined;
    if (how === "crash") this.disk.crash();
    else this.disk.kill();
  }

  /** What a region says goes into the trace: often the shortest way to what happened. */
  #logger(life: Life): NonNullable<RegionOptions["logger"]> {
    const say =
      (level: string) =>
      (_: object, message: string): void => {
        if (life.alive) this.#options.trace.note(this.name, level, message);
      };
    return { info: say("info"), warn: say("warn"), error: say("error") };
  }
}
