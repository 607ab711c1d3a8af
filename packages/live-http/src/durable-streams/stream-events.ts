import type { StreamQuery } from "./read-query.ts";
import { asBody, cursorOf, idleMs, offsetAt, type ReadContext, startOf } from "./read-stream.ts";
import {
  bodyOf,
  type EventEncoding,
  eventEncoding,
  eventText,
  streamEvent,
  wholeCharacters,
} from "./stream-body.ts";
import { readParts } from "./stream-reader.ts";
import { StreamRefusal } from "./stream-refusal.ts";
import type { StreamRegister } from "./stream-state.ts";
import type { StreamWait } from "./stream-waits.ts";

/** What one round of an event stream sends. */
interface Round {
  readonly events: string;
  readonly next: number;
  /** Nothing is left to send for now. */
  readonly caughtUp: boolean;
  /** Nothing will ever be. */
  readonly ended: boolean;
}

const utf8 = new TextEncoder();

/**
 * The answer to a GET that is to be told of what is appended, as server-sent events. Events are made as they are read,
 * so that a slow reader holds no more than one round; after `eventStreamMs` it is to come again.
 *
 * @throws StreamRefusal
 */
export async function eventsResponse(
  context: ReadContext,
  path: string,
  request: Request,
  query: StreamQuery,
): Promise<Response> {
  const wait = context.waits.begin(path, context.settings.eventStreamMs, request.signal);
  try {
    const register = await context.store.open(path);
    const from = startOf(register, path, query);
    const encoding = eventEncoding(register.contentType);
    const events = streamOf(context, path, query, { register, from, encoding, wait });
    return new Response(bodyStream(events, wait, context), {
      headers: {
        "content-type": "text/event-stream",
        "cache-control": "no-cache",
        ...(encoding === "base64" ? { "stream-sse-data-encoding": "base64" } : {}),
      },
    });
  } catch (error) {
    wait.close();
    throw error;
  }
}

async function* streamOf(
  context: ReadContext,
  path: string,
  query: StreamQuery,
  start: {
    readonly register: StreamRegister;
    readonly from: number;
    readonly encoding: EventEncoding;
    readonly wait: StreamWait;
  },
): AsyncGenerator<string, void, undefined> {
  const { incarnation } = start.register;
  let { register, from: next } = start;
  for (;;) {
    const round = await roundOf(context, path, query, register, next, start.encoding);
    yield round.events;
    if (round.ended) return;
    next = round.next;
    const seen = register;
    do {
      const waited = round.caughtUp
        ? await start.wait.changed(idleMs(context.settings, register))
        : "changed";
      if (waited === "ended") return;
      register = await context.store.open(path);
      // Another stream has come to lie here: its reader is to begin anew.
      if (register.incarnation !== incarnation) return;
      if (waited === "idle") break;
      // What was changed may be no matter of a reader: a fork was made, or another reader keeps the stream alive.
    } while (round.caughtUp && register.tail === seen.tail && register.closed === seen.closed);
  }
}

/** What there is to tell of a stream behind a position: its data, if there is any, and how far that goes. */
async function roundOf(
  context: ReadContext,
  path: string,
  query: StreamQuery,
  register: StreamRegister,
  from: number,
  encoding: EventEncoding,
): Promise<Round> {
  const read = await readParts(context.store, path, register, from, context.settings.readBytesMax);
  const atTail = read.next === register.tail;
  const ended = atTail && register.closed;
  const body = read.parts.length === 0 ? new Uint8Array(0) : bodyOf(register.contentType, read.parts);
  // A character that is not whole yet is told with what follows, from the offset before it.
  const length = encoding === "text" && !ended ? wholeCharacters(body) : body.length;
  const next = read.next - (body.length - length);
  const control = {
    streamNextOffset: offsetAt(register, path, next),
    ...(ended
      ? { streamClosed: true, upToDate: true }
      : { streamCursor: await cursorOf(context, query), ...(atTail ? { upToDate: true } : {}) }),
  };
  const data = length === 0 ? "" : streamEvent("data", eventText(encoding, body.subarray(0, length)));
  return { events: data + streamEvent("control", JSON.stringify(control)), next, caughtUp: atTail, ended };
}

/** Bytes of the events, made as they are asked for. */
function bodyStream(
  events: AsyncGenerator<string, void, undefined>,
  wait: StreamWait,
  { settings }: ReadContext,
): ReadableStream<Uint8Array<ArrayBuffer>> {
  return new ReadableStream(
    {
      async pull(controller) {
        try {
          const { done, value } = await events.next();
          if (done !== true) return controller.enqueue(asBody(utf8.encode(value)));
        } catch (error) {
          // A stream that was deleted ends; the reader hears why when it comes again.
          if (!(error instanceof StreamRefusal)) settings.onError(error);
        }
        wait.close();
        controller.close();
      },
      cancel() {
        wait.close();
      },
    },
    { highWaterMark: 0 },
  );
}
