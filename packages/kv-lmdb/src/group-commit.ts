import { KvError, type KvCommitResult } from "@tidemark/kv";
import type { Environment } from "./environment.ts";
import type { DiskSpace } from "./node/disk-space.ts";
import { nextTurn } from "./node/platform.ts";
import { GROUP_BYTES_MAX, GROUP_COMMITS_MAX, PENDING_BYTES_MAX } from "./options.ts";
import type { PackedCommit } from "./packed-commit.ts";

/** A commit that waits for its transaction. */
interface Waiting {
  readonly commit: PackedCommit;
  readonly resolve: (result: KvCommitResult) => void;
  readonly reject: (reason: unknown) => void;
}

/** What a {@link GroupCommit} writes with. */
export interface GroupCommitOptions {
  readonly environment: Environment;
  readonly disk: DiskSpace;
  /** Hears of a transaction that is on the disk, and of the commits in it that wrote something. */
  readonly onCommits: (transaction: number, commits: readonly PackedCommit[]) => void;
}

const COMMITTED: KvCommitResult = { committed: true };

/**
 * Puts the commits that are made within one turn of the event loop into one transaction with one sync. Each has its
 * own checks: it sees what those before it in the group wrote, and one that fails writes nothing and hinders nobody.
 *
 * A commit waits for the end of the turn and for nothing else. It is not run at the end of the current task, so that
 * a caller who does nothing but commit leaves the loop its turns.
 */
export class GroupCommit {
  readonly #options: GroupCommitOptions;
  #waiting: Waiting[] = [];
  #waitingBytes = 0;
  #cancelTurn: (() => void) | undefined;

  constructor(options: GroupCommitOptions) {
    this.#options = options;
  }

  /** Rejects with the reason of the signal if it is aborted before the transaction; then nothing is written. */
  add(commit: PackedCommit, signal: AbortSignal | undefined): Promise<KvCommitResult> {
    if (this.#waitingBytes + commit.bytes > PENDING_BYTES_MAX && this.#waiting.length > 0) {
      throw new KvError(
        "KV_BUSY",
        `Cannot take a commit of ${commit.bytes} bytes: ${this.#waitingBytes} wait, the limit is ${PENDING_BYTES_MAX}`,
      );
    }
    return new Promise((resolve, reject) => {
      const waiting: Waiting =
        signal === undefined
          ? { commit, resolve, reject }
          : this.#abortable({ commit, resolve, reject }, signal);
      this.#waiting.push(waiting);
      this.#waitingBytes += commit.bytes;
      this.#cancelTurn ??= nextTurn(() => this.#run());
    });
  }

  /** Runs what waits, now. */
  flush(): void {
    while (this.#waiting.length > 0) this.#run();
  }

  #abortable({ commit, resolve, reject }: Waiting, signal: AbortSignal): Waiting {
    const abort = (): void => {
      this.#waiting.splice(this.#waiting.indexOf(waiting), 1);
      this.#waitingBytes -= commit.bytes;
      reject(signal.reason);
    };
    const settle =
      <Value>(next: (value: Value) => void) =>
      (value: Value): void => {
        signal.removeEventListener("abort", abort);
        next(value);
      };
    const waiting: Waiting = { commit, resolve: settle(resolve), reject: settle(reject) };
    signal.addEventListener("abort", abort, { once: true });
    return waiting;
  }

  #run(): void {
    this.#cancelTurn?.();
    this.#cancelTurn = undefined;
    const group = this.#takeGroup();
    if (this.#waiting.length > 0) this.#cancelTurn = nextTurn(() => this.#run());
    if (group.length === 0) return;
    let results: readonly KvCommitResult[];
    try {
      results = this.#write(group.map(({ commit }) => commit));
    } catch (error) {
      for (const { reject } of group) reject(error);
      return;
    }
    for (let index = 0; index < group.length; index++) group[index]!.resolve(results[index]!);
  }

  #write(commits: readonly PackedCommit[]): readonly KvCommitResult[] {
    const { environment, disk, onCommits } = this.#options;
    let rows = 0;
    let bytes = 0;
    for (const commit of commits) {
      rows += commit.writes;
      bytes += commit.bytes;
    }
    if (rows > 0) disk.require(rows, bytes);
    const results: KvCommitResult[] = [];
    const transaction = environment.write("commit", () => {
      for (const commit of commits) results.push(apply(environment, commit));
    });
    const written = commits.filter(({ writes }, index) => results[index]!.committed && writes > 0);
    if (written.length > 0) onCommits(transaction, written);
    return results;
  }

  /** As many as fit, in the order they came; one that is larger than a group goes alone. */
  #takeGroup(): Waiting[] {
    let count = 0;
    let bytes = 0;
    while (count < this.#waiting.length && count < GROUP_COMMITS_MAX) {
      const next = this.#waiting[count]!.commit.bytes;
      if (count > 0 && bytes + next > GROUP_BYTES_MAX) break;
      bytes += next;
      count += 1;
    }
    this.#waitingBytes -= bytes;
    const group = this.#waiting.slice(0, count);
    this.#waiting = this.#waiting.slice(count);
    return group;
  }
}

function apply(environment: Environment, { checks, puts, deletes }: PackedCommit): KvCommitResult {
  for (let index = 0; index < checks.length; index++) {
    const { key, value } = checks[index]!;
    if (!environment.holds(key, value)) return { committed: false, failed: index };
  }
  for (const { key, value } of puts) environment.put(key, value);
  for (const key of deletes) environment.delete(key);
  return COMMITTED;
}
