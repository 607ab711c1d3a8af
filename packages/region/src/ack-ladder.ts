import type { LogId } from "@tidemark/core";
import type { Replication } from "@tidemark/replication";
import { REGION_DEFAULTS } from "./options.ts";
import type { AckLevel, WriteResult } from "./region.ts";

/** How long a write waits for its level. */
export interface AckWait {
  /** Milliseconds. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
  /** The region is closing. */
  readonly closed: AbortSignal;
}

/** Waits until all places have reached the level asked for; at the deadline they are "unconfirmed", and durable here. */
export async function acknowledged(
  replication: Replication,
  places: readonly { readonly log: LogId; readonly lsn: number }[],
  level: AckLevel,
  { timeoutMs = REGION_DEFAULTS.ackTimeoutMs, signal, closed }: AckWait,
): Promise<NonNullable<WriteResult["ack"]>> {
  if (level === "local") return "local";
  const wait = { timeoutMs, ...(signal === undefined ? {} : { signal }) };
  const confirmed = await Promise.all(
    places.map(({ log, lsn }) => replication.acknowledged(log, lsn, level, wait)),
  ).catch((error: unknown) => {
    // It is durable here whatever happens to the region now.
    if (signal?.aborted !== true && closed.aborted) return [false];
    throw error;
  });
  if (!confirmed.every(Boolean)) return "unconfirmed";
  return level === "all" ? "all" : "remote";
}
