import { appendStreamEntry } from "./stream-log-append.ts";
import { platformClock, type StreamClock } from "./stream-log-clock.ts";
import { PIECE_HEADER_BYTES, STREAM_ID_BYTES_MAX, STREAM_LENGTH_MAX } from "./stream-log-entry.ts";
import { StreamLogError } from "./stream-log-errors.ts";
import type { StreamState } from "./stream-log-fold.ts";
import { StreamHub } from "./stream-log-hub.ts";
import type { StreamJournal } from "./stream-log-journal.ts";
import { latestStream } from "./stream-log-latest.ts";
import { formatStreamOffset, parseStreamOffset } from "./stream-log-offset.ts";
import { wellFormed } from "./stream-log-pieces.ts";
import { REGISTER } from "./stream-log-places.ts";
import { readStream, type StreamItem } from "./stream-log-reader.ts";
import type { StreamTail } from "./stream-log-tail.ts";
import { LogWriter, type StreamWriter } from "./stream-log-writer.ts";

/** What the logs of streams need. */
export interface StreamLogsOptions {
  /** What carries entries to the other regions: `regionJournal`, or `MemoryJournals` in one process. */
  readonly journal: StreamJournal;
  /** A producer that is not heard of for so long is gone. It is heard of three times as often. @defaultValue 15_000 */
  readonly ttlMs?: number;
  /**
   * How far the wall clocks of regions may be apart. Who comes long after a producer died has its last stamp alone, and
   * waits for so long more. @defaultValue 5_000
   */
  readonly skewMsMax?: number;
  /** How long text is put together before it is written; text after a pause is written at once. @defaultValue 50 */
  readonly coalesceMs?: number;
  /** UTF-16 units of a piece: one entry of the journal, and what a reader is given at once. @defaultValue 5_000 */
  readonly pieceLengthMax?: number;
  /** UTF-16 units of a stream, 16 Mi at most. A `write` beyond rejects with `STREAM_TOO_LONG`. @defaultValue 4 Mi */
  readonly lengthMax?: number;
  /** UTF-16 units that wait for the journal before `write` waits. @defaultValue 65_536 */
  readonly bufferedLengthMax?: number;
  /** Streams read and written at once here; one more rejects with `STREAM_LIMIT`. @defaultValue 10_000 */
  readonly followedMax?: number;
  readonly clock?: StreamClock;
  /** Fills an array with random bytes. @defaultValue `crypto.getRandomValues` */
  readonly random?: (bytes: Uint8Array) => unknown;
}

/** The session whose journal a stream is in. */
export interface StreamPlace {
  /** @defaultValue the id of the stream: a session of its own */
  readonly session?: string;
}

/** Where to read from. */
export interface StreamReadOptions extends StreamPlace {
  /** The offset of an item, in whatever region it was given; or UTF-16 units. Without it from the start. */
  readonly after?: string | number;
  /** Ends the reading, without a last item. */
  readonly signal?: AbortSignal;
  /** How long to wait for a stream, or the writer of an offset, that nobody has heard of here. @defaultValue 0 */
  readonly missingMs?: number;
}

/** What a stream is at, in this region and now. */
export interface StreamStatus {
  readonly state: StreamState;
  /** The state is the same everywhere and will not change. Any other, `orphaned` too, may. */
  readonly final: boolean;
  /** UTF-16 units that are here. */
  readonly length: number;
  /** The end of what is here; absent for a stream that is `missing`. */
  readonly offset?: string;
  /** Why it failed, for `error`. */
  readonly message?: string;
}

/** Streams of text that any region can go on reading, each with one writer. */
export interface StreamLogs {
  /**
   * Begins a stream. When it resolves, the stream is `pending` and durable here.
   *
   * @param stream - Its id, 1 to 80 UTF-8 bytes; never used again in this session.
   * @throws StreamLogError `STREAM_EXISTS`, `STREAM_FENCED`, `STREAM_CANCELLED`, `STREAM_UNAVAILABLE`, `STREAM_LIMIT`.
   */
  start(stream: string, options?: StreamPlace): Promise<StreamWriter>;
  /**
   * The text after an offset, once each and in order, as it arrives; last an item that says how it ended. Text of a
   * writer that turns out not to be the first is not mixed with another's: then it throws `STREAM_FENCED`.
   *
   * @throws StreamLogError `STREAM_OFFSET_INVALID`, `STREAM_FENCED`, `STREAM_UNAVAILABLE`, `STREAM_LIMIT`.
   */
  read(stream: string, options?: StreamReadOptions): AsyncIterableIterator<StreamItem>;
  status(stream: string, options?: StreamPlace): Promise<StreamStatus>;
  /** Asks the producer to stop, in whatever region it is. Resolves once that is durable here. Nothing happens if it has ended. */
  cancel(stream: string, options?: StreamPlace): Promise<StreamStatus>;
  /** The stream of a session that began last, as far as it is known here. */
  latest(session: string): Promise<string | undefined>;
}

const TTL_MS = 15_000;
const PIECE_LENGTH = 5_000;
const LENGTH: number = 4 * 1024 * 1024;

