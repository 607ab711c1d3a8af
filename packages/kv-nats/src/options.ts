import type { KvCapabilities } from "@tidemark/kv";
import type { ConnectionOptions, NatsConnection } from "@nats-io/nats-core";

/** What a bucket is made with. */
export interface NatsBucketOptions {
  /** How many servers keep it. @defaultValue 1 */
  readonly replicas?: number;
  /** Full, it refuses what is new. @defaultValue no limit */
  readonly bytesMax?: number;
}

/** How {@link openNatsKv} reaches its bucket, and its limits. */
export interface NatsKvOptions {
  /**
   * A connection of yours, which is used and never closed; or options of the client, or the address of servers, for a
   * connection of the store's own through `@nats-io/transport-node`.
   */
  readonly connection: NatsConnection | ConnectionOptions | string;
  /** The bucket: `A-Z a-z 0-9 _ -`. @defaultValue `"tidemark"` */
  readonly bucket?: string;
  /** Whether a bucket that is missing is made, or not there. @defaultValue `"bind"` */
  readonly provision?: "bind" | "create";
  /** What it is made with. */
  readonly make?: NatsBucketOptions;
  /**
   * What a commit survives, if you know: the client cannot ask how often servers sync.
   * @defaultValue `"process"`
   */
  readonly durability?: Exclude<KvCapabilities["durability"], "memory">;
  /** The longest value; what the servers' `max_payload` leaves room for, if that is less. @defaultValue 512 KiB */
  readonly valueBytesMax?: number;
  /** How long the server may take to answer. @defaultValue 2,000 */
  readonly answerTimeoutMs?: number;
  /** How long a read is tried again. @defaultValue 5,000 */
  readonly timeoutMs?: number;
  /** Unix milliseconds. NATS has no clock to ask: all who share the store must have clocks that agree. @defaultValue `Date.now` */
  readonly nowMs?: () => number;
}

/** The limits in force. */
export interface NatsKvLimits extends Required<
  Pick<
    NatsKvOptions,
    "bucket" | "provision" | "durability" | "valueBytesMax" | "answerTimeoutMs" | "timeoutMs"
  >
> {}

/** What {@link NatsKvOptions} default to. */
export const NATS_KV_DEFAULTS: NatsKvLimits = {
  bucket: "tidemark",
  provision: "bind",
  durability: "process",
  valueBytesMax: 512 * 1_024,
  answerTimeoutMs: 2_000,
  timeoutMs: 5_000,
};

/** @throws `RangeError` for what an option may not be. */
export function limitsOf(options: NatsKvOptions): NatsKvLimits {
  const defaults = NATS_KV_DEFAULTS;
  const limits: NatsKvLimits = {
    bucket: options.bucket ?? defaults.bucket,
    provision: options.provision ?? defaults.provision,
    durability: options.durability ?? defaults.durability,
    valueBytesMax: options.valueBytesMax ?? defaults.valueBytesMax,
    answerTimeoutMs: options.answerTimeoutMs ?? defaults.answerTimeoutMs,
    timeoutMs: options.timeoutMs ?? defaults.timeoutMs,
  };
  if (!/^[A-Za-z0-9_-]{1,100}$/.test(limits.bucket)) {
    throw new RangeError(`bucket must be 1 to 100 of A-Z a-z 0-9 _ -: ${JSON.stringify(limits.bucket)}`);
  }
  for (const [name, value] of Object.entries({ ...limits, ...options.make })) {
    if (typeof value === "number" && !(Number.isSafeInteger(value) && value > 0))
      throw new RangeError(`${name} must be a whole number above 0: ${value}`);
  }
  return limits;
}
