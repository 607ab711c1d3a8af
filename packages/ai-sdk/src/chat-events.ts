import { formatStreamOffset, parseStreamOffset, type StreamItem } from "@tidemark/live";

/** The headers of a stream of chunks, as the AI SDK sends them. */
export const CHAT_EVENT_HEADERS: Readonly<Record<string, string>> = {
  "content-type": "text/event-stream",
  "cache-control": "no-cache, no-transform",
  "x-accel-buffering": "no",
  "x-vercel-ai-ui-message-stream": "v1",
};

/** Between two events, and after each in the log of an answer. */
const END_OF_EVENT = "\n\n";
/** The last event of every answer: a connection that ends without it was lost. */
export const DONE_EVENT: string = `data: [DONE]${END_OF_EVENT}`;
/** Keeps proxies from closing a connection on which nothing happens. */
export const HEARTBEAT: string = `:${END_OF_EVENT}`;

/** A chunk as an event, the form in which it is in the log of an answer. */
export function eventOf(chunk: unknown): string {
  return `data: ${JSON.stringify(chunk)}${END_OF_EVENT}`;
}

/**
 * Makes server-sent events of the text of an answer, whose pieces may end anywhere: whole events, each with the place
 * behind it as its id.
 */
export class EventFramer {
  readonly #stream: string;
  #position: number;
  #rest: string = "";

  /** @param position - Where the text begins. */
  constructor(stream: string, position: number) {
    this.#stream = stream;
    this.#position = position;
  }

  push(item: Extract<StreamItem, { kind: "text" }>): string {
    const { writer } = parseStreamOffset(item.offset);
    // Only the end of what was left can be completed by what came.
    let from = Math.max(0, this.#rest.length - 1);
    this.#rest += item.text;
    let events = "";
    let start = 0;
    for (;;) {
      const end = this.#rest.indexOf(END_OF_EVENT, from);
      if (end < 0) break;
      from = end + END_OF_EVENT.length;
      this.#position += from - start;
      const id = formatStreamOffset({ stream: this.#stream, writer, position: this.#position });
      events += `id: ${id}\n${this.#rest.slice(start, from)}`;
      start = from;
    }
    this.#rest = this.#rest.slice(start);
    return events;
  }
}

/** The events that say how an answer ended: what a chat of the AI SDK understands, and the state for one that asks. */
export function endEvents(item: Extract<StreamItem, { kind: "end" }>): string {
  const { state, message } = item;
  if (state === "done") return DONE_EVENT;
  // Transient: given to `onData`, no part of the message.
  const told = eventOf({ type: "data-stream-state", data: { state }, transient: true });
  const shown =
    state === "cancelled"
      ? { type: "abort", reason: "cancelled" }
      : { type: "error", errorText: message ?? "The answer was interrupted." };
  return told + eventOf(shown) + DONE_EVENT;
}
