import type { LiveCursor } from "./live-cursor.ts";
import type { LiveEvent, LiveGapReason } from "./live-event.ts";

/** Bounds of an {@link EventBuffer}. */
export interface EventBufferLimits {
  /** Events that can be replayed. */
  readonly eventsMax: number;
  /** Events older than this are not replayed. */
  readonly ageMsMax: number;
  /** Events that a subscriber may be behind. */
  readonly bufferedMax: number;
}

/** A reader of a buffer that has a place in it. */
export interface BufferReader {
  /** The last event it has taken. */
  readonly position: number;
  /** Hands over the event behind its position to a reader that waits for it. Never waits. */
  offer(step: IteratorYieldResult<LiveEvent>): void;
  /** Hands over all that is behind its position to a reader that waits for it. Never waits. */
  offerAll(): void;
  /** Ends it with `CLOSED`. */
  fail(): void;
}

const SLOTS_MIN = 16;
/** As many events are let go of at once: to find out who needs them is a walk over the readers. */
const RELEASE_STEP = 64;

/**
 * The events of one session: those that can be replayed, and those that a subscriber has not taken yet. They are held once,
 * in a ring that grows as needed up to the larger of both bounds.
 */
export class EventBuffer {
  readonly incarnation: string;
  readonly readers: Set<BufferReader> = new Set();
  /** Readers that wait for one event. */
  #waiting: Set<BufferReader> = new Set();
  /** Readers that wait for all there is once the present turn of the producer is over. */
  #waitingForAll: Set<BufferReader> = new Set();
  #isOffering = false;
  /** When it was last used. */
  touchedMs: number;
  /** Of the last event of all, held or not. */
  latest: LiveCursor | undefined;
  readonly #limits: EventBufferLimits;
  #slots: (LiveEvent | undefined)[] = [];
  #times: Float64Array = new Float64Array(0);
  /** The latest list that was made, until anything changes. */
  #batch: { readonly behind: number; readonly events: readonly LiveEvent[] } | undefined;
  /** The first event in the ring. */
  #base = 1;
  /** The first event that can be replayed; the tail + 1 when none can. */
  #first = 1;
  #tail = 0;

  constructor(incarnation: string, limits: EventBufferLimits, nowMs: number) {
    this.incarnation = incarnation;
    this.#limits = limits;
    this.touchedMs = nowMs;
  }

  /** The number of the last event, 0 before the first. */
  get tail(): number {
    return this.#tail;
  }

  /** Events held in the ring. */
  get held(): number {
    return this.#tail - this.#base + 1;
  }

  /** The first event that a reader may still take. */
  get oldest(): number {
    return Math.max(1, this.#tail - this.#limits.bufferedMax + 1);
  }

  /** The event of a number that is held. */
  at(position: number): LiveEvent {
    return this.#slots[position & (this.#slots.length - 1)] as LiveEvent;
  }

  /** Up to so many events behind a position that is still held. Readers at one place are given one list. */
  batchBehind(position: number, countMax: number): readonly LiveEvent[] {
    if (this.#batch?.behind === position) return this.#batch.events;
    const events: LiveEvent[] = [];
    const last = Math.min(this.#tail, position + countMax);
    for (let next = position + 1; next <= last; next++) events.push(this.at(next));
    if (this.readers.size > 1) this.#batch = { behind: position, events };
    return events;
  }

  /** Adds an event, whose number must be the tail + 1, and hands it to who waits. */
  push(event: LiveEvent, nowMs: number): void {
    this.#cut(this.#tail + 1, nowMs);
    this.#tail += 1;
    this.latest = event.cursor;
    // Nobody needs it where nothing is replayed and nobody reads.
    if (this.held === 0) return;
    if (this.held > this.#slots.length) this.#grow();
    const slot = this.#tail & (this.#slots.length - 1);
    this.#slots[slot] = event;
    this.#times[slot] = nowMs;
    const step: IteratorYieldResult<LiveEvent> = { done: false, value: event };
    if (this.#waiting.size > 0) {
      const waiting = this.#waiting;
      this.#waiting = new Set();
      for (const reader of waiting) reader.offer(step);
    }
    if (this.#waitingForAll.size > 0 && !this.#isOffering) {
      this.#isOffering = true;
      queueMicrotask(() => this.#offerAll());
    }
  }

  /** A reader waits for the next event. */
  wait(reader: BufferReader): void {
    this.#waiting.add(reader);
  }

  /** A reader waits for what the next turn of a producer brings. */
  waitForAll(reader: BufferReader): void {
    this.#waitingForAll.add(reader);
  }

  /** A reader reads no more. */
  leave(reader: BufferReader): void {
    this.readers.delete(reader);
    this.#waiting.delete(reader);
    this.#waitingForAll.delete(reader);
  }

  #offerAll(): void {
    this.#isOffering = false;
    const waiting = this.#waitingForAll;
    this.#waitingForAll = new Set();
    for (const reader of waiting) reader.offerAll();
  }

  /** Why nothing can go on behind a position; `undefined` if it can. */
  gapBehind(position: number): LiveGapReason | undefined {
    if (position > this.#tail) return "unavailable";
    return position + 1 < this.#first ? "trimmed" : undefined;
  }

  /** The events behind a position, which must be one that has no gap. */
  replay(position: number): LiveEvent[] {
    const events: LiveEvent[] = [];
    for (let next = position + 1; next <= this.#tail; next++) events.push(this.at(next));
    return events;
  }

  /** Drops what is beyond the bounds: by count first, then by age, always from the oldest on. */
  trim(nowMs: number): void {
    this.#cut(this.#tail, nowMs);
  }

  /** Applies the bounds as they are with another tail. */
  #cut(tail: number, nowMs: number): void {
    const { eventsMax, ageMsMax, bufferedMax } = this.#limits;
    this.#batch = undefined;
    this.#first = Math.max(this.#first, tail - eventsMax + 1);
    while (this.#first <= this.#tail && nowMs - this.#timeOf(this.#first) > ageMsMax) this.#first += 1;
    let from = this.#first;
    if (this.readers.size > 0) {
      const live = tail - bufferedMax + 1;
      from = Math.min(this.#first, this.#first - this.#base < RELEASE_STEP ? live : this.#needed(live));
    }
    for (; this.#base < from; this.#base++) {
      if (this.#base <= this.#tail) this.#slots[this.#base & (this.#slots.length - 1)] = undefined;
    }
  }

  /** The first event that a reader has not taken, if it may still take it. */
  #needed(live: number): number {
    let needed = this.#tail + 1;
    for (const { position } of this.readers) needed = Math.min(needed, position + 1);
    return Math.max(needed, live);
  }

  #timeOf(position: number): number {
    return this.#times[position & (this.#slots.length - 1)] as number;
  }

  #grow(): void {
    const old = this.#slots;
    const times = this.#times;
    const size = Math.max(SLOTS_MIN, old.length * 2);
    this.#slots = [];
    // Filling them would cost more than what is put into them.
    this.#slots.length = size;
    this.#times = new Float64Array(size);
    for (let position = this.#base; position < this.#tail; position++) {
      this.#slots[position & (size - 1)] = old[position & (old.length - 1)];
      this.#times[position & (size - 1)] = times[position & (old.length - 1)] as number;
    }
  }
}
