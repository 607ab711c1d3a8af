import type { Timers } from "@tidemark/wal";
import { BROKER } from "./medium.ts";
import type { LifeLike, SimMedium } from "./medium.ts";
import { SimBroker } from "./sim-broker.ts";
import { SimLink } from "./sim-link.ts";
import type { LinkClimate, NetworkCounts, NetworkDelay, NetworkRates } from "./sim-link.ts";
import { SimTransport } from "./sim-transport.ts";
import type { Random } from "./random.ts";
import type { Trace } from "./trace.ts";

/** What a {@link SimNetwork} is made of. */
export interface SimNetworkOptions {
  readonly timers: Timers;
  readonly random: Random;
  readonly trace: Trace;
  /** What transports run over unless they say so. @defaultValue "direct" */
  readonly medium?: SimMedium;
  /** @defaultValue 1 to 5 ms */
  readonly delay?: NetworkDelay;
  /** The longest frame, request or answer, in bytes. @defaultValue 1 MiB */
  readonly frameBytesMax?: number;
  /** Frames a subscription keeps for a slow reader, and requests a service has running. @defaultValue 256 */
  readonly queueFramesMax?: number;
  /** Frames in flight on one link. @defaultValue 4,096 */
  readonly linkFramesMax?: number;
  /** Frames the broker keeps of one subject; beyond them the oldest go. @defaultValue 1,024 */
  readonly storedFramesMax?: number;
  /** Sequences of a subject by which the broker refuses a repeat. @defaultValue 32 */
  readonly repeatWindow?: number;
}

/** One direction between two machines, or between a machine and the broker. */
export interface NamedLink {
  readonly from: string;
  readonly to: string;
}

/**
 * The network of a simulated world: links with a name at each end, one for each direction, that lose, double, reorder,
 * delay, are cut and heal, all drawn from the seed.
 */
export class SimNetwork {
  readonly timers: Timers;
  readonly trace: Trace;
  readonly broker: SimBroker;
  readonly frameBytesMax: number;
  readonly queueFramesMax: number;
  /** What the next transport runs over unless it says so. */
  medium: SimMedium;
  readonly counts: NetworkCounts = {
    sent: 0,
    arrived: 0,
    lost: 0,
    cut: 0,
    duplicated: 0,
    reordered: 0,
    overflowed: 0,
  };
  readonly #random: Random;
  readonly #climate: LinkClimate;
  readonly #linkFramesMax: number;
  readonly #links: Map<string, NamedLink & { readonly link: SimLink }> = new Map();
  readonly #transports: Map<string, SimTransport> = new Map();
  /** How to end what still changes links by itself. */
  readonly #flaps: Set<() => void> = new Set();

  constructor(options: SimNetworkOptions) {
    const { timers, random, trace, medium = "direct", delay = { minMs: 1, maxMs: 5 } } = options;
    this.timers = timers;
    this.trace = trace;
    this.medium = medium;
    this.#random = random.fork("network");
    this.frameBytesMax = options.frameBytesMax ?? 1024 * 1024;
    this.queueFramesMax = options.queueFramesMax ?? 256;
    this.#linkFramesMax = options.linkFramesMax ?? 4_096;
    this.#climate = { rates: { loss: 0, duplicate: 0, reorder: 0 }, delay: checkDelay(delay) };
    this.broker = new SimBroker({
      network: this,
      random: random.fork("broker"),
      storedFramesMax: options.storedFramesMax ?? 1_024,
      repeatWindow: options.repeatWindow ?? 32,
    });
  }

  /**
   * The transport of a machine's process. The one of its process before must be closed, or the process dead.
   *
   * @throws `TypeError` if the name is taken.
   */
  transport(machine: string, life: LifeLike, medium: SimMedium = this.medium): SimTransport {
    if (machine === BROKER) throw new TypeError(`${BROKER} is the name of the broker`);
    const before = this.#transports.get(machine);
    if (before?.open === true) throw new TypeError(`${machine} has a transport already: close it first`);
    before?.abandon();
    const transport = new SimTransport({ machine, life, medium, network: this });
    this.#transports.set(machine, transport);
    return transport;
  }

