import { TransportError } from "@tidemark/transport";
import type {
  Delivery,
  FrameSequence,
  PublishOptions,
  RequestHandler,
  RequestOptions,
  ServeOptions,
  Service,
  SubscribeOptions,
  Subscription,
  Transport,
  TransportCapabilities,
  TransportStatus,
} from "@tidemark/transport";
import { BrokerMedium } from "./broker-medium.ts";
import { DeliveryQueue } from "./delivery-queue.ts";
import { DirectMedium } from "./direct-medium.ts";
import type { LifeLike, Medium, SimMedium } from "./medium.ts";
import { Serving } from "./serving.ts";
import type { Outcome } from "./serving.ts";
import type { SimNetwork } from "./sim-network.ts";

const SUBJECT = /^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+){0,7}$/;
const SUBJECT_CHARS_MAX = 200;

/** What a {@link SimTransport} is made of. */
export interface SimTransportOptions {
  readonly machine: string;
  readonly life: LifeLike;
  readonly medium: SimMedium;
  readonly network: SimNetwork;
}

/**
 * The transport of one process on one machine. Each call is a moment at which the process may die: from then on its
 * calls never settle, and nothing of it reaches the network.
 */
export class SimTransport implements Transport {
  readonly machine: string;
  readonly medium: SimMedium;
  readonly #life: LifeLike;
  readonly #network: SimNetwork;
  readonly #way: Medium;
  readonly #queues: Map<string, Set<DeliveryQueue>> = new Map();
  readonly #services: Map<string, Serving> = new Map();
  readonly #listeners: Set<(status: TransportStatus) => void> = new Set();
  /** How to reject every call that waits. */
  readonly #waiting: Set<Wait> = new Set();
  #closed: boolean = false;

  constructor({ machine, life, medium, network }: SimTransportOptions) {
    this.machine = machine;
    this.medium = medium;
    this.#life = life;
    this.#network = network;
    this.#way = medium === "direct" ? new DirectMedium(this, network) : new BrokerMedium(this, network);
  }

  get capabilities(): TransportCapabilities {
    return this.#way.capabilities;
  }

  get status(): TransportStatus {
    return this.#closed ? { state: "closed" } : this.#way.status;
  }

  /** Whether its process runs and has not closed it. */
  get open(): boolean {
    return !this.#closed && this.#life.alive;
  }

  onStatus(listener: (status: TransportStatus) => void): () => void {
    if (!this.open) return () => undefined;
    // A wrapper, so that one function given twice is two listeners.
    const own = (status: TransportStatus): void => listener(status);
    this.#listeners.add(own);
    return () => void this.#listeners.delete(own);
  }

