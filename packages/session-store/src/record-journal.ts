import { ByteReader, ByteWriter, type Hasher, nobleHasher } from "@tidemark/core";
import { encodeKey, type Kv, type KvItem, type KvKey, type Partition } from "@tidemark/kv";
import { SessionStoreError } from "./errors.ts";
import { hex } from "./hex.ts";
import { appendMessage, type JournalMessage, MessageReader } from "./journal-parts.ts";
import {
  encodeRecordMessage,
  readRecordMessage,
  type RecordChange,
  type RecordMessage,
} from "./record-message.ts";
import { decodeOrder, encodeOrder, orderKey, type RecordOrder, winsOver } from "./record-order.ts";
import type { SessionJournal } from "./session-journal.ts";

/** Sessions whose place in the journal is remembered; one more, and the longest unused is read anew when it is needed. */
const SESSIONS_REMEMBERED_MAX = 1_000;
const ATTEMPTS_MAX = 16;
/** Where a partition says how much of each writer it has: there once a journal of records has written to it. */
export const RECORD_MARKS_KEY: KvKey = encodeKey(["~marks"]);

/** What a journal of records needs. */
export interface RecordJournalOptions {
  /** What carries the records: a region, see {@link regionJournal}. */
  readonly journal: SessionJournal;
  /** This region's own store: nobody else writes to the partitions that are given here. */
  readonly kv: Kv;
  /** Keeps records of one kind of user of the journal from those of another. */
  readonly namespace: string;
  /** @defaultValue the portable engine of `@tidemark/core` */
  readonly hasher?: Hasher;
  /** Fills an array with random bytes. @defaultValue `crypto.getRandomValues` */
  readonly random?: (bytes: Uint8Array) => unknown;
  /**
   * What becomes of a message when some that its writer wrote before it are missing: `refuse` applies nothing over the
   * hole; `pass` applies it, for records of which each says all there is to know, whatever was written before.
   *
   * @defaultValue "refuse"
   */
  readonly holes?: "refuse" | "pass";
}

interface JournaledRecords {
  readonly reader: MessageReader;
  /** Messages that are read and not applied yet: what failed is tried again. */
  waiting: { readonly message: JournalMessage; readonly records: RecordMessage }[];
  /** Calls for one session follow one another. */
  last: Promise<unknown>;
  /** Calls that have not ended. */
  calls: number;
}

/**
 * Records of a key-value store that travel with a session: each region keeps them in a store of its own, and what is
 * written in one region is in the others' once they have applied it.
 *
 * Whatever order writes arrive in, however often, every region ends with the same records: of two writes of one key the
 * first stays in the mode `keep`, the last in the mode `replace`, by the order of their stamps. A write is durable in
 * this region's log before it is in its store, so a crash in between loses nothing: the next call applies it.
 *
 * A region that was away while a session got more entries than a journal keeps (1,000) lacks some: then calls for this
 * session reject with `JOURNAL_GAP`, and nothing is applied over the hole.
 */
export class RecordJournal {
  readonly #options: RecordJournalOptions;
  readonly #hasher: Hasher;
  readonly #random: (bytes: Uint8Array) => unknown;
  /** Under which this one numbers its writes. Never used again, so no number is given out twice, whatever disks come back. */
  #writer: string;
  readonly #sessions: Map<string, JournaledRecords> = new Map();

  constructor(options: RecordJournalOptions) {
    this.#options = options;
    this.#hasher = options.hasher ?? nobleHasher;
    this.#random = options.random ?? ((bytes) => crypto.getRandomValues(bytes));
    this.#writer = this.#freshWriter();
  }

