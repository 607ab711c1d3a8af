import type { Hasher } from "@tidemark/core";
import type { Kv, KvItem, KvKey } from "@tidemark/kv";
import {
  asSessionStoreError,
  type Decision,
  type RecordChange,
  RECORD_CHANGES_MAX,
  RecordJournal,
  runDecision,
  type SessionJournal,
  type View,
  viewOf,
} from "@tidemark/session-store";
import { zonePartition } from "./zone-keys.ts";

/** How many entries of a journal one commit fills: below the parts a message may have. */
const MESSAGE_ENTRIES = 32;

/**
 * What a change is about. Changes of one kind travel together: a long log does not push out of a journal, which keeps
 * the latest entries, that a conversation was archived.
 */
export type ChangeKind = "pointers" | "state" | "log";

const KINDS: readonly ChangeKind[] = ["pointers", "state", "log"];

/** How changes of zones come into the store of this region. */
export interface ZoneCommits {
  /** Whether changes can come that were made elsewhere, by somebody who had not seen what is here. */
  readonly merges: boolean;
  /** What one commit takes, a few records beside it left out. */
  readonly limits: { readonly items: number; readonly bytes: number };
  /** Brings into the store what has arrived, and reads it. */
  read<Result>(definition: string, read: (view: View) => Promise<Result>): Promise<Result>;
  /** Reads, decides and writes in one atomic step; see `runDecision`. */
  decide<Snapshot, Result>(
    definition: string,
    kind: ChangeKind,
    read: (view: View) => Promise<Snapshot>,
    decide: (snapshot: Snapshot, nowMs: number) => Decision<Result>,
  ): Promise<Result>;
}

/** Changes go into a store that all who write share: each checks what it rests on. */
export class SharedCommits implements ZoneCommits {
  readonly merges = false;
  readonly limits: ZoneCommits["limits"];
  readonly #kv: Kv;

  constructor(kv: Kv) {
    this.#kv = kv;
    const { keysPerCommitMax, commitBytesMax, valueBytesMax } = kv.capabilities;
    this.limits = {
      items: Math.max(1, Math.min(1_000, keysPerCommitMax - 16)),
      bytes: Math.max(1, Math.min(commitBytesMax, 4 * valueBytesMax) - 64 * 1024),
    };
  }

  async read<Result>(definition: string, read: (view: View) => Promise<Result>): Promise<Result> {
    try {
      return await read(viewOf(this.#kv, zonePartition(definition)));
    } catch (error) {
      throw asSessionStoreError(error);
    }
  }

  decide<Snapshot, Result>(
    definition: string,
    _kind: ChangeKind,
    read: (view: View) => Promise<Snapshot>,
    decide: (snapshot: Snapshot, nowMs: number) => Decision<Result>,
  ): Promise<Result> {
    return runDecision(this.#kv, zonePartition(definition), read, decide);
  }
}

/** What a {@link JournaledCommits} is made of. */
export interface JournaledCommitsOptions {
  readonly kv: Kv;
  readonly journal: SessionJournal;
  readonly hasher: Hasher;
  readonly random: (bytes: Uint8Array) => unknown;
}

/**
 * Changes go through a journal into a store of this region's own, and into those of the other regions. Nothing can be
 * checked against what other regions write meanwhile: of two writes of one record the later stays, in all regions.
 */
export class JournaledCommits implements ZoneCommits {
  readonly merges = true;
  readonly limits: ZoneCommits["limits"];
  readonly #kv: Kv;
  readonly #journal: SessionJournal;
  readonly #records: Readonly<Record<ChangeKind, RecordJournal>>;
  readonly #turns: Map<string, Promise<unknown>> = new Map();

  constructor({ kv, journal, hasher, random }: JournaledCommitsOptions) {
    this.#kv = kv;
    this.#journal = journal;
    const open = (kind: ChangeKind): RecordJournal =>
      // Each message says all that is to be known of what it changes: one that is missed is no hole.
      new RecordJournal({ journal, kv, namespace: `zones-${kind}`, hasher, random, holes: "pass" });
    this.#records = { pointers: open("pointers"), state: open("state"), log: open("log") };
    const { keysPerCommitMax, commitBytesMax } = kv.capabilities;
    this.limits = {
      // Each record has a row of its order beside it, and one row says what has arrived.
      items: Math.max(1, Math.min(RECORD_CHANGES_MAX, Math.floor((keysPerCommitMax - 1) / 2)) - 16),
      bytes: Math.max(1, Math.min(commitBytesMax / 2, MESSAGE_ENTRIES * journal.entryBytesMax) - 64 * 1024),
    };
  }

  read<Result>(definition: string, read: (view: View) => Promise<Result>): Promise<Result> {
    return this.#inTurn(definition, async () => {
      await this.#arrive(definition);
      return read(viewOf(this.#kv, zonePartition(definition)));
    });
  }

  decide<Snapshot, Result>(
    definition: string,
    kind: ChangeKind,
    read: (view: View) => Promise<Snapshot>,
    decide: (snapshot: Snapshot, nowMs: number) => Decision<Result>,
  ): Promise<Result> {
    return this.#inTurn(definition, async () => {
      await this.#arrive(definition);
      const partition = zonePartition(definition);
      const snapshot = await read(viewOf(this.#kv, partition));
      const { puts, deletes, result } = decide(snapshot, await this.#kv.nowMs());
      const changes = changesOf(puts, deletes);
      if (changes.length > 0) await this.#records[kind].write(partition, partition, changes);
      return result;
    });
  }

  /**
   * Applies what arrives of any agent, until the signal.
   *
   * @param arrived - Is told of each agent of which something was applied.
   */
  async follow(
    signal: AbortSignal,
    arrived: (definition: string) => Promise<void>,
    failed: (definition: string, error: unknown) => void,
  ): Promise<void> {
    for await (const session of this.#journal.changes(signal)) {
      if (!session.startsWith(zonePartition(""))) continue;
      const definition = session.slice(zonePartition("").length);
      await this.read(definition, () => arrived(definition)).catch((error: unknown) =>
        failed(definition, error),
      );
    }
  }

  async #arrive(definition: string): Promise<void> {
    for (const kind of KINDS) await this.#records[kind].sync(zonePartition(definition));
  }

  async #inTurn<Result>(definition: string, call: () => Promise<Result>): Promise<Result> {
    const before = this.#turns.get(definition) ?? Promise.resolve();
    const result = before.then(call);
    const settled = result.catch(() => undefined);
    this.#turns.set(definition, settled);
    try {
      return await result;
    } catch (error) {
      throw asSessionStoreError(error);
    } finally {
      if (this.#turns.get(definition) === settled) this.#turns.delete(definition);
    }
  }
}

function changesOf(puts: readonly KvItem[], deletes: readonly KvKey[]): RecordChange[] {
  return [
    ...puts.map(({ key, value }) => ({ key, value, mode: "replace" as const })),
    ...deletes.map((key) => ({ key, mode: "replace" as const })),
  ];
}
