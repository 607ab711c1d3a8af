import { compareHlc, compareUtf8, type Hlc } from "@tidemark/core";
import type { TurnState } from "./live-event.ts";
import type { StreamEntry } from "./stream-log-entry.ts";

/** What a stream is at: where its turn stands, or `missing`, when nobody has heard of it here. */
export type StreamState = TurnState | "missing";

/** Where an entry stands among those of all writers: the same in every region. */
export interface EntryOrder {
  readonly stamp: Hlc;
  readonly effectId: string;
}

/** Who writes a stream: of all that claimed it, the first by order. */
export interface StreamOwner {
  readonly writer: string;
  readonly ttlMs: number;
  readonly order: EntryOrder;
}

type End = Extract<StreamEntry, { kind: "end" }>;
type Piece = Extract<StreamEntry, { kind: "piece" }>;

/**
 * What the entries of one stream come to. Pure: a function of the set of entries it was given, in whatever order they
 * came, and however often.
 */
export class StreamFold {
  #owner: StreamOwner | undefined;
  readonly #claimants: Set<string> = new Set();
  readonly #ends: Map<string, End> = new Map();
  #cancelled: boolean = false;
  #pieces: string[] = [];
  #starts: number[] = [];
  #length: number = 0;
  /** Pieces of the owner that came before one in front of them. */
  #early: Map<number, Piece> = new Map();

  /** The first to claim the stream. It changes if a claim that was made earlier arrives later, and with it the text. */
  get owner(): StreamOwner | undefined {
    return this.#owner;
  }

  /** A writer is known here to have claimed the stream, in vain unless it is the owner. */
  claimed(writer: string): boolean {
    return this.#claimants.has(writer);
  }

  /** Somebody asked for the stream to stop. */
  get cancelled(): boolean {
    return this.#cancelled;
  }

  /** UTF-16 units of the text that is here without a hole. */
  get length(): number {
    return this.#length;
  }

  /** How many pieces are here without a hole. */
  get pieceCount(): number {
    return this.#pieces.length;
  }

  /** How the owner ended the stream; `undefined` before all of its text is here. */
  get end(): End | undefined {
    const end = this.#owner === undefined ? undefined : this.#ends.get(this.#owner.writer);
    return end !== undefined && end.pieces <= this.#pieces.length ? end : undefined;
  }

  /** Takes a claim, an end or a cancellation. Says whether it is one of the owner. */
  register(entry: Exclude<StreamEntry, { kind: "piece" | "renewed" }>, order: EntryOrder): boolean {
    if (entry.kind === "cancel") {
      this.#cancelled = true;
      return false;
    }
    if (entry.kind === "end") {
      if (!this.#ends.has(entry.writer)) this.#ends.set(entry.writer, entry);
      return entry.writer === this.#owner?.writer;
    }
    const { writer, ttlMs } = entry;
    this.#claimants.add(writer);
    if (this.#owner !== undefined && compareOrder(this.#owner.order, order) <= 0)
      return writer === this.#owner.writer;
    if (this.#owner?.writer !== writer) this.#forgetText();
    this.#owner = { writer, ttlMs, order };
    return true;
  }

  /** Takes a piece of the owner. */
  piece(piece: Piece): void {
    if (piece.number < this.#pieces.length || this.#early.has(piece.number)) return;
    this.#early.set(piece.number, piece);
    let next = this.#early.get(this.#pieces.length);
    while (next !== undefined) {
      this.#early.delete(next.number);
      // A piece that is not where the text ends is none of this text.
      if (next.start !== this.#length) return;
      this.#pieces.push(next.text);
      this.#starts.push(next.start);
      this.#length += next.text.length;
      next = this.#early.get(this.#pieces.length);
    }
  }

  /** The text from a position to the end of the piece it is in; `undefined` if none is here yet. */
  textAt(position: number): string | undefined {
    if (position >= this.#length) return undefined;
    let low = 0;
    let high = this.#starts.length - 1;
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if ((this.#starts[middle] as number) <= position) low = middle;
      else high = middle - 1;
    }
    return (this.#pieces[low] as string).slice(position - (this.#starts[low] as number));
  }

  /**
   * What the stream is at.
   *
   * - Final, and the same everywhere: how its owner ended it, once all of the text is here.
   * - Else, while the producer is `alive`: `cancelled` if somebody asked for it and the producer has not answered yet,
   *   `pending` before the first text, `streaming` after it.
   * - Else `cancelled`, or `orphaned`. Either may still turn: an entry of a slow producer brings it back to life.
   */
  state(alive: boolean): StreamState {
    if (this.#owner === undefined) return this.#cancelled ? "cancelled" : "missing";
    const { end } = this;
    if (end !== undefined) return end.outcome;
    if (this.#cancelled) return "cancelled";
    if (!alive) return "orphaned";
    return this.#pieces.length === 0 ? "pending" : "streaming";
  }

  #forgetText(): void {
    this.#pieces = [];
    this.#starts = [];
    this.#length = 0;
    this.#early = new Map();
  }
}

/** Negative if `a` is first. */
export function compareOrder(a: EntryOrder, b: EntryOrder): number {
  return compareHlc(a.stamp, b.stamp) || compareUtf8(a.effectId, b.effectId);
}
