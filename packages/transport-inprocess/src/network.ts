import { TransportError } from "@tidemark/transport";
import type { Transport, TransportCapabilities, TransportStatus } from "@tidemark/transport";
import { Endpoint } from "./endpoint.ts";
import type { Fabric } from "./endpoint.ts";
import type { Arrive, LinkCounts, LinkFaults } from "./link.ts";
import { Links } from "./links.ts";
import type { InProcessNetworkOptions, LinkChangeOptions } from "./options.ts";
import { defaultDefer, defaultTimer } from "./platform.ts";
import { seededRandom } from "./random.ts";
import { Turns } from "./turns.ts";

/** What a network carried so far. */
export interface InProcessStats {
  /** Frames handed to a link, requests and answers included. */
  readonly sent: number;
  /** Frames lost to cuts and to `lossRate`. */
  readonly lost: number;
  readonly duplicated: number;
  readonly reordered: number;
  /** Frames that a full queue dropped: of a reader, of handlers, or in flight. */
  readonly dropped: number;
  /** The subscriptions that are open: who is slow. */
  readonly subscriptions: readonly InProcessSubscriptionStats[];
}

/** One open subscription. */
export interface InProcessSubscriptionStats {
  readonly name: string;
  readonly subject: string;
  readonly queued: number;
  readonly dropped: number;
}

/** Endpoints in one process and the links between them. */
export interface InProcessNetwork extends AsyncDisposable {
  /**
   * 32 bytes, made with the network, so that examples run with authenticated frames. Random without a
   * `seed`; with one it follows from it, and is a secret no more.
   */
  readonly clusterKey: Uint8Array;
  /** The seed in force, for a failure to print. */
  readonly seed: number;
  /** A transport of that name; the name is free again once it was closed. @throws `TypeError` if it is taken. */
  join(name: string): Transport;
  /** Frames between the two are lost from now on, those in flight too; `oneWay` cuts only from the first to the second. */
  cut(from: string, to: string, options?: LinkChangeOptions): void;
  /** Makes the links between two as they were at first; with one name all links of it, without any every link. */
  heal(from?: string, to?: string): void;
  /** Sets the time a frame takes between the two, in milliseconds. Order is kept. */
  slow(from: string, to: string, latencyMs: number, options?: LinkChangeOptions): void;
  /** Makes the links between two lose, double or reorder; a rate that is left out is 0. */
  disturb(from: string, to: string, faults: Partial<LinkFaults>, options?: LinkChangeOptions): void;
  /** Whether frames from the first to the second are lost. */
  isCut(from: string, to: string): boolean;
  stats(): InProcessStats;
  /** Closes every endpoint; idempotent. */
  close(): Promise<void>;
}

/**
 * Makes a network of endpoints in this process. It is honest: it copies bytes, shares no objects, and its
 * links can be cut, slowed, healed and made to lose, double and reorder frames, the same under one seed.
 *
 * @example
 * ```ts
 * const network = createInProcessNetwork({ seed: 7 });
 * const east = network.join("us-east");
 * const west = network.join("eu-west");
 * const subscription = await west.subscribe("sessions.1.0");
 * await east.publish("sessions.1.0", Uint8Array.of(1, 2, 3));
 * for await (const { frame } of subscription) {
 *   assert.deepEqual(frame, Uint8Array.of(1, 2, 3));
 *   break;
 * }
 * await network.close();
 * ```
 */
export function createInProcessNetwork(options: InProcessNetworkOptions = {}): InProcessNetwork {
  return new Network(options);
}

class Network implements InProcessNetwork, Fabric {
  readonly clusterKey: Uint8Array;
  readonly seed: number;
  readonly turns: Turns;
  readonly framesMaxOf: (subject: string) => number;
  readonly setTimer: (ms: number, run: () => void) => () => void;
  readonly #frameBytesMax: number;
  readonly #links: Links;
  readonly #endpoints: Map<string, Endpoint> = new Map();
  readonly #counts: LinkCounts = { sent: 0, lost: 0, duplicated: 0, reordered: 0, overflowed: 0 };
  /** Stays true: what was said of the order is not taken back. */
  #reorders: boolean;
  #closed: boolean = false;

