import type { Transport, TransportStatus } from "@tidemark/transport";
import { Endpoint } from "./endpoint.ts";
import type { Fabric } from "./endpoint.ts";
import { Links } from "./links.ts";
import { seededRandom } from "./random.ts";

/** How an in-process network behaves. */
export interface InProcessNetworkOptions {
  /** Decides which frames are lost, doubled and reordered. @defaultValue 1 */
  readonly seed?: number;
  /** Time on every link, in milliseconds, until changed with {@link InProcessNetwork.slow}. @defaultValue 0 */
  readonly latencyMs?: number;
  /** Share of frames lost, 0 to 1. Requests and replies are frames. @defaultValue 0 */
  readonly lossRate?: number;
  /** Share of frames that arrive twice, 0 to 1. @defaultValue 0 */
  readonly duplicateRate?: number;
  /** Share of frames that are overtaken by the next one on the same link, 0 to 1. @defaultValue 0 */
  readonly reorderRate?: number;
  /** Frames a subscription holds for a slow reader; beyond it frames are dropped for that reader alone. @defaultValue 256 */
  readonly queueFramesMax?: number;
  /** The largest frame. @defaultValue 1 MiB */
  readonly frameBytesMax?: number;
  /** Time for latency and deadlines. @defaultValue `setTimeout` */
  readonly setTimer?: (ms: number, run: () => void) => () => void;
}

/** What a network carried so far. */
export interface InProcessStats {
  /** Frames handed to a link. */
  readonly sent: number;
  /** Frames lost to cuts and to `lossRate`. */
  readonly lost: number;
  readonly duplicated: number;
  readonly reordered: number;
  /** Frames that a full subscription dropped. */
  readonly dropped: number;
}

/** Endpoints in one process and the links between them. */
export interface InProcessNetwork extends AsyncDisposable {
  /** 32 random bytes, made with the network, so that examples run with authenticated frames. */
  readonly clusterKey: Uint8Array;
  /** A transport of that name; the name is free again once it was closed. @throws `TypeError` if it is taken. */
  join(name: string): Transport;
  /** Frames between the two are lost from now on; `oneWay` cuts only from the first to the second. */
  cut(from: string, to: string, options?: { readonly oneWay?: boolean }): void;
  /** Mends one link, both ways, or without arguments every one. */
  heal(from?: string, to?: string): void;
  /** Sets the time a frame takes between the two, both ways, in milliseconds. */
  slow(from: string, to: string, latencyMs: number): void;
  /** Whether frames from the first to the second are lost. */
  isCut(from: string, to: string): boolean;
  stats(): InProcessStats;
  /** Closes every endpoint; idempotent. */
  close(): Promise<void>;
}

/**
 * Makes a network of endpoints in this process. It is honest: it copies bytes, shares no objects, and its
 * links can be cut, slowed, healed and made to lose, double and reorder frames, the same under one seed.
 */
export function createInProcessNetwork(options: InProcessNetworkOptions = {}): InProcessNetwork {
  return new Network(options);
}

