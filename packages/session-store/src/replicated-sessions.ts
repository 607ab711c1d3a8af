import { type Hasher, nobleHasher } from "@tidemark/core";
import type { Kv } from "@tidemark/kv";
import { ClusterAuthority } from "./cluster-authority.ts";
import { sessionPartition } from "./keys.ts";
import type { LeaseTimers } from "./lease-guard.ts";
import { COMMIT_BYTES_MAX, COMMIT_OPERATIONS_MAX } from "./limits.ts";
import { makeSession } from "./make-session.ts";
import { ReplicatedSession } from "./replicated-session.ts";
import { SessionDirectory } from "./session-directory.ts";
import type { SessionJournal } from "./session-journal.ts";
import type { SessionMeta } from "./session-meta.ts";
import { type CreateSession, openSessionStores, type SessionStores } from "./session-stores.ts";

/** Sessions whose place in the journal {@link ReplicatedSessions.follow} remembers. */
const FOLLOWED_MAX = 1_000;

/** What {@link openReplicatedSessions} takes. */
export interface OpenReplicatedSessionsOptions {
  /** This region's own store, to which no other region writes. */
  readonly kv: Kv;
  /**
   * The one store that all regions reach, which holds a register a session: who may commit, and what is committed. Any
   * key-value store will do, one that takes a single key a commit too. While a region cannot reach it, it commits nothing.
   */
  readonly authority: Kv;
  /** What carries sessions between regions: `regionJournal(region, { user })`. */
  readonly journal: SessionJournal;
  /** What measures how long an arrival is waited for. */
  readonly timers: LeaseTimers;
  /** @defaultValue `nobleHasher`; `@tidemark/blake3-wasm` is faster */
  readonly hasher?: Hasher;
  /** Unpredictable bytes, for ids and nonces. @defaultValue those of the platform */
  readonly randomBytes?: (count: number) => Uint8Array;
  /** Refuses a store of this region that survives less. @defaultValue `memory`: none is refused */
  readonly requireDurable?: Kv["capabilities"]["durability"];
}

/** Opens the sessions of a cluster in one of its regions. @throws SessionStoreError `DURABILITY_TOO_LOW` */
export async function openReplicatedSessions(
  options: OpenReplicatedSessionsOptions,
): Promise<ReplicatedSessions> {
  return new ReplicatedSessions(options, await openSessionStores(options));
}

/** The sessions of a cluster, in one of its regions. */
export class ReplicatedSessions {
  /** This region's sessions, for reading: what is known here to be committed. */
  readonly stores: Pick<SessionStores, "open" | "list" | "durability">;
  readonly #stores: SessionStores;
  readonly #options: OpenReplicatedSessionsOptions;
  readonly #hasher: Hasher;
  readonly #randomBytes: (count: number) => Uint8Array;
  readonly #authority: ClusterAuthority;

  constructor(options: OpenReplicatedSessionsOptions, stores: SessionStores) {
    const { authority, hasher = nobleHasher, randomBytes = platformBytes } = options;
    this.stores = stores;
    this.#stores = stores;
    this.#options = options;
    this.#hasher = hasher;
    this.#randomBytes = randomBytes;
    this.#authority = new ClusterAuthority(authority, hasher);
  }

  /**
   * Makes a session in every region, or opens the one of that id, whose meta stays as it is.
   *
   * @throws SessionStoreError `SESSION_DELETED`, `JOURNAL_REFUSED`
   */
  async create(options: CreateSession): Promise<ReplicatedSession> {
    const store = await this.#stores.create(options);
    const session = this.#bind(store.id);
    await session.announce((await store.meta()) as SessionMeta);
    return session;
  }

  /** The session of that id; `undefined` if nothing of it has arrived here. */
  async open(id: string): Promise<ReplicatedSession | undefined> {
    const session = this.#bind(id);
    await session.sync();
    return (await this.#stores.open(id)) === undefined ? undefined : session;
  }

  /**
   * Applies what arrives of every session, until the signal, so that this region is at hand when a worker comes.
   *
   * @param failed - Is told of each session that could not be applied; it is tried again with the next change of it.
   */
  async follow(signal: AbortSignal, failed: (session: string, error: unknown) => void): Promise<void> {
    const followed = new Map<string, ReplicatedSession>();
    for await (const id of this.#options.journal.changes(signal)) {
      const session = followed.get(id) ?? this.#bind(id);
      // The last in the map is the last that changed.
      followed.delete(id);
      followed.set(id, session);
      const [oldest] = followed.keys();
      if (followed.size > FOLLOWED_MAX && oldest !== undefined) followed.delete(oldest);
      await session.sync().catch((error: unknown) => failed(id, error));
    }
  }

  #bind(session: string): ReplicatedSession {
    const { kv, journal, timers } = this.#options;
    const records = { partition: sessionPartition(session), hasher: this.#hasher };
    const context = { session, kv, records, randomBytes: this.#randomBytes };
    const { commitBytesMax, keysPerCommitMax } = kv.capabilities;
    return new ReplicatedSession({
      ...context,
      hasher: this.#hasher,
      authority: this.#authority,
      journal,
      timers,
      // Two more rows than the turn's own: of which turn the head is, and work that has not arrived.
      budget: {
        bytesMax: Math.min(COMMIT_BYTES_MAX, commitBytesMax),
        operationsMax: Math.min(COMMIT_OPERATIONS_MAX, keysPerCommitMax - 2),
      },
      make: async (meta) => {
        await new SessionDirectory(kv, this.#hasher).intend(session);
        await makeSession(context, () => meta);
      },
    });
  }
}

function platformBytes(count: number): Uint8Array {
  return globalThis.crypto.getRandomValues(new Uint8Array(count));
}
