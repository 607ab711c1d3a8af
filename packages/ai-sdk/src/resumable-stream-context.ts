import { openStreamLogs, type StreamJournal, StreamLogError, type StreamLogs } from "@tidemark/live";
import { textStream } from "./text-stream.ts";
import { pipeToStream } from "./stream-producer.ts";

/** Options of {@link createResumableStreamContext}. */
export interface ResumableStreamContextOptions {
  /** The streams; or give a `journal`. */
  readonly streams?: StreamLogs;
  /** What carries the streams to the other regions; or give `streams`. */
  readonly journal?: StreamJournal;
  /** Keeps the process alive until a promise is settled. `null` where no process is suspended. @defaultValue null */
  readonly waitUntil?: ((promise: Promise<unknown>) => void) | null;
  /** Streams of another prefix are other streams. @defaultValue "resumable-stream" */
  readonly keyPrefix?: string;
  /** The session of a stream's journal, 1 to 128 UTF-8 bytes. @defaultValue `<keyPrefix>:<id>`, one a stream */
  readonly session?: (streamId: string) => string;
}

/** The context of the package `resumable-stream`, and what offsets add to it. */
export interface ResumableStreamContext {
  /**
   * Begins a stream, or resumes it if it was begun. `null` if it is done.
   *
   * @param makeStream - Called only if nobody has begun the stream.
   * @param skipCharacters - Of a stream that is resumed, how many UTF-16 units to leave out.
   */
  resumableStream(
    streamId: string,
    makeStream: () => ReadableStream<string>,
    skipCharacters?: number,
  ): Promise<ReadableStream<string> | null>;
  /** As `resumableStream`, and what the producer writes is given from the start. */
  createNewResumableStream(
    streamId: string,
    makeStream: () => ReadableStream<string>,
    skipCharacters?: number,
  ): Promise<ReadableStream<string> | null>;
  /** Resumes a stream: `null` if it is done, `undefined` if there is none. */
  resumeExistingStream(
    streamId: string,
    skipCharacters?: number,
  ): Promise<ReadableStream<string> | null | undefined>;
  /** `null` if there is none, `"DONE"` if it is done, failed or cancelled, else `true`. */
  hasExistingStream(streamId: string): Promise<null | true | "DONE">;
  /**
   * Resumes a stream behind the offset of something that was read of it, in whatever region, also when it is done:
   * nothing is given twice. `undefined` if there is no such stream here.
   */
  resumeAfter(
    streamId: string,
    offset?: string,
  ): Promise<ReadableStream<{ readonly text: string; readonly offset: string }> | undefined>;
  /** Asks the producer to stop, in whatever region it is: the stream it reads from is cancelled. */
  stop(streamId: string): Promise<void>;
}

/**
 * A context that fits where one of `resumable-stream` does, over a journal that every region has: a stream that was begun
 * in one is resumed in another. What is given was durable here before.
 */
export function createResumableStreamContext(options: ResumableStreamContextOptions): ResumableStreamContext {
  const { waitUntil, keyPrefix = "resumable-stream" } = options;
  const { session = (streamId: string) => `${keyPrefix}:${streamId}` } = options;
  const streams = streamsOf(options);

  const begin = async (
    streamId: string,
    makeStream: () => ReadableStream<string>,
    skipCharacters: number,
  ): Promise<ReadableStream<string> | null> => {
    const place = { session: session(streamId) };
    const before = await streams.status(streamId, place);
    if (before.final) return null;
    let after = skipCharacters;
    if (before.state === "missing") {
      try {
        const writer = await streams.start(streamId, place);
        const produced = pipeToStream(writer, makeStream, (text) => text, shownError);
        waitUntil?.(produced);
        after = 0;
      } catch (error) {
        // Somebody else was first: it is theirs that is read.
        const taken =
          error instanceof StreamLogError && ["STREAM_EXISTS", "STREAM_FENCED"].includes(error.code);
        if (!taken) throw error;
      }
    }
    return textStream(streams, streamId, { ...place, after }, ({ text }) => text);
  };

  return {
    resumableStream: (streamId, makeStream, skipCharacters = 0) =>
      begin(streamId, makeStream, skipCharacters),
    createNewResumableStream: (streamId, makeStream, skipCharacters = 0) =>
      begin(streamId, makeStream, skipCharacters),
    async resumeExistingStream(streamId, skipCharacters = 0) {
      const place = { session: session(streamId) };
      const { state, final } = await streams.status(streamId, place);
      if (state === "missing") return undefined;
      if (final) return null;
      return textStream(streams, streamId, { ...place, after: skipCharacters }, ({ text }) => text);
    },
    async hasExistingStream(streamId) {
      const { state, final } = await streams.status(streamId, { session: session(streamId) });
      if (state === "missing") return null;
      return final ? "DONE" : true;
    },
    async resumeAfter(streamId, offset) {
      const place = { session: session(streamId) };
      const { state } = await streams.status(streamId, place);
      if (state === "missing") return undefined;
      return textStream(streams, streamId, { ...place, after: offset ?? 0 }, (item) => item);
    },
    async stop(streamId) {
      await streams.cancel(streamId, { session: session(streamId) });
    },
  };
}

function streamsOf({ streams, journal }: ResumableStreamContextOptions): StreamLogs {
  if (streams !== undefined) return streams;
  if (journal === undefined) throw new TypeError("createResumableStreamContext needs streams or a journal");
  return openStreamLogs({ journal });
}

function shownError(error: unknown): string {
  return error instanceof Error ? error.message : "The stream failed";
}
