import { liveRegister, tailHeaders } from "./stream-change.ts";
import { formatOffset } from "./stream-offset.ts";
import type { StreamQuery } from "./read-query.ts";
import { bodyOf } from "./stream-body.ts";
import { nextCursor } from "./stream-cursor.ts";
import { readParts, type StreamParts } from "./stream-reader.ts";
import { StreamRefusal } from "./stream-refusal.ts";
import { emptyResponse } from "./stream-responses.ts";
import { holdsPosition, positionAt, segmentsOf, type StreamRegister } from "./stream-state.ts";
import type { StreamSettings } from "./stream-options.ts";
import type { StreamStore } from "./stream-store.ts";
import type { StreamWaits } from "./stream-waits.ts";

/** What reads need. */
export interface ReadContext {
  readonly settings: StreamSettings;
  readonly store: StreamStore;
  readonly waits: StreamWaits;
}

const STALE = "max-age=60, stale-while-revalidate=300";

/** The answer to a HEAD: what is known of a stream. It keeps nothing alive. @throws StreamRefusal */
export async function headResponse({ store }: ReadContext, path: string): Promise<Response> {
  const register = liveRegister(await store.load(path));
  const { contentType, ttlSeconds, expiresAt } = register;
  return emptyResponse(200, {
    ...tailHeaders(register, path),
    "content-type": contentType,
    "cache-control": "no-store",
    ...(ttlSeconds === undefined ? {} : { "stream-ttl": `${ttlSeconds}` }),
    ...(expiresAt === undefined ? {} : { "stream-expires-at": expiresAt }),
  });
}

/** The answer to a GET that does not wait. @throws StreamRefusal */
export async function catchUpResponse(
  context: ReadContext,
  path: string,
  request: Request,
  query: StreamQuery,
): Promise<Response> {
  const register = await context.store.open(path);
  if (query.offset === "now") {
    const body = bodyOf(register.contentType, []);
    const headers = {
      "content-type": register.contentType,
      "stream-up-to-date": "true",
      "cache-control": "no-store",
    };
    return new Response(asBody(body), { headers: { ...tailHeaders(register, path), ...headers } });
  }
  const from = startOf(register, path, query);
  return dataResponse(context, path, request, register, from, {});
}

/** The answer to a GET that waits for what is appended behind its offset, for so long. @throws StreamRefusal */
export async function longPollResponse(
  context: ReadContext,
  path: string,
  request: Request,
  query: StreamQuery,
): Promise<Response> {
  const { settings, store, waits } = context;
  const wait = waits.begin(path, settings.longPollMs, request.signal);
  try {
    let register = await store.open(path);
    const from = startOf(register, path, query);
    for (;;) {
      if (from < register.tail) {
        const cursor = { "stream-cursor": await cursorOf(context, query) };
        return await dataResponse(context, path, request, register, from, cursor);
      }
      if (register.closed) return emptyResponse(204, waitedHeaders(register, path));
      if ((await wait.changed(idleMs(settings, register))) === "ended") {
        const cursor = { "stream-cursor": await cursorOf(context, query) };
        return emptyResponse(204, { ...waitedHeaders(register, path), ...cursor });
      }
      register = await store.open(path);
    }
  } finally {
    wait.close();
  }
}

/** The position a read begins at. @throws StreamRefusal `STREAM_GONE` if the stream does not hold it. */
export function startOf(register: StreamRegister, path: string, { offset }: StreamQuery): number {
  if (offset === "now") return register.tail;
  if (holdsPosition(segmentsOf(register, path), offset)) return offset.position;
  // It is of a stream that lay here before, or of what the store has lost: whoever went on from it would miss bytes.
  const message = `The stream does not hold the offset ${formatOffset(offset)}`;
  throw new StreamRefusal("STREAM_GONE", message);
}

/** How long a reader waits before it says again that it reads: a stream lives for as long as somebody does. */
export function idleMs({ heartbeatMs }: StreamSettings, { ttlSeconds }: StreamRegister): number {
  return ttlSeconds === undefined ? heartbeatMs : Math.max(1, Math.min(heartbeatMs, ttlSeconds * 500));
}

/** The cursor of a live response. */
export async function cursorOf({ settings, store }: ReadContext, { cursor }: StreamQuery): Promise<string> {
  const [high, low] = settings.randomBytes(2);
  return nextCursor(cursor, await store.kv.nowMs(), (high! * 256 + low!) / 65_536);
}

/** The offset of a position of a stream. */
export function offsetAt(register: StreamRegister, path: string, position: number): string {
  return formatOffset(positionAt(segmentsOf(register, path), position));
}

async function dataResponse(
  context: ReadContext,
  path: string,
  request: Request,
  register: StreamRegister,
  from: number,
  more: Readonly<Record<string, string>>,
): Promise<Response> {
  const { settings, store } = context;
  const read = await readParts(store, path, register, from, settings.readBytesMax);
  const upToDate = read.next === register.tail;
  const closed = upToDate && register.closed;
  const etag = etagOf(register, from, read, closed);
  const headers = {
    etag,
    // What lies behind the end of this response can change at any moment, what it holds never does.
    "cache-control": `${settings.cache}, ${upToDate && !("stream-cursor" in more) ? "no-cache" : STALE}`,
    "content-type": register.contentType,
    "stream-next-offset": offsetAt(register, path, read.next),
    ...(upToDate ? { "stream-up-to-date": "true" } : {}),
    ...(closed ? { "stream-closed": "true" } : {}),
    ...more,
  };
  if (matches(request.headers.get("if-none-match"), etag)) return emptyResponse(304, headers);
  return new Response(asBody(bodyOf(register.contentType, read.parts)), { headers });
}

function waitedHeaders(register: StreamRegister, path: string): Record<string, string> {
  return { ...tailHeaders(register, path), "stream-up-to-date": "true", "cache-control": "no-store" };
}

function etagOf(
  { incarnation }: StreamRegister,
  from: number,
  { next }: StreamParts,
  closed: boolean,
): string {
  return `"${incarnation}:${from}:${next}${closed ? ":c" : ""}"`;
}

/** RFC 9110 §13.1.2: any of a list, compared weakly. */
function matches(given: string | null, etag: string): boolean {
  if (given === null) return false;
  return given.split(",").some((one) => one.trim() === "*" || one.trim().replace(/^W\//, "") === etag);
}

/** `Response` wants bytes in a buffer that nobody shares, which these are. */
export function asBody(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return bytes as Uint8Array<ArrayBuffer>;
}