  /**
   * Writes records of one partition together. Resolves once they are durable in this region and read from its store.
   *
   * @throws SessionStoreError `JOURNAL_REFUSED`, `JOURNAL_GAP`, `STORAGE_FAILED`, `BUSY`.
   */
  write(session: string, partition: Partition, changes: readonly RecordChange[]): Promise<void> {
    return this.#inTurn(session, async (records) => {
      await this.#apply(session, records);
      const { journal, namespace } = this.#options;
      const writer = this.#writer;
      const number = ((await this.#marks(partition)).get(writer) ?? 0) + 1;
      const bytes = encodeRecordMessage({ writer, number, partition, changes });
      try {
        await appendMessage(journal, this.#hasher, { session, namespace }, bytes);
      } catch (error) {
        // Whether any of it is in the journal is not known: this number may be taken.
        if (this.#writer === writer) this.#writer = this.#freshWriter();
        throw error;
      }
      await this.#apply(session, records);
    });
  }

  /**
   * Applies what has arrived of a session: before reading what may have been written elsewhere.
   *
   * @throws SessionStoreError `JOURNAL_GAP`, `STORAGE_FAILED`, `BUSY`.
   */
  sync(session: string): Promise<void> {
    return this.#inTurn(session, (records) => this.#apply(session, records));
  }

  /**
   * Applies what arrives of any session, until the signal: a region that follows has at hand what was written elsewhere,
   * and falls into no gap while it runs.
   *
   * @param failed - Is told of each session that could not be applied; it is tried again with the next change of it.
   */
  async follow(signal: AbortSignal, failed: (session: string, error: unknown) => void): Promise<void> {
    for await (const session of this.#options.journal.changes(signal)) {
      try {
        await this.sync(session);
      } catch (error) {
        failed(session, error);
      }
    }
  }

  async #apply(session: string, records: JournaledRecords): Promise<void> {
    for (const message of records.reader.read()) {
      const decoded = readRecordMessage(message.bytes);
      if (decoded !== undefined) records.waiting.push({ message, records: decoded });
    }
    let gap: RecordMessage | undefined;
    const left: JournaledRecords["waiting"] = [];
    for (const waiting of records.waiting) {
      // Messages of a writer come in order: what is behind a hole waits for all that is in it.
      if (!(await this.#commit(session, waiting.message, waiting.records))) {
        gap ??= waiting.records;
        left.push(waiting);
      }
    }
    records.waiting = left;
    if (gap !== undefined)
      throw new SessionStoreError(
        "JOURNAL_GAP",
        `Cannot apply what ${gap.writer} wrote to ${gap.partition}: number ${gap.number} came, and some before it did not`,
        { session },
      );
  }

  /** Whether the message is applied, now or earlier. */
  async #commit(
    session: string,
    { stamp, digest }: JournalMessage,
    message: RecordMessage,
  ): Promise<boolean> {
    const { kv } = this.#options;
    const { writer, number, partition, changes } = message;
    const keys = changes.map(({ key }) => orderKey(key));
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
      const [storedMarks, ...orders] = await kv.get(partition, [RECORD_MARKS_KEY, ...keys]);
      const marks = decodeMarks(storedMarks);
      const mark = marks.get(writer) ?? 0;
      if (number <= mark) return true;
      if (number > mark + 1 && this.#options.holes !== "pass") return false;
      const puts: KvItem[] = [{ key: RECORD_MARKS_KEY, value: encodeMarks(marks.set(writer, number)) }];
      const deletes: KvKey[] = [];
      changes.forEach(({ key, value, mode }, index) => {
        const order: RecordOrder = { mode, stamp, digest };
        const stored = orders[index];
        if (stored !== undefined && !winsOver(order, decodeOrder(stored))) return;
        puts.push({ key: keys[index] as KvKey, value: encodeOrder(order) });
        if (value === undefined) deletes.push(key);
        else puts.push({ key, value });
      });
      const { committed } = await kv.commit(partition, {
        checks: [{ key: RECORD_MARKS_KEY, value: storedMarks }],
        puts,
        deletes,
      });
      if (committed) return true;
    }
    throw new SessionStoreError(
      "BUSY",
      `Cannot write to ${partition}: others changed it ${ATTEMPTS_MAX} times`,
      {
        session,
      },
    );
  }

  async #marks(partition: Partition): Promise<Map<string, number>> {
    const [stored] = await this.#options.kv.get(partition, [RECORD_MARKS_KEY]);
    return decodeMarks(stored);
  }

  async #inTurn<Result>(
    session: string,
    call: (records: JournaledRecords) => Promise<Result>,
  ): Promise<Result> {
    const records = this.#recordsOf(session);
    records.calls += 1;
    const result = records.last.then(() => call(records)).finally(() => (records.calls -= 1));
    records.last = result.catch(() => undefined);
    return result;
  }

  #recordsOf(session: string): JournaledRecords {
    const { journal, namespace } = this.#options;
    const records = this.#sessions.get(session) ?? {
      reader: new MessageReader(journal, this.#hasher, { session, namespace }),
      waiting: [],
      last: Promise.resolve(),
      calls: 0,
    };
    // The last in the map is the last used.
    this.#sessions.delete(session);
    this.#sessions.set(session, records);
    for (const [id, { calls }] of this.#sessions) {
      if (this.#sessions.size <= SESSIONS_REMEMBERED_MAX) break;
      if (calls === 0 && id !== session) this.#sessions.delete(id);
    }
    return records;
  }

  #freshWriter(): string {
    const bytes = new Uint8Array(8);
    this.#random(bytes);
    return `${this.#options.journal.region}/${hex(bytes)}`;
  }
}

/** Varint count, then each writer as text and its number, sorted by name. */
function encodeMarks(marks: ReadonlyMap<string, number>): Uint8Array {
  const out = new ByteWriter(32);
  out.varint(marks.size);
  for (const [writer, number] of [...marks].sort(([a], [b]) => (a < b ? -1 : 1))) {
    out.text(writer);
    out.varint(number);
  }
  return out.take();
}

function decodeMarks(bytes: Uint8Array | undefined): Map<string, number> {
  const marks = new Map<string, number>();
  if (bytes === undefined) return marks;
  const input = new ByteReader(bytes);
  for (let left = input.count(2); left > 0; left--) marks.set(input.text(), input.varint());
  input.finish();
  return marks;
}
