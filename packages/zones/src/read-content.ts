import { decodeKey, encodeKey, type KvRange, prefixRange } from "@tidemark/kv";
import { type RecordContext, scanAll, SessionStoreError, type View } from "@tidemark/session-store";
import { readHead } from "./read-zone.ts";
import { zoneKeys } from "./zone-keys.ts";
import { readBytes, type ZoneHead } from "./zone-records.ts";

/** How often content is read anew because somebody writes it meanwhile. */
const ATTEMPTS_MAX = 16;
const NEWLINE = 0x0a;

/** What is there of a conversation, byte for byte, of one moment. */
export interface ZoneContent {
  readonly head: ZoneHead;
  /** The snapshot; absent if there is none. An empty one is one. */
  readonly state?: Uint8Array;
  /** The log from its floor, without a torn last line. */
  readonly log: Uint8Array;
  /** A last line that lacks its end; empty if there is none. */
  readonly torn: Uint8Array;
  /** The offset at which bytes of the log are missing that another region wrote. What follows them is left out. */
  readonly gapAt?: number;
}

/** What {@link readContent} is to read. */
export interface ReadContentOptions {
  readonly parts: "state" | "all";
  /** Whether bytes of a log may be missing that did not arrive here; otherwise that is damage. */
  readonly merges: boolean;
}

/**
 * Reads what is there of a conversation. What somebody replaces meanwhile is read anew.
 *
 * @throws SessionStoreError `DATA_CORRUPT`; `BUSY` if it never holds still.
 */
export async function readContent(
  view: View,
  given: ZoneHead,
  records: RecordContext,
  { parts, merges }: ReadContentOptions,
): Promise<ZoneContent> {
  let head = given;
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
    const state = await readState(view, head, records);
    const log = parts === "all" ? await readLog(view, head, records) : new Uint8Array(0);
    const torn = parts === "all" ? await readTorn(view, head, records) : new Uint8Array(0);
    const end = head.log.floor + log.length;
    const whole = parts === "state" || end === head.log.end;
    if (state !== "missing" && torn !== "missing") {
      const content = { head, log, torn, ...(state === undefined ? {} : { state }) };
      if (whole) return content;
      if (merges && !(await moved(view, head, records))) return { ...content, gapAt: end };
    }
    const now = await readHead(view, head.conversation, records);
    if (now === undefined || formatHead(now) === formatHead(head))
      throw new SessionStoreError(
        "DATA_CORRUPT",
        `Cannot read what is of ${view.partition}: a part of its ${state === "missing" ? "snapshot" : "log"} is missing or damaged`,
      );
    head = now;
  }
  throw new SessionStoreError("BUSY", `Cannot read ${view.partition}: it changed ${ATTEMPTS_MAX} times`);
}

async function readState(
  view: View,
  { conversation, state }: ZoneHead,
  records: RecordContext,
): Promise<Uint8Array | undefined | "missing"> {
  if (state === undefined) return undefined;
  const keys = Array.from({ length: state.chunks }, (_, index) =>
    zoneKeys.state(conversation, state.version, index),
  );
  const values = keys.length === 0 ? [] : await view.get(keys);
  const bytes = new Uint8Array(state.bytes);
  let at = 0;
  for (const [index, key] of keys.entries()) {
    const part = readBytes(values[index], key, records);
    if (part === undefined || at + part.length > bytes.length) return "missing";
    bytes.set(part, at);
    at += part.length;
  }
  // Each part guards itself and its place, which has the version in it: whole is what has the length.
  return at === bytes.length ? bytes : "missing";
}

/** The bytes of the log from its floor on, up to the first that is missing. */
async function readLog(
  view: View,
  { conversation, log: { floor, end } }: ZoneHead,
  records: RecordContext,
): Promise<Uint8Array> {
  const bytes = new Uint8Array(end - floor);
  if (end === floor) return bytes;
  let at = floor;
  for (const { key, value } of await scanAll(view, logRange(conversation, end))) {
    const start = logOffset(key);
    const part = readBytes(value, key, records) as Uint8Array;
    const stop = start + part.length;
    if (stop <= floor) continue;
    // Records of one writer join. Where two wrote who had not heard of each other, what does not join is not told apart.
    if (stop > end || (start !== at && (at !== floor || start > floor))) break;
    bytes.set(part.subarray(at - start), at - floor);
    at = stop;
  }
  return bytes.subarray(0, at - floor);
}

async function readTorn(
  view: View,
  { conversation, log }: ZoneHead,
  records: RecordContext,
): Promise<Uint8Array | "missing"> {
  if (log.torn === 0) return new Uint8Array(0);
  const key = zoneKeys.torn(conversation);
  const [value] = await view.get([key]);
  const bytes = readBytes(value, key, records);
  return bytes?.length === log.torn ? bytes : "missing";
}

/** Whether somebody changed a conversation since its head was read. */
async function moved(view: View, head: ZoneHead, records: RecordContext): Promise<boolean> {
  const now = await readHead(view, head.conversation, records);
  return now === undefined || formatHead(now) !== formatHead(head);
}

function formatHead(head: ZoneHead): string {
  return JSON.stringify(head);
}

/** The records of a log that begin before an offset. */
export function logRange(conversation: string, before: number): KvRange {
  return { ...prefixRange(["log", conversation]), end: encodeKey(["log", conversation, before]) };
}

/** Whether a line begins at an offset, as far as the records that are here say. */
export async function beginsLine(
  view: View,
  { conversation, log }: ZoneHead,
  offset: number,
  records: RecordContext,
): Promise<boolean> {
  if (offset <= log.floor || offset >= log.end) return true;
  const { items } = await view.scan({ ...logRange(conversation, offset), reverse: true, limit: 1 });
  const [item] = items;
  if (item === undefined) return true;
  const part = readBytes(item.value, item.key, records);
  const last = part?.[offset - 1 - logOffset(item.key)];
  return last === undefined || last === NEWLINE;
}

/** Where a record of a log begins. */
export function logOffset(key: Uint8Array): number {
  return decodeKey(key)[2] as number;
}
