import type { KvItem } from "@tidemark/kv";
import {
  canonicalJson,
  type Decision,
  type JsonValue,
  type RecordContext,
  type View,
} from "@tidemark/session-store";
import { ZonesError } from "./errors.ts";
import { APPEND_BYTES_MAX, SEGMENT_BYTES } from "./limits.ts";
import { readZone, type ZoneView } from "./read-zone.ts";
import { zoneKeys } from "./zone-keys.ts";
import { bytesItem, readBytes, type ZoneFence } from "./zone-records.ts";
import { headItem, type ZoneWriter, writtenZone } from "./zone-writer.ts";

/** Lines that are to be appended. */
export interface AppendDraft {
  /** Whole lines, each with its newline. */
  readonly bytes: Uint8Array;
  readonly fence?: ZoneFence;
  /** How many bytes the log may hold. */
  readonly logBytesMax: number;
}

/** Where lines are in the log. */
export interface Appended {
  /** How many bytes were written, newlines included. */
  readonly bytes: number;
  /** The offset of the first. */
  readonly offset: number;
  /** The offset behind the last: what a snapshot that shows them covers. */
  readonly end: number;
}

/** What {@link decideAppend} rests on. */
export interface AppendView {
  readonly zone: ZoneView;
  /** The last record of the log, if there is room in it. */
  readonly tail: Uint8Array | undefined;
}

/**
 * One JSON value as a line of the log. A newline can only stand behind it: JSON has none but as white space, which is
 * left out.
 *
 * @throws `TypeError` and `RangeError` for what JSON cannot say.
 */
export function outputLine(value: JsonValue): Uint8Array {
  return new TextEncoder().encode(`${canonicalJson(value)}\n`);
}

/**
 * Text that is one JSON value, as a line of the log: as it is, with a newline if it has none.
 *
 * @throws `TypeError` if it is not JSON, or is more than one line.
 */
export function outputTextLine(text: string): Uint8Array {
  const line = text.endsWith("\n") ? text.slice(0, -1) : text;
  if (/[\r\n]/.test(line)) throw new TypeError("A line of the log must not have a newline in it");
  try {
    JSON.parse(line);
  } catch (cause) {
    throw new TypeError("A line of the log must be one JSON value", { cause });
  }
  if (/\p{Surrogate}/u.test(line)) throw new TypeError("A line of the log must be Unicode text");
  return new TextEncoder().encode(`${line}\n`);
}

/** Reads what an append of so many bytes rests on. */
export async function readAppend(view: View, bytes: number, records: RecordContext): Promise<AppendView> {
  const zone = await readZone(view, records);
  const head = zone.live[0]?.head;
  if (head === undefined || head.log.end - head.log.tail + bytes > SEGMENT_BYTES)
    return { zone, tail: undefined };
  const key = zoneKeys.log(head.conversation, head.log.tail);
  const [value] = await view.get([key]);
  return { zone, tail: readBytes(value, key, records) };
}

/**
 * Appends whole lines. A last line that lacks its end, which only a file can have brought, goes.
 *
 * @throws {@link ZonesError} `ZONE_FENCED`, `ZONE_LOG_FULL`
 */
export function decideAppend(
  { zone, tail }: AppendView,
  { bytes, fence, logBytesMax }: AppendDraft,
  writer: ZoneWriter,
  nowMs: number,
): Decision<Appended> {
  const { definition, records } = writer;
  const { head, checks, puts } = writtenZone(zone, fence, writer, nowMs);
  const { conversation, log } = head;
  const end = log.end + bytes.length;
  if (end - log.floor > logBytesMax)
    throw new ZonesError(
      "ZONE_LOG_FULL",
      `The log of ${definition} would have ${end - log.floor} bytes behind its snapshot: the limit is ${logBytesMax}`,
      { definition, limit: logBytesMax, actual: end - log.floor },
    );
  const whole = tail !== undefined && tail.length === log.end - log.tail;
  const segment = whole ? { at: log.tail, bytes: joined(tail, bytes) } : { at: log.end, bytes };
  const item: KvItem = bytesItem(segment.bytes, zoneKeys.log(conversation, segment.at), records);
  const written = { ...head, log: { ...log, end, tail: segment.at, torn: 0, atMs: nowMs } };
  return {
    checks,
    puts: [...puts, headItem(written, writer), item],
    deletes: log.torn === 0 ? [] : [zoneKeys.torn(conversation)],
    result: { bytes: bytes.length, offset: log.end, end },
  };
}

/** @throws {@link ZonesError} `ZONE_TOO_LARGE` */
export function guardAppend(bytes: Uint8Array, definition: string): Uint8Array {
  if (bytes.length <= APPEND_BYTES_MAX) return bytes;
  throw new ZonesError(
    "ZONE_TOO_LARGE",
    `Cannot append ${bytes.length} bytes to the log of ${definition}: the limit is ${APPEND_BYTES_MAX}`,
    { definition, limit: APPEND_BYTES_MAX, actual: bytes.length },
  );
}

function joined(a: Uint8Array, b: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(a.length + b.length);
  bytes.set(a);
  bytes.set(b, a.length);
  return bytes;
}