/** Opens the logs of streams over a journal. Nothing runs but for streams that are written or read. */
export function openStreamLogs(options: StreamLogsOptions): StreamLogs {
  const {
    journal,
    ttlMs = TTL_MS,
    coalesceMs = 50,
    lengthMax = LENGTH,
    bufferedLengthMax = 65_536,
    followedMax = 10_000,
    skewMsMax = 5_000,
    clock = platformClock,
    random = (bytes: Uint8Array) => crypto.getRandomValues(bytes),
  } = options;
  // Three bytes are the most that a UTF-16 unit takes in UTF-8.
  const room = Math.floor((journal.entryBytesMax - PIECE_HEADER_BYTES) / 3);
  const pieceLengthMax = Math.min(options.pieceLengthMax ?? PIECE_LENGTH, room);
  guardBetween(ttlMs, "ttlMs", 100, 3_600_000);
  guardBetween(skewMsMax, "skewMsMax", 0, 3_600_000);
  guardBetween(coalesceMs, "coalesceMs", 0, ttlMs / 3);
  guardBetween(pieceLengthMax, "pieceLengthMax", 2, room);
  guardBetween(lengthMax, "lengthMax", 1, STREAM_LENGTH_MAX);
  guardBetween(bufferedLengthMax, "bufferedLengthMax", 2, STREAM_LENGTH_MAX);
  guardBetween(followedMax, "followedMax", 1, Number.MAX_SAFE_INTEGER);
  const hub = new StreamHub({ journal, clock, skewMsMax }, followedMax);

  const cancelled = (stream: string): StreamLogError =>
    new StreamLogError("STREAM_CANCELLED", `Stream ${stream} was cancelled`, { stream });

  return {
    async start(stream, { session = stream } = {}) {
      guardStreamId(stream);
      const followed = hub.follow(session, stream);
      try {
        const { tail } = followed;
        if (ownerOf(tail) !== undefined)
          throw new StreamLogError("STREAM_EXISTS", `Stream ${stream} was started before`, { stream });
        if (tail.fold.cancelled) throw cancelled(stream);
        const writer = randomName(random);
        const place = { session, stream, namespace: REGISTER, what: `${writer}/open` };
        await appendStreamEntry(journal, clock, place, { kind: "open", stream, writer, ttlMs });
        tail.sync();
        if (ownerOf(tail) !== writer)
          throw new StreamLogError("STREAM_FENCED", `Another writer of stream ${stream} came first`, {
            stream,
          });
        return new LogWriter({
          journal,
          clock,
          followed,
          writer,
          ttlMs,
          coalesceMs,
          pieceLengthMax,
          lengthMax,
          bufferedLengthMax,
        });
      } catch (error) {
        followed[Symbol.dispose]();
        throw error;
      }
    },
    read(stream, { session = stream, after = 0, signal, missingMs = 0 } = {}) {
      guardStreamId(stream);
      const from =
        typeof after === "string" ? parseStreamOffset(after, stream) : { position: guardPosition(after) };
      return readStream({
        hub,
        clock,
        session,
        stream,
        from,
        missingMs,
        ...(signal === undefined ? {} : { signal }),
      });
    },
    async status(stream, { session = stream } = {}) {
      guardStreamId(stream);
      using followed = hub.follow(session, stream);
      return statusOf(followed.tail);
    },
    async cancel(stream, { session = stream } = {}) {
      guardStreamId(stream);
      using followed = hub.follow(session, stream);
      const { tail } = followed;
      if (tail.fold.end === undefined) {
        const place = { session, stream, namespace: REGISTER, what: "cancel" };
        await appendStreamEntry(journal, clock, place, { kind: "cancel", stream });
        tail.sync();
      }
      return statusOf(tail);
    },
    async latest(session) {
      return latestStream(journal, session);
    },
  };
}

function statusOf({ fold, state, stream }: StreamTail): StreamStatus {
  const { owner, end, length } = fold;
  return {
    state,
    final: end !== undefined,
    length,
    ...(owner === undefined
      ? {}
      : { offset: formatStreamOffset({ stream, writer: owner.writer, position: length }) }),
    ...(end?.outcome === "error" ? { message: end.message } : {}),
  };
}

function ownerOf({ fold }: StreamTail): string | undefined {
  return fold.owner?.writer;
}

function randomName(random: (bytes: Uint8Array) => unknown): string {
  const bytes = new Uint8Array(8);
  random(bytes);
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

function guardStreamId(stream: string): void {
  const bytes = typeof stream === "string" ? new TextEncoder().encode(stream).length : 0;
  if (bytes < 1 || bytes > STREAM_ID_BYTES_MAX || wellFormed(stream) !== stream)
    throw new RangeError(`The id of a stream must have 1 to ${STREAM_ID_BYTES_MAX} bytes of UTF-8`);
}

function guardPosition(position: number): number {
  if (!Number.isSafeInteger(position) || position < 0)
    throw new RangeError(`after must be an offset or a number of characters: ${position}`);
  return position;
}

function guardBetween(value: number, what: string, min: number, max: number): void {
  if (!(value >= min && value <= max)) throw new RangeError(`${what} must be ${min} to ${max}: ${value}`);
}
