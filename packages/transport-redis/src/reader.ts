import {
  monotonicMs,
  textOfReply,
  type Supervisor,
  decodeRange,
  decodeRead,
  type Entry,
  compareEntryIds,
  formatEntryId,
  parseEntryId,
  ZERO_ID,
  type EntryId,
} from "@tidemark/redis-connection";
import type { Limits } from "./options.ts";

/** Entries of one stream, for one taker. */
export interface Tap {
  readonly key: string;
  /** Everything up to it was taken. Only the reader moves it. */
  cursor: EntryId;
  /** Whether the last read came to the end of the stream: what comes next has only just been added. Only the reader sets it. */
  caughtUp: boolean;
  /** While false its stream is not read for it: what comes stays there. */
  readonly room: boolean;
  /** Takes entries above its cursor, in their order. */
  take(entries: readonly Entry[]): void;
}

/** Entries of one stream that one read may bring, at most. */
const COUNT_MAX = 256;
/** Bytes that one read may bring of one stream, by the largest entries seen lately. */
const READ_BYTES = 4 * 1024 * 1024;
/** How long the key that wakes a read lives without being used. */
const WAKE_TTL_MS = 3_600_000;
const WAKE_FIELD = ["w", "1"] as const;

/**
 * Reads every stream of one slot (or of one server) with one XREAD after another, on a connection of its own.
 *
 * A time-out of a blocking read looks like a stream without news, so after each empty read the server has to answer a
 * PING; whatever goes silent is replaced by the supervisor, and the cursors stay.
 */
export class Reader {
  readonly supervisor: Supervisor;
  /** Why reading failed, until it works again. */
  fault: unknown;
  readonly #commands: Supervisor;
  readonly #limits: Limits;
  readonly #wakeKey: string;
  readonly #onFault: () => void;
  readonly #taps: Map<string, Set<Tap>> = new Map();
  #wakeCursor: EntryId = ZERO_ID;
  /** Our clock minus the server's, in milliseconds, measured at each connection. */
  #offsetMs: number | undefined;
  #life: number = 0;
  #blocked: boolean = false;
  #waking: boolean = false;
  #changed: () => void = () => undefined;
  #aligned: (() => void)[] = [];
  #largest: number = 0;
  #closed: boolean = false;

  constructor(options: {
    readonly supervisor: Supervisor;
    readonly commands: Supervisor;
    readonly limits: Limits;
    readonly wakeKey: string;
    readonly onFault: () => void;
  }) {
    this.supervisor = options.supervisor;
    this.#commands = options.commands;
    this.#limits = options.limits;
    this.#wakeKey = options.wakeKey;
    this.#onFault = options.onFault;
    void this.#run();
  }

