import { TransportError } from "@tidemark/transport";
import type {
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
import { MemorySubscription } from "./memory-subscription.ts";

/** What all peers of a mesh share: a broker that never forgets, and links that can be cut. */
export class MemoryMedium {
  readonly capabilities: TransportCapabilities = {
    frameBytesMax: 4_096,
    ordered: true,
    replay: true,
    persistent: true,
  };
  readonly peers: Map<number, MemoryTransport> = new Map();
  readonly stored: { readonly subject: string; readonly frame: Uint8Array }[] = [];
  readonly #cuts: Set<string> = new Set();

  passes(from: number, to: number): boolean {
    return !this.#cuts.has(`${from} to ${to}`);
  }

  cut(from: number, to: number): void {
    this.#cuts.add(`${from} to ${to}`);
    this.announce();
  }

  heal(): void {
    this.#cuts.clear();
    this.announce();
  }

  isCut(peer: number): boolean {
    return [...this.peers.keys()].some((other) => !this.passes(peer, other) || !this.passes(other, peer));
  }

  announce(): void {
    for (const peer of this.peers.values()) peer.announce();
  }
}

interface MemoryService {
  readonly handler: RequestHandler;
  readonly closing: AbortController;
}

/** The smallest transport that keeps the whole contract: what the suite is tested with. */
export class MemoryTransport implements Transport {
  readonly #medium: MemoryMedium;
  readonly #peer: number;
  readonly subscriptions: Set<MemorySubscription> = new Set();
  readonly #services: Map<string, MemoryService> = new Map();
  readonly #listeners: Set<(status: TransportStatus) => void> = new Set();
  readonly #closing: AbortController = new AbortController();

  constructor(medium: MemoryMedium, peer: number) {
    this.#medium = medium;
    this.#peer = peer;
    medium.peers.set(peer, this);
  }

  get capabilities(): TransportCapabilities {
    return this.#medium.capabilities;
  }

  get status(): TransportStatus {
    if (this.#closing.signal.aborted) return { state: "closed" };
    return this.#medium.isCut(this.#peer)
      ? { state: "degraded", reason: "a link is cut" }
      : { state: "ready" };
  }

  onStatus(listener: (status: TransportStatus) => void): () => void {
    const own = (status: TransportStatus): void => listener(status);
    this.#listeners.add(own);
    return () => void this.#listeners.delete(own);
  }

  async publish(subject: string, frame: Uint8Array, options: PublishOptions = {}): Promise<void> {
    this.#check(subject, options.signal);
    this.#checkSize(frame);
    if (options.sequence !== undefined) this.#medium.stored.push({ subject, frame: new Uint8Array(frame) });
    const position = `${this.#medium.stored.length}`;
    for (const [peer, transport] of this.#medium.peers) {
      if (!this.#medium.passes(this.#peer, peer)) continue;
      for (const subscription of transport.subscriptions) {
        if (subscription.subject === subject) subscription.push({ frame: new Uint8Array(frame), position });
      }
    }
  }

  async subscribe(subject: string, options: SubscribeOptions = {}): Promise<Subscription> {
    const { signal, from } = options;
    this.#check(subject, signal);
    const subscription = new MemorySubscription(subject, () => this.subscriptions.delete(subscription));
    this.subscriptions.add(subscription);
    signal?.addEventListener("abort", () => subscription.end({ reason: signal.reason as unknown }));
    const { stored } = this.#medium;
    const start = from !== undefined && /^[1-9][0-9]*$/.test(from) ? Number(from) : stored.length;
    for (let index = start; index < stored.length; index++) {
      const { subject: own, frame } = stored[index]!;
      if (own === subject) subscription.push({ frame: new Uint8Array(frame), position: `${index + 1}` });
    }
    return subscription;
  }

  async release(subject: string, _sequence: FrameSequence): Promise<void> {
    this.#check(subject);
  }

  async serve(subject: string, handler: RequestHandler, options: ServeOptions = {}): Promise<Service> {
    this.#check(subject, options.signal);
    if (this.#services.has(subject)) throw new TransportError("SUBJECT_IN_USE", `${subject} has a handler`);
    const service: MemoryService = { handler, closing: new AbortController() };
    this.#services.set(subject, service);
    const close = async (): Promise<void> => {
      service.closing.abort();
      if (this.#services.get(subject) === service) this.#services.delete(subject);
    };
    options.signal?.addEventListener("abort", () => void close());
    return { close, [Symbol.asyncDispose]: close };
  }

  async request(subject: string, frame: Uint8Array, options: RequestOptions): Promise<Uint8Array> {
    const { timeoutMs, signal } = options;
    this.#check(subject, signal);
    if (!(timeoutMs > 0)) throw new RangeError("timeoutMs must be above 0");
    this.#checkSize(frame);
    const server = [...this.#medium.peers.values()].find((peer) => peer.#services.has(subject));
    if (server === undefined) throw new TransportError("NO_RESPONDER", `Nobody serves ${subject}`);
    const passes =
      this.#medium.passes(this.#peer, server.#peer) && this.#medium.passes(server.#peer, this.#peer);
    const answering = passes
      ? server.#answer(subject, new Uint8Array(frame))
      : new Promise<never>(() => undefined);
    return new Promise((resolve, reject) => {
      const timer = globalThis.setTimeout(
        () => reject(new TransportError("REQUEST_TIMEOUT", "Too late")),
        timeoutMs,
      );
      const ends = AbortSignal.any([this.#closing.signal, ...(signal === undefined ? [] : [signal])]);
      const abort = (): void => reject(ends.reason as Error);
      ends.addEventListener("abort", abort);
      const done = (): void => {
        globalThis.clearTimeout(timer);
        ends.removeEventListener("abort", abort);
      };
      ends.addEventListener("abort", done);
      answering.finally(done).then(resolve, reject);
    });
  }

  async close(): Promise<void> {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort(new TransportError("TRANSPORT_CLOSED", "The transport was closed"));
    for (const subscription of this.subscriptions) subscription.end();
    for (const { closing } of this.#services.values()) closing.abort();
    this.#services.clear();
    if (this.#medium.peers.get(this.#peer) === this) this.#medium.peers.delete(this.#peer);
    this.announce();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  announce(): void {
    for (const listener of [...this.#listeners]) listener(this.status);
  }

  async #answer(subject: string, frame: Uint8Array): Promise<Uint8Array> {
    const { handler, closing } = this.#services.get(subject)!;
    let answer: Uint8Array;
    try {
      answer = await handler(frame, { signal: closing.signal });
    } catch {
      throw new TransportError("NO_RESPONDER", "The handler failed");
    }
    this.#checkSize(answer);
    return new Uint8Array(answer);
  }

  #check(subject: string, signal?: AbortSignal): void {
    signal?.throwIfAborted();
    this.#closing.signal.throwIfAborted();
    if (subject.length > 200 || !/^[\w-]+(\.[\w-]+){0,7}$/.test(subject) || subject.endsWith("\n")) {
      throw new TransportError("INVALID_SUBJECT", `${JSON.stringify(subject)} is no subject`);
    }
  }

  #checkSize(frame: Uint8Array): void {
    if (frame.length > this.capabilities.frameBytesMax) {
      throw new TransportError("FRAME_TOO_LARGE", `${frame.length} bytes are too many`);
    }
  }
}