  constructor(options: InProcessNetworkOptions) {
    const { seed = 1, latencyMs = 0, lossRate = 0, duplicateRate = 0, reorderRate = 0 } = options;
    const { queueFramesMax = 256, frameBytesMax = 1024 * 1024 } = options;
    const { setTimer = defaultTimer, defer = defaultDefer } = options;
    const faults = checkFaults({ lossRate, duplicateRate, reorderRate });
    this.seed = seed;
    this.clusterKey =
      options.seed === undefined ? crypto.getRandomValues(new Uint8Array(32)) : seededKey(seed);
    this.framesMaxOf = typeof queueFramesMax === "function" ? queueFramesMax : () => queueFramesMax;
    this.setTimer = setTimer;
    this.turns = new Turns(defer);
    this.#frameBytesMax = frameBytesMax;
    this.#links = new Links({
      seed,
      defaults: { ...faults, latencyMs: checkLatency(latencyMs) },
      counts: this.#counts,
      framesMaxOf: this.framesMaxOf,
      setTimer,
    });
    this.#reorders = reorderRate > 0;
  }

  get capabilities(): TransportCapabilities {
    return { frameBytesMax: this.#frameBytesMax, ordered: !this.#reorders, replay: false, persistent: false };
  }

  join(name: string): Transport {
    if (this.#closed) throw new TransportError("TRANSPORT_CLOSED", "The network was closed");
    if (this.#endpoints.has(name)) {
      throw new TypeError(`The name ${JSON.stringify(name)} is taken: close its endpoint first`);
    }
    const endpoint = new Endpoint(name, this);
    this.#endpoints.set(name, endpoint);
    return endpoint;
  }

  cut(from: string, to: string, options: LinkChangeOptions = {}): void {
    for (const link of this.#links.between(from, to, options.oneWay)) {
      link.cut = true;
      link.clear();
    }
    this.#announce([from, to]);
  }

  heal(from?: string, to?: string): void {
    const both = from !== undefined && to !== undefined;
    if (both) this.#links.between(from, to);
    const named = this.#links.all(from).filter((one) => !both || one.from === to || one.to === to);
    const touched = named.filter(({ link }) => link.touched);
    for (const { link } of touched) link.heal();
    this.#announce(both ? [from, to] : touched.flatMap((one) => [one.from, one.to]));
  }

  slow(from: string, to: string, latencyMs: number, options: LinkChangeOptions = {}): void {
    checkLatency(latencyMs);
    for (const link of this.#links.between(from, to, options.oneWay)) link.latencyMs = latencyMs;
    this.#announce([from, to]);
  }

  disturb(from: string, to: string, faults: Partial<LinkFaults>, options: LinkChangeOptions = {}): void {
    const { lossRate = 0, duplicateRate = 0, reorderRate = 0 } = faults;
    const checked = checkFaults({ lossRate, duplicateRate, reorderRate });
    for (const link of this.#links.between(from, to, options.oneWay)) link.faults = checked;
    if (reorderRate > 0) this.#reorders = true;
    this.#announce([from, to]);
  }

  isCut(from: string, to: string): boolean {
    return from !== to && this.#links.of(from, to).cut;
  }

  stats(): InProcessStats {
    const { overflowed, ...counts } = this.#counts;
    const subscriptions = [...this.#endpoints.values()].flatMap((endpoint) =>
      endpoint.queues().map(({ subject, queuedCount, droppedCount }) => ({
        name: endpoint.name,
        subject,
        queued: queuedCount,
        dropped: droppedCount,
      })),
    );
    return { ...counts, dropped: overflowed, subscriptions };
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const { link } of this.#links.all()) link.clear();
    for (const endpoint of [...this.#endpoints.values()]) await endpoint.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  endpoints(): Iterable<Endpoint> {
    return this.#endpoints.values();
  }

  carry(from: string, to: string, subject: string, frame: Uint8Array, arrive: Arrive): void {
    // What stays at home crosses no link.
    if (from === to) arrive(frame);
    else this.#links.of(from, to).carry(subject, frame, arrive);
  }

  overflowed(): void {
    this.#counts.overflowed += 1;
  }

  statusOf(name: string): TransportStatus {
    const reason = this.#links.cutsOf(name);
    return reason === undefined ? { state: "ready" } : { state: "degraded", reason };
  }

  left(endpoint: Endpoint): void {
    this.#endpoints.delete(endpoint.name);
  }

  #announce(names: readonly string[]): void {
    for (const name of new Set(names)) this.#endpoints.get(name)?.announce();
  }
}

function checkFaults(faults: LinkFaults): LinkFaults {
  for (const [name, rate] of Object.entries(faults)) {
    if (!(rate >= 0 && rate <= 1)) throw new RangeError(`${name} must be from 0 to 1: ${rate}`);
  }
  return faults;
}

function checkLatency(latencyMs: number): number {
  if (!(latencyMs >= 0 && Number.isFinite(latencyMs))) {
    throw new RangeError(`latencyMs must be 0 or more: ${latencyMs}`);
  }
  return latencyMs;
}

function seededKey(seed: number): Uint8Array {
  const random = seededRandom(seed);
  return Uint8Array.from({ length: 32 }, () => Math.floor(random() * 256));
}
