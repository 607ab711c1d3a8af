import { parseStreamOffset, type StreamClock, StreamLogError, type StreamLogs } from "@tidemark/live";
import { DONE_EVENT, endEvents, EventFramer, eventOf, HEARTBEAT } from "./chat-events.ts";

/** What an answer is sent from. */
export interface ChatEventStreamOptions {
  readonly streams: StreamLogs;
  readonly clock: StreamClock;
  readonly session: string;
  readonly stream: string;
  /** Behind what the reader has. */
  readonly after: string | undefined;
  readonly heartbeatMs: number;
  readonly missingMs: number;
}

/**
 * An answer as server-sent events, from a place on, as fast as they are taken: nothing is held for a slow reader. Between
 * them heartbeats. To cancel it is to stop reading, and nothing else.
 */
export function chatEventStream(options: ChatEventStreamOptions): ReadableStream<Uint8Array> {
  const { streams, clock, session, stream, after, heartbeatMs, missingMs } = options;
  const stop = new AbortController();
  const items = streams.read(stream, {
    session,
    missingMs,
    signal: stop.signal,
    ...(after === undefined ? {} : { after }),
  });
  const framer = new EventFramer(stream, after === undefined ? 0 : parseStreamOffset(after).position);
  const encoder = new TextEncoder();
  let next: ReturnType<typeof items.next> | undefined;

  const pull = async (controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> => {
    for (;;) {
      next ??= items.next();
      const result = await before(clock, heartbeatMs, next);
      if (result === undefined) {
        controller.enqueue(encoder.encode(HEARTBEAT));
        return;
      }
      next = undefined;
      if (result.done === true) return;
      const item = result.value;
      if (item.kind === "end") {
        // What nobody here has heard of may be elsewhere: a connection that just ends is tried again.
        if (item.state !== "missing") controller.enqueue(encoder.encode(endEvents(item)));
        controller.close();
        return;
      }
      const events = framer.push(item);
      if (events === "") continue;
      controller.enqueue(encoder.encode(events));
      return;
    }
  };

  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      try {
        await pull(controller);
      } catch (error) {
        if (!(error instanceof StreamLogError)) throw error;
        if (error.code === "STREAM_FENCED") controller.enqueue(encoder.encode(supersededEvents()));
        controller.close();
      }
    },
    cancel() {
      stop.abort();
    },
  });
}

function supersededEvents(): string {
  const errorText = "The answer was written twice at once, and another one counts. Load it again.";
  return eventOf({ type: "error", errorText }) + DONE_EVENT;
}

/** What a promise gives within a time; `undefined` if it takes longer. */
function before<Result>(
  clock: StreamClock,
  delayMs: number,
  promise: Promise<Result>,
): Promise<Result | undefined> {
  return new Promise((resolve, reject) => {
    const callOff = clock.schedule(delayMs, () => resolve(undefined));
    promise.then(resolve, reject).finally(callOff);
  });
}
