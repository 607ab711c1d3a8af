import { guardSafe } from "@tidemark/core";
import { BufferSubscription, closed } from "./buffer-subscription.ts";
import { EventBuffer } from "./event-buffer.ts";
import { LiveCursor, type LiveCursorFields, mintCursor } from "./live-cursor.ts";
import type { LiveEvent, LiveGap, LiveGapReason, LivePayload } from "./live-event.ts";
import type {
  LivePositionOptions,
  LiveReplay,
  LiveReplayStore,
  LiveSubscribeOptions,
  LiveSubscription,
} from "./replay-store.ts";

/** Options of {@link openMemoryReplayStore}. */
export interface MemoryReplayStoreOptions {
  /** Events of a session that can be replayed; with 0, none. @defaultValue 2,048 */
  readonly eventsMax?: number;
  /** How old an event that is replayed may be. @defaultValue 120,000 */
  readonly ageMsMax?: number;
  /** Events that a subscriber may be behind; from 1. @defaultValue 2,048 */
  readonly bufferedMax?: number;
  /** Sessions held; those that were not used for longest go first, but none with a subscriber. @defaultValue 10,000 */
  readonly sessionsMax?: number;
  /** A session without a subscriber that was not used for longer goes. @defaultValue 600,000 */
  readonly idleMsMax?: number;
  /** A clock that nobody sets, in milliseconds. @defaultValue `performance.now` */
  readonly monotonicMs?: () => number;
  /** Fills an array with random bytes. @defaultValue `crypto.getRandomValues` */
  readonly random?: (bytes: Uint8Array<ArrayBuffer>) => void;
}

/** Counters of evictions: sessions share them, which can turn a cursor of an unused session unavailable, and no more. */
const EVICTION_COUNTERS = 4_096;
/** Buffers that are looked at to let go of some: with each one that is made, and now and then. */
const EVICTIONS_A_BUFFER_MAX = 16;
const EVICTIONS_A_SWEEP_MAX = 1_000;
/** How exactly the order of last use is kept. */
const TOUCH_MS_MAX = 1_000;

/**
 * Opens a replay store in the memory of this process, the reference of the contract.
 *
 * A session that is evicted, for its age or for want of room, loses its buffer, and its cursors become `unavailable`: a
 * new buffer has another incarnation. Every call takes effect at once, before its promise is returned.
 *
 * @example
 * ```ts
 * await using store = openMemoryReplayStore();
 * const before = await store.currentCursor("trip", 0);
 * await store.append("trip", 0, { kind: "turn_activity", activity: "Hel" });
 * const replay = await store.replayAfter(before);
 * assert.equal(replay.kind === "replayed" && replay.events[0]?.cursor.position, 1);
 * ```
 */
export function openMemoryReplayStore(options: MemoryReplayStoreOptions = {}): LiveReplayStore {
  return new MemoryReplayStore(options);
}

class MemoryReplayStore implements LiveReplayStore {
  readonly name = "memory";
  readonly #limits: { readonly eventsMax: number; readonly ageMsMax: number; readonly bufferedMax: number };
  readonly #sessionsMax: number;
  readonly #idleMsMax: number;
  readonly #monotonicMs: () => number;
  /** Of this store, different in each process. */
  readonly #life: string;
  readonly #evictions: Uint32Array = new Uint32Array(EVICTION_COUNTERS);
  /** About in the order of their last use. */
  readonly #buffers: Map<string, EventBuffer> = new Map();
  #closed = false;
  #sweptMs: number = Number.NEGATIVE_INFINITY;