class Network implements InProcessNetwork, Fabric {
  readonly clusterKey: Uint8Array = crypto.getRandomValues(new Uint8Array(32));
  readonly capabilities: Fabric["capabilities"];
  readonly queueFramesMax: number;
  readonly setTimer: (ms: number, run: () => void) => () => void;
  readonly #rates: { readonly loss: number; readonly duplicate: number; readonly reorder: number };
  readonly #random: () => number;
  readonly #links: Links;
  readonly #endpoints: Map<string, Endpoint> = new Map();
  /** The frame that waits to be overtaken, a link. */
  readonly #overtaken: Map<string, () => void> = new Map();
  readonly #inFlight: Set<() => void> = new Set();
  #stats: { sent: number; lost: number; duplicated: number; reordered: number; droppedByLeft: number } = {
    sent: 0,
    lost: 0,
    duplicated: 0,
    reordered: 0,
    droppedByLeft: 0,
  };

  constructor(options: InProcessNetworkOptions) {
    const { seed = 1, latencyMs = 0, lossRate = 0, duplicateRate = 0, reorderRate = 0 } = options;
    for (const rate of [lossRate, duplicateRate, reorderRate]) {
      if (!(rate >= 0 && rate <= 1)) throw new RangeError(`A rate is a number from 0 to 1: ${rate}`);
    }
    const { queueFramesMax = 256, frameBytesMax = 1024 * 1024, setTimer = defaultTimer } = options;
    this.#random = seededRandom(seed);
    this.#rates = { loss: lossRate, duplicate: duplicateRate, reorder: reorderRate };
    this.#links = new Links(latencyMs);
    this.queueFramesMax = queueFramesMax;
    this.setTimer = setTimer;
    this.capabilities = {
      frameBytesMax,
      ordered: duplicateRate === 0 && reorderRate === 0,
      replay: false,
      persistent: false,
    };
  }

  join(name: string): Transport {
    if (this.#endpoints.has(name)) throw new TypeError(`The name ${JSON.stringify(name)} is taken: close its endpoint first`);
    const endpoint = new Endpoint(name, this);
    this.#endpoints.set(name, endpoint);
    return endpoint;
  }

  cut(from: string, to: string, options: { readonly oneWay?: boolean } = {}): void {
    this.#links.change(from, to, { cut: true });
    if (options.oneWay !== true) this.#links.change(to, from, { cut: true });
    this.#announce([from, to]);
  }

  heal(from?: string, to?: string): void {
    const pairs = from === undefined || to === undefined ? this.#links.cutPairs() : [[from, to], [to, from]] as const;
    for (const [left, right] of pairs) this.#links.change(left, right, { cut: false });
    this.#announce(pairs.flat());
  }

  slow(from: string, to: string, latencyMs: number): void {
    this.#links.change(from, to, { latencyMs });
    this.#links.change(to, from, { latencyMs });
  }

  isCut(from: string, to: string): boolean {
    return this.#links.of(from, to).cut;
  }

  stats(): InProcessStats {
    const { droppedByLeft, ...stats } = this.#stats;
    let dropped = droppedByLeft;
    for (const endpoint of this.#endpoints.values()) dropped += endpoint.dropped;
    return { ...stats, dropped };
  }

  async close(): Promise<void> {
    for (const cancel of this.#inFlight) cancel();
    this.#inFlight.clear();
    for (const endpoint of [...this.#endpoints.values()]) await endpoint.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  send(from: string, subject: string, frame: Uint8Array): void {
    for (const endpoint of this.#endpoints.values()) {
      if (!endpoint.listens(subject)) continue;
      this.carry(from, endpoint.name, frame, (bytes) => endpoint.deliver(subject, bytes));
    }
  }

  carry(from: string, to: string, frame: Uint8Array, arrive: (frame: Uint8Array) => void): void {
    this.#stats.sent += 1;
    const { cut, latencyMs } = this.#links.of(from, to);
    if (cut || this.#happens(this.#rates.loss)) {
      this.#stats.lost += 1;
      return;
    }
    // Copied now: the bytes are the publisher's again once `publish` resolved.
    const copies = this.#happens(this.#rates.duplicate) ? 2 : 1;
    this.#stats.duplicated += copies - 1;
    for (let copy = 0; copy < copies; copy++) {
      const bytes = frame.slice();
      this.#schedule(from, to, latencyMs, () => arrive(bytes));
    }
  }

  server(subject: string): Endpoint | undefined {
    for (const endpoint of this.#endpoints.values()) if (endpoint.serves(subject)) return endpoint;
    return undefined;
  }

  statusOf(name: string): TransportStatus {
    const cut = this.#links.cutFrom(name);
    return cut.length === 0 ? { state: "ready" } : { state: "degraded", reason: `cut from ${cut.join(", ")}` };
  }

  left(endpoint: Endpoint): void {
    this.#stats.droppedByLeft += endpoint.dropped;
    if (this.#endpoints.get(endpoint.name) === endpoint) this.#endpoints.delete(endpoint.name);
  }

  /** A frame that is to be overtaken waits for the next one on its link, or for the end of this turn. */
  #schedule(from: string, to: string, latencyMs: number, run: () => void): void {
    const link = JSON.stringify([from, to]);
    const overtaken = this.#overtaken.get(link);
    if (overtaken === undefined && this.#happens(this.#rates.reorder)) {
      this.#stats.reordered += 1;
      let done = false;
      const once = (): void => {
        if (done) return;
        done = true;
        if (this.#overtaken.get(link) === once) this.#overtaken.delete(link);
        this.#later(latencyMs, run);
      };
      this.#overtaken.set(link, once);
      this.#later(latencyMs + 1, once);
      return;
    }
    this.#later(latencyMs, run);
    overtaken?.();
  }

  #later(latencyMs: number, run: () => void): void {
    if (latencyMs <= 0) {
      queueMicrotask(run);
      return;
    }
    const cancel = this.setTimer(latencyMs, () => {
      this.#inFlight.delete(cancel);
      run();
    });
    this.#inFlight.add(cancel);
  }

  #happens(rate: number): boolean {
    return rate > 0 && this.#random() < rate;
  }

  #announce(names: readonly string[]): void {
    for (const name of new Set(names)) this.#endpoints.get(name)?.announce();
  }
}

function defaultTimer(ms: number, run: () => void): () => void {
  const timer = setTimeout(run, ms);
  return () => clearTimeout(timer);
}
