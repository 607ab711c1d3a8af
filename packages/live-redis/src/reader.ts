import {
  compareEntryIds,
  decodeRead,
  formatEntryId,
  jitteredMs,
  setTimer,
  textOfReply,
  ZERO_ID,
  type Entry,
  type EntryId,
  type Supervisor,
} from "@tidemark/redis-connection";
import type { LiveFollower } from "@tidemark/live";
import { sessionKeys } from "./keys.ts";
import { eventOf } from "./replies.ts";

/** The subscriptions to one session, up to an entry of its stream. */
export type Follower = LiveFollower<EntryId>;

/** Entries of one session that one read may bring. */
const COUNT_MAX = 256;
/** Bytes that one read should bring of one session, by the largest entry seen lately. */
const READ_BYTES = 4 * 1_024 * 1_024;
/** Sessions that are looked at at once, after a connection was lost. */
const LOOKS_AT_ONCE = 64;
/** How long the stream that wakes readers lives without being used. */
const WAKE_TTL_MS = 3_600_000;

/** What a {@link Reader} is made of. */
export interface ReaderOptions {
  /** The connection that waits, for nobody else. */
  readonly supervisor: Supervisor;
  readonly commands: Supervisor;
  readonly prefix: string;
  readonly blockMs: number;
  readonly wakeKey: string;
  /** In a cluster no read spans sessions: a bell, which every append rings, says which to read. */
  readonly cluster: boolean;
  /** The incarnation of a session's buffer now; `undefined` if there is none. */
  readonly look: (session: string) => Promise<string | undefined>;
  readonly onError: (error: unknown) => void;
}

/**
 * Reads what is appended to the sessions that are followed, with one XREAD after another that waits on the server.
 *
 * A read that timed out looks like sessions without news, so after each empty one the server has to answer a PING; what goes
 * silent is replaced, and places stay. After each new connection every session is looked at: a server that lost what it
 * held would let us wait for ever behind a place that it will not reach.
 */
export class Reader {
  readonly #options: ReaderOptions;
  readonly #followers: Map<string, Follower> = new Map();
  /** In a cluster: sessions that are to be read. */
  readonly #rung: Set<string> = new Set();
  #wakeId: EntryId = ZERO_ID;
  #life: number = 0;
  #blocked: boolean = false;
  #waking: boolean = false;
  #changed: () => void = () => undefined;
  #largest: number = 1;
  #failures: number = 0;
  #closed: boolean = false;

  constructor(options: ReaderOptions) {
    this.#options = options;
    void this.#run();
  }

  get size(): number {
    return this.#followers.size;
  }

  get(session: string): Follower | undefined {
    return this.#followers.get(session);
  }

  set(follower: Follower): void {
    this.#followers.set(follower.session, follower);
  }

