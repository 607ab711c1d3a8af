import { jetstream } from "@nats-io/jetstream";
import { Kvm, type KV, type KvEntry } from "@nats-io/kv";
import type { NatsConnection } from "@nats-io/nats-core";
import { isMissingBucket, NatsKvError } from "./errors.ts";
import type { NatsBucketOptions, NatsKvLimits } from "./options.ts";

/** What a key holds: nothing has the revision of its tombstone, or 0 if it never was. */
export interface Stored {
  readonly value: Uint8Array | undefined;
  readonly revision: number;
}

export function storedOf(entry: KvEntry | null): Stored {
  if (entry === null) return { value: undefined, revision: 0 };
  const gone = entry.operation !== "PUT";
  return { value: gone ? undefined : entry.value.slice(), revision: entry.revision };
}

/**
 * Opens the bucket, made before if it may be.
 *
 * @throws {@link NatsKvError} `BUCKET_MISSING`, `BUCKET_FORGETS`
 */
export async function openBucket(
  connection: NatsConnection,
  limits: NatsKvLimits,
  { replicas = 1, bytesMax }: NatsBucketOptions,
): Promise<KV> {
  const { bucket, provision, answerTimeoutMs } = limits;
  const kvm = new Kvm(jetstream(connection, { timeout: answerTimeoutMs }));
  const size = bytesMax === undefined ? {} : { max_bytes: bytesMax };
  // Replicas that answer by themselves may be behind: a read is the leader's.
  const direct = { allow_direct: false };
  const kv =
    provision === "create"
      ? await kvm.create(bucket, { history: 1, storage: "file", replicas, ...size, ...direct })
      : await kvm.open(bucket, direct);
  const { config } = (
    await kv.status().catch((error: unknown) => {
      if (!isMissingBucket(error)) throw error;
      throw new NatsKvError("BUCKET_MISSING", `Cannot use the bucket ${bucket}: there is none`, {
        cause: error,
      });
    })
  ).streamInfo;
  const forgets =
    (config.max_age ?? 0) > 0
      ? "a time to live"
      : config.discard === "old" && limited(config)
        ? "discard: old"
        : "";
  if (forgets !== "") {
    throw new NatsKvError("BUCKET_FORGETS", `Cannot use the bucket ${bucket}: it has ${forgets}`);
  }
  return kv;
}

function limited({
  max_bytes,
  max_msgs,
}: {
  readonly max_bytes: number;
  readonly max_msgs: number;
}): boolean {
  return max_bytes > 0 || max_msgs > 0;
}