  get tapCount(): number {
    let count = 0;
    for (const taps of this.#taps.values()) count += taps.size;
    return count;
  }

  /** How long ago the server gave out an id of its clock, as far as can be told from here. */
  ageMs(id: EntryId): number {
    return this.#offsetMs === undefined ? 0 : monotonicMs() - id.major - this.#offsetMs;
  }

  /** Entries above the tap's cursor come from now on. */
  add(tap: Tap): void {
    const taps = this.#taps.get(tap.key) ?? new Set();
    this.#taps.set(tap.key, taps.add(tap));
    this.kick();
  }

  remove(tap: Tap): void {
    const taps = this.#taps.get(tap.key);
    if (taps?.delete(tap) === true && taps.size === 0) this.#taps.delete(tap.key);
  }

  /** What is to be read has changed: a read that waits is ended, by an entry in a stream of our own. */
  kick(): void {
    this.#changed();
    if (!this.#blocked || this.#waking) return;
    this.#waking = true;
    const args = ["XADD", this.#wakeKey, "MAXLEN", "1", "*", ...WAKE_FIELD];
    // If it fails the read ends by itself before long.
    this.#commands.call(args).then(
      () => this.#commands.call(["PEXPIRE", this.#wakeKey, `${WAKE_TTL_MS}`]).catch(() => undefined),
      () => (this.#waking = false),
    );
  }

  /** Resolves once a connection has found its place, or the reader closed. */
  aligned(): Promise<void> {
    if (this.#closed || (this.supervisor.up && this.#life === this.supervisor.life)) return Promise.resolve();
    return new Promise((resolve) => this.#aligned.push(resolve));
  }

  close(): void {
    this.#closed = true;
    this.supervisor.close();
    this.#changed();
    for (const done of this.#aligned.splice(0)) done();
  }

  async #run(): Promise<void> {
    while (!this.#closed) {
      await this.supervisor.wait();
      if (this.#closed) return;
      try {
        if (this.#life !== this.supervisor.life) await this.#align();
        else await this.#read();
      } catch (error) {
        if (this.#closed) return;
        this.fault ??= error;
        this.#onFault();
        // An error of the server would come again at once; a new connection waits before it is tried.
        this.supervisor.replace(error instanceof Error ? error.message : String(error));
      }
    }
  }

  /**
   * Finds out where each stream ends now. A server that lost what we have read begins again below our cursors: what
   * it then gives out would be missed. Cursors are lowered to the end of the stream, never raised.
   */
  async #align(): Promise<void> {
    const { supervisor } = this;
    const { life } = supervisor;
    const keys = [...this.#taps.keys()];
    const sampling = supervisor.call(["XADD", this.#wakeKey, "MAXLEN", "1", "*", ...WAKE_FIELD]);
    const expiring = supervisor.call(["PEXPIRE", this.#wakeKey, `${WAKE_TTL_MS}`]);
    const tops = keys.map((key) => supervisor.call(["XREVRANGE", key, "+", "-", "COUNT", "1"]));
    const [sample, , ...ends] = await Promise.all([sampling, expiring, ...tops]);
    const wake = parseEntryId(textOfReply(sample));
    if (wake !== undefined) {
      this.#offsetMs = monotonicMs() - wake.major;
      this.#wakeCursor = wake;
    }
    for (const [index, key] of keys.entries()) {
      const top = decodeRange(ends[index])[0]?.id ?? ZERO_ID;
      for (const tap of this.#taps.get(key) ?? []) if (compareEntryIds(tap.cursor, top) > 0) tap.cursor = top;
    }
    for (const taps of this.#taps.values()) for (const tap of taps) tap.caughtUp = false;
    this.#life = life;
    for (const done of this.#aligned.splice(0)) done();
  }

  async #read(): Promise<void> {
    const wanted: [string, EntryId][] = [];
    for (const [key, taps] of this.#taps) {
      let from: EntryId | undefined;
      for (const { room, cursor } of taps)
        if (room && (from === undefined || compareEntryIds(cursor, from) < 0)) from = cursor;
      if (from !== undefined) wanted.push([key, from]);
    }
    if (wanted.length === 0) {
      // Nothing to read: the connection only has to be seen to be alive when it is needed again.
      await new Promise<void>((resolve) => (this.#changed = resolve));
      this.#changed = () => undefined;
      return;
    }
    wanted.push([this.#wakeKey, this.#wakeCursor]);
    const { blockMs } = this.#limits;
    const count = Math.max(1, Math.min(COUNT_MAX, Math.floor(READ_BYTES / Math.max(1, this.#largest))));
    const keys = wanted.map(([key]) => key);
    const ids = wanted.map(([, id]) => formatEntryId(id));
    const args = ["XREAD", "COUNT", `${count}`, "BLOCK", `${blockMs}`, "STREAMS", ...keys, ...ids];
    this.#blocked = true;
    // A wake that was lost with its stream must not keep the next one back.
    this.#waking = false;
    let reply: unknown;
    try {
      reply = await this.supervisor.call(args, 6, blockMs);
    } finally {
      this.#blocked = false;
    }
    if (this.fault !== undefined) {
      this.fault = undefined;
      this.#onFault();
    }
    const streams = decodeRead(reply);
    const read = wanted.map(([key]) => [...(this.#taps.get(key) ?? [])].filter((tap) => tap.room));
    const atEnd = (): void => {
      for (const [index, taps] of read.entries())
        for (const tap of taps) tap.caughtUp = (streams.get(keys[index]!)?.length ?? 0) < count;
    };
    if (streams.size === 0) {
      atEnd();
      await this.supervisor.call(["PING"], 0);
      return;
    }
    let largest = 0;
    for (const [key, entries] of streams) {
      const end = entries.at(-1);
      if (end === undefined) continue;
      if (key === this.#wakeKey) {
        this.#wakeCursor = end.id;
        continue;
      }
      for (const { fields } of entries) largest = Math.max(largest, fields.get("f")?.length ?? 0);
      for (const tap of [...(this.#taps.get(key) ?? [])]) this.#feed(tap, entries);
    }
    atEnd();
    if (largest > 0) this.#largest = largest;
  }

  #feed(tap: Tap, entries: readonly Entry[]): void {
    if (!tap.room) return;
    const news = entries.filter(({ id }) => compareEntryIds(id, tap.cursor) > 0);
    const end = news.at(-1);
    if (end === undefined) return;
    tap.take(news);
    tap.cursor = end.id;
  }
}
