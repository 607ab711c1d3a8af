import { parseOffset, STREAM_START, type StreamPosition } from "./stream-offset.ts";
import { StreamRefusal } from "./stream-refusal.ts";

/** What a GET asks for. */
export interface StreamQuery {
  readonly offset: StreamPosition | "now";
  readonly live: "no" | "long-poll" | "sse";
  /** Echo of the cursor of an earlier response. */
  readonly cursor?: string;
}

/** What the query of a GET asks for. Names it does not know are no matter. @throws StreamRefusal `BAD_REQUEST`. */
export function parseQuery(search: URLSearchParams): StreamQuery {
  const offsets = search.getAll("offset");
  if (offsets.length > 1) throw new StreamRefusal("BAD_REQUEST", "offset may be given once");
  const [offset] = offsets;
  const live = search.get("live") ?? "no";
  if (live !== "no" && live !== "long-poll" && live !== "sse") {
    throw new StreamRefusal("BAD_REQUEST", "live must be long-poll or sse");
  }
  if (live !== "no" && offset === undefined) {
    throw new StreamRefusal("BAD_REQUEST", "A live read needs an offset");
  }
  const cursor = search.get("cursor");
  return { offset: offsetOf(offset), live, ...(cursor === null ? {} : { cursor }) };
}

function offsetOf(text: string | undefined): StreamPosition | "now" {
  if (text === undefined || text === "-1") return STREAM_START;
  if (text === "now") return "now";
  const position = parseOffset(text);
  if (position === undefined) throw new StreamRefusal("BAD_REQUEST", "This is no offset of a stream");
  return position;
}
