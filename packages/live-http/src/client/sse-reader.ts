import { createParser } from "eventsource-parser";
import { LiveHttpError } from "../errors.ts";
import type { SseEvent } from "../sse-event.ts";

/** How a stream is read. */
export interface ReadSseOptions {
  /** Characters that an event may take before it is whole. @defaultValue 4 Mi */
  readonly eventCharactersMax?: number;
  /** Called when anything came, also what is no event: a comment, half a line. */
  readonly onTraffic?: () => void;
  /** Ends the reading, with its reason, and cancels the body. */
  readonly signal?: AbortSignal;
}

const EVENT_CHARACTERS_MAX = 4 * 1024 * 1024;
/** The parser looks ahead within what it is given for each line, so it is given little at a time. */
const SLICE_CHARACTERS = 16 * 1024;

/**
 * Reads the events of a body, in order, as they come.
 *
 * Leaving the loop cancels the body. An event that the end of the body cut off is none.
 *
 * @throws {@link LiveHttpError} `SSE_MALFORMED` if an event is longer than allowed; what came before it was given.
 */
export async function* readSseEvents(
  body: ReadableStream<Uint8Array>,
  options: ReadSseOptions = {},
): AsyncGenerator<SseEvent, void, undefined> {
  const { eventCharactersMax = EVENT_CHARACTERS_MAX, onTraffic, signal } = options;
  const events: SseEvent[] = [];
  let tooLong = false;
  const parser = createParser({
    maxBufferSize: eventCharactersMax,
    onEvent: ({ id, event, data }) =>
      events.push({ data, ...(id === undefined ? {} : { id }), ...(event === undefined ? {} : { event }) }),
    // Fields that are unknown are skipped, as every client does.
    onError: ({ type }) => (tooLong ||= type === "max-buffer-size-exceeded"),
  });
  // It drops the byte order mark that a stream may begin with.
  const decoder = new TextDecoder();
  const reader = body.getReader();
  // What ended or failed by itself has nothing left to cancel.
  const cancel = (): Promise<void> => reader.cancel(signal?.reason).catch(() => undefined);
  const abort = (): void => void cancel();
  signal?.addEventListener("abort", abort, { once: true });
  try {
    for (;;) {
      signal?.throwIfAborted();
      const { done, value } = await reader.read();
      signal?.throwIfAborted();
      if (done) return;
      onTraffic?.();
      const text = decoder.decode(value, { stream: true });
      for (let start = 0; start < text.length; start += SLICE_CHARACTERS) {
        parser.feed(text.slice(start, start + SLICE_CHARACTERS));
        yield* events.splice(0);
        if (tooLong)
          throw new LiveHttpError(
            "SSE_MALFORMED",
            `Cannot read an event: the limit is ${eventCharactersMax} characters`,
          );
      }
    }
  } finally {
    signal?.removeEventListener("abort", abort);
    await cancel();
  }
}
