import { AuthorizationError, PermissionViolationError } from "@nats-io/nats-core";
import type { ConnectionOptions, NatsConnection, Status } from "@nats-io/nats-core";
import { TransportError } from "@tidemark/transport";
import type { NatsTransportOptions } from "./options.ts";
import { backoffMs, pause } from "./platform.ts";
import type { NatsPlatform } from "./platform.ts";

/** What a {@link Connection} tells. */
export interface ConnectionEvents {
  /** The broker can be reached. `fresh`: over another connection than before, which knows nothing of us. */
  up(connection: NatsConnection, fresh: boolean): void;
  down(reason: string): void;
  /** The broker refuses something, or is about to stop. */
  refused(reason: string): void;
}

/** How long leaving in good order may take. */
const DRAIN_MS = 1_000;
const PING_MS = 20_000;

/** One connection, borrowed or of our own, over however many sockets it takes. */
export class Connection {
  readonly #open: (() => Promise<NatsConnection>) | undefined;
  readonly #platform: NatsPlatform;
  readonly #retryMsMax: number;
  readonly #events: ConnectionEvents;
  readonly #closing: AbortController = new AbortController();
  readonly #waiting: Set<() => void> = new Set();
  readonly #reconnected: Set<() => void> = new Set();
  #connection: NatsConnection | undefined;
  #up: boolean = false;
  #watching: (Iterable<Status> | AsyncIterable<Status>) | undefined;
  #done: Promise<void> = Promise.resolve();

  constructor(
    options: NatsTransportOptions,
    retryMsMax: number,
    platform: NatsPlatform,
    events: ConnectionEvents,
  ) {
    this.#connection = options.connection;
    this.#open = options.connection === undefined ? () => openConnection(options) : undefined;
    this.#platform = platform;
    this.#retryMsMax = retryMsMax;
    this.#events = events;
  }

  /** The connection while the broker can be reached. */
  get live(): NatsConnection | undefined {
    return this.#up ? this.#connection : undefined;
  }

  /**
   * Resolves after the first attempt, whatever came of it: a broker that is away is tried again for ever.
   *
   * @throws `UNAUTHORIZED` if it refused us.
   */
  async start(): Promise<void> {
    if (this.#connection === undefined) {
      try {
        this.#connection = await this.#open!();
      } catch (error) {
        if (error instanceof AuthorizationError) {
          throw new TransportError("UNAUTHORIZED", "The broker refuses the connection", { cause: error });
        }
        this.#events.down(`No broker: ${textOf(error)}`);
      }
    }
    this.#done = this.#run();
  }

  /** The live connection, once there is one; rejects with the signal's reason. */
  ready(signal: AbortSignal): Promise<NatsConnection> {
    const { live } = this;
    if (live !== undefined) return Promise.resolve(live);
    return new Promise((resolve, reject) => {
      const settle = (): void => {
        this.#waiting.delete(look);
        signal.removeEventListener("abort", look);
      };
      const look = (): void => {
        if (signal.aborted) {
          settle();
          reject(signal.reason);
        } else if (this.live !== undefined) {
          settle();
          resolve(this.live);
        }
      };
      this.#waiting.add(look);
      signal.addEventListener("abort", look, { once: true });
      look();
    });
  }

  /** Calls back whenever the broker was lost and found again. */
  onReconnect(listener: () => void): () => void {
    this.#reconnected.add(listener);
    return () => void this.#reconnected.delete(listener);
  }

  /** Leaves: what we opened is drained and closed, what was borrowed stays as it is. */
  async close(): Promise<void> {
    this.#closing.abort();
    (this.#watching as { stop?: () => void } | undefined)?.stop?.();
    const connection = this.#connection;
    if (this.#open !== undefined && connection !== undefined && !connection.isClosed()) {
      const drained = this.#up ? connection.drain().catch(() => undefined) : Promise.resolve();
      const late = new AbortController();
      await Promise.race([drained, pause(this.#platform, DRAIN_MS, late.signal)]);
      late.abort();
      await connection.close().catch(() => undefined);
    }
    await this.#done;
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing;
    for (let attempt = 0; !signal.aborted; attempt++) {
      try {
        this.#connection ??= await this.#open!();
        attempt = 0;
        if (!signal.aborted) await this.#watch(this.#connection);
        else if (this.#open !== undefined) await this.#connection.close();
        if (signal.aborted) return;
        this.#lost("The connection was closed");
      } catch (error) {
        if (signal.aborted) return;
        this.#lost(`No broker: ${textOf(error)}`);
      }
      if (this.#open === undefined) {
        this.#events.down("The connection was closed by its owner");
        return;
      }
      this.#connection = undefined;
      await pause(this.#platform, backoffMs(this.#platform, attempt, 50, this.#retryMsMax), signal);
    }
  }

  async #watch(connection: NatsConnection): Promise<void> {
    if (connection.isClosed()) return;
    const statuses = connection.status();
    this.#watching = statuses;
    this.#found(connection, true);
    for await (const status of statuses) {
      if (this.#closing.signal.aborted || status.type === "close") return;
      if (status.type === "disconnect") this.#lost(`Lost the broker at ${status.server}`);
      else if (status.type === "reconnect") this.#found(connection, false);
      else if (status.type === "ldm") this.#lameDuck(connection, status.server);
      else if (status.type === "error") this.#refused(status.error);
    }
  }

  #found(connection: NatsConnection, fresh: boolean): void {
    this.#up = true;
    this.#events.up(connection, fresh);
    for (const look of [...this.#waiting]) look();
    for (const listener of [...this.#reconnected]) listener();
  }

  #lost(reason: string): void {
    this.#up = false;
    this.#events.down(reason);
  }

  /** A server that is about to stop: off to another one, before it throws us out. Whoever lent a connection decides. */
  #lameDuck(connection: NatsConnection, server: string): void {
    if (this.#open === undefined) this.#events.refused(`The broker at ${server} is about to stop`);
    else void connection.reconnect().catch(() => undefined);
  }

  #refused(error: Error): void {
    if (!(error instanceof PermissionViolationError)) return;
    this.#events.refused(`The broker refuses ${error.operation} ${error.subject}`);
  }
}

/** Defaults for a service that runs long: it never gives up, and finds a dead link across an ocean before long. */
async function openConnection(options: NatsTransportOptions): Promise<NatsConnection> {
  const connectionOptions: ConnectionOptions = {
    maxReconnectAttempts: -1,
    reconnectTimeWait: 500,
    reconnectJitter: 500,
    pingInterval: PING_MS,
    name: "tidemark",
    noAsyncTraces: true,
    ...(options.servers === undefined ? {} : { servers: options.servers }),
    ...(options.inboxPrefix === undefined ? {} : { inboxPrefix: options.inboxPrefix }),
    ...options.options,
  };
  if (options.connect !== undefined) return options.connect(connectionOptions);
  // Only here, so that a browser, or whoever lends a connection, needs no sockets of Node.
  const { connect } = await import("@nats-io/transport-node");
  return connect(connectionOptions);
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
