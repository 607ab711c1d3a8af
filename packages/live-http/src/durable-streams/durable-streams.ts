import { corsHeaders } from "../cors.ts";
import { readBody } from "../read-body.ts";
import type { AppendResult } from "./decide-append.ts";
import { ExpiryIndex } from "./expiry-index.ts";
import { parseQuery } from "./read-query.ts";
import { catchUpResponse, headResponse, longPollResponse, type ReadContext } from "./read-stream.ts";
import { tailHeaders } from "./stream-change.ts";
import { eventsResponse } from "./stream-events.ts";
import { parseAppend, parseCreation } from "./stream-headers.ts";
import { StreamLifecycle } from "./stream-lifecycle.ts";
import {
  type DurableStreamsOptions,
  type StreamAccess,
  type StreamSettings,
  streamSettings,
} from "./stream-options.ts";
import { StreamRefusal } from "./stream-refusal.ts";
import {
  asRefusal,
  emptyResponse,
  refusalResponse,
  STREAM_SURFACE,
  withHeaders,
} from "./stream-responses.ts";
import { StreamRemoval } from "./stream-removal.ts";
import { StreamStore } from "./stream-store.ts";
import { StreamWaits } from "./stream-waits.ts";

/** A handler of requests, for any server that speaks the web's `Request` and `Response`. It never rejects. */
export type DurableStreamsHandler = (request: Request) => Promise<Response>;

/** The first name below `basePath` that the protocol keeps for itself. */
const RESERVED = "__ds";
/** A partition has at most 512 bytes. */
const PATH_BYTES_MAX = 400;
const METHODS = "GET, HEAD, POST, PUT, DELETE, OPTIONS";

/**
 * Serves the Durable Streams protocol over a key-value store: streams that are created, appended to, read and followed
 * by URL, with offsets that hold for as long as the stream.
 *
 * An append is one commit of one partition: tail, bytes and what the producer has sent change together or not at all,
 * so that any number of processes may serve one store, and a process that is killed loses nothing it has answered.
 *
 * @throws `TypeError` without `authorize` where `development` is not set; `RangeError` for an option that is out of bounds.
 *
 * @example
 * ```ts
 * const handle = durableStreams({ kv: openMemoryKv(), authorize: () => true });
 * const url = "http://localhost/streams/answer";
 * const headers = { "content-type": "text/plain" };
 * await handle(new Request(url, { method: "PUT", headers }));
 * await handle(new Request(url, { method: "POST", headers, body: "Hello" }));
 * const response = await handle(new Request(url));
 * assert.equal(await response.text(), "Hello");
 * ```
 */
export function durableStreams(options: DurableStreamsOptions): DurableStreamsHandler {
  const settings = streamSettings(options);
  const { kv, namespace, hasher, setTimer, pollMs, waitersMax } = settings;
  const store = new StreamStore({ kv, namespace, hasher, onChanged: (path) => waits.ring(path) });
  const waits = new StreamWaits({
    kv,
    partition: (path) => store.partition(path),
    setTimer,
    pollMs,
    waitersMax,
  });
  const { randomBytes, onError } = settings;
  const index = new ExpiryIndex(kv, namespace);
  const removal = new StreamRemoval({ store, index, onError });
  const lifecycle = new StreamLifecycle({ store, removal, index, bounds: settings, randomBytes });
  const context: HandlerContext = { settings, store, waits, lifecycle, writes: { count: 0 } };
  const cors = corsHeaders(settings.cors, STREAM_SURFACE);
  const common = {
    "x-content-type-options": "nosniff",
    "cross-origin-resource-policy": settings.cors === undefined ? "same-origin" : "cross-origin",
  };
  return async (request) => {
    const headers = { ...common, ...cors(request) };
    if (request.method === "OPTIONS") return emptyResponse(204, headers);
    try {
      return withHeaders(await respond(context, request), headers);
    } catch (error) {
      if (!(error instanceof StreamRefusal)) onError(error);
      return withHeaders(refusalResponse(asRefusal(error)), headers);
    }
  };
}

interface HandlerContext extends ReadContext {
  readonly lifecycle: StreamLifecycle;
  /** Requests under way that write. */
  readonly writes: { count: number };
}

