import type {
  Kv,
  KvCallOptions,
  KvCommit,
  KvCommitResult,
  KvKey,
  KvPage,
  KvRange,
  Partition,
} from "@tidemark/kv";

/** A store whose clock can be set wrong, and before whose next commit something can be made to happen. */
export class SteeredKv implements Kv {
  readonly #kv: Kv;
  /** Milliseconds that its clock is ahead. */
  clockOffsetMs: number = 0;
  /** Runs once, when the next commit is decided and not yet written. */
  beforeCommit: (() => Promise<void>) | undefined;

  constructor(kv: Kv) {
    this.#kv = kv;
  }

  get capabilities(): Kv["capabilities"] {
    return this.#kv.capabilities;
  }

  async nowMs(): Promise<number> {
    return (await this.#kv.nowMs()) + this.clockOffsetMs;
  }

  get(
    partition: Partition,
    keys: readonly KvKey[],
    options?: KvCallOptions,
  ): Promise<(Uint8Array | undefined)[]> {
    return this.#kv.get(partition, keys, options);
  }

  scan(partition: Partition, range: KvRange, options?: KvCallOptions): Promise<KvPage> {
    return this.#kv.scan(partition, range, options);
  }

  async commit(partition: Partition, commit: KvCommit, options?: KvCallOptions): Promise<KvCommitResult> {
    const { beforeCommit } = this;
    this.beforeCommit = undefined;
    await beforeCommit?.();
    return this.#kv.commit(partition, commit, options);
  }

  close(): Promise<void> {
    return this.#kv.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