  delete(follower: Follower): void {
    if (this.#followers.get(follower.session) === follower) this.#followers.delete(follower.session);
  }

  /** A session has a place to read on from: a read that waits is ended. */
  kick(session: string): void {
    this.#rung.add(session);
    this.#changed();
    if (!this.#blocked || this.#waking) return;
    this.#waking = true;
    // If it fails the read ends by itself before long.
    this.ring("").catch(() => (this.#waking = false));
  }

  /** Wakes whoever reads by this key. */
  async ring(session: string): Promise<void> {
    const { commands, wakeKey } = this.#options;
    await commands.call(["XADD", wakeKey, "MAXLEN", "~", "1000", "*", "s", session]);
    await commands.call(["PEXPIRE", wakeKey, `${WAKE_TTL_MS}`]);
  }

  close(): void {
    this.#closed = true;
    this.#options.supervisor.close();
    for (const follower of [...this.#followers.values()]) follower.close();
    this.#changed();
  }

  async #run(): Promise<void> {
    const { supervisor, onError } = this.#options;
    while (!this.#closed) {
      await supervisor.wait();
      if (this.#closed) return;
      try {
        if (this.#life !== supervisor.life) await this.#align();
        else if (this.#options.cluster) await this.#readByBell();
        else await this.#readAll();
        this.#failures = 0;
      } catch (error) {
        if (this.#closed) return;
        onError(error);
        supervisor.replace(error instanceof Error ? error.message : String(error));
        const pauseMs = jitteredMs(this.#failures++, 10, 1_000);
        await new Promise<void>((resolve) => setTimer(pauseMs, resolve));
      }
    }
  }

  /** After a new connection: who is followed may be another by now. */
  async #align(): Promise<void> {
    const { supervisor, look, cluster } = this.#options;
    const { life } = supervisor;
    const followers = [...this.#followers.values()];
    for (let at = 0; at < followers.length; at += LOOKS_AT_ONCE) {
      const some = followers.slice(at, at + LOOKS_AT_ONCE);
      const found = await Promise.all(some.map(({ session }) => look(session)));
      for (const [index, follower] of some.entries()) {
        const { place } = follower;
        if (place !== undefined && place.incarnation !== found[index]) follower.lose(found[index]);
        else if (cluster) this.#rung.add(follower.session);
      }
    }
    // What the server gives out from now on may be below what it gave out before.
    this.#wakeId = ZERO_ID;
    this.#life = life;
  }

  /** One read over all sessions that are followed. */
  async #readAll(): Promise<void> {
    const places = new Map<string, Follower>();
    for (const follower of this.#followers.values())
      if (follower.place !== undefined) places.set(this.#keyOf(follower), follower);
    if (places.size === 0) {
      await this.#untilChanged();
      return;
    }
    const streams = await this.#wait([...places].map(([key, { place }]) => [key, place!.at]));
    for (const [key, entries] of streams) {
      const follower = places.get(key);
      if (follower !== undefined) this.#feed(follower, entries);
    }
  }

  /** Waits for the bell, then reads the sessions it named; all of them if it was silent, for one that was not rung. */
  async #readByBell(): Promise<void> {
    if (this.#followers.size === 0) {
      await this.#untilChanged();
      return;
    }
    if (this.#rung.size === 0) {
      const streams = await this.#wait([]);
      const rung = streams.get(this.#options.wakeKey) ?? [];
      const silent = rung.length === 0;
      for (const { fields } of rung) this.#rung.add(textOfReply(fields.get("s") ?? ""));
      if (silent) for (const session of this.#followers.keys()) this.#rung.add(session);
    }
    const sessions = [...this.#rung].flatMap((session) => this.#followers.get(session) ?? []);
    this.#rung.clear();
    for (let at = 0; at < sessions.length; at += LOOKS_AT_ONCE)
      await Promise.all(sessions.slice(at, at + LOOKS_AT_ONCE).map((follower) => this.#readOne(follower)));
  }

  async #readOne(follower: Follower): Promise<void> {
    const { place } = follower;
    if (place === undefined) return;
    const key = this.#keyOf(follower);
    const args = ["XREAD", "COUNT", `${this.#count}`, "STREAMS", key, formatEntryId(place.at)];
    const entries = decodeRead(await this.#options.supervisor.call(args, 4)).get(key) ?? [];
    // As many as asked for: there may be more.
    if (entries.length >= this.#count) this.#rung.add(follower.session);
    this.#feed(follower, entries);
  }

  async #wait(wanted: readonly (readonly [key: string, id: EntryId])[]): Promise<Map<string, Entry[]>> {
    const { supervisor, blockMs, wakeKey } = this.#options;
    const all = [...wanted, [wakeKey, this.#wakeId] as const];
    const keys = all.map(([key]) => key);
    const ids = all.map(([, id]) => formatEntryId(id));
    this.#blocked = true;
    // A wake that was lost with its stream must not keep the next one back.
    this.#waking = false;
    let reply: unknown;
    try {
      const args = ["XREAD", "COUNT", `${this.#count}`, "BLOCK", `${blockMs}`, "STREAMS", ...keys, ...ids];
      reply = await supervisor.call(args, 6, blockMs);
    } finally {
      this.#blocked = false;
    }
    const streams = decodeRead(reply);
    if (streams.size === 0) await supervisor.call(["PING"], 0);
    const wake = streams.get(wakeKey)?.at(-1);
    if (wake !== undefined) this.#wakeId = wake.id;
    return streams;
  }

  #feed(follower: Follower, entries: readonly Entry[]): void {
    const end = entries.at(-1);
    const { place } = follower;
    // A session that was followed anew meanwhile may be further on, or in another life.
    if (end === undefined || place === undefined || compareEntryIds(end.id, place.at) <= 0) return;
    for (const { fields } of entries) this.#largest = Math.max(this.#largest, fields.get("p")?.length ?? 0);
    const news = entries.filter(({ id }) => compareEntryIds(id, place.at) > 0);
    const events = news.map((entry) => eventOf(follower.session, entry));
    follower.take(events, { incarnation: events.at(-1)!.cursor.incarnation, at: end.id });
  }

  get #count(): number {
    return Math.max(1, Math.min(COUNT_MAX, Math.floor(READ_BYTES / this.#largest)));
  }

  #keyOf({ session }: Follower): string {
    return sessionKeys(this.#options.prefix, session).events;
  }

  /** Nothing to read: the connection only has to be seen to be alive when it is needed again. */
  async #untilChanged(): Promise<void> {
    await new Promise<void>((resolve) => (this.#changed = resolve));
    this.#changed = () => undefined;
  }
}
