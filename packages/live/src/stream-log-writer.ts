import { appendStreamEntry } from "./stream-log-append.ts";
import type { StreamClock } from "./stream-log-clock.ts";
import {
  SEGMENT_PIECES,
  SEGMENTS_MAX,
  STREAM_MESSAGE_LENGTH_MAX,
  type StreamEntry,
  type StreamOutcome,
} from "./stream-log-entry.ts";
import { StreamLogError } from "./stream-log-errors.ts";
import type { FollowedStream } from "./stream-log-hub.ts";
import type { StreamJournal } from "./stream-log-journal.ts";
import { formatStreamOffset } from "./stream-log-offset.ts";
import { PieceBuffer, wellFormed } from "./stream-log-pieces.ts";
import { pieceNamespace, REGISTER, renewalNamespace } from "./stream-log-places.ts";

/** Writes one stream. One at a time writes a stream: of several that began it, the first by order. */
export interface StreamWriter extends AsyncDisposable {
  readonly stream: string;
  readonly session: string;
  /**
   * Aborted, with a `StreamLogError` as its reason, when there is no use in going on: `STREAM_CANCELLED`, in whatever
   * region somebody cancelled it; `STREAM_FENCED`, another writer came first; `STREAM_UNAVAILABLE`.
   */
  readonly signal: AbortSignal;
  /** The place behind what is durable here. */
  readonly offset: string;
  /**
   * Takes text. Resolves when there is room for more, which is at once unless the journal is slower than the writer:
   * text is put together for a moment, and readers get it once it is durable here.
   *
   * @throws StreamLogError the reason of the signal, `STREAM_ENDED`, or `STREAM_TOO_LONG`, and then took nothing.
   */
  write(text: string): Promise<void>;
  /** Resolves once all that was written is durable here. @throws StreamLogError the reason of the signal. */
  flush(): Promise<void>;
  /** Writes what is left, and says that this was all. Nothing happens if the stream has ended. */
  close(): Promise<void>;
  /** Writes what is left, and says that the answer failed. Readers are shown the message, its first 1,000 characters. */
  fail(message: string): Promise<void>;
}

/** What a writer is made of. */
export interface StreamWriterOptions {
  readonly journal: StreamJournal;
  readonly clock: StreamClock;
  /** The stream, which this writer owns; let go when it has ended. */
  readonly followed: FollowedStream;
  readonly writer: string;
  readonly ttlMs: number;
  readonly coalesceMs: number;
  readonly pieceLengthMax: number;
  readonly lengthMax: number;
  readonly bufferedLengthMax: number;
}

/** Pieces of the longest stream. */
const PIECES_MAX: number = SEGMENT_PIECES * SEGMENTS_MAX;

/** The writer of a log that is open. */
export class LogWriter implements StreamWriter {
  readonly stream: string;
  readonly session: string;
  readonly #options: StreamWriterOptions;
  readonly #buffer: PieceBuffer;
  readonly #abort: AbortController = new AbortController();
  readonly #stopWatching: () => void;
  #stopRenewing: () => void = () => undefined;
  #stopCoalescing: (() => void) | undefined;
  /** UTF-16 units that were taken, and that are durable. */
  #taken: number = 0;
  #written: number = 0;
  #pieces: number = 0;
  #renewals: number = 0;
  #ending: { readonly outcome: StreamOutcome; readonly message: string } | undefined;
  #ended: boolean = false;
  #failure: StreamLogError | undefined;
  #flushing: boolean = false;
  #writing: boolean = false;
  #appendedMs: number = Number.NEGATIVE_INFINITY;
  /** Wakes those who wait for room, for a flush, or for the end. */
  readonly #progress: Set<() => void> = new Set();

