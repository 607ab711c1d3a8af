import { HLC_COUNTER_MAX, HLC_WALL_MS_MAX } from "@tidemark/core";
import { canonicalJson, type JsonValue } from "@tidemark/session-store";
import type { ZoneHead } from "./zone-records.ts";
import type { ZoneOrder } from "./zone-stamp.ts";

/** What `zone.json` says beside snapshot and log. */
export interface ZoneMeta {
  readonly version: 1;
  readonly order: ZoneOrder & { readonly revision: number };
  /** Where the log in the file begins. */
  readonly floor: number;
  /** Up to where the snapshot covers the log. */
  readonly logOffset?: number;
  readonly session?: string;
  /** The conversation it is of: a later state of it takes the place of an earlier one. */
  readonly origin: string;
  /** Of the content it describes: a file that another program changed since is described by nothing. */
  readonly digest: string;
}

/** The bytes of `zone.json`. */
export function encodeMeta(head: ZoneHead, digest: string): Uint8Array {
  const { revision, stamp, log, state, session, conversation, origin = conversation } = head;
  const meta: ZoneMeta = {
    version: 1,
    order: { revision, stamp },
    floor: log.floor,
    ...(state?.logOffset === undefined ? {} : { logOffset: state.logOffset }),
    ...(session === undefined ? {} : { session }),
    origin,
    digest,
  };
  return new TextEncoder().encode(`${canonicalJson(meta as unknown as JsonValue)}\n`);
}

/** What `zone.json` says; nothing for what is none: another program's files are as good without. */
export function readMeta(bytes: Uint8Array | undefined): ZoneMeta | undefined {
  if (bytes === undefined) return undefined;
  try {
    const meta = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes)) as ZoneMeta;
    const { wallMs, counter, clockId } = meta.order.stamp;
    const { logOffset, session } = meta;
    const sound =
      meta.version === 1 &&
      typeof meta.digest === "string" &&
      typeof meta.origin === "string" &&
      [meta.floor, meta.order.revision, logOffset ?? 0].every((value) => isCount(value)) &&
      isCount(wallMs, HLC_WALL_MS_MAX) &&
      isCount(counter, HLC_COUNTER_MAX) &&
      isCount(clockId, 0xffff) &&
      (session === undefined || typeof session === "string");
    return sound ? meta : undefined;
  } catch {
    return undefined;
  }
}

function isCount(value: unknown, max: number = Number.MAX_SAFE_INTEGER): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) <= max;
}
