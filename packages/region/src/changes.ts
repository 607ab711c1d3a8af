import type { CoverageNeed } from "@tidemark/replication";
import { RECORD_SESSION_OP } from "@tidemark/session-bridge";
import { decodeOp } from "@tidemark/session";
import type { SessionChange } from "@tidemark/session";
import type { Vector, Wal, WalBatch } from "@tidemark/wal";
import { SeenNumbers } from "./seen-numbers.ts";

/** Changes that wait for a slow reader; beyond that they are read from the stored logs again. */
export const CHANGES_WAITING_MAX = 1024;

/** What a stream of changes needs. */
export interface SessionChangesOptions {
  readonly session: string;
  readonly wal: Wal;
  /** What is applied here now. */
  readonly vector: () => Vector;
  /** Tells of each operation applied from now on. */
  readonly onChange: (listener: (change: SessionChange) => void) => () => void;
  /** Begins behind these positions; without them, from now on. */
  readonly after?: CoverageNeed;
  /** Whether to go on with what comes. */
  readonly follow: boolean;
  readonly signal?: AbortSignal;
  /** Ends every stream of the region. */
  readonly closed: AbortSignal;
  /** Tells of that: readers are many, and a signal warns of as many listeners. */
  readonly onClosed: (listener: () => void) => () => void;
}

/**
 * Every operation of one session once, behind a cursor or from the moment of this call, then more as they are applied.
 * What is past is read from the stored logs, so a slow reader costs no memory. What a cursor has no room to name, as
 * every member had it, may come again.
 */
export function sessionChanges(options: SessionChangesOptions): AsyncIterable<SessionChange> {
  const { after, vector } = options;
  // Taken now, not when the reading begins: what is written in between belongs to the stream.
  const from: ReadonlyMap<string, number> =
    after === undefined
      ? marksOf(vector())
      : new Map(after.map((need) => [`${need.region} ${need.epoch}`, need.lsn]));
  return { [Symbol.asyncIterator]: () => new ChangeReader(options, from).read() };
}

class ChangeReader {
  readonly #options: SessionChangesOptions;
  /** Region and epoch of a log to the LSN up to which it was looked at. */
  readonly #marks: Map<string, number>;
  readonly #seen: SeenNumbers = new SeenNumbers();
  #waiting: SessionChange[] = [];
  /** The stored logs hold what is next. */
  #behind: boolean = true;
  #wake: () => void = () => undefined;

  constructor(options: SessionChangesOptions, from: ReadonlyMap<string, number>) {
    this.#options = options;
    this.#marks = new Map(from);
  }

  async *read(): AsyncGenerator<SessionChange, void, undefined> {
    const { follow, signal, closed, onClosed, onChange } = this.#options;
    signal?.throwIfAborted();
    if (!follow) {
      yield* this.#stored();
      signal?.throwIfAborted();
      return;
    }
    const stop = onChange((change) => this.#note(change));
    const ended = (): void => this.#wake();
    signal?.addEventListener("abort", ended);
    const forget = onClosed(ended);
    try {
      for (;;) {
        while (this.#behind && !closed.aborted) yield* this.#stored();
        for (let change = this.#waiting.shift(); change !== undefined; change = this.#waiting.shift()) {
          if (this.#take(change)) yield change;
          signal?.throwIfAborted();
        }
        signal?.throwIfAborted();
        if (closed.aborted) return;
        if (this.#behind) continue;
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    } finally {
      stop();
      signal?.removeEventListener("abort", ended);
      forget();
    }
  }

  #note(change: SessionChange): void {
    if (change.session !== this.#options.session) return;
    if (this.#waiting.length < CHANGES_WAITING_MAX && !this.#behind) this.#waiting.push(change);
    else {
      this.#waiting = [];
      this.#behind = true;
    }
    this.#wake();
  }

  /** Whether a change has not been looked at yet; from now on it has. */
  #take(change: SessionChange): boolean {
    const key = `${change.log.region} ${change.log.epoch}`;
    if (change.lsn <= (this.#marks.get(key) ?? 0)) return false;
    this.#marks.set(key, change.lsn);
    return this.#seen.add(change.position.lane, change.position.seqno);
  }

  async *#stored(): AsyncGenerator<SessionChange, void, undefined> {
    const { wal, vector, signal, closed } = this.#options;
    // What is applied from here on is told by itself.
    this.#behind = false;
    for (const { log: id, lsn: to } of vector().entries()) {
      const log = id.channel === "sessions" ? wal.log(id) : undefined;
      const from = (this.#marks.get(`${id.region} ${id.epoch}`) ?? 0) + 1;
      if (log === undefined || from > to) continue;
      for await (const batch of log.read(Math.max(from, log.first))) {
        for (const change of this.#changesOf(batch, to)) if (this.#take(change)) yield change;
        signal?.throwIfAborted();
        if (batch.lastLsn >= to || closed.aborted) break;
      }
      if (closed.aborted) return;
      const key = `${id.region} ${id.epoch}`;
      this.#marks.set(key, Math.max(to, this.#marks.get(key) ?? 0));
    }
  }

  *#changesOf(batch: WalBatch, to: number): Iterable<SessionChange> {
    const { session } = this.#options;
    for (const { lsn, type, body } of batch.records()) {
      if (type !== RECORD_SESSION_OP || lsn > to) continue;
      const op = decodeOp(body);
      if (op.session !== session) continue;
      const position = { session, lane: op.laneText, seqno: op.seqno };
      yield { session, kind: op.kind ?? "unknown", position, log: batch.log, lsn };
    }
  }
}

function marksOf(vector: Vector): Map<string, number> {
  return new Map(
    vector
      .entries()
      .filter(({ log }) => log.channel === "sessions")
      .map(({ log, lsn }) => [`${log.region} ${log.epoch}`, lsn]),
  );
}