  constructor(options: StreamWriterOptions) {
    this.#options = options;
    const { tail } = options.followed;
    this.stream = tail.stream;
    this.session = tail.session;
    this.#buffer = new PieceBuffer(options.pieceLengthMax);
    this.#stopWatching = tail.onChange(() => this.#watch());
    this.#renewLater();
    // What arrived before this one watched.
    this.#watch();
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  get offset(): string {
    const { stream } = this;
    return formatStreamOffset({ stream, writer: this.#options.writer, position: this.#written });
  }

  async write(text: string): Promise<void> {
    this.#guardOpen();
    if (text === "") return;
    const { lengthMax, bufferedLengthMax } = this.#options;
    if (this.#taken + text.length > lengthMax || this.#pieces >= PIECES_MAX)
      throw new StreamLogError(
        "STREAM_TOO_LONG",
        `Cannot make stream ${this.stream} longer than ${lengthMax} UTF-16 units in ${PIECES_MAX} pieces`,
        { stream: this.stream, limit: lengthMax },
      );
    this.#taken += text.length;
    this.#buffer.push(text);
    this.#pump();
    while (this.#buffer.length >= bufferedLengthMax) {
      await this.#progressed();
      this.#guardFailure();
    }
  }

  async flush(): Promise<void> {
    // Half a character waits for the other half.
    const until = this.#taken - this.#buffer.half;
    this.#flushing = true;
    this.#pump();
    while (this.#written < until && !this.#ended) {
      this.#guardFailure();
      await this.#progressed();
    }
    this.#guardFailure();
  }

  close(): Promise<void> {
    return this.#end("done", "");
  }

  fail(message: string): Promise<void> {
    return this.#end("error", message.slice(0, STREAM_MESSAGE_LENGTH_MAX));
  }

  /** A writer that is let go without an end was given up. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#failure === undefined) await this.fail("The producer gave up");
  }

  async #end(outcome: StreamOutcome, message: string): Promise<void> {
    this.#ending ??= { outcome, message: wellFormed(message) };
    this.#pump();
    while (!this.#ended) {
      this.#guardFailure();
      await this.#progressed();
    }
    this.#guardFailure();
  }

  #guardOpen(): void {
    this.#guardFailure();
    if (this.signal.aborted) throw this.signal.reason;
    if (this.#ending !== undefined)
      throw new StreamLogError("STREAM_ENDED", `Stream ${this.stream} has ended`, { stream: this.stream });
  }

  #guardFailure(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  #progressed(): Promise<void> {
    return new Promise((resolve) => this.#progress.add(resolve));
  }

  #tellProgress(): void {
    const waiting = [...this.#progress];
    this.#progress.clear();
    for (const resolve of waiting) resolve();
  }

  /** Looks at what others wrote: a claim that was first, or a wish to stop. */
  #watch(): void {
    if (this.#ended || this.signal.aborted) return;
    const { tail } = this.#options.followed;
    const { stream } = this;
    if (tail.failure !== undefined) {
      // A wish to stop would not be heard any more.
      this.#break(tail.failure);
    } else if (tail.fold.owner?.writer !== this.#options.writer) {
      this.#break(
        new StreamLogError("STREAM_FENCED", `Another writer of stream ${stream} came first`, { stream }),
      );
    } else if (tail.fold.cancelled) {
      const reason = new StreamLogError("STREAM_CANCELLED", `Stream ${stream} was cancelled`, { stream });
      this.#abort.abort(reason);
      // The producer's answer: readers know from it how much text there is.
      this.#ending ??= { outcome: "cancelled", message: "" };
      this.#pump();
    }
  }

  #break(failure: StreamLogError): void {
    this.#failure ??= failure;
    this.#finish();
    this.#abort.abort(failure);
  }

  #finish(): void {
    this.#ended = true;
    this.#stopWatching();
    this.#stopRenewing();
    this.#stopCoalescing?.();
    this.#options.followed[Symbol.dispose]();
    this.#tellProgress();
  }

  /** Writes what may be written now; what is to be put together with more waits for its time. */
  #pump(): void {
    if (this.#writing || this.#ended) return;
    const { clock, coalesceMs } = this.#options;
    const urgent = this.#ending !== undefined || this.#flushing || this.#buffer.full;
    const waitMs = urgent ? 0 : this.#appendedMs + coalesceMs - clock.monotonicMs();
    if (waitMs > 0) {
      this.#stopCoalescing ??= clock.schedule(waitMs, () => {
        this.#stopCoalescing = undefined;
        this.#pump();
      });
      return;
    }
    this.#stopCoalescing?.();
    this.#stopCoalescing = undefined;
    const text = this.#buffer.take(this.#ending !== undefined);
    if (text !== "") void this.#write(() => this.#appendPiece(text));
    else if (this.#ending !== undefined) void this.#write(() => this.#appendEnd());
    else this.#flushing = false;
  }

  async #write(append: () => Promise<void>): Promise<void> {
    this.#writing = true;
    this.#stopRenewing();
    this.#appendedMs = this.#options.clock.monotonicMs();
    try {
      await append();
    } catch (error) {
      if (!(error instanceof StreamLogError)) throw error;
      this.#break(error);
    } finally {
      this.#writing = false;
    }
    if (this.#ended) return;
    this.#renewLater();
    this.#tellProgress();
    this.#pump();
  }

  async #appendPiece(text: string): Promise<void> {
    const number = this.#pieces;
    if (number >= PIECES_MAX) {
      const { stream } = this;
      throw new StreamLogError("STREAM_TOO_LONG", `Cannot write more than ${PIECES_MAX} pieces`, {
        stream,
        limit: PIECES_MAX,
      });
    }
    const { writer } = this.#options;
    const namespace = pieceNamespace(this.stream, writer, number);
    await this.#append(namespace, `${writer}/${number}`, {
      kind: "piece",
      number,
      start: this.#written,
      text,
    });
    this.#pieces += 1;
    this.#written += text.length;
  }

  async #appendEnd(): Promise<void> {
    const { outcome, message } = this.#ending as { outcome: StreamOutcome; message: string };
    const { stream } = this;
    const { writer } = this.#options;
    await this.#append(REGISTER, `${writer}/end`, {
      kind: "end",
      stream,
      writer,
      outcome,
      pieces: this.#pieces,
      length: this.#written,
      message,
    });
    this.#finish();
  }

  #append(namespace: string, what: string, entry: StreamEntry): Promise<void> {
    const { journal, clock } = this.#options;
    return appendStreamEntry(
      journal,
      clock,
      { session: this.session, stream: this.stream, namespace, what },
      entry,
    );
  }

  /** A writer that has nothing to say is heard of three times while readers wait. */
  #renewLater(): void {
    const { clock, ttlMs, writer } = this.#options;
    this.#stopRenewing = clock.schedule(ttlMs / 3, () => {
      if (this.#writing || this.#ended) return;
      this.#renewals += 1;
      const what = `${writer}/alive/${this.#renewals}`;
      void this.#write(() => this.#append(renewalNamespace(this.stream, writer), what, { kind: "renewed" }));
    });
  }
}
