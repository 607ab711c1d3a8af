import {
  DiscardPolicy,
  JetStreamApiError,
  jetstreamManager,
  RetentionPolicy,
  StorageType,
} from "@nats-io/jetstream";
import type { JetStreamManager, StreamConfig, StreamInfo } from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/nats-core";
import { nanos } from "@nats-io/nats-core";
import { Names } from "./names.ts";
import { settingsOf } from "./options.ts";
import type { NatsStreamOptions, Settings } from "./options.ts";

const STREAM_NOT_FOUND = 10059;

/** The broker's stream is not the one that was asked for. */
export class StreamMismatchError extends Error {
  override readonly name = "StreamMismatchError";
}

/** A stream as the broker's API and its command-line tools take it. */
export type NatsStreamConfig = Partial<StreamConfig> & { name: string; subjects: string[] };

/** What a stream is made with. */
export function streamConfigOf(
  names: Names,
  stream: string,
  { bytesMax, storage, replicas, duplicateWindowMs }: Settings["stream"],
): NatsStreamConfig {
  return {
    name: stream,
    subjects: names.subjectsOf(stream),
    retention: RetentionPolicy.Limits,
    // A full stream refuses what comes, and its publisher waits: the other policy would lose silently.
    discard: DiscardPolicy.New,
    storage: storage === "file" ? StorageType.File : StorageType.Memory,
    num_replicas: replicas,
    max_bytes: bytesMax,
    max_msgs: -1,
    max_age: 0,
    duplicate_window: nanos(duplicateWindowMs),
  };
}

/** Streams as the broker has them, made or compared as the option `provision` says. */
export class Streams {
  readonly #names: Names;
  readonly #settings: Settings;
  /** Streams that were compared over this connection. */
  readonly #known: Set<string> = new Set();
  #managers: Map<string, Promise<JetStreamManager>> = new Map();
  #connection: NatsConnection | undefined;

  constructor(names: Names, settings: Settings) {
    this.#names = names;
    this.#settings = settings;
  }

  /** The API of the domain a subject's stream is in. */
  manager(connection: NatsConnection, subject: string): Promise<JetStreamManager> {
    if (this.#connection !== connection) {
      this.#connection = connection;
      this.#managers = new Map();
    }
    const domain = this.#settings.domainOf(subject);
    const key = domain ?? "";
    let manager = this.#managers.get(key);
    if (manager === undefined) {
      const options = { checkAPI: false, timeout: this.#settings.ackTimeoutMs };
      manager = jetstreamManager(connection, domain === undefined ? options : { ...options, domain });
      this.#managers.set(key, manager);
    }
    return manager;
  }

  /** The prefix of the API of a subject's stream. */
  apiOf(subject: string): string {
    const domain = this.#settings.domainOf(subject);
    return domain === undefined ? "$JS.API" : `$JS.${domain}.API`;
  }

  /** The broker may have lost it: look again. */
  forget(stream: string): void {
    this.#known.delete(stream);
  }

  /** Makes or compares a stream once, as `provision` says; what is `bind` is not looked at. */
  async ensure(connection: NatsConnection, subject: string, stream: string): Promise<void> {
    if (this.#settings.provision === "bind" || this.#known.has(stream)) return;
    await this.look(connection, subject, stream);
  }

  /**
   * How a stream is now, made before if it may be.
   *
   * @throws {@link StreamMismatchError} if it is another than was asked for.
   */
  async look(connection: NatsConnection, subject: string, stream: string): Promise<StreamInfo> {
    const { provision } = this.#settings;
    const manager = await this.manager(connection, subject);
    const wanted = streamConfigOf(this.#names, stream, this.#settings.stream);
    let info: StreamInfo;
    try {
      info = await manager.streams.info(stream);
    } catch (error) {
      const missing = error instanceof JetStreamApiError && error.code === STREAM_NOT_FOUND;
      if (!missing || provision === "bind" || provision === "verify") throw error;
      // Copies: the client writes into what it is given.
      info = await manager.streams.add({ ...wanted });
    }
    if (provision === "bind" || this.#known.has(stream)) return info;
    if (provision === "update" && differencesOf(info.config, wanted).length > 0) {
      info = await manager.streams.update(stream, { ...wanted });
    }
    // An old server drops what it does not know, and says nothing.
    const [difference] = differencesOf(info.config, wanted);
    if (difference !== undefined) throw new StreamMismatchError(`Cannot use stream ${stream}: ${difference}`);
    this.#known.add(stream);
    return info;
  }
}

function differencesOf(actual: StreamConfig, wanted: Partial<StreamConfig>): string[] {
  return Object.entries(wanted).flatMap(([key, value]) => {
    const found = (actual as unknown as Record<string, unknown>)[key];
    if (JSON.stringify(found ?? 0) === JSON.stringify(value)) return [];
    return [`${key} is ${JSON.stringify(found)}, wanted is ${JSON.stringify(value)}`];
  });
}

/** What {@link natsStreams} is asked for. */
export interface NatsStreamsOptions {
  /** Numbers of the regions, as in the members' list. */
  readonly regions: readonly number[];
  /** @defaultValue `["sessions", "signals"]` */
  readonly channels?: readonly string[];
  /** @defaultValue `"tidemark"` */
  readonly prefix?: string;
  readonly stream?: NatsStreamOptions;
}

/**
 * What an operator creates where the application may not: one stream a region and channel, as `nats stream add --config` takes it.
 *
 * @example
 * ```ts
 * const [first] = natsStreams({ regions: [1, 2] });
 * assert.equal(first?.name, "tidemark+sessions+1");
 * assert.deepEqual(first?.subjects, ["tidemark.sessions.1.>"]);
 * ```
 */
export function natsStreams(options: NatsStreamsOptions): NatsStreamConfig[] {
  const names = new Names(options.prefix ?? "tidemark");
  const { stream } = settingsOf(options.stream === undefined ? {} : { stream: options.stream });
  return (options.channels ?? ["sessions", "signals"]).flatMap((channel) =>
    options.regions.map((region) => streamConfigOf(names, names.streamOf(`${channel}.${region}.0`)!, stream)),
  );
}
