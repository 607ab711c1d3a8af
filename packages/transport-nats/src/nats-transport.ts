import type { Msg, NatsConnection } from "@nats-io/nats-core";
import { nuid } from "@nats-io/nats-core";
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
  TransportErrorCode,
  TransportStatus,
} from "@tidemark/transport";
import { Connection } from "./connection.ts";
import { Cursor } from "./cursor.ts";
import { DeliveryQueue } from "./delivery-queue.ts";
import { Inbox, nobodyListens } from "./inbox.ts";
import { Lane } from "./lane.ts";
import { checkSubject, Names } from "./names.ts";
import { settingsOf } from "./options.ts";
import type { NatsTransportOptions, Settings } from "./options.ts";
import { Assembler, headersOf, partsOf } from "./parts.ts";
import { DEFAULT_PLATFORM, orAbort } from "./platform.ts";
import type { NatsPlatform } from "./platform.ts";
import { REFUSED, Serving } from "./serving.ts";
import { StreamWindow } from "./stream-window.ts";
import { Streams } from "./streams.ts";
import { Troubles } from "./troubles.ts";
import { Waits } from "./waits.ts";

/** Live frames after which the publisher waits until the broker has taken them. */
const FLUSH_FRAMES = 64;

/** A subscription to live frames, on whichever connection there is. */
interface Live {
  attach(connection: NatsConnection): void;
}

/** Frames over one NATS connection: see the README for what is kept where. */
export class NatsTransport implements Transport {
  readonly capabilities: TransportCapabilities;
  readonly #names: Names;
  readonly #settings: Settings;
  readonly #platform: NatsPlatform;
  readonly #connection: Connection;
  readonly #streams: Streams;
  readonly #inbox: Inbox;
  readonly #troubles: Troubles = new Troubles(() => this.#announce());
  readonly #waits: Waits = new Waits();
  readonly #closing: AbortController = new AbortController();
  readonly #lanes: Map<string, Lane> = new Map();
  /** By stream. */
  readonly #windows: Map<string, StreamWindow> = new Map();
  readonly #queues: Set<DeliveryQueue> = new Set();
  readonly #live: Set<Live> = new Set();
  readonly #services: Map<string, Serving> = new Map();
  readonly #listeners: Set<(status: TransportStatus) => void> = new Set();
  #down: string | undefined = "Not connected yet";
  #leaveInbox: () => void = () => undefined;
  #unflushed: number = 0;
  #closed: Promise<void> | undefined;

