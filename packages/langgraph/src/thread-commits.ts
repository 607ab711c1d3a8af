import type { Hasher } from "@tidemark/core";
import type { Kv, KvCommit, Partition } from "@tidemark/kv";
import {
  type RecordChange,
  RECORD_CHANGES_MAX,
  RecordJournal,
  type SessionJournal,
} from "@tidemark/session-store";
import type { BatchLimits } from "./batches.ts";

/** How many entries of a journal one commit fills: below the parts a message may have. */
const MESSAGE_ENTRIES = 32;

/** How changes of threads come into the store of this region. */
export interface ThreadCommits {
  /** What one commit takes, the register and a row that are checked included. */
  readonly limits: BatchLimits;
  /** Whether rows can come that were written elsewhere, without having seen what was here. */
  readonly merges: boolean;
  /** Brings into the store what has arrived of a thread. */
  arrive(thread: string): Promise<void>;
  /** Runs what reads a thread and then writes by what it read. */
  inTurn<Result>(thread: string, call: () => Promise<Result>): Promise<Result>;
  /** Whether it was committed; false if a check did not hold. */
  commit(thread: string, partition: Partition, commit: KvCommit): Promise<boolean>;
}

/** Changes go into a store that all who write share: each checks what it rests on. */
export class SharedCommits implements ThreadCommits {
  readonly limits: BatchLimits;
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

  inTurn<Result>(_thread: string, call: () => Promise<Result>): Promise<Result> {
    return call();
  }

  async commit(_thread: string, partition: Partition, commit: KvCommit): Promise<boolean> {
    return (await this.#kv.commit(partition, commit)).committed;
  }
}

/** What a {@link JournaledCommits} is made of. */
export interface JournaledCommitsOptions {
  readonly kv: Kv;
  readonly journal: SessionJournal;
  readonly namespace: string;
  readonly hasher: Hasher;
  readonly random: (length: number) => Uint8Array;
}

/**
 * Changes go through a journal into a store of this region's own, and into those of the other regions. Nothing can be
 * checked against what other regions write meanwhile: of two writes of one row the later stays, in all regions.
 */
export class JournaledCommits implements ThreadCommits {
  readonly limits: BatchLimits;
  readonly merges = true;
  readonly #records: RecordJournal;
  readonly #turns: Map<string, Promise<unknown>> = new Map();

  constructor({ kv, journal, namespace, hasher, random }: JournaledCommitsOptions) {
    const fill = (bytes: Uint8Array): void => bytes.set(random(bytes.length));
    this.#records = new RecordJournal({ journal, kv, namespace, hasher, random: fill });
    const { keysPerCommitMax, commitBytesMax } = kv.capabilities;
    this.limits = {
      // Each record has a row of its order beside it, and one row says what has arrived.
      items: Math.min(RECORD_CHANGES_MAX, Math.floor((keysPerCommitMax - 1) / 2)),
      bytes: Math.min(commitBytesMax / 2, MESSAGE_ENTRIES * journal.entryBytesMax),
    };
  }

  arrive(thread: string): Promise<void> {
    return this.#records.sync(thread);
  }

  async inTurn<Result>(thread: string, call: () => Promise<Result>): Promise<Result> {
    const before = this.#turns.get(thread) ?? Promise.resolve();
    const result = before.then(call);
    const settled = result.catch(() => undefined);
    this.#turns.set(thread, settled);
    try {
      return await result;
    } finally {
      if (this.#turns.get(thread) === settled) this.#turns.delete(thread);
    }
  }

  async commit(
    thread: string,
    partition: Partition,
    { puts = [], deletes = [] }: KvCommit,
  ): Promise<boolean> {
    const changes: RecordChange[] = [
      ...puts.map(({ key, value }) => ({ key, value, mode: "replace" as const })),
      ...deletes.map((key) => ({ key, mode: "replace" as const })),
    ];
    await this.#records.write(thread, partition, changes);
    return true;
  }
}
