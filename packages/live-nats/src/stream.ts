import { DiscardPolicy, RetentionPolicy, StorageType } from "@nats-io/jetstream";
import type { JetStreamManager, StreamConfig } from "@nats-io/jetstream";
import { nanos } from "@nats-io/nats-core";
import { isMissingStream, NatsLiveError } from "./errors.ts";
import type { NatsLiveLimits, NatsLiveStreamOptions } from "./options.ts";

/** How long a session is kept beyond the time that it may be idle. */
const SPARE_MS = 60_000;
const BYTES_MAX = 256 * 1_024 * 1_024;

/** A stream as the servers' API and command-line tools take it. */
export type NatsLiveStreamConfig = Partial<StreamConfig> & { name: string; subjects: string[] };

/**
 * What an operator creates where the application may not, as `nats stream add --config` takes it.
 *
 * It is kept in memory: servers that lose it tell so, while files that lose their end give numbers out again.
 *
 * @example
 * ```ts
 * const config = natsLiveStream(NATS_LIVE_DEFAULTS, { replicas: 3 });
 * assert.deepEqual([config.name, config.subjects], ["tidemark-live", ["tidemark-live.*"]]);
 * ```
 */
export function natsLiveStream(
  limits: Pick<NatsLiveLimits, "stream" | "eventsMax" | "bufferedMax" | "idleMsMax">,
  { replicas = 1, bytesMax = BYTES_MAX }: NatsLiveStreamOptions = {},
): NatsLiveStreamConfig {
  return {
    name: limits.stream,
    subjects: [`${limits.stream}.*`],
    retention: RetentionPolicy.Limits,
    discard: DiscardPolicy.Old,
    storage: StorageType.Memory,
    num_replicas: replicas,
    max_bytes: bytesMax,
    max_msgs_per_subject: messagesOf(limits),
    max_age: nanos(limits.idleMsMax + SPARE_MS),
  };
}

/**
 * Makes the stream if it may be, and looks at how it is.
 *
 * @throws {@link NatsLiveError} `STREAM_MISSING`, `STREAM_MISMATCH`
 */
export async function ensureStream(
  manager: JetStreamManager,
  limits: NatsLiveLimits,
  make: NatsLiveStreamOptions = {},
): Promise<void> {
  const { stream, provision } = limits;
  const wanted = natsLiveStream(limits, make);
  const { config } = await manager.streams.info(stream).catch((error: unknown) => {
    if (!isMissingStream(error)) throw error;
    // The client writes into what it is given.
    if (provision === "create") return manager.streams.add({ ...wanted });
    throw new NatsLiveError("STREAM_MISSING", `Cannot use the stream ${stream}: there is none`, {
      cause: error,
    });
  });
  const ageMs = config.max_age / 1_000_000;
  const wrong =
    config.discard !== DiscardPolicy.Old
      ? "it refuses what is new when it is full"
      : JSON.stringify(config.subjects) !== JSON.stringify(wanted.subjects)
        ? `its subjects are ${JSON.stringify(config.subjects)}, wanted are ${JSON.stringify(wanted.subjects)}`
        : config.max_msgs_per_subject > 0 && config.max_msgs_per_subject < messagesOf(limits)
          ? `it keeps ${config.max_msgs_per_subject} messages of a subject, wanted are ${messagesOf(limits)}`
          : ageMs > 0 && ageMs < limits.idleMsMax
            ? `it keeps messages for ${ageMs} ms, sessions may be idle for ${limits.idleMsMax}`
            : undefined;
  if (wrong !== undefined)
    throw new NatsLiveError("STREAM_MISMATCH", `Cannot use the stream ${stream}: ${wrong}`);
}

/** What subscribers may be behind is kept for them, whatever can be replayed; the last message says where a session is. */
function messagesOf({ eventsMax, bufferedMax }: Pick<NatsLiveLimits, "eventsMax" | "bufferedMax">): number {
  return Math.max(eventsMax, bufferedMax, 1);
}
