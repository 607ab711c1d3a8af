import { createBlake3Hasher } from "@tidemark/blake3-wasm";
import type { Hasher } from "@tidemark/core";
import type { MembersOption, RegionOptions } from "@tidemark/region";
import { History } from "./history.ts";
import { Machine } from "./machine.ts";
import { Random } from "./random.ts";
import { SimClock } from "./sim-clock.ts";
import { SimDisk } from "./sim-disk.ts";
import { SimNetwork } from "./sim-network.ts";
import type { SimNetworkOptions } from "./sim-network.ts";
import { Trace } from "./trace.ts";
import { VirtualTime } from "./virtual-time.ts";
import type { UntilOptions } from "./virtual-time.ts";

/** What a {@link World} is made of. */
export interface WorldOptions {
  /** Everything random is drawn from it. */
  readonly seed: number | string;
  /** Names of the regions; the first one founds the cluster. @defaultValue us-east, eu-west and ap-south */
  readonly regions?: readonly string[];
  /** How regions are opened: everything but what the world itself gives. */
  readonly region?: Omit<
    RegionOptions,
    "dir" | "transport" | "name" | "members" | "bootstrap" | "clusterKey"
  >;
  readonly network?: Omit<SimNetworkOptions, "timers" | "random" | "trace">;
  /** See `SimDiskOptions`. */
  readonly latency?: { readonly chance: number; readonly maxMs: number };
  /** How far clocks are off at the beginning, at most, in milliseconds, one way or the other. @defaultValue 50 */
  readonly skewMsMax?: number;
  /** @defaultValue `createBlake3Hasher()` */
  readonly hasher?: Hasher;
}

/** How often a machine is started before a world gives up to heal, and the virtual pause between. */
const STARTS_MAX = 5;
const START_PAUSE_MS = 500;
/** Unix milliseconds of the beginning of every run. */
const BASE_MS = 1_790_000_000_000;
const NAMES = ["us-east", "eu-west", "ap-south"];
const JOIN_LIMIT_MS = 120_000;

let sharedHasher: Hasher | undefined;

/** Machines with their regions, the network between them, and the one time that passes for all: a run of one seed. */
export class World {
  readonly seed: number | string;
  readonly random: Random;
  readonly time: VirtualTime;
  readonly trace: Trace;
  readonly network: SimNetwork;
  readonly history: History;
  readonly machines: Map<string, Machine> = new Map();
  /** The list that every region is first opened with. */
  readonly members: MembersOption;
  readonly clusterKey: Uint8Array;
  readonly hasher: Hasher;
  readonly options: WorldOptions;

  /** A world whose machines are all down; {@link World.open} starts them. */
  constructor(options: WorldOptions) {
    const { seed, regions = NAMES } = options;
    this.options = options;
    this.seed = seed;
    this.random = new Random(seed);
    this.time = new VirtualTime(this.random.fork("time"));
    this.trace = new Trace(() => this.time.now());
    this.history = new History({ now: () => this.time.now() });
    this.hasher = options.hasher ?? (sharedHasher ??= createBlake3Hasher());
    this.clusterKey = this.random.fork("cluster key").bytes(32);
    this.network = new SimNetwork({
      ...options.network,
      timers: this.time,
      random: this.random,
      trace: this.trace,
    });
    this.members = {
      version: 1,
      regions: Object.fromEntries(regions.map((name, index) => [name, index + 1])),
    };
    this.history.members(1, regions);
    for (const [index, name] of regions.entries())
      this.addMachine(name, index + 1, { bootstrap: index === 0 });
  }

  /** A world with every machine up and every region ready. */
  static async open(options: WorldOptions): Promise<World> {
    const world = new World(options);
    await world.openAll();
    return world;
  }

  /** Starts every machine, in an order drawn from the seed, and waits until every region is ready. */
  async openAll(): Promise<void> {
    const open = async (machine: Machine): Promise<void> => {
      const region = await machine.start();
      await region?.ready({ timeoutMs: JOIN_LIMIT_MS });
    };
    const machines = this.random.fork("order of starts").shuffle([...this.machines.values()]);
    await this.run(Promise.all(machines.map(open)), {
      what: "every region to be ready",
      limitMs: JOIN_LIMIT_MS,
    });
  }

  /** Adds a machine with an empty disk, which is down. It is no member before a list names it. */
  addMachine(name: string, id: number, region: Partial<RegionOptions> = {}): Machine {
    if (this.machines.has(name)) throw new TypeError(`There is a machine ${name} already`);
    const { skewMsMax = 50, latency } = this.options;
    const random = this.random.fork(`machine ${name}`);
    const machine = new Machine({
      name,
      id,
      random,
      disk: new SimDisk({
        random: random.fork("disk"),
        time: this.time,
        ...(latency === undefined ? {} : { latency }),
      }),
      clock: new SimClock({
        now: () => this.time.now(),
        baseMs: BASE_MS,
        skewMs: random.fork("clock").between(-skewMsMax, skewMsMax),
      }),
      network: this.network,
      time: this.time,
      trace: this.trace,
      history: this.history,
      hasher: this.hasher,
      region: { ...this.options.region, members: this.members, clusterKey: this.clusterKey, ...region },
    });
    this.machines.set(name, machine);
    return machine;
  }

  /** The machine of that name. */
  machine(name: string): Machine {
    const machine = this.machines.get(name);
    if (machine === undefined) throw new TypeError(`There is no machine ${name}`);
    return machine;
  }

  /** Lets time pass until a promise settles; see `VirtualTime.until`. */
  run<T>(promise: Promise<T>, options?: UntilOptions): Promise<T> {
    return this.time.until(promise, options);
  }

  /**
   * Ends every fault: links are whole, clocks run, disks have room and are quick, and every machine is up. What clocks show
   * stays as it is.
   *
   * @throws what the last of several starts of a machine threw.
   */
  async healAll(): Promise<void> {
    this.network.heal();
    this.network.rates({});
    this.network.delay(this.options.network?.delay ?? { minMs: 1, maxMs: 5 });
    for (const { clock, disk } of this.machines.values()) {
      clock.thaw();
      clock.drift(1);
      disk.room();
      disk.slow(0);
    }
    for (const machine of this.machines.values()) await this.run(this.#startAgain(machine));
  }

  /** Ends every process, so that nothing of this world is left. */
  end(): void {
    for (const machine of this.machines.values()) machine.kill();
  }

  async #startAgain(machine: Machine): Promise<void> {
    for (let attempt = 1; !machine.up; attempt++) {
      try {
        await machine.start();
      } catch (error) {
        if (attempt >= STARTS_MAX) throw error;
        await this.time.sleep(START_PAUSE_MS);
      }
    }
  }
}