  constructor(options: MemoryReplayStoreOptions) {
    const { eventsMax = 2_048, ageMsMax = 120_000, bufferedMax = 2_048 } = options;
    guardSafe(eventsMax, "eventsMax");
    guardSafe(bufferedMax, "bufferedMax", 1);
    this.#limits = { eventsMax, ageMsMax, bufferedMax };
    this.#sessionsMax = guardSafe(options.sessionsMax ?? 10_000, "sessionsMax", 1);
    this.#idleMsMax = options.idleMsMax ?? 600_000;
    this.#monotonicMs = options.monotonicMs ?? monotonicOfPlatform;
    const random = options.random ?? ((bytes) => globalThis.crypto.getRandomValues(bytes));
    const bytes = new Uint8Array(12);
    random(bytes);
    this.#life = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  }

  async append(
    session: string,
    revision: number,
    payload: LivePayload,
    options: LivePositionOptions = {},
  ): Promise<LiveEvent> {
    this.#guard();
    const nowMs = this.#monotonicMs();
    guardSafe(revision, "revision");
    const buffer = this.#buffers.get(session) ?? this.#make(session, nowMs);
    this.#touch(session, buffer, nowMs);
    const cursor = cursorAt(buffer.incarnation, session, revision, buffer.tail + 1, options);
    const event: LiveEvent = { session, revision, cursor, payload };
    buffer.push(event, nowMs);
    return event;
  }

  async replayAfter(cursor: LiveCursor): Promise<LiveReplay> {
    this.#guard();
    const buffer = this.#trimmed(cursor.session);
    const reason = this.#gapReason(cursor, buffer);
    if (reason !== undefined) return { kind: "gap", gap: this.#gap(cursor, buffer, reason) };
    return { kind: "replayed", events: buffer?.replay(cursor.position) ?? [] };
  }

  async subscribeAfter(cursor: LiveCursor, { signal }: LiveSubscribeOptions = {}): Promise<LiveSubscription> {
    signal?.throwIfAborted();
    this.#guard();
    const { session } = cursor;
    const buffer = this.#trimmed(session) ?? this.#make(session, this.#monotonicMs());
    const reason = this.#gapReason(cursor, buffer);
    if (reason !== undefined) return { kind: "gap", gap: this.#gap(cursor, buffer, reason) };
    const onEnd = (): void => {
      buffer.touchedMs = this.#monotonicMs();
    };
    return { kind: "subscribed", events: new BufferSubscription(buffer, cursor.position, signal, onEnd) };
  }

  async currentCursor(
    session: string,
    revision: number,
    options: LivePositionOptions = {},
  ): Promise<LiveCursor> {
    this.#guard();
    const buffer = this.#buffers.get(session);
    const incarnation = buffer?.incarnation ?? this.#incarnationOf(session);
    return LiveCursor.of({ session, revision, position: buffer?.tail ?? 0, incarnation, ...options });
  }

  async trim(session: string): Promise<void> {
    this.#guard();
    this.#trimmed(session);
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const { readers } of this.#buffers.values()) for (const reader of readers) reader.fail();
    this.#buffers.clear();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #guard(): void {
    if (this.#closed) throw closed();
  }

  #gapReason(cursor: LiveCursor, buffer: EventBuffer | undefined): LiveGapReason | undefined {
    // Without the incarnation an old position would match new events, and an empty replay would prove nothing.
    if (cursor.incarnation !== (buffer?.incarnation ?? this.#incarnationOf(cursor.session))) {
      return "unavailable";
    }
    if (buffer === undefined) return cursor.position > 0 ? "unavailable" : undefined;
    return buffer.gapBehind(cursor.position);
  }

  #gap(requested: LiveCursor, buffer: EventBuffer | undefined, reason: LiveGapReason): LiveGap {
    const { session, revision } = requested;
    const incarnation = buffer?.incarnation ?? this.#incarnationOf(session);
    const latest = buffer?.latest ?? cursorAt(incarnation, session, revision, 0);
    return { session, requested, latest, latestRevision: latest.revision, reason };
  }

  #trimmed(session: string): EventBuffer | undefined {
    const buffer = this.#buffers.get(session);
    if (buffer === undefined) return undefined;
    const nowMs = this.#monotonicMs();
    this.#touch(session, buffer, nowMs);
    buffer.trim(nowMs);
    return buffer;
  }

  #make(session: string, nowMs: number): EventBuffer {
    const incarnation = this.#incarnationOf(session);
    // Refuses what is no session id.
    LiveCursor.of({ session, revision: 0, position: 0, incarnation });
    const buffer = new EventBuffer(incarnation, this.#limits, nowMs);
    this.#buffers.set(session, buffer);
    this.#evict(session, nowMs, EVICTIONS_A_BUFFER_MAX);
    return buffer;
  }

  #touch(session: string, buffer: EventBuffer, nowMs: number): void {
    const exactMs = Math.min(TOUCH_MS_MAX, this.#idleMsMax / 4);
    if (nowMs - buffer.touchedMs < exactMs) return;
    buffer.touchedMs = nowMs;
    this.#buffers.delete(session);
    this.#buffers.set(session, buffer);
    if (nowMs - this.#sweptMs < exactMs) return;
    this.#sweptMs = nowMs;
    this.#evict(session, nowMs, EVICTIONS_A_SWEEP_MAX);
  }

  /** Lets go of buffers from the one on that was not used for longest, but not of the one in use. */
  #evict(inUse: string, nowMs: number, lookedMax: number): void {
    let looked = 0;
    for (const [session, buffer] of this.#buffers) {
      const spent = nowMs - buffer.touchedMs > this.#idleMsMax || this.#buffers.size > this.#sessionsMax;
      if (!spent || session === inUse || ++looked > lookedMax) return;
      this.#buffers.delete(session);
      if (buffer.readers.size === 0) this.#evictions[counterOf(session)]! += 1;
      else {
        buffer.touchedMs = nowMs;
        this.#buffers.set(session, buffer);
      }
    }
  }

  /** What a buffer of the session is called that is made now: never as one that was evicted. */
  #incarnationOf(session: string): string {
    return `${this.#life}-${this.#evictions[counterOf(session)]!.toString(36)}`;
  }
}

function cursorAt(
  incarnation: string,
  session: string,
  revision: number,
  position: number,
  { committed }: LivePositionOptions = {},
): LiveCursor {
  const fields: LiveCursorFields = { incarnation, session, revision, position };
  return committed === undefined ? mintCursor(fields) : LiveCursor.of({ ...fields, committed });
}

/** FNV-1a over the UTF-16 units. */
function counterOf(session: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < session.length; at++) {
    hash = Math.imul(hash ^ session.charCodeAt(at), 0x01000193);
  }
  return (hash ^ (hash >>> 16)) & (EVICTION_COUNTERS - 1);
}

function monotonicOfPlatform(): number {
  return globalThis.performance.now();
}
