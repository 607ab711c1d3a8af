import { formatLogId } from "@tidemark/core";
import type { ReplicationEvents } from "@tidemark/replication";
import type { RegionHealth } from "./health.ts";
import type { RegionMetrics } from "./metrics.ts";

/** A channel of `node:diagnostics_channel`, or something like it. */
export interface DiagnosticChannel {
  /** Nothing is built or published while this is false. */
  readonly hasSubscribers: boolean;
  publish(message: unknown): void;
}

/** Where events go; `node:diagnostics_channel` fits. */
export interface Diagnostics {
  channel(name: string): DiagnosticChannel;
}

/**
 * Every event of a region: the name of its channel, and what is published there. One message a state change or a
 * batch, never one a record; no session, user or item is named in any.
 */
export interface RegionEvents {
  /** The region was opened. */
  "tidemark:region.opened": { readonly region: string; readonly id: number; readonly role: string };
  /** Its status, or what is wrong, has changed. Looked at once a second. */
  "tidemark:region.status": {
    readonly region: string;
    readonly from: RegionHealth["status"] | undefined;
    readonly to: RegionHealth["status"];
    readonly reasons: readonly string[];
  };
  /** All its numbers, once a second. */
  "tidemark:region.metrics": { readonly region: string; readonly metrics: RegionMetrics };
  /** The region was closed. */
  "tidemark:region.closed": { readonly region: string };
  /** The medium has changed its state. */
  "tidemark:medium.changed": { readonly region: string; readonly state: string; readonly reason?: string };
  /** Another member is heard again, or silent. Looked at once a second. */
  "tidemark:peer.changed": {
    readonly region: string;
    readonly peer: string;
    readonly from: string | undefined;
    readonly to: string;
  };
  /** A log goes no further. Looked at once a second. */
  "tidemark:log.stopped": { readonly region: string; readonly log: string; readonly reason: string };
  /** Records are known to exist and have been missing here since the second before. Ends inclusive. */
  "tidemark:gap.opened": {
    readonly region: string;
    readonly log: string;
    readonly from: number;
    readonly to: number;
  };
  /** What was missing has arrived. */
  "tidemark:gap.closed": { readonly region: string; readonly log: string };
  /** A batch, own or of another region, is durable and applied here. */
  "tidemark:batch.applied": {
    readonly region: string;
    readonly log: string;
    readonly firstLsn: number;
    readonly lastLsn: number;
    readonly records: number;
    readonly bytes: number;
  };
  /** The medium took a frame of this region's own log. */
  "tidemark:frame.published": {
    readonly region: string;
    readonly log: string;
    readonly lastLsn: number;
    readonly bytes: number;
  };
  /** A frame could not be used. */
  "tidemark:frame.refused": {
    readonly region: string;
    readonly subject: string;
    readonly reason: string;
    readonly bytes: number;
  };
}

const SILENT: DiagnosticChannel = { hasSubscribers: false, publish: () => undefined };

/** The names of all events. */
export const REGION_EVENT_NAMES: readonly (keyof RegionEvents)[] = [
  "tidemark:region.opened",
  "tidemark:region.status",
  "tidemark:region.metrics",
  "tidemark:region.closed",
  "tidemark:medium.changed",
  "tidemark:peer.changed",
  "tidemark:log.stopped",
  "tidemark:gap.opened",
  "tidemark:gap.closed",
  "tidemark:batch.applied",
  "tidemark:frame.published",
  "tidemark:frame.refused",
];

/** The events of one region. */
export class RegionEmitter {
  readonly #region: string;
  readonly #channels: ReadonlyMap<string, DiagnosticChannel>;

  constructor(region: string, diagnostics: Diagnostics | undefined) {
    this.#region = region;
    this.#channels = new Map(
      diagnostics === undefined
        ? []
        : REGION_EVENT_NAMES.map((name) => [name, diagnostics.channel(name)] as const),
    );
  }

  /** Publishes, if somebody listens; what `message` would cost is paid only then. */
  emit<Name extends keyof RegionEvents>(name: Name, message: () => Omit<RegionEvents[Name], "region">): void {
    const channel = this.#channels.get(name) ?? SILENT;
    if (channel.hasSubscribers) channel.publish({ region: this.#region, ...message() });
  }
}

/** What replication tells, published as events. */
export function replicationEvents(emitter: RegionEmitter): ReplicationEvents {
  return {
    applied: ({ log, firstLsn, lastLsn, recordCount, bytes }) =>
      emitter.emit("tidemark:batch.applied", () => ({
        log: formatLogId(log),
        firstLsn,
        lastLsn,
        records: recordCount,
        bytes: bytes.length,
      })),
    published: (log, lastLsn, bytes) =>
      emitter.emit("tidemark:frame.published", () => ({ log: formatLogId(log), lastLsn, bytes })),
    refused: (subject, reason, bytes) =>
      emitter.emit("tidemark:frame.refused", () => ({ subject, reason, bytes })),
    medium: ({ state, reason }) =>
      emitter.emit("tidemark:medium.changed", () => ({ state, ...(reason === undefined ? {} : { reason }) })),
  };
}
