import type { ConnectionOptions, NatsConnection } from "@nats-io/nats-core";
import type { NatsPlatform } from "./platform.ts";

/** What is done about streams: see the table in the README. */
export type Provision = "bind" | "verify" | "create" | "update";

/** What a stream is made with; `verify` compares it. */
export interface NatsStreamOptions {
  /** Full, a stream takes no frame more, and publishing waits. @defaultValue 256 MiB */
  readonly bytesMax?: number;
  /** @defaultValue `"file"` */
  readonly storage?: "file" | "memory";
  /** @defaultValue 1 */
  readonly replicas?: number;
  /** How long the broker knows a repeat by its id; afterwards the expected sequence refuses it. @defaultValue 120,000 */
  readonly duplicateWindowMs?: number;
}

/** Options of `openNatsTransport`. Exactly one of `connection`, `connect` and `servers` says where the broker is. */
export interface NatsTransportOptions {
  /** A connection of yours: used, watched, never closed. */
  readonly connection?: NatsConnection;
  /** Opens a connection, which is then the transport's own: called again whenever it was lost for good. */
  readonly connect?: (options: ConnectionOptions) => Promise<NatsConnection>;
  /** For `@nats-io/transport-node`, or for `connect`: passed through over defaults for a service that runs long. */
  readonly options?: ConnectionOptions;
  /** Shorthand for `options.servers`. */
  readonly servers?: string | string[];
  /** The first token of every subject, and of every stream's name. @defaultValue `"tidemark"` */
  readonly prefix?: string;
  /** @defaultValue `"bind"` */
  readonly provision?: Provision;
  readonly stream?: NatsStreamOptions;
  /** The JetStream domain a stream is in: beyond a leaf node it is another one. @defaultValue the connection's own */
  readonly domainOf?: (subject: string) => string | undefined;
  /** The longest frame, whatever the broker's `max_payload`: longer messages travel in parts. @defaultValue 1 MiB */
  readonly frameBytesMax?: number;
  /** Frames a subscription holds for its reader; kept frames wait in the stream, others are dropped. @defaultValue 256 */
  readonly queueFramesMax?: number;
  /** Frames that may wait to be published on one subject. @defaultValue 256 */
  readonly publishQueueMax?: number;
  /** Messages of one stream under way to the broker, at most 8 MiB of them; 1 for one a subject. @defaultValue 64 */
  readonly publishWindowMax?: number;
  /** After so long without an answer a frame is sent again under its id, for ever. @defaultValue 2,000 */
  readonly ackTimeoutMs?: number;
  /** How often an idle stream says that it lives; three missed rebuild the reader. @defaultValue 2,000 */
  readonly heartbeatMs?: number;
  /** The longest pause between repeats. @defaultValue 5,000 */
  readonly retryMsMax?: number;
  /** Where replies are sent, for accounts that may subscribe to little. @defaultValue that of `options`, or `"_INBOX"` */
  readonly inboxPrefix?: string;
  /** Timers and randomness, for tests. */
  readonly platform?: NatsPlatform;
}

/** With every default in its place. */
export interface Settings {
  readonly provision: Provision;
  readonly stream: Required<NatsStreamOptions>;
  readonly domainOf: (subject: string) => string | undefined;
  readonly frameBytesMax: number;
  readonly queueFramesMax: number;
  readonly publishQueueMax: number;
  readonly publishWindowMax: number;
  readonly ackTimeoutMs: number;
  readonly heartbeatMs: number;
  readonly retryMsMax: number;
  readonly inboxPrefix: string;
}

/** @throws RangeError for a bound that is none. */
export function settingsOf(options: NatsTransportOptions): Settings {
  const settings: Settings = {
    provision: options.provision ?? "bind",
    stream: {
      bytesMax: 256 * 2 ** 20,
      storage: "file",
      replicas: 1,
      duplicateWindowMs: 120_000,
      ...options.stream,
    },
    domainOf: options.domainOf ?? (() => undefined),
    frameBytesMax: options.frameBytesMax ?? 2 ** 20,
    queueFramesMax: options.queueFramesMax ?? 256,
    publishQueueMax: options.publishQueueMax ?? 256,
    publishWindowMax: options.publishWindowMax ?? 64,
    ackTimeoutMs: options.ackTimeoutMs ?? 2_000,
    heartbeatMs: options.heartbeatMs ?? 2_000,
    retryMsMax: options.retryMsMax ?? 5_000,
    inboxPrefix: options.inboxPrefix ?? options.options?.inboxPrefix ?? "_INBOX",
  };
  for (const [name, value] of Object.entries({ ...settings, ...settings.stream })) {
    if (typeof value === "number" && !(Number.isSafeInteger(value) && value > 0)) {
      throw new RangeError(`${name} must be a whole number above 0: ${value}`);
    }
  }
  return settings;
}
