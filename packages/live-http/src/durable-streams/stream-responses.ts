import { KvError } from "@tidemark/kv";
import type { CorsSurface } from "../cors.ts";
import { StreamRefusal } from "./stream-refusal.ts";

/** What pages may ask for, and read of the answers. */
export const STREAM_SURFACE: CorsSurface = {
  methods: "GET, HEAD, POST, PUT, DELETE",
  requestHeaders: [
    "authorization",
    "content-type",
    "if-none-match",
    "producer-epoch",
    "producer-id",
    "producer-seq",
    "stream-closed",
    "stream-expires-at",
    "stream-fork-offset",
    "stream-fork-sub-offset",
    "stream-forked-from",
    "stream-seq",
    "stream-ttl",
  ].join(", "),
  responseHeaders: [
    "etag",
    "location",
    "producer-epoch",
    "producer-expected-seq",
    "producer-received-seq",
    "producer-seq",
    "retry-after",
    "stream-closed",
    "stream-cursor",
    "stream-expires-at",
    "stream-next-offset",
    "stream-sse-data-encoding",
    "stream-ttl",
    "stream-up-to-date",
  ].join(", "),
};

/** The response with headers that every response has. */
export function withHeaders(response: Response, more: Readonly<Record<string, string>>): Response {
  const headers = new Headers(response.headers);
  for (const [name, value] of Object.entries(more)) headers.set(name, value);
  return new Response(response.body, { status: response.status, headers });
}

/** A response without a body. */
export function emptyResponse(status: number, headers: Readonly<Record<string, string>>): Response {
  return new Response(null, { status, headers });
}

/** The error as a response: JSON with its code and message. */
export function refusalResponse({ status, code, message, headers }: StreamRefusal): Response {
  const type = { "content-type": "application/json", "cache-control": "no-store" };
  return new Response(JSON.stringify({ code, message }), { status, headers: { ...type, ...headers } });
}

/** What an error says to a client: no more than its kind, but for what is the client's own doing. */
export function asRefusal(error: unknown): StreamRefusal {
  if (error instanceof StreamRefusal) return error;
  if (error instanceof KvError && error.code === "KV_TOO_LARGE") {
    return new StreamRefusal("TOO_LARGE", "The store takes no value of that size");
  }
  if (error instanceof KvError && error.retryable) {
    return new StreamRefusal("UNAVAILABLE", "The store does not answer", { "retry-after": "1" });
  }
  return new StreamRefusal("INTERNAL", "The server failed");
}
