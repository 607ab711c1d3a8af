import type { StreamClock } from "./stream-log-clock.ts";
import { readStreamEntry, SEGMENT_PIECES } from "./stream-log-entry.ts";
import type { StreamLogError } from "./stream-log-errors.ts";
import { StreamFold, type StreamState } from "./stream-log-fold.ts";
import type { StreamJournal } from "./stream-log-journal.ts";
import { pieceNamespace, REGISTER, renewalNamespace } from "./stream-log-places.ts";

/** What streams are read from. */
export interface StreamTailOptions {
  readonly journal: StreamJournal;
  readonly clock: StreamClock;
  /** How far the clocks of two regions may be apart before a live producer looks dead to one who just came. */
  readonly skewMsMax: number;
}

/**
 * One stream as it arrives here, shared by all who follow it in this process: they hold a place in its text each, and
 * no text of their own, so a slow one costs the others nothing.
 */
export class StreamTail {
  readonly session: string;
  readonly stream: string;
  readonly fold: StreamFold = new StreamFold();
  readonly #options: StreamTailOptions;
  readonly #wake: Set<() => void> = new Set();
  readonly #registered: Set<string> = new Set();
  /** Of the namespace of pieces that is being read. */
  #seen: Set<string> = new Set();
  /** The latest sign of life of the writer, for there may be many. */
  #renewals: Set<string> = new Set();
  #writer: string | undefined;
  /** When the owner was last heard of, by the monotonic clock. */
  #heardMs: number = Number.NEGATIVE_INFINITY;
  #synced: boolean = false;
  #failure: StreamLogError | undefined;

  constructor(options: StreamTailOptions, session: string, stream: string) {
    this.#options = options;
    this.session = session;
    this.stream = stream;
  }

  /** Reads what has arrived, and wakes those who wait if it is news. */
  sync(): void {
    if (this.#read()) this.wake();
    this.#synced = true;
  }

  /** Ends the waiting of all: the journal failed. */
  fail(error: StreamLogError): void {
    this.#failure = error;
    this.wake();
  }

  /** What the journal failed with: nothing more arrives here. */
  get failure(): StreamLogError | undefined {
    return this.#failure;
  }

  wake(): void {
    for (const wake of [...this.#wake]) wake();
  }

  /** Calls back whenever there is news; gives what ends it. */
  onChange(listener: () => void): () => void {
    this.#wake.add(listener);
    return () => this.#wake.delete(listener);
  }

  /** When the producer counts as gone, by the monotonic clock, unless it is heard of before. */
  get deadlineMs(): number {
    return this.#heardMs + (this.fold.owner?.ttlMs ?? 0);
  }

  /** See {@link StreamFold.state}. @throws what the journal failed with. */
  get state(): StreamState {
    if (this.#failure !== undefined) throw this.#failure;
    return this.fold.state(this.#options.clock.monotonicMs() <= this.deadlineMs);
  }

  #read(): boolean {
    const register = this.#readRegister();
    const pieces = this.#readPieces();
    const renewed = this.#readRenewals();
    return register || pieces || renewed;
  }

  #readRegister(): boolean {
    let news = false;
    const entries = this.#options.journal.read(this.session, REGISTER, (id) => this.#registered.has(id));
    for (const { bytes, stamp, effectId } of entries) {
      remember(this.#registered, effectId);
      const entry = readStreamEntry(bytes);
      if (entry === undefined || entry.kind === "piece" || entry.kind === "renewed") continue;
      if (entry.stream !== this.stream) continue;
      news = true;
      if (this.fold.register(entry, { stamp, effectId })) this.#heard(stamp.wallMs);
    }
    const writer = this.fold.owner?.writer;
    if (writer !== this.#writer) {
      this.#writer = writer;
      this.#seen = new Set();
      this.#renewals = new Set();
    }
    return news;
  }

  #readPieces(): boolean {
    if (this.#writer === undefined) return false;
    let news = false;
    for (;;) {
      const before = this.fold.pieceCount;
      const namespace = pieceNamespace(this.stream, this.#writer, before);
      const entries = this.#options.journal.read(this.session, namespace, (id) => this.#seen.has(id));
      for (const { bytes, stamp, effectId } of entries) {
        remember(this.#seen, effectId);
        const entry = readStreamEntry(bytes);
        if (entry?.kind !== "piece") continue;
        this.fold.piece(entry);
        this.#heard(stamp.wallMs);
        news = true;
      }
      const next = this.fold.pieceCount;
      if (Math.floor(next / SEGMENT_PIECES) === Math.floor(before / SEGMENT_PIECES)) return news;
      // The namespace is full, and has been read: on to the next.
      this.#seen = new Set();
    }
  }

  #readRenewals(): boolean {
    if (this.#writer === undefined) return false;
    const namespace = renewalNamespace(this.stream, this.#writer);
    const entries = this.#options.journal.read(this.session, namespace, (id) => this.#renewals.has(id));
    for (const { stamp, effectId } of entries) {
      remember(this.#renewals, effectId);
      this.#heard(stamp.wallMs);
    }
    return entries.length > 0;
  }

  /**
   * What arrives while this runs is heard now, however long it was under way; what was here before may be old, and only
   * its stamp tells.
   */
  #heard(stampMs: number): void {
    const now = this.#options.clock.monotonicMs();
    const ageMs = this.#synced
      ? 0
      : Math.max(0, this.#options.clock.wallMs() - stampMs - this.#options.skewMsMax);
    this.#heardMs = Math.max(this.#heardMs, now - ageMs);
  }
}

/** What is forgotten is given again, and is one effect: so twice what a journal gives is enough. */
const KNOWN_MAX = 2_000;

function remember(known: Set<string>, effectId: string): void {
  known.add(effectId);
  const [oldest] = known;
  if (known.size > KNOWN_MAX && oldest !== undefined) known.delete(oldest);
}
