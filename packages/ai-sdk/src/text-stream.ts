import type { StreamLogs, StreamReadOptions } from "@tidemark/live";
import { ChatError } from "./errors.ts";

/** Text of a stream, and the place behind it. */
export interface TextPiece {
  readonly text: string;
  readonly offset: string;
}

/**
 * Reads a stream as fast as it is taken. It is closed when the stream is done, and fails with `STREAM_INTERRUPTED` if it
 * ended otherwise. To cancel it is to stop reading, and nothing else.
 */
export function textStream<Chunk>(
  streams: StreamLogs,
  streamId: string,
  options: Omit<StreamReadOptions, "signal">,
  chunkOf: (piece: TextPiece) => Chunk,
): ReadableStream<Chunk> {
  const stop = new AbortController();
  const items = streams.read(streamId, { ...options, signal: stop.signal });
  return new ReadableStream<Chunk>({
    async pull(controller) {
      const next = await items.next();
      if (next.done === true) return;
      const item = next.value;
      if (item.kind === "text") {
        controller.enqueue(chunkOf(item));
      } else if (item.state === "done") {
        controller.close();
      } else {
        const why = item.message === undefined ? "" : `: ${item.message}`;
        controller.error(
          new ChatError("STREAM_INTERRUPTED", `Stream ${streamId} is ${item.state}${why}`, {
            state: item.state,
          }),
        );
      }
    },
    cancel() {
      stop.abort();
    },
  });
}
