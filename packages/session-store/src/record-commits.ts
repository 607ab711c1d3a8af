import type { Hasher } from "@tidemark/core";
import type { Kv, KvCommit, Partition } from "@tidemark/kv";
import { RecordJournal } from "./record-journal.ts";
import { type RecordChange, RECORD_CHANGES_MAX } from "./record-message.ts";
import type { SessionJournal } from "./session-journal.ts";
import { SessionTurns } from "./session-turns.ts";

/** How many entries of a journal one commit fills: below the parts a message may have. */
const MESSAGE_ENTRIES = 32;

/** What one commit takes, in keys and in bytes of keys and values, those that are checked included. */
export interface CommitLimits {
  readonly items: number;
  readonly bytes: number;
}

/**
 * How changes of records come into the store of this region: what adapters write through, so that they need not know
 * whether other regions follow.
 */
export interface RecordCommits {
  readonly limits: CommitLimits;
  /** Whether records can come that were written elsewhere, without having seen what was here. */
  readonly merges: boolean;
  /** Brings into the store what has arrived of a session. */
  arrive(session: string): Promise<void>;
  /** Runs what reads a session and then writes by what it read. */
  inTurn<Result>(session: string, call: () => Promise<Result>): Promise<Result>;
  /** Whether it was committed; false if a check did not hold. */
  commit(session: string, partition: Partition, commit: KvCommit): Promise<boolean>;
}

/** Where {@link openRecordCommits} writes. */
export interface RecordCommitsOptions {
  readonly kv: Kv;
  /** Carries what is written to other regions; `kv` is then this region's own. */
  readonly journal: SessionJournal | undefined;
  /** Keeps records of one kind of user of the journal from those of another. */
  readonly namespace: string;
  readonly hasher: Hasher;
  /** Fresh random bytes. */
  readonly random: (length: number) => Uint8Array;
}

/** Commits into a store, through a journal if there is one. */
export function openRecordCommits({ journal, ...options }: RecordCommitsOptions): RecordCommits {
  return journal === undefined
    ? new SharedCommits(options.kv)
    : new JournaledCommits({ ...options, journal });
}

/** Changes go into a store that all who write share: each checks what it rests on. */
class SharedCommits implements RecordCommits {
  readonly limits: CommitLimits;
  readonly merges = false;
  readonly #kv: Kv;

  constructor(kv: Kv) {
    this.#kv = kv;
    const { keysPerCommitMax, commitBytesMax } = kv.capabilities;
    this.limits = { items: keysPerCommitMax, bytes: commitBytesMax };
  }

  async arrive(): Promise<void> {
    // What others have committed is there.
  }

  inTurn<Result>(_session: string, call: () => Promise<Result>): Promise<Result> {
    return call();
  }

  async commit(_session: string, partition: Partition, commit: KvCommit): Promise<boolean> {
    return (await this.#kv.commit(partition, commit)).committed;
  }
}

/**
 * Changes go through a journal into a store of this region's own, and into those of the other regions. Nothing can be
 * checked against what other regions write meanwhile: of two writes of one row the later stays, in all regions.
 */
class JournaledCommits implements RecordCommits {
  readonly limits: CommitLimits;
  readonly merges = true;
  readonly #records: RecordJournal;
  readonly #turns: SessionTurns = new SessionTurns();

  constructor(options: RecordCommitsOptions & { readonly journal: SessionJournal }) {
    const { kv, journal, namespace, hasher, random } = options;
    const fill = (bytes: Uint8Array): void => bytes.set(random(bytes.length));
    this.#records = new RecordJournal({ journal, kv, namespace, hasher, random: fill });
    const { keysPerCommitMax, commitBytesMax } = kv.capabilities;
    this.limits = {
      // Each record has a row of its order beside it, and one row says what has arrived.
      items: Math.min(RECORD_CHANGES_MAX, Math.floor((keysPerCommitMax - 1) / 2)),
      bytes: Math.min(commitBytesMax / 2, MESSAGE_ENTRIES * journal.entryBytesMax),
    };
  }

  arrive(session: string): Promise<void> {
    return this.#records.sync(session);
  }

  inTurn<Result>(session: string, call: () => Promise<Result>): Promise<Result> {
    return this.#turns.run(session, call);
  }

  async commit(
    session: string,
    partition: Partition,
    { puts = [], deletes = [] }: KvCommit,
  ): Promise<boolean> {
    const changes: RecordChange[] = [
      ...puts.map(({ key, value }) => ({ key, value, mode: "replace" as const })),
      ...deletes.map((key) => ({ key, mode: "replace" as const })),
    ];
    await this.#records.write(session, partition, changes);
    return true;
  }
}
