import {
  connectorFor,
  setTimer,
  Supervisor,
  textOf,
  textOfReply,
  type Connector,
  decodeRange,
  type Entry,
  compareEntryIds,
  formatEntryId,
  parseEntryId,
  ZERO_ID,
  type EntryId,
} from "@tidemark/redis-connection";
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
import { DeliveryQueue } from "./delivery-queue.ts";
import { entryIdOf } from "./entry-id.ts";
import { refusalOf, transportErrorOf, verdictOf } from "./errors.ts";
import { FrameCopies } from "./frame-copies.ts";
import { Keys, tagOfKey } from "./keys.ts";
import { limitsOf, type Limits, type RedisTransportOptions } from "./options.ts";
import { Outbox } from "./outbox.ts";
import { randomId } from "./platform.ts";
import { Reader, type Tap } from "./reader.ts";
import { Asker, capFor } from "./requests.ts";
import { Serving } from "./serving.ts";
import { checkSubject } from "./subject.ts";

/** Bytes the stream of a subject's ephemeral frames may hold. */
const EPHEMERAL_BYTES_MAX = 4 * 1024 * 1024;
/** How long `close` waits for the server to forget this transport's own keys. */
const FAREWELL_MS = 250;

/** Counts of one transport since it was opened. */
export interface RedisTransportStats {
  /** Frames that were gone before this transport's subscriptions read them, at least. */
  readonly gaps: number;
  /** Frames this transport took out of a stream at its bound before they were released. */
  readonly trimmed: number;
  /** Connections that were replaced. */
  readonly replaced: number;
}

/** A transport over Redis Streams. */
export interface RedisTransport extends Transport {
  readonly stats: RedisTransportStats;
}

/**
 * Opens a transport over Redis Streams.
 *
 * Resolves once the server is reached, or the first attempt failed: it then goes on trying for ever, and `status` says
 * `connecting`.
 *
 * @throws `UNAUTHORIZED` if the server refuses the credentials, {@link RedisTransportError} for a connection that cannot
 * be used, `RangeError` for a limit that is none.
 */
export async function openRedisTransport(options: RedisTransportOptions): Promise<RedisTransport> {
  const limits = limitsOf(options);
  // Frames have ids, so that any command may run twice.
  const connector = await connectorFor(options.connection, { ...limits, resend: true }).catch(
    (error: unknown) => {
      throw refusalOf(error);
    },
  );
  const transport = new StreamTransport(connector, limits);
  await transport.opened();
  return transport;
}

class StreamTransport implements RedisTransport {
  readonly capabilities: TransportCapabilities;
  readonly #id: string = randomId();
  readonly #connector: Connector;
  readonly #limits: Limits;
  readonly #keys: Keys;
  readonly #commands: Supervisor;
  /** By hash tag; one for everything where keys need not share a slot. */
  readonly #readers: Map<string, Reader> = new Map();
  readonly #copies: FrameCopies = new FrameCopies();
  readonly #outboxes: Map<string, Outbox> = new Map();
  readonly #services: Map<string, Serving> = new Map();
  readonly #queues: Set<DeliveryQueue> = new Set();
  readonly #listeners: Set<(status: TransportStatus) => void> = new Set();
  readonly #waiting: Set<(reason: unknown) => void> = new Set();
  #asker: Asker | undefined;
  #announced: string = "connecting";
  #gapReason: string | undefined;
  #gaps: number = 0;
  #closed: boolean = false;
  #closing: Promise<void> | undefined;

  constructor(connector: Connector, limits: Limits) {
    const { frameBytesMax, persistent, prefix } = limits;
    this.capabilities = { frameBytesMax, ordered: true, replay: true, persistent };
    this.#connector = connector;
    this.#limits = limits;
    this.#keys = new Keys(prefix);
    this.#commands = new Supervisor(connector, limits, () => this.#changed());
  }

