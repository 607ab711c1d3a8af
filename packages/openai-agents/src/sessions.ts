import { type Hasher, nobleHasher } from "@tidemark/core";
import type { Kv } from "@tidemark/kv";
import {
  followSessions,
  type FollowOptions,
  guardPrefix,
  openRecordCommits,
  randomBytes,
  type RecordCommits,
  type SessionJournal,
  SessionTurns,
} from "@tidemark/session-store";
import { TidemarkSession } from "./session.ts";

/** Options of {@link TidemarkSessions}. */
export interface TidemarkSessionsOptions {
  /** Where the histories are; it scans. It is borrowed: nothing here closes it. */
  readonly kv: Kv;
  /** Begins the names of all partitions: 1 to 64 of `a-z`, `0-9` and `-`. @defaultValue `openai-agents` */
  readonly prefix?: string;
  /**
   * Carries the histories to other regions: a region, see `regionJournal` of `@tidemark/session-store`. `kv` is then
   * this region's own, and nothing but this object writes to its partitions.
   */
  readonly journal?: SessionJournal;
  /** @defaultValue `nobleHasher` of `@tidemark/core` */
  readonly hasher?: Hasher;
  /** Fresh random bytes. @defaultValue those of `crypto` */
  readonly random?: (length: number) => Uint8Array;
}

/** The sessions of the OpenAI Agents SDK in one key-value store, each in a partition of its own. */
export class TidemarkSessions {
  readonly #kv: Kv;
  readonly #prefix: string;
  readonly #journal: SessionJournal | undefined;
  readonly #hasher: Hasher;
  readonly #random: (length: number) => Uint8Array;
  readonly #commits: RecordCommits;
  readonly #turns: SessionTurns = new SessionTurns();

  constructor(options: TidemarkSessionsOptions) {
    const { kv, prefix = "openai-agents", journal, hasher = nobleHasher, random = randomBytes } = options;
    guardPrefix(prefix);
    this.#kv = kv;
    this.#prefix = prefix;
    this.#journal = journal;
    this.#hasher = hasher;
    this.#random = random;
    this.#commits = openRecordCommits({ kv, journal, namespace: prefix, hasher, random });
  }

  /** The session of that id, to give to a runner; it need not be there yet. */
  session(id: string): TidemarkSession {
    if (typeof id !== "string" || id === "")
      throw new TypeError("The id of a session must be text that is not empty");
    return new TidemarkSession({
      kv: this.#kv,
      commits: this.#commits,
      turns: this.#turns,
      id,
      partition: `${this.#prefix}/${id}`,
      region: this.#journal?.region ?? "",
      hasher: this.#hasher,
      random: this.#random,
    });
  }

  /**
   * With a journal: applies what arrives from other regions until the signal, so that this region falls behind in no
   * session. What a call reads or changes it brings up to date by itself.
   *
   * @throws `TypeError` without a journal.
   */
  follow(options: FollowOptions): Promise<void> {
    const arrive = (id: string): Promise<void> => this.#turns.run(id, () => this.#commits.arrive(id));
    return followSessions(this.#journal, options, arrive);
  }
}
