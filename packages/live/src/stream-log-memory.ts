import { compareHlc, type Hlc } from "@tidemark/core";
import { StreamLogError } from "./stream-log-errors.ts";
import type { StreamJournal, StreamJournalEntry } from "./stream-log-journal.ts";

/** What a journal gives of a namespace. */
const WINDOW = 1_000;

/** Options of {@link MemoryJournals}. */
export interface MemoryJournalsOptions {
  /** @defaultValue 262_144 */
  readonly entryBytesMax?: number;
  /** Sessions that are remembered in each region; one more, and the longest unused is forgotten. @defaultValue 10_000 */
  readonly sessionsMax?: number;
  /** Entries that wait for a link that is cut; then appending rejects with `STREAM_UNAVAILABLE`. @defaultValue 100_000 */
  readonly waitingMax?: number;
  /** The wall clock of a region. @defaultValue `Date.now` */
  readonly nowMs?: (region: string) => number;
}

interface Entry extends StreamJournalEntry {
  readonly session: string;
  readonly namespace: string;
  readonly operationId: string;
}

interface MemorySession {
  /** By namespace. */
  readonly entries: Map<string, Entry[]>;
  readonly operations: Set<string>;
}

interface Region {
  readonly name: string;
  readonly clockId: number;
  last: Hlc;
  appended: number;
  readonly sessions: Map<
    string,
    { readonly entries: Map<string, Entry[]>; readonly operations: Set<string> }
  >;
  readonly listeners: Set<(session: string) => void>;
}

interface Link {
  cut: boolean;
  waiting: Entry[];
}

/**
 * Journals of regions in one process, in memory: for one region, to try something, and for tests, with links that can be
 * cut and give what waits as slowly as a test wants.
 */
export class MemoryJournals {
  readonly #options: Required<MemoryJournalsOptions>;
  readonly #regions: Map<string, Region> = new Map();
  readonly #links: Map<string, Link> = new Map();

  /** @param names - Of the regions. */
  constructor(names: readonly string[] = ["local"], options: MemoryJournalsOptions = {}) {
    this.#options = {
      entryBytesMax: 256 * 1024,
      sessionsMax: 10_000,
      waitingMax: 100_000,
      nowMs: () => globalThis.Date.now(),
      ...options,
    };
    for (const [clockId, name] of names.entries()) {
      const last = { wallMs: 0, counter: 0, clockId };
      this.#regions.set(name, {
        name,
        clockId,
        last,
        appended: 0,
        sessions: new Map(),
        listeners: new Set(),
      });
      for (const to of names) if (to !== name) this.#links.set(`${name} ${to}`, { cut: false, waiting: [] });
    }
  }

  /** Holds what `from` appends back from `to`. */
  cut(from: string, to: string): void {
    this.#link(from, to).cut = true;
  }

  /** Gives `to` what waited, and what `from` appends from now on at once. */
  heal(from: string, to: string): void {
    this.#link(from, to).cut = false;
    this.deliver(from, to);
  }

  /** Gives `to` the next entries of `from` that wait. @returns how many it was given */
  deliver(from: string, to: string, count: number = Number.POSITIVE_INFINITY): number {
    const link = this.#link(from, to);
    const entries = link.waiting.splice(0, Math.min(count, link.waiting.length));
    for (const entry of entries) this.#apply(this.#region(to), entry);
    return entries.length;
  }

  /** The journal of a region. */
  journal(name: string = "local"): StreamJournal {
    const region = this.#region(name);
    return {
      entryBytesMax: this.#options.entryBytesMax,
      append: async (session, namespace, bytes, operationId) =>
        this.#append(region, session, namespace, bytes, operationId),
      read: (session, namespace, known) =>
        (region.sessions.get(session)?.entries.get(namespace) ?? []).filter(
          ({ effectId }) => !known(effectId),
        ),
      changes: (signal) => changedSessions(region, signal),
    };
  }

  #append(region: Region, session: string, namespace: string, bytes: Uint8Array, operationId: string): void {
    if (bytes.length > this.#options.entryBytesMax)
      throw new RangeError(
        `Cannot append ${bytes.length} bytes: the limit is ${this.#options.entryBytesMax}`,
      );
    if (region.sessions.get(session)?.operations.has(operationId) === true) return;
    const links = [...this.#regions.keys()].filter((to) => to !== region.name);
    for (const to of links) {
      if (this.#link(region.name, to).waiting.length >= this.#options.waitingMax)
        throw new StreamLogError("STREAM_UNAVAILABLE", `Too much waits for ${to}`);
    }
    const stamp = nextStamp(region, this.#options.nowMs(region.name));
    const effectId = `${region.name}:${++region.appended}`;
    const entry = { session, namespace, bytes: bytes.slice(), operationId, stamp, effectId };
    this.#apply(region, entry);
    for (const to of links) {
      const link = this.#link(region.name, to);
      link.waiting.push(entry);
      if (!link.cut) this.deliver(region.name, to);
    }
  }

  #apply(region: Region, entry: Entry): void {
    const { sessions } = region;
    const session: MemorySession = sessions.get(entry.session) ?? {
      entries: new Map(),
      operations: new Set(),
    };
    // The last in the map is the last used.
    sessions.delete(entry.session);
    sessions.set(entry.session, session);
    const [oldest] = sessions.keys();
    if (sessions.size > this.#options.sessionsMax && oldest !== undefined) sessions.delete(oldest);
    region.last = compareHlc(entry.stamp, region.last) > 0 ? entry.stamp : region.last;
    if (session.operations.has(entry.operationId)) return;
    session.operations.add(entry.operationId);
    const entries: Entry[] = session.entries.get(entry.namespace) ?? [];
    entries.push(entry);
    entries.sort((a, b) => compareHlc(a.stamp, b.stamp));
    session.entries.set(entry.namespace, entries.slice(-WINDOW));
    for (const listener of region.listeners) listener(entry.session);
  }

  #region(name: string): Region {
    const region = this.#regions.get(name);
    if (region === undefined) throw new RangeError(`No region is named ${name}`);
    return region;
  }

  #link(from: string, to: string): Link {
    const link = this.#links.get(`${from} ${to}`);
    if (link === undefined) throw new RangeError(`There is no link from ${from} to ${to}`);
    return link;
  }
}

/** Above all that was seen, whatever the clock says. */
function nextStamp({ last, clockId }: Region, nowMs: number): Hlc {
  if (nowMs > last.wallMs) return { wallMs: nowMs, counter: 0, clockId };
  return last.counter < 0xffff
    ? { wallMs: last.wallMs, counter: last.counter + 1, clockId }
    : { wallMs: last.wallMs + 1, counter: 0, clockId };
}

async function* changedSessions(region: Region, signal: AbortSignal): AsyncGenerator<string, void> {
  const changed = new Set<string>();
  let wake = (): void => undefined;
  const listener = (session: string): void => {
    changed.add(session);
    wake();
  };
  const ended = (): void => wake();
  region.listeners.add(listener);
  signal.addEventListener("abort", ended);
  try {
    while (!signal.aborted) {
      const [session] = changed;
      if (session === undefined) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
        continue;
      }
      changed.delete(session);
      yield session;
    }
  } finally {
    region.listeners.delete(listener);
    signal.removeEventListener("abort", ended);
  }
}
