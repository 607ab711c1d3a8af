import type { ColdStore } from "./cold-store.ts";
import type { SessionEntry } from "./session-entry.ts";

/** Where cold sessions go, and when. */
export interface ColdOptions {
  /** Empty, and of this fold alone. */
  readonly store: ColdStore;
  /** What sessions in memory may take, in bytes, as estimated; those with operations that are not stable stay above it. */
  readonly budgetBytes: number;
}

/** What a table needs of its fold. */
export interface ColdCodec {
  /** Whether nothing outside of it refers to a session. */
  evictable(session: SessionEntry): boolean;
  /** A session as bytes. It is let go of by {@link ColdCodec.evict}, once they are kept. */
  encode(session: SessionEntry): Uint8Array;
  evict(session: SessionEntry): void;
  /** The session of bytes, in place in the fold. */
  decode(id: string, bytes: Uint8Array): SessionEntry;
}

/** Estimated, from measurement: a session with nothing in it, an operation, and a byte that was read back. */
const SESSION_BYTES = 1_000;
const OP_BYTES = 400;
const HEAP_PER_BYTE = 6;
const CLOSED = 1;

/**
 * The sessions of a fold, by id. Those that nobody has touched for longest lie in a store as bytes, once there is more
 * than the budget, and come back when they are asked for. Nothing is evicted but by {@link SessionTable.sweep}: until
 * then whoever got a session may change it.
 */
export class SessionTable {
  readonly #cold: ColdOptions | undefined;
  readonly #codec: ColdCodec;
  readonly #hot: Map<string, SessionEntry> = new Map();
  /** Its place in the store, doubled, and 1 if it is closed: what has to be known without reading it. */
  readonly #places: Map<string, number> = new Map();
  /** The ends of the list of sessions that may be evictable. */
  #coldest: SessionEntry | undefined;
  #warmest: SessionEntry | undefined;
  #bytes: number = 0;
  /** Evictions that the store refused: the session stayed. */
  failures: number = 0;

  constructor(codec: ColdCodec, cold: ColdOptions | undefined) {
    this.#codec = codec;
    this.#cold = cold;
  }

  get size(): number {
    return this.#hot.size + this.#places.size;
  }

  /** How many are in memory, and what they are estimated to take. */
  get hot(): { readonly sessions: number; readonly bytes: number } {
    return { sessions: this.#hot.size, bytes: this.#bytes };
  }

  has(id: string): boolean {
    return this.#hot.has(id) || this.#places.has(id);
  }

  /** A session, read back if it was cold. @throws What the store throws. */
  get(id: string): SessionEntry | undefined {
    const session = this.#hot.get(id);
    if (session === undefined) return this.#places.size === 0 ? undefined : this.#reload(id);
    if (session.resting && session !== this.#warmest) {
      this.#unlink(session);
      this.#link(session);
    }
    return session;
  }

  /** Whether a session is known and was closed, wherever it lies. */
  isClosed(id: string): boolean {
    const session = this.#hot.get(id);
    return session === undefined ? ((this.#places.get(id) ?? 0) & CLOSED) !== 0 : session.closes > 0;
  }

  set(id: string, session: SessionEntry): void {
    this.#hot.set(id, session);
    session.weight = SESSION_BYTES;
    this.#bytes += session.weight;
  }

  delete(id: string): void {
    const session = this.#hot.get(id);
    if (session === undefined) return;
    this.#hot.delete(id);
    this.#bytes -= session.weight;
    this.#unlink(session);
  }

  /** All of them, one by one: cold ones are read back, and stay until the next sweep. */
  *values(): IterableIterator<SessionEntry> {
    for (const id of [...this.#hot.keys(), ...this.#places.keys()]) {
      const session = this.get(id);
      if (session !== undefined) yield session;
    }
  }

  *[Symbol.iterator](): IterableIterator<[string, SessionEntry]> {
    for (const session of this.values()) yield [session.id, session];
  }

  /** Every id, in no order. */
  *ids(): IterableIterator<string> {
    yield* this.#hot.keys();
    yield* this.#places.keys();
  }

  /** A session, or what is cold of it: nothing is moved. */
  peek(id: string): SessionEntry | Uint8Array | undefined {
    const place = this.#places.get(id);
    return place === undefined ? this.#hot.get(id) : this.#cold?.store.get(Math.floor(place / 2));
  }

  /** Those in memory. A session with anything unusual about it is. */
  inMemory(): IterableIterator<SessionEntry> {
    return this.#hot.values();
  }

  /** An operation was added to a session. */
  grow(session: SessionEntry, bytes: number): void {
    if (this.#cold === undefined) return;
    session.weight += OP_BYTES + bytes;
    this.#bytes += OP_BYTES + bytes;
  }

  /** A session may be evictable now. */
  rest(session: SessionEntry): void {
    if (this.#cold === undefined || session.resting || this.#hot.get(session.id) !== session) return;
    if (this.#codec.evictable(session)) this.#link(session);
  }

  /** Every session may be evictable now: after all were read from a snapshot. */
  restAll(): void {
    if (this.#cold !== undefined) for (const session of this.#hot.values()) this.rest(session);
  }

  /** Evicts until the budget is held. Nobody may hold on to a session across it. */
  sweep(): void {
    if (this.#cold === undefined) return;
    const { store, budgetBytes } = this.#cold;
    while (this.#bytes > budgetBytes && this.#coldest !== undefined) {
      const session = this.#coldest;
      this.#unlink(session);
      // Something happened to it since: it comes back to the list once that is stable.
      if (!this.#codec.evictable(session)) continue;
      let place: number;
      try {
        place = store.put(this.#codec.encode(session));
      } catch {
        // A full disk must not stop what can go on in memory.
        this.failures += 1;
        this.#link(session);
        return;
      }
      this.#codec.evict(session);
      this.#hot.delete(session.id);
      this.#bytes -= session.weight;
      this.#places.set(session.id, place * 2 + (session.closes > 0 ? CLOSED : 0));
    }
  }

  clear(): void {
    this.#hot.clear();
    this.#places.clear();
    this.#coldest = undefined;
    this.#warmest = undefined;
    this.#bytes = 0;
    this.#cold?.store.clear();
  }

  #reload(id: string): SessionEntry | undefined {
    const held = this.#places.get(id);
    if (held === undefined || this.#cold === undefined) return undefined;
    const place = Math.floor(held / 2);
    const bytes = this.#cold.store.get(place);
    const session = this.#codec.decode(id, bytes);
    this.#places.delete(id);
    this.#cold.store.delete(place);
    this.#hot.set(id, session);
    session.weight = SESSION_BYTES + HEAP_PER_BYTE * bytes.length;
    this.#bytes += session.weight;
    this.#link(session);
    return session;
  }

  #link(session: SessionEntry): void {
    session.resting = true;
    session.colder = this.#warmest;
    session.warmer = undefined;
    if (this.#warmest === undefined) this.#coldest = session;
    else this.#warmest.warmer = session;
    this.#warmest = session;
  }

  #unlink(session: SessionEntry): void {
    if (!session.resting) return;
    session.resting = false;
    const { colder, warmer } = session;
    if (colder === undefined) this.#coldest = warmer;
    else colder.warmer = warmer;
    if (warmer === undefined) this.#warmest = colder;
    else warmer.colder = colder;
    session.colder = undefined;
    session.warmer = undefined;
  }
}