  get stats(): RedisTransportStats {
    let trimmed = 0;
    for (const outbox of this.#outboxes.values()) trimmed += outbox.trimmed;
    let replaced = Math.max(0, this.#commands.life - 1);
    for (const { supervisor } of this.#readers.values()) replaced += Math.max(0, supervisor.life - 1);
    return { gaps: this.#gaps, trimmed, replaced };
  }

  get status(): TransportStatus {
    if (this.#closed) return { state: "closed" };
    if (!this.#commands.up) {
      const { failure } = this.#commands;
      return failure === undefined
        ? { state: "connecting" }
        : { state: "connecting", reason: `Redis is out of reach: ${textOf(failure)}` };
    }
    for (const { supervisor, fault } of this.#readers.values()) {
      const failure = supervisor.failing ? supervisor.failure : fault;
      if (failure !== undefined) return { state: "degraded", reason: `Cannot read: ${textOf(failure)}` };
    }
    return this.#gapReason === undefined ? { state: "ready" } : { state: "ready", reason: this.#gapReason };
  }

  onStatus(listener: (status: TransportStatus) => void): () => void {
    if (this.#closed) return () => undefined;
    // A wrapper, so that one function given twice is two listeners.
    const own = (status: TransportStatus): void => listener(status);
    this.#listeners.add(own);
    return () => void this.#listeners.delete(own);
  }

  /** Resolves once the first attempt is over. @throws `UNAUTHORIZED` */
  async opened(): Promise<void> {
    if (!this.#commands.up && !this.#commands.failing) {
      await new Promise<void>((resolve) => (this.#onFirst = resolve));
    }
    if (!this.#commands.unauthorized) return;
    const error = transportErrorOf(this.#commands.failure, "open the transport");
    await this.close();
    throw error;
  }

  #onFirst: () => void = () => undefined;

  async publish(subject: string, frame: Uint8Array, options: PublishOptions = {}): Promise<void> {
    const { sequence, signal } = options;
    this.#check(subject, signal);
    this.#checkSize(frame);
    if (sequence === undefined) return this.#publishOnce(subject, new Uint8Array(frame), signal);
    const id = entryIdOf(sequence);
    const outbox = this.#outboxOf(subject);
    return this.#call<void>(signal, (resolve, reject) => {
      const cancel = setTimer(this.#limits.publishTimeoutMs, () =>
        reject(
          new TransportError(
            "PUBLISH_FAILED",
            `Cannot publish to ${subject}: not confirmed in ${this.#limits.publishTimeoutMs} ms`,
          ),
        ),
      );
      const leave = outbox.add(id, frame, (error) => (error === undefined ? resolve() : reject(error)));
      return () => {
        cancel();
        leave();
      };
    });
  }

  async subscribe(subject: string, options: SubscribeOptions = {}): Promise<Subscription> {
    const { from, signal } = options;
    this.#check(subject, signal);
    const logKey = this.#keys.log(subject);
    const ephemeralKey = this.#keys.ephemeral(subject);
    const [logEnd, ephemeralEnd] = await Promise.all([
      this.#endOf(logKey, signal),
      this.#endOf(ephemeralKey, signal),
    ]);
    this.#check(subject, signal);
    const position = from === undefined ? undefined : parseEntryId(from);
    const known = position !== undefined && compareEntryIds(position, logEnd) <= 0;
    const reader = this.#readerOf(logKey);
    const abort = (): void => queue.fail(signal?.reason);
    const queue = new DeliveryQueue(this.#limits.queueFramesMax, {
      drained: () => reader.kick(),
      closed: () => {
        signal?.removeEventListener("abort", abort);
        this.#queues.delete(queue);
        for (const tap of taps) reader.remove(tap);
      },
    });
    const taps = [
      this.#tap(subject, logKey, known ? position : logEnd, queue, true),
      this.#tap(subject, ephemeralKey, ephemeralEnd, queue, false),
    ];
    this.#queues.add(queue);
    signal?.addEventListener("abort", abort, { once: true });
    for (const tap of taps) reader.add(tap);
    return queue;
  }

  async release(subject: string, sequence: FrameSequence): Promise<void> {
    this.#check(subject);
    const id = entryIdOf(sequence);
    // A hint: what a server out of reach keeps, it is told to forget the next time.
    await this.#outboxOf(subject)
      .release(id)
      .catch((error: unknown) => {
        if (verdictOf(error) === "unauthorized") throw transportErrorOf(error, `trim ${subject}`);
      });
  }

  async serve(subject: string, handler: RequestHandler, options: ServeOptions = {}): Promise<Service> {
    const { signal } = options;
    this.#check(subject, signal);
    if (this.#services.has(subject)) {
      throw new TransportError("SUBJECT_IN_USE", `Cannot serve ${subject}: it has a handler already`);
    }
    const key = this.#keys.requests(subject);
    const reader = this.#readerOf(key);
    const close = (): void => void serving.close();
    const serving = new Serving({
      subject,
      handler,
      keys: this.#keys,
      commands: this.#commands,
      limits: this.#limits,
      ageMs: (id) => reader.ageMs(id),
      onRoom: () => reader.kick(),
      onClose: () => {
        signal?.removeEventListener("abort", close);
        this.#services.delete(subject);
        reader.remove(serving);
      },
    });
    // Taken before the first wait, so that of two calls at once one is refused.
    this.#services.set(subject, serving);
    try {
      await this.#call<void>(signal, (resolve) => {
        void reader.aligned().then(resolve);
        return () => undefined;
      });
    } catch (error) {
      await serving.close();
      throw error;
    }
    signal?.addEventListener("abort", close, { once: true });
    reader.add(serving);
    return serving;
  }

  async request(subject: string, frame: Uint8Array, options: RequestOptions): Promise<Uint8Array> {
    const { timeoutMs, signal } = options;
    this.#check(subject, signal);
    if (!(timeoutMs > 0)) throw new RangeError(`timeoutMs must be above 0: ${timeoutMs}`);
    this.#checkSize(frame);
    const bytes = new Uint8Array(frame);
    const asker = this.#askerOf();
    return this.#call<Uint8Array>(signal, (resolve, reject) => {
      const cancel = setTimer(timeoutMs, () =>
        reject(new TransportError("REQUEST_TIMEOUT", `No answer on ${subject}: waited ${timeoutMs} ms`)),
      );
      const stop = asker.ask(subject, bytes, timeoutMs, (outcome) =>
        outcome instanceof TransportError ? reject(outcome) : resolve(outcome),
      );
      return () => {
        cancel();
        stop();
      };
    });
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    this.#closed = true;
    for (const queue of [...this.#queues]) void queue.close();
    for (const serving of [...this.#services.values()]) void serving.close();
    const closed = new TransportError("TRANSPORT_CLOSED", "The transport was closed");
    for (const fail of [...this.#waiting]) fail(closed);
    this.#announce({ state: "closed" });
    this.#listeners.clear();
    await this.#forgetOwnKeys();
    for (const reader of this.#readers.values()) reader.close();
    this.#commands.close();
  }

  /** They expire by themselves as well: a server that does not answer holds nobody up. */
  async #forgetOwnKeys(): Promise<void> {
    if (!this.#commands.up) return;
    const own = [...this.#readers.keys()].map((tag) => this.#wakeKeyOf(tag));
    if (this.#asker !== undefined) own.push(this.#asker.key);
    const forgotten = Promise.allSettled(own.map((key) => this.#commands.call(["DEL", key])));
    let cancel = (): void => undefined;
    const late = new Promise<void>((resolve) => (cancel = setTimer(FAREWELL_MS, resolve)));
    await Promise.race([forgotten, late]);
    cancel();
  }

  async #publishOnce(subject: string, bytes: Uint8Array, signal: AbortSignal | undefined): Promise<void> {
    const args = [
      "XADD",
      this.#keys.ephemeral(subject),
      ...capFor(bytes.length, EPHEMERAL_BYTES_MAX),
      "*",
      "f",
      bytes,
    ];
    return this.#call<void>(signal, (resolve, reject) => {
      this.#commands.call(args).then(
        () => resolve(),
        (error: unknown) => {
          if (verdictOf(error) === "elsewhere") this.#commands.replace("the server takes no writes");
          reject(transportErrorOf(error, `publish to ${subject}`));
        },
      );
      return () => undefined;
    });
  }

  /** The last entry of a stream, once the server can be asked. */
  #endOf(key: string, signal: AbortSignal | undefined): Promise<EntryId> {
    return this.#call<EntryId>(signal, (resolve, reject) => {
      const controller = new AbortController();
      const ask = async (): Promise<void> => {
        while (!controller.signal.aborted) {
          await this.#commands.wait(controller.signal);
          try {
            const reply = await this.#commands.call(["XREVRANGE", key, "+", "-", "COUNT", "1"]);
            resolve(decodeRange(reply)[0]?.id ?? ZERO_ID);
            return;
          } catch (error) {
            const verdict = verdictOf(error);
            if (verdict === "unauthorized" || verdict === "refused") {
              reject(transportErrorOf(error, `read ${key}`));
              return;
            }
            await new Promise<void>((next) => setTimer(20, next));
          }
        }
      };
      void ask();
      return () => controller.abort();
    });
  }

  #tap(subject: string, key: string, cursor: EntryId, queue: DeliveryQueue, numbered: boolean): Tap {
    // Apart from the cursor, which goes back when a server has lost what was read.
    let seen = cursor;
    const tap = {
      key,
      cursor,
      caughtUp: false,
      get room(): boolean {
        return queue.room;
      },
      take: (entries: readonly Entry[]): void => {
        for (const { id, fields } of entries) {
          const bytes = fields.get("f");
          if (bytes === undefined) continue;
          const previous = parseEntryId(textOfReply(fields.get("p") ?? ""));
          if (previous !== undefined && compareEntryIds(previous, seen) > 0) this.#gap(subject);
          if (compareEntryIds(id, seen) > 0) seen = id;
          const frame = new Uint8Array(bytes);
          queue.push(numbered ? { frame, position: formatEntryId(id) } : { frame });
        }
      },
    };
    return tap;
  }

  /** Frames are gone: the layer above asks their origin for them once it hears that something changed. */
  #gap(subject: string): void {
    this.#gaps += 1;
    this.#gapReason = `Frames of ${subject} were gone before they were read (${this.#gaps} gaps so far)`;
    this.#announce(this.status);
  }

  #outboxOf(subject: string): Outbox {
    let outbox = this.#outboxes.get(subject);
    if (outbox === undefined) {
      const onTrim = (): void => undefined;
      outbox = new Outbox(
        this.#keys.log(subject),
        subject,
        this.#commands,
        this.#limits,
        this.#copies,
        onTrim,
      );
      this.#outboxes.set(subject, outbox);
    }
    return outbox;
  }

  #askerOf(): Asker {
    if (this.#asker === undefined) {
      this.#asker = new Asker(this.#id, this.#keys, this.#commands);
      this.#readerOf(this.#asker.key).add(this.#asker);
    }
    return this.#asker;
  }

  #readerOf(key: string): Reader {
    const tag = this.#connector.cluster ? tagOfKey(key) : this.#id;
    let reader = this.#readers.get(tag);
    if (reader === undefined) {
      const supervisor = new Supervisor(this.#connector, this.#limits, () => this.#changed());
      const onFault = (): void => this.#changed();
      const wakeKey = this.#wakeKeyOf(tag);
      reader = new Reader({ supervisor, commands: this.#commands, limits: this.#limits, wakeKey, onFault });
      this.#readers.set(tag, reader);
    }
    return reader;
  }

  #wakeKeyOf(tag: string): string {
    return this.#keys.wake(tag, this.#id);
  }

  #changed(): void {
    if (this.#closed) return;
    if (this.#commands.up || this.#commands.failing) this.#onFirst();
    const { status } = this;
    const text = `${status.state} ${status.state === "ready" ? "" : (status.reason ?? "")}`;
    if (text === this.#announced) return;
    this.#announced = text;
    this.#announce(status);
  }

  /** Tells every listener. One that throws keeps no other from hearing. */
  #announce(status: TransportStatus): void {
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

  /** A call that an abort and a close reject. What `start` returns lets go of everything; it runs once, at the end. */
  #call<T>(
    signal: AbortSignal | undefined,
    start: (resolve: (value: T) => void, reject: (reason: unknown) => void) => () => void,
  ): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      let release: (() => void) | undefined;
      let over = false;
      const end = (settle: () => void): void => {
        if (over) return;
        over = true;
        this.#waiting.delete(fail);
        signal?.removeEventListener("abort", abort);
        release?.();
        settle();
      };
      const fail = (reason: unknown): void => end(() => reject(reason));
      const abort = (): void => fail(signal?.reason);
      this.#waiting.add(fail);
      signal?.addEventListener("abort", abort, { once: true });
      release = start((value) => end(() => resolve(value)), fail);
      if (over) release();
    });
  }

  #check(subject: string, signal?: AbortSignal): void {
    signal?.throwIfAborted();
    if (this.#closed) throw new TransportError("TRANSPORT_CLOSED", "The transport was closed");
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