  /** The transports of processes that run, in order of their first ones. */
  *transports(): IterableIterator<SimTransport> {
    for (const transport of this.#transports.values()) if (transport.open) yield transport;
  }

  /** Loses frames from one to the other from now on, those in flight too; nobody is told of a silent cut. */
  cut(from: string, to: string, options: { readonly silent?: boolean } = {}): void {
    const { silent = false } = options;
    this.#link(from, to).sever(silent);
    this.trace.note("network", "cut", `${from} ${to}`);
    if (!silent) this.#changed([{ from, to }]);
  }

  /** Heals one direction; with one name every link of it, without any everything: the broker too, and nothing flaps. */
  heal(from?: string, to?: string): void {
    if (from === undefined) {
      for (const end of [...this.#flaps]) end();
      this.broker.heal();
    }
    const healed = [...this.#links.values()].filter((named) => {
      if (to !== undefined) return named.from === from && named.to === to;
      return from === undefined || named.from === from || named.to === from;
    });
    const told = healed.filter(({ link }) => link.cut === "told" || link.throttled);
    for (const { link } of healed) {
      link.mend();
      link.throttle();
    }
    this.trace.note("network", "heal", `${from ?? "*"} ${to ?? "*"}`);
    this.#changed(told);
  }

  /** Whether frames from one to the other are lost. */
  isCut(from: string, to: string): boolean {
    return this.#link(from, to).cut !== "no";
  }

  /** Whether that is known at both ends. */
  isKnownCut(from: string, to: string): boolean {
    return this.#link(from, to).cut === "told";
  }

  /** What happens to frames on every link from now on; a rate that is left out is 0. */
  rates({ loss = 0, duplicate = 0, reorder = 0 }: NetworkRates): void {
    for (const [name, rate] of Object.entries({ loss, duplicate, reorder })) {
      if (!(rate >= 0 && rate <= 1)) throw new RangeError(`${name} must be from 0 to 1: ${rate}`);
    }
    this.#climate.rates = { loss, duplicate, reorder };
  }

  /** How long frames are under way on every link from now on. */
  delay(delay: NetworkDelay): void {
    this.#climate.delay = checkDelay(delay);
  }

  /** Makes one direction carry so few bytes a second, one frame after the other. */
  slow(from: string, to: string, { bytesPerSecond }: { readonly bytesPerSecond: number }): void {
    if (!(bytesPerSecond > 0)) throw new RangeError(`bytesPerSecond must be above 0: ${bytesPerSecond}`);
    this.#link(from, to).throttle(bytesPerSecond);
    this.trace.note("network", "slow", `${from} ${to}`, bytesPerSecond);
  }

  /**
   * Cuts one direction and heals it, again and again, `everyMs` each, until that moment; then it is healed. Returns how
   * to end that before.
   */
  flap(from: string, to: string, everyMs: number, untilMs: number): () => void {
    if (!(everyMs > 0)) throw new RangeError(`everyMs must be above 0: ${everyMs}`);
    let cancel = (): void => undefined;
    const end = (): void => {
      cancel();
      this.#flaps.delete(end);
    };
    const turn = (): void => {
      const over = this.timers.now() + everyMs > untilMs;
      if (over) end();
      else cancel = this.timers.setTimer(everyMs, turn);
      if (over || this.isCut(from, to)) this.heal(from, to);
      else this.cut(from, to);
    };
    this.#flaps.add(end);
    turn();
    return () => {
      end();
      this.heal(from, to);
    };
  }

  /** The links that are cut. */
  cuts(): NamedLink[] {
    return [...this.#links.values()].filter(({ link }) => link.cut !== "no");
  }

  /** Carries a frame from one machine, or the broker, to another; `arrive` runs later, twice or never. */
  carry(from: string, to: string, subject: string, frame: Uint8Array, arrive: () => void): void {
    // One connection to the broker carries all subjects in their order.
    const lane = from === BROKER || to === BROKER ? BROKER : subject;
    this.#link(from, to).carry(lane, frame.length, () => {
      this.trace.note(to, "arrives", `${subject} from ${from}`, checksum(frame));
      arrive();
    });
  }

  #link(from: string, to: string): SimLink {
    const key = `${from}>${to}`;
    let named = this.#links.get(key);
    if (named === undefined) {
      if (from === to) throw new RangeError(`There is no link from ${from} to itself`);
      const link = new SimLink({
        timers: this.timers,
        random: this.#random.fork(key),
        climate: this.#climate,
        counts: this.counts,
        framesMax: this.#linkFramesMax,
      });
      this.#links.set(key, (named = { from, to, link }));
    }
    return named.link;
  }

  #changed(links: readonly NamedLink[]): void {
    const touched = new Set(links.flatMap(({ from, to }) => [`${from} ${to}`, `${to} ${from}`]));
    for (const transport of [...this.transports()]) {
      const over = transport.medium === "broker" ? [BROKER] : [...this.#transports.keys()];
      if (over.some((end) => touched.has(`${transport.machine} ${end}`))) transport.linkChanged();
    }
  }
}

function checkDelay({ minMs, maxMs }: NetworkDelay): NetworkDelay {
  if (!(minMs >= 0 && maxMs >= minMs && Number.isFinite(maxMs))) {
    throw new RangeError(`A delay must be from 0 up: ${minMs} to ${maxMs} ms`);
  }
  return { minMs, maxMs };
}

/** FNV-1a: so that the trace tells apart what differs in one byte. */
function checksum(frame: Uint8Array): number {
  let hash = 0x811c9dc5;
  for (const byte of frame) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash >>> 0;
}
