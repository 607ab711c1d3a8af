import type { ConnectionOptions, NatsConnection } from "@nats-io/nats-core";

/** What a stream is made with. */
export interface NatsLiveStreamOptions {
  /** How many servers keep it. @defaultValue 1 */
  readonly replicas?: number;
  /** Bytes of all sessions; full, it lets go of what is oldest. @defaultValue 268,435,456 */
  readonly bytesMax?: number;
}

/** How {@link openNatsReplayStore} reaches its stream, and its limits. Handles of one store must have the same bounds. */
export interface NatsReplayStoreOptions extends Partial<NatsLiveLimits> {
  /**
   * A connection of yours, which is used and never closed; or options of the client, or the address of servers, for a
   * connection of the store's own through `@nats-io/transport-node`.
   */
  readonly connection: NatsConnection | ConnectionOptions | string;
  /** What a stream is made with. */
  readonly make?: NatsLiveStreamOptions;
  /** A clock that nobody sets, in milliseconds. @defaultValue `performance.now` */
  readonly monotonicMs?: () => number;
  /** Unix milliseconds, for events of sessions that this handle meets for the first time. @defaultValue `Date.now` */
  readonly nowMs?: () => number;
  /** Told of what fails beside a call: reading what is pushed, for as long as it fails. @defaultValue nobody */
  readonly onError?: (error: unknown) => void;
}

/** The limits in force. */
export interface NatsLiveLimits {
  /** The stream, and what subjects begin with: `A-Z a-z 0-9 _ -`. @defaultValue `"tidemark-live"` */
  readonly stream: string;
  /** Whether a stream that is missing is made, or not there. @defaultValue `"bind"` */
  readonly provision: "bind" | "create";
  /** Events of a session that can be replayed; with 0, none. @defaultValue 2,048 */
  readonly eventsMax: number;
  /** How old an event that is replayed may be. @defaultValue 120,000 */
  readonly ageMsMax: number;
  /** Events that a subscriber may be behind. @defaultValue 2,048 */
  readonly bufferedMax: number;
  /** A session to which nothing was appended for longer goes, and comes back as another. @defaultValue 3,600,000 */
  readonly idleMsMax: number;
  /** Bytes of the largest payload, as JSON; less if the servers' `max_payload` leaves less. @defaultValue 262,144 */
  readonly eventBytesMax: number;
  /** Sessions that one handle may be subscribed to at once: each has a consumer. @defaultValue 1,000 */
  readonly followedMax: number;
  /** How long the servers may take to answer. @defaultValue 2,000 */
  readonly answerTimeoutMs: number;
  /** How long a read, and an append that nobody took, is tried again. @defaultValue 5,000 */
  readonly timeoutMs: number;
  /** How often what is pushed must be heard of; after three silent ones it is read anew. @defaultValue 5,000 */
  readonly heartbeatMs: number;
}

/** What {@link NatsReplayStoreOptions} default to. */
export const NATS_LIVE_DEFAULTS: NatsLiveLimits = {
  stream: "tidemark-live",
  provision: "bind",
  eventsMax: 2_048,
  ageMsMax: 120_000,
  bufferedMax: 2_048,
  idleMsMax: 3_600_000,
  eventBytesMax: 262_144,
  followedMax: 1_000,
  answerTimeoutMs: 2_000,
  timeoutMs: 5_000,
  heartbeatMs: 5_000,
};

const FROM_ZERO: ReadonlySet<string> = new Set(["eventsMax", "ageMsMax"]);
/** The servers' own bound. */
const HEARTBEAT_MS_MIN = 100;

/** @throws `RangeError` for what an option may not be. */
export function limitsOf(options: NatsReplayStoreOptions): NatsLiveLimits {
  const limits: Record<string, unknown> = { ...NATS_LIVE_DEFAULTS };
  for (const name of Object.keys(limits))
    limits[name] = options[name as keyof NatsLiveLimits] ?? limits[name];
  const { stream, provision, ...numbers } = limits as unknown as NatsLiveLimits;
  if (!/^[A-Za-z0-9_-]{1,100}$/.test(stream))
    throw new RangeError(`stream must be 1 to 100 of A-Z a-z 0-9 _ -: ${JSON.stringify(stream)}`);
  if (provision !== "bind" && provision !== "create")
    throw new RangeError(`provision must be bind or create: ${JSON.stringify(provision)}`);
  for (const [name, value] of Object.entries({ ...numbers, ...options.make })) {
    const least = FROM_ZERO.has(name) ? 0 : name === "heartbeatMs" ? HEARTBEAT_MS_MIN : 1;
    if (!Number.isSafeInteger(value) || value < least)
      throw new RangeError(`${name} must be a whole number from ${least}: ${value}`);
  }
  return { stream, provision, ...numbers };
}
