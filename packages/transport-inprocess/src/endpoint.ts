import { TransportError } from "@tidemark/transport";
import type {
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
import { DeliveryQueue } from "./delivery-queue.ts";
import type { Arrive } from "./link.ts";
import { Serving } from "./serving.ts";
import { checkSubject } from "./subject.ts";
import type { Turns } from "./turns.ts";

/** What an endpoint asks of the network it joined. */
export interface Fabric {
  readonly capabilities: TransportCapabilities;
  readonly turns: Turns;
  framesMaxOf(subject: string): number;
  endpoints(): Iterable<Endpoint>;
  /** Carries one frame over the link between two endpoints; `arrive` runs unless it is lost. */
  carry(from: string, to: string, subject: string, frame: Uint8Array, arrive: Arrive): void;
  /** Counts a frame that a full queue dropped. */
  overflowed(): void;
  statusOf(name: string): TransportStatus;
  setTimer(ms: number, run: () => void): () => void;
  left(endpoint: Endpoint): void;
}

/** One member of an in-process network. */
export class Endpoint implements Transport {
  readonly name: string;
  readonly #fabric: Fabric;
  readonly #subscriptions: Map<string, Set<DeliveryQueue>> = new Map();
  readonly #services: Map<string, Serving> = new Map();
  readonly #listeners: Set<(status: TransportStatus) => void> = new Set();
  /** How to reject every call that waits. */
  readonly #waiting: Set<(reason: unknown) => void> = new Set();
  #closed: boolean = false;

  constructor(name: string, fabric: Fabric) {
    this.name = name;
    this.#fabric = fabric;
  }

  get capabilities(): TransportCapabilities {
    return this.#fabric.capabilities;
  }

  get status(): TransportStatus {
    return this.#closed ? { state: "closed" } : this.#fabric.statusOf(this.name);
  }

  onStatus(listener: (status: TransportStatus) => void): () => void {
    if (this.#closed) return () => undefined;
    // A wrapper, so that one function given twice is two listeners.
    const own = (status: TransportStatus): void => listener(status);
    this.#listeners.add(own);
    return () => void this.#listeners.delete(own);
  }

  async publish(subject: string, frame: Uint8Array, options: PublishOptions = {}): Promise<void> {
    this.#check(subject, options.signal);
    this.#checkSize(frame);
    let deliveries = 0;
    for (const endpoint of this.#fabric.endpoints()) {
      const queues = endpoint.#subscriptions.get(subject);
      if (queues === undefined) continue;
      deliveries += queues.size;
      this.#fabric.carry(this.name, endpoint.name, subject, frame, (bytes) =>
        endpoint.#deliver(subject, bytes),
      );
    }
    if (this.#fabric.turns.published(deliveries)) await this.#rest(options.signal);
  }

  async subscribe(subject: string, options: SubscribeOptions = {}): Promise<Subscription> {
    const { signal } = options;
    this.#check(subject, signal);
    const abort = (): void => queue.fail(signal?.reason);
    const framesMax = this.#fabric.framesMaxOf(subject);
    const queue = new DeliveryQueue(subject, framesMax, this.#fabric.turns, () => {
      signal?.removeEventListener("abort", abort);
      queues.delete(queue);
      if (queues.size === 0) this.#subscriptions.delete(subject);
    });
    const queues = this.#subscriptions.get(subject) ?? new Set();
    this.#subscriptions.set(subject, queues.add(queue));
    signal?.addEventListener("abort", abort, { once: true });
    return queue;
  }

  async release(subject: string): Promise<void> {
    this.#check(subject); // Nothing is stored, so nothing can be trimmed.
  }

  async serve(subject: string, handler: RequestHandler, options: ServeOptions = {}): Promise<Service> {
    const { signal } = options;
    this.#check(subject, signal);
    if (this.#serverOf(subject) !== undefined) {
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
    const server = this.#serverOf(subject);
    if (server === undefined) {
      throw new TransportError("NO_RESPONDER", `Cannot ask ${subject}: nobody serves it`);
    }
    return new Promise((resolve, reject) => {
      const late = (): void =>
        fail(new TransportError("REQUEST_TIMEOUT", `No answer on ${subject}: waited ${timeoutMs} ms`));
      const cancel = this.#fabric.setTimer(timeoutMs, late);
      const { settle, fail } = this.#wait(reject, signal, cancel);
      const send = (bytes: Uint8Array): void =>
        this.#ask(server, subject, bytes, (outcome) => {
          if (outcome instanceof TransportError) {
            fail(outcome);
          } else if (settle()) {
            resolve(outcome);
          }
        });
      if (this.#fabric.turns.published(1)) {
        const bytes = new Uint8Array(frame);
        this.#fabric.turns.next(() => send(bytes));
      } else {
        send(frame);
      }
    });
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    for (const queues of [...this.#subscriptions.values()])
      for (const queue of [...queues]) void queue.close();
    for (const serving of [...this.#services.values()]) void serving.close();
    const closed = new TransportError("TRANSPORT_CLOSED", `The endpoint ${this.name} was closed`);
    for (const fail of [...this.#waiting]) fail(closed);
    this.#fabric.left(this);
    this.announce();
    this.#listeners.clear();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Tells every listener how it is now. One that throws keeps no other from hearing. */
  announce(): void {
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

  /** The subscriptions that are open. */
  queues(): DeliveryQueue[] {
    return [...this.#subscriptions.values()].flatMap((queues) => [...queues]);
  }

  #deliver(subject: string, frame: Uint8Array): void {
    for (const queue of [...(this.#subscriptions.get(subject) ?? [])]) {
      if (!queue.push(frame)) this.#fabric.overflowed();
    }
  }

  #ask(
    server: Endpoint,
    subject: string,
    frame: Uint8Array,
    hear: (outcome: Uint8Array | TransportError) => void,
  ): void {
    this.#fabric.carry(this.name, server.name, subject, frame, (request) => {
      const serving = server.#services.get(subject);
      if (serving !== undefined && serving.runningCount >= this.#fabric.framesMaxOf(subject)) {
        this.#fabric.overflowed();
        return;
      }
      const reply = (outcome: Uint8Array | TransportError): void => {
        const bytes = outcome instanceof TransportError ? new Uint8Array(0) : outcome;
        this.#fabric.carry(server.name, this.name, subject, bytes, (answer) =>
          hear(outcome instanceof TransportError ? outcome : new Uint8Array(answer)),
        );
      };
      if (serving === undefined)
        reply(new TransportError("NO_RESPONDER", `Nobody serves ${subject} any more`));
      else serving.answer(request, reply);
    });
  }

  #serverOf(subject: string): Endpoint | undefined {
    for (const endpoint of this.#fabric.endpoints()) if (endpoint.#services.has(subject)) return endpoint;
    return undefined;
  }

  /** Waits for the next turn of the event loop. */
  async #rest(signal?: AbortSignal): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      // The medium has custody already: only an abort rejects, a close does not.
      const end = (reason: unknown): void => {
        if (signal?.aborted === true) reject(reason);
        else resolve();
      };
      const { settle } = this.#wait(end, signal);
      this.#fabric.turns.next(() => {
        if (settle()) resolve();
      });
    });
  }

  /** Lets an abort and a close reject a call. `settle` is true the first time, and lets go of both. */
  #wait(
    reject: (reason: unknown) => void,
    signal: AbortSignal | undefined,
    release: () => void = () => undefined,
  ): { settle: () => boolean; fail: (reason: unknown) => void } {
    const settle = (): boolean => {
      if (!this.#waiting.delete(fail)) return false;
      signal?.removeEventListener("abort", abort);
      release();
      return true;
    };
    const fail = (reason: unknown): void => {
      if (settle()) reject(reason);
    };
    const abort = (): void => fail(signal?.reason);
    this.#waiting.add(fail);
    signal?.addEventListener("abort", abort, { once: true });
    return { settle, fail };
  }

  #check(subject: string, signal?: AbortSignal): void {
    signal?.throwIfAborted();
    if (this.#closed) throw new TransportError("TRANSPORT_CLOSED", `The endpoint ${this.name} was closed`);
    checkSubject(subject);
  }

  #checkSize(frame: Uint8Array): void {
    const { frameBytesMax } = this.capabilities;
    if (frame.length <= frameBytesMax) return;
    throw new TransportError(
      "FRAME_TOO_LARGE",
      `Cannot carry ${frame.length} bytes: the limit is ${frameBytesMax}`,
    );
  }
}