const ACTIONS: Readonly<Record<string, StreamAccess["action"]>> = {
  PUT: "create",
  POST: "append",
  GET: "read",
  HEAD: "read",
  DELETE: "delete",
};

async function respond(context: HandlerContext, request: Request): Promise<Response> {
  const url = new URL(request.url);
  const action = ACTIONS[request.method];
  if (action === undefined) {
    throw new StreamRefusal("METHOD_NOT_ALLOWED", `${request.method} is no method of streams`, {
      allow: METHODS,
    });
  }
  const path = pathOf(context.settings, url.pathname);
  if (path === undefined)
    throw new StreamRefusal("STREAM_NOT_FOUND", `There is no stream at ${url.pathname}`);
  const refused = await refusedBy(context.settings, request, { action, path });
  if (refused !== undefined) return refused;
  if (action === "create") return counted(context, () => create(context, path, request, url));
  if (action === "append") return counted(context, () => append(context, path, request));
  if (action === "delete") {
    await context.lifecycle.delete(path);
    return emptyResponse(204, {});
  }
  if (request.method === "HEAD") return headResponse(context, path);
  const query = parseQuery(url.searchParams);
  if (query.live === "long-poll") return longPollResponse(context, path, request, query);
  if (query.live === "sse") return eventsResponse(context, path, request, query);
  return catchUpResponse(context, path, request, query);
}

async function create(context: HandlerContext, path: string, request: Request, url: URL): Promise<Response> {
  const draft = parseCreation(request.headers, (text) => pathOf(context.settings, text));
  const source = draft.request.fork?.path;
  if (source !== undefined) {
    const refused = await refusedBy(context.settings, request, { action: "read", path: source });
    if (refused !== undefined) return refused;
  }
  const body = await readBody(request, context.settings.bodyBytesMax, tooLarge);
  const { created, register } = await context.lifecycle.create(path, { ...draft, body });
  return emptyResponse(created ? 201 : 200, {
    ...tailHeaders(register, path),
    "content-type": register.contentType,
    ...(created ? { location: `${url.origin}${url.pathname}` } : {}),
  });
}

async function append(context: HandlerContext, path: string, request: Request): Promise<Response> {
  const draft = parseAppend(request.headers);
  const body = await readBody(request, context.settings.bodyBytesMax, tooLarge);
  if (body.length === 0 && !draft.close)
    throw new StreamRefusal("BAD_REQUEST", "An empty body appends nothing");
  const result = await context.lifecycle.append(path, { ...draft, body });
  const status = result.appended && draft.producer !== undefined && body.length > 0 ? 200 : 204;
  return emptyResponse(status, { ...tailHeaders(result.register, path), ...producerHeaders(result) });
}

/** Writes, if not too many others do: each holds a body. */
async function counted(
  { settings, writes }: HandlerContext,
  write: () => Promise<Response>,
): Promise<Response> {
  const { writesMax } = settings;
  if (writes.count >= writesMax) {
    throw new StreamRefusal("TOO_MANY", `${writesMax} requests write already`, { "retry-after": "1" });
  }
  writes.count += 1;
  try {
    return await write();
  } finally {
    writes.count -= 1;
  }
}

function tooLarge(bytesMax: number): StreamRefusal {
  return new StreamRefusal("TOO_LARGE", `A body may have ${bytesMax} bytes`);
}

function producerHeaders({ producer }: AppendResult): Record<string, string> {
  if (producer === undefined) return {};
  return { "producer-epoch": `${producer.epoch}`, "producer-seq": `${producer.sequence}` };
}

/** The stream that a path names, or `undefined` if none can lie there. */
function pathOf({ basePath }: StreamSettings, path: string): string | undefined {
  if (!path.startsWith(`${basePath}/`) || path.length > PATH_BYTES_MAX) return undefined;
  const name = path.slice(basePath.length + 1);
  return name === "" || name === RESERVED || name.startsWith(`${RESERVED}/`) ? undefined : path;
}

/** What is answered instead, if the request may not. */
async function refusedBy(
  { authorize }: StreamSettings,
  request: Request,
  access: StreamAccess,
): Promise<Response | undefined> {
  const verdict = await authorize(request, access);
  if (verdict === true) return undefined;
  if (verdict instanceof Response) return verdict;
  throw new StreamRefusal("FORBIDDEN", "The request may not do this");
}