  constructor(options: NatsTransportOptions) {
    this.#names = new Names(options.prefix ?? "tidemark");
    this.#settings = settingsOf(options);
    this.#platform = options.platform ?? DEFAULT_PLATFORM;
    this.#streams = new Streams(this.#names, this.#settings);
    this.#inbox = new Inbox(this.#settings.inboxPrefix);
    this.capabilities = {
      frameBytesMax: this.#settings.frameBytesMax,
      ordered: true,
      replay: true,
      persistent: this.#settings.stream.storage === "file",
    };
    this.#connection = new Connection(options, this.#settings.retryMsMax, this.#platform, {
      up: (connection, fresh) => this.#up(connection, fresh),
      down: (reason) => {
        this.#down = reason;
        this.#announce();
      },
      refused: (reason) => this.#troubles.set("connection", reason),
    });
  }

  /** For `openNatsTransport`. */
  start(): Promise<void> {
    return this.#connection.start();
  }

  get status(): TransportStatus {
    if (this.#closing.signal.aborted) return { state: "closed" };
    if (this.#down !== undefined) return { state: "connecting", reason: this.#down };
    const reason = this.#troubles.first;
    return reason === undefined ? { state: "ready" } : { state: "degraded", reason };
  }

  onStatus(listener: (status: TransportStatus) => void): () => void {
    if (this.#closing.signal.aborted) return () => undefined;
    // A wrapper, so that one function given twice is two listeners.
    const own = (status: TransportStatus): void => listener(status);
    this.#listeners.add(own);
    return () => void this.#listeners.delete(own);
  }

  async publish(subject: string, frame: Uint8Array, options: PublishOptions = {}): Promise<void> {
    const { signal, sequence } = options;
    this.#check(subject, signal);
    this.#checkSize(frame);
    // The client sends later: the caller may write to its own at once.
    const bytes = new Uint8Array(frame);
    const stream = this.#names.streamOf(subject);
    if (sequence === undefined || stream === undefined) await this.#publishLive(subject, bytes, signal);
    else await this.#publishStored(subject, stream, bytes, sequence, signal);
  }

  async subscribe(subject: string, options: SubscribeOptions = {}): Promise<Subscription> {
    const { signal, from } = options;
    this.#check(subject, signal);
    const ending = new AbortController();
    const abort = (): void => queue.fail(signal?.reason);
    const queue = new DeliveryQueue(this.#settings.queueFramesMax, () => {
      signal?.removeEventListener("abort", abort);
      this.#queues.delete(queue);
      this.#live.delete(live);
      live.leave();
      ending.abort(new TransportError("TRANSPORT_CLOSED", "The subscription was closed"));
    });
    const live = this.#hearLive(subject, queue);
    this.#queues.add(queue);
    this.#live.add(live);
    signal?.addEventListener("abort", abort, { once: true });
    const connection = this.#connection.live;
    if (connection !== undefined) live.attach(connection);
    const stream = this.#names.streamOf(subject);
    const cursor =
      stream === undefined
        ? undefined
        : new Cursor({
            subject,
            stored: this.#names.stored(subject),
            stream,
            from,
            queue,
            connection: this.#connection,
            streams: this.#streams,
            settings: this.#settings,
            troubles: this.#troubles,
            platform: this.#platform,
            signal: ending.signal,
          });
    try {
      await this.#waits.open<void>(signal, (resolve) => {
        const opening: Promise<void>[] = [];
        if (cursor !== undefined) opening.push(cursor.open());
        if (connection !== undefined) opening.push(this.#flushed(connection));
        void Promise.all(opening).then(() => resolve());
        return () => undefined;
      });
    } catch (error) {
      await queue.close();
      throw error;
    }
    return queue;
  }

  async release(subject: string, sequence: FrameSequence): Promise<void> {
    this.#check(subject);
    const stream = this.#names.streamOf(subject);
    if (stream !== undefined) this.#lane(subject, stream).release(sequence);
  }

  async serve(subject: string, handler: RequestHandler, options: ServeOptions = {}): Promise<Service> {
    const { signal } = options;
    this.#check(subject, signal);
    if (this.#services.has(subject)) {
      throw new TransportError("SUBJECT_IN_USE", `Cannot serve ${subject}: it has a handler already`);
    }
    const close = (): void => void serving.close();
    const asked = this.#names.asked(subject);
    const serving = new Serving(asked, handler, this.#settings.frameBytesMax, () => {
      signal?.removeEventListener("abort", close);
      this.#services.delete(subject);
    });
    this.#services.set(subject, serving);
    signal?.addEventListener("abort", close, { once: true });
    const connection = this.#connection.live;
    if (connection !== undefined) {
      serving.attach(connection);
      await this.#waits
        .open<void>(signal, (resolve) => {
          void this.#flushed(connection).then(() => resolve());
          return () => undefined;
        })
        .catch(async (error: unknown) => {
          await serving.close();
          throw error;
        });
    }
    return serving;
  }

  async request(subject: string, frame: Uint8Array, options: RequestOptions): Promise<Uint8Array> {
    const { timeoutMs, signal } = options;
    this.#check(subject, signal);
    if (!(timeoutMs > 0)) throw new RangeError(`timeoutMs must be above 0: ${timeoutMs}`);
    this.#checkSize(frame);
    const connection = this.#connection.live;
    if (connection === undefined) {
      throw new TransportError("NO_RESPONDER", `Cannot ask ${subject}: the broker is out of reach`);
    }
    return this.#waits.open<Uint8Array>(signal, (resolve, reject) => {
      const assembler = new Assembler(this.#settings.frameBytesMax);
      const expecting = this.#inbox.expect((message) => {
        const code = nobodyListens(message) ? "NO_RESPONDER" : (message.headers?.get(REFUSED) ?? "");
        if (code !== "") {
          reject(new TransportError(code as TransportErrorCode, `No answer on ${subject}: ${code}`));
          return;
        }
        const answer = assembler.add(message);
        if (answer !== undefined) resolve(answer);
      });
      const cancel = this.#platform.setTimer(timeoutMs, () =>
        reject(new TransportError("REQUEST_TIMEOUT", `No answer on ${subject}: waited ${timeoutMs} ms`)),
      );
      try {
        for (const part of partsOf(new Uint8Array(frame), this.#payloadMax(connection))) {
          const made = headersOf(part, expecting.reply);
          const { reply } = expecting;
          connection.publish(this.#names.asked(subject), part.bytes, {
            reply,
            ...(made === undefined ? {} : { headers: made }),
          });
        }
      } catch (error) {
        reject(new TransportError("NO_RESPONDER", `Cannot ask ${subject}`, { cause: error }));
      }
      return () => {
        expecting.forget();
        cancel();
      };
    });
  }

  close(): Promise<void> {
    return (this.#closed ??= this.#close());
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    const closed = new TransportError("TRANSPORT_CLOSED", "The transport was closed");
    this.#closing.abort(closed);
    this.#waits.failAll(closed);
    for (const queue of [...this.#queues]) await queue.close();
    for (const serving of [...this.#services.values()]) await serving.close();
    if (this.#connection.live?.isClosed() === false) this.#leaveInbox();
    this.#announce();
    this.#listeners.clear();
    await this.#connection.close();
  }

  #up(connection: NatsConnection, fresh: boolean): void {
    if (fresh) {
      this.#leaveInbox = this.#inbox.attach(connection);
      for (const live of this.#live) live.attach(connection);
      for (const serving of this.#services.values()) serving.attach(connection);
    }
    this.#down = undefined;
    for (const window of this.#windows.values()) window.lost();
    this.#troubles.clear("connection");
    this.#announce();
  }

  /** Lossy, so that nothing waits for a broker that is away. */
  async #publishLive(subject: string, frame: Uint8Array, signal: AbortSignal | undefined): Promise<void> {
    const connection = this.#connection.live;
    if (connection === undefined) {
      throw new TransportError("PUBLISH_FAILED", `Cannot publish on ${subject}: the broker is out of reach`);
    }
    const id = nuid.next();
    try {
      for (const part of partsOf(frame, this.#payloadMax(connection))) {
        const made = headersOf(part, id);
        connection.publish(
          this.#names.live(subject),
          part.bytes,
          made === undefined ? {} : { headers: made },
        );
      }
    } catch (error) {
      throw new TransportError("PUBLISH_FAILED", `Cannot publish on ${subject}`, { cause: error });
    }
    if (++this.#unflushed < FLUSH_FRAMES) return;
    this.#unflushed = 0;
    await this.#waits.open<void>(signal, (resolve) => {
      void this.#flushed(connection).then(() => resolve());
      return this.#platform.setTimer(this.#settings.ackTimeoutMs, () => resolve());
    });
  }

  #publishStored(
    subject: string,
    stream: string,
    frame: Uint8Array,
    sequence: FrameSequence,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    return this.#waits.open<void>(signal, (resolve, reject) => {
      const job = { frame, sequence, abandoned: false, stored: () => resolve(), failed: reject };
      if (!this.#lane(subject, stream).publish(job)) {
        reject(
          new TransportError("PUBLISH_FAILED", `Cannot publish on ${subject}: too many frames wait already`),
        );
      }
      return () => (job.abandoned = true);
    });
  }

  #lane(subject: string, stream: string): Lane {
    let lane = this.#lanes.get(subject);
    if (lane === undefined) {
      lane = new Lane({
        subject,
        stored: this.#names.stored(subject),
        stream,
        window: this.#window(stream),
        connection: this.#connection,
        streams: this.#streams,
        settings: this.#settings,
        troubles: this.#troubles,
        platform: this.#platform,
        closing: this.#closing.signal,
      });
      this.#lanes.set(subject, lane);
    }
    return lane;
  }

  #window(stream: string): StreamWindow {
    let window = this.#windows.get(stream);
    if (window === undefined) {
      window = new StreamWindow({
        inbox: this.#inbox,
        platform: this.#platform,
        settings: this.#settings,
        closing: this.#closing.signal,
      });
      this.#windows.set(stream, window);
    }
    return window;
  }

  #hearLive(subject: string, queue: DeliveryQueue): Live & { leave(): void } {
    const assembler = new Assembler(this.#settings.frameBytesMax);
    let leave = (): void => undefined;
    const hear = (error: Error | null, message: Msg): void => {
      const frame = error === null ? assembler.add(message) : undefined;
      // Dropped where the reader does not keep up: the layer above copes with losses.
      if (frame !== undefined) queue.push({ frame });
    };
    return {
      attach: (connection) => {
        const subscription = connection.subscribe(this.#names.live(subject), { callback: hear });
        leave = () => {
          if (!connection.isClosed()) subscription.unsubscribe();
        };
      },
      leave: () => leave(),
    };
  }

  /** Resolves once the broker has seen what was sent, or will never say so. */
  #flushed(connection: NatsConnection): Promise<void> {
    const late = new AbortController();
    const cancel = this.#platform.setTimer(this.#settings.ackTimeoutMs, () => late.abort());
    return orAbort(connection.flush(), late.signal)
      .catch(() => undefined)
      .finally(cancel);
  }

  #payloadMax(connection: NatsConnection): number {
    return connection.info?.max_payload ?? this.#settings.frameBytesMax;
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

  #check(subject: string, signal?: AbortSignal): void {
    signal?.throwIfAborted();
    this.#closing.signal.throwIfAborted();
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

/**
 * Opens a transport over NATS JetStream.
 *
 * Resolves after the first attempt to connect: a broker that is away is `connecting` in `status` and tried
 * again for ever.
 *
 * @throws RangeError for an option that is none; TypeError unless there is exactly one way to a broker.
 * @throws `UNAUTHORIZED` if the broker refuses the credentials.
 */
export async function openNatsTransport(options: NatsTransportOptions): Promise<Transport> {
  const { connection, connect, servers, options: connectionOptions } = options;
  const own = connect !== undefined || servers !== undefined || connectionOptions !== undefined;
  if ((connection !== undefined) === own) {
    throw new TypeError("Give either a connection, or servers, options or connect to open one with");
  }
  const transport = new NatsTransport(options);
  await transport.start();
  return transport;
}
