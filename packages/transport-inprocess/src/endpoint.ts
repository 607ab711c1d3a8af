import { TransportError } from "@tidemark/transport";
import type {
  PublishOptions,
  RequestHandler,
  RequestOptions,
  Service,
  SubscribeOptions,
  Subscription,
  Transport,
  TransportCapabilities,
  TransportStatus,
} from "@tidemark/transport";
import { DeliveryQueue } from "./delivery-queue.ts";
import { checkSubject } from "./subject.ts";

/** What an endpoint asks of the network it joined. */
export interface Fabric {
  readonly capabilities: TransportCapabilities;
  readonly queueFramesMax: number;
  send(from: string, subject: string, frame: Uint8Array): void;
  /** Carries one frame from one endpoint to another and calls `arrive` there, unless it is lost. */
  carry(from: string, to: string, frame: Uint8Array, arrive: (frame: Uint8Array) => void): void;
  server(subject: string): Endpoint | undefined;
  statusOf(name: string): TransportStatus;
  setTimer(ms: number, run: () => void): () => void;
  left(endpoint: Endpoint): void;
}

/** One member of an in-process network. */
export class Endpoint implements Transport {
  readonly name: string;
  readonly #fabric: Fabric;
  readonly #subscriptions: Map<string, Set<DeliveryQueue>> = new Map();
  readonly #services: Map<string, RequestHandler> = new Map();
  readonly #listeners: Set<(status: TransportStatus) => void> = new Set();
  readonly #pending: Set<(error: unknown) => void> = new Set();
  readonly #closing: AbortController = new AbortController();

  constructor(name: string, fabric: Fabric) {
    this.name = name;
    this.#fabric = fabric;
  }

  get capabilities(): TransportCapabilities {
    return this.#fabric.capabilities;
  }

  get status(): TransportStatus {
    return this.#closing.signal.aborted ? { state: "closed" } : this.#fabric.statusOf(this.name);
  }

  /** Frames this endpoint's subscribers were too slow for. */
  get dropped(): number {
    let sum = 0;
    for (const queues of this.#subscriptions.values()) for (const queue of queues) sum += queue.dropped;
    return sum;
  }

  onStatus(listener: (status: TransportStatus) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Tells every listener; a listener that throws harms nobody else. */
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

  async publish(subject: string, frame: Uint8Array, options: PublishOptions = {}): Promise<void> {
    this.#check(subject, frame, options.signal);
    this.#fabric.send(this.name, subject, frame);
  }

  async subscribe(subject: string, options: SubscribeOptions = {}): Promise<Subscription> {
    const { signal } = options;
    this.#check(subject, undefined, signal);
    const queues = this.#subscriptions.get(subject) ?? new Set();
    this.#subscriptions.set(subject, queues);
    const abort = (): void => void queue.close();
    const queue = new DeliveryQueue(this.#fabric.queueFramesMax, () => {
      signal?.removeEventListener("abort", abort);
      queues.delete(queue);
      if (queues.size === 0 && this.#subscriptions.get(subject) === queues) this.#subscriptions.delete(subject);
    });
    signal?.addEventListener("abort", abort, { once: true });
    queues.add(queue);
    return queue;
  }

  async release(subject: string): Promise<void> {
    this.#check(subject); // Nothing is stored, so nothing can be trimmed.
  }

  async serve(subject: string, handler: RequestHandler, options: { readonly signal?: AbortSignal } = {}): Promise<Service> {
    const { signal } = options;
    this.#check(subject, undefined, signal);
    if (this.#fabric.server(subject) !== undefined) {
      throw new TransportError("SUBJECT_IN_USE", `Cannot serve ${subject}: it is served already`);
    }
    this.#services.set(subject, handler);
    const close = async (): Promise<void> => {
      signal?.removeEventListener("abort", close);
      if (this.#services.get(subject) === handler) this.#services.delete(subject);
    };
    signal?.addEventListener("abort", close, { once: true });
    return { close, [Symbol.asyncDispose]: close };
  }

  async request(subject: string, frame: Uint8Array, options: RequestOptions): Promise<Uint8Array> {
    this.#check(subject, frame, options.signal);
    const server = this.#fabric.server(subject);
    if (server === undefined) {
      throw new TransportError("NO_RESPONDER", `Cannot ask ${subject}: nobody serves it`, { retryable: true });
    }
    return new Promise((resolve, reject) => {
      const settle = (): void => {
        cancel();
        options.signal?.removeEventListener("abort", abort);
        this.#pending.delete(fail);
      };
      const fail = (error: unknown): void => {
        settle();
        reject(error);
      };
      const abort = (): void => fail(options.signal?.reason);
      const cancel = this.#fabric.setTimer(options.timeoutMs, () =>
        fail(new TransportError("REQUEST_TIMEOUT", `Cannot wait for ${subject} any longer: ${options.timeoutMs} ms passed`, { retryable: true })),
      );
      options.signal?.addEventListener("abort", abort, { once: true });
      this.#pending.add(fail);
      this.#fabric.carry(this.name, server.name, frame, (request) => {
        server.#answer(subject, request).then(
          (reply) =>
            this.#fabric.carry(server.name, this.name, reply, (answer) => {
              settle();
              resolve(answer);
            }),
          // A handler that failed answers nothing: the asker's deadline decides.
          () => undefined,
        );
      });
    });
  }

  /** Hands a frame to this endpoint's subscribers, each with bytes of its own. */
  deliver(subject: string, frame: Uint8Array): void {
    const queues = this.#subscriptions.get(subject);
    if (queues === undefined) return;
    let bytes: Uint8Array | undefined = frame;
    for (const queue of [...queues]) {
      queue.push({ frame: bytes ?? frame.slice() });
      bytes = undefined;
    }
  }

  /** Whether anybody here subscribes to the subject. */
  listens(subject: string): boolean {
    return this.#subscriptions.has(subject);
  }

  /** Whether this endpoint answers the subject. */
  serves(subject: string): boolean {
    return this.#services.has(subject);
  }

  async close(): Promise<void> {
    if (this.#closing.signal.aborted) return;
    const closed = new TransportError("TRANSPORT_CLOSED", `Cannot go on: the endpoint ${this.name} was closed`);
    this.#closing.abort(closed);
    for (const queues of [...this.#subscriptions.values()]) for (const queue of [...queues]) await queue.close();
    this.#services.clear();
    for (const fail of [...this.#pending]) fail(closed);
    this.announce();
    this.#listeners.clear();
    this.#fabric.left(this);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #answer(subject: string, frame: Uint8Array): Promise<Uint8Array> {
    const handler = this.#services.get(subject);
    if (handler === undefined) throw new TransportError("NO_RESPONDER", `Nobody serves ${subject} any more`);
    const reply = await handler(frame, { signal: this.#closing.signal });
    if (reply.length > this.capabilities.frameBytesMax) {
      throw new TransportError("FRAME_TOO_LARGE", `Cannot carry a reply of ${reply.length} bytes`);
    }
    return reply;
  }

  #check(subject: string, frame?: Uint8Array, signal?: AbortSignal): void {
    signal?.throwIfAborted();
    if (this.#closing.signal.aborted) {
      throw new TransportError("TRANSPORT_CLOSED", `Cannot use the endpoint ${this.name}: it was closed`);
    }
    checkSubject(subject);
    const { frameBytesMax } = this.capabilities;
    if (frame !== undefined && frame.length > frameBytesMax) {
      throw new TransportError("FRAME_TOO_LARGE", `Cannot carry ${frame.length} bytes: the limit is ${frameBytesMax}`);
    }
  }
}