  async publish(subject: string, frame: Uint8Array, options: PublishOptions = {}): Promise<void> {
    const { signal, sequence } = options;
    this.#check(subject, signal);
    this.#checkSize(frame);
    if (this.#dies("publish", subject)) return never();
    // Not slice(): that of a Buffer is a view.
    const publishing = this.#way.publish(subject, new Uint8Array(frame), sequence);
    this.#life.settle();
    await this.#waitFor(signal, (resolve, reject) => {
      publishing.then(resolve, reject);
      return () => undefined;
    });
  }

  async subscribe(subject: string, options: SubscribeOptions = {}): Promise<Subscription> {
    const { signal, from } = options;
    this.#check(subject, signal);
    if (this.#dies("subscribe", subject)) return never();
    const abort = (): void => queue.fail(signal?.reason);
    const queues = this.#queues.get(subject) ?? new Set();
    const queue = new DeliveryQueue(this.#network.queueFramesMax, () => {
      signal?.removeEventListener("abort", abort);
      queues.delete(queue);
      if (queues.size === 0 && this.#queues.get(subject) === queues) this.#queues.delete(subject);
    });
    this.#queues.set(subject, queues.add(queue));
    signal?.addEventListener("abort", abort, { once: true });
    this.#way.fill(subject, queue, from);
    return queue;
  }

  async release(subject: string, sequence: FrameSequence): Promise<void> {
    this.#check(subject);
    if (this.#dies("release", subject)) return never();
    this.#way.release(subject, sequence);
  }

  async serve(subject: string, handler: RequestHandler, options: ServeOptions = {}): Promise<Service> {
    const { signal } = options;
    this.#check(subject, signal);
    if (this.#dies("serve", subject)) return never();
    if (this.serves(subject) || this.#way.served(subject)) {
      throw new TransportError("SUBJECT_IN_USE", `Cannot serve ${subject}: it has a handler already`);
    }
    const close = (): void => void serving.close();
    const serving = new Serving(subject, handler, this.capabilities.frameBytesMax, () => {
      signal?.removeEventListener("abort", close);
      this.#services.delete(subject);
    });
    this.#services.set(subject, serving);
    signal?.addEventListener("abort", close, { once: true });
    return serving;
  }

  async request(subject: string, frame: Uint8Array, options: RequestOptions): Promise<Uint8Array> {
    const { timeoutMs, signal } = options;
    this.#check(subject, signal);
    if (!(timeoutMs > 0)) throw new RangeError(`timeoutMs must be above 0: ${timeoutMs}`);
    this.#checkSize(frame);
    if (this.#dies("request", subject)) return never();
    const bytes = new Uint8Array(frame);
    return this.#waitFor<Uint8Array>(signal, (resolve, reject) => {
      this.#way.ask(subject, bytes, (outcome) => {
        if (!this.#hears(subject)) return;
        if (outcome instanceof TransportError) reject(outcome);
        else resolve(new Uint8Array(outcome));
      });
      this.#life.settle();
      return this.#network.timers.setTimer(timeoutMs, () =>
        reject(new TransportError("REQUEST_TIMEOUT", `No answer on ${subject}: waited ${timeoutMs} ms`)),
      );
    });
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    if (this.#dies("close")) return never();
    this.#closed = true;
    for (const queues of [...this.#queues.values()]) for (const queue of [...queues]) void queue.close();
    for (const serving of [...this.#services.values()]) void serving.close();
    const closed = this.#closedError();
    for (const wait of [...this.#waiting]) wait.fail(closed);
    this.#announce();
    this.#listeners.clear();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Whether somebody listens to a subject here. */
  hears(subject: string): boolean {
    return this.#queues.has(subject);
  }

  serves(subject: string): boolean {
    return this.#services.has(subject);
  }

  /** A frame has arrived for every queue of a subject. */
  deliver(subject: string, frame: Uint8Array): void {
    if (!this.#hears(subject)) return;
    for (const queue of [...(this.#queues.get(subject) ?? [])]) {
      if (!queue.push({ frame: new Uint8Array(frame) })) this.#network.counts.overflowed += 1;
    }
  }

  /** A frame has arrived for one queue; false if it has no room. */
  deliverTo(queue: DeliveryQueue, subject: string, { frame, position }: Required<Delivery>): boolean {
    return this.#hears(subject) && queue.push({ frame: new Uint8Array(frame), position });
  }

  /** A request has arrived; `reply` is called at most once. */
  answer(subject: string, frame: Uint8Array, reply: (outcome: Outcome) => void): void {
    if (!this.#hears(subject)) return;
    const serving = this.#services.get(subject);
    if (serving === undefined) {
      reply(new TransportError("NO_RESPONDER", `Nobody serves ${subject} any more`));
    } else if (serving.runningCount >= this.#network.queueFramesMax) {
      this.#network.counts.overflowed += 1;
    } else {
      serving.answer(frame, (outcome) => {
        // A handler that ends because its transport closes has an answer; one whose process is dead has none.
        if (this.#life.alive) reply(outcome);
      });
    }
  }

  /** A link of this machine, or the broker, is another than before. */
  linkChanged(): void {
    if (!this.open) return;
    this.#way.changed();
    this.#announce();
  }

  /** Lets go of what a dead process still holds in this simulation. */
  abandon(): void {
    this.#closed = true;
    for (const wait of this.#waiting) wait.release();
    this.#waiting.clear();
    this.#queues.clear();
    this.#services.clear();
    this.#listeners.clear();
  }

  /** Tells every listener how it is now. One that throws keeps no other from hearing. */
  #announce(): void {
    const { status } = this;
    for (const listener of [...this.#listeners]) {
      try {
        listener(status);
      } catch (error) {
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }

  /** Notes a call; true if the process is dead before it took effect. */
  #dies(call: string, subject?: string): boolean {
    this.#life.call(call, subject);
    return !this.#life.alive;
  }

  /** What arrives is a call as well; nothing arrives at a process that is dead, or has closed. */
  #hears(subject: string): boolean {
    return this.open && !this.#dies("hear", subject);
  }

  /** A call that ends by itself, by an abort or by a close; `begin` returns how to let go. */
  async #waitFor<T>(
    signal: AbortSignal | undefined,
    begin: (resolve: (value: T) => void, reject: (reason: unknown) => void) => () => void,
  ): Promise<T> {
    return new Promise((resolve, reject) => {
      let letGo = (): void => undefined;
      const settle = (): boolean => {
        if (!this.#waiting.delete(wait)) return false;
        wait.release();
        return this.#life.alive;
      };
      const wait: Wait = {
        fail: (reason) => {
          if (settle()) reject(reason);
        },
        release: () => {
          signal?.removeEventListener("abort", abort);
          letGo();
        },
      };
      const abort = (): void => wait.fail(signal?.reason);
      this.#waiting.add(wait);
      signal?.addEventListener("abort", abort, { once: true });
      try {
        letGo = begin((value) => {
          if (settle()) resolve(value);
        }, wait.fail);
        // It may be over already.
        if (!this.#waiting.has(wait)) letGo();
      } catch (error) {
        wait.fail(error);
      }
    });
  }

  #check(subject: string, signal?: AbortSignal): void {
    signal?.throwIfAborted();
    if (this.#closed) throw this.#closedError();
    if (subject.length <= SUBJECT_CHARS_MAX && SUBJECT.test(subject)) return;
    const shown = JSON.stringify(subject.slice(0, SUBJECT_CHARS_MAX));
    throw new TransportError(
      "INVALID_SUBJECT",
      `Cannot use ${shown}: a subject is 1 to 8 tokens of A-Z a-z 0-9 _ - joined by dots, at most ${SUBJECT_CHARS_MAX} characters`,
    );
  }

  #checkSize(frame: Uint8Array): void {
    const { frameBytesMax } = this.capabilities;
    if (frame.length <= frameBytesMax) return;
    throw new TransportError(
      "FRAME_TOO_LARGE",
      `Cannot carry ${frame.length} bytes: the limit is ${frameBytesMax}`,
    );
  }

  #closedError(): TransportError {
    return new TransportError("TRANSPORT_CLOSED", `The transport of ${this.machine} was closed`);
  }
}

/** A call that waits. */
interface Wait {
  fail(reason: unknown): void;
  release(): void;
}

/** A call of a process that is dead. */
function never<T>(): Promise<T> {
  return new Promise(() => undefined);
}
