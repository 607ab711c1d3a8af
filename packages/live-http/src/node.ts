import type { IncomingMessage, ServerResponse } from "node:http";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";

/**
 * Lets a server of `node:http` answer with a handler that takes a `Request`: `createServer(nodeListener(handler))`.
 *
 * A client that goes away ends the body of its answer and aborts the `signal` of its request. A request that is none is
 * answered with 400, a handler that rejects with 500.
 *
 * @param handler - Such as what `liveHandler` gives.
 */
export function nodeListener(
  handler: (request: Request) => Promise<Response>,
): (incoming: IncomingMessage, outgoing: ServerResponse) => void {
  return (incoming, outgoing) => {
    const gone = new AbortController();
    outgoing.once("close", () => gone.abort());
    void answer(handler, incoming, outgoing, gone.signal).catch(() => outgoing.destroy());
  };
}

async function answer(
  handler: (request: Request) => Promise<Response>,
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  signal: AbortSignal,
): Promise<void> {
  const request = requestOf(incoming, signal);
  const response =
    request === undefined
      ? new Response(null, { status: 400 })
      : await handler(request).catch(() => new Response(null, { status: 500 }));
  outgoing.writeHead(response.status, [...response.headers].flat());
  if (response.body === null) {
    outgoing.end();
    return;
  }
  // A stream may have nothing to say for long, and the client is to know that it is one.
  outgoing.flushHeaders();
  await pipeline(Readable.fromWeb(response.body), outgoing);
}

function requestOf(incoming: IncomingMessage, signal: AbortSignal): Request | undefined {
  const { method = "GET", headers, url = "/" } = incoming;
  const hasBody = method !== "GET" && method !== "HEAD";
  try {
    // As text, because an address that begins with two slashes would be one of another host.
    return new Request(`http://${headers.host ?? "localhost"}${url}`, {
      method,
      headers: Object.entries(headers).map(([name, value]): [string, string] => [name, String(value)]),
      signal,
      ...(hasBody ? { body: Readable.toWeb(incoming) as ReadableStream<Uint8Array>, duplex: "half" } : {}),
    });
  } catch {
    return undefined;
  }
}
