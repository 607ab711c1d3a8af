import type { Hasher } from "@tidemark/core";
import type { Kv, KvKey, Partition } from "@tidemark/kv";
import { liveRegister, type StreamChange, type StreamSnapshot, touchChange } from "./stream-change.ts";
import { StreamRefusal } from "./stream-refusal.ts";
import { leaseRow, registerRow, type RowPlace, streamKeys } from "./stream-rows.ts";
import type { StreamRegister } from "./stream-state.ts";

/** What a {@link StreamStore} takes. */
export interface StreamStoreOptions {
  readonly kv: Kv;
  /** Parts streams from what else lies in the store. */
  readonly namespace: string;
  readonly hasher: Hasher;
  /** Called with the path of a stream that this process has changed. */
  readonly onChanged: (path: string) => void;
}

/** How often a change is decided anew because others came first. */
const ATTEMPTS_MAX = 64;

/**
 * Streams in a key-value store, one partition each. A change is read, decided and written, anew for as long as others
 * change what it rests on, so that any number of processes may write to one stream. Changes of one process to one
 * stream wait for each other instead.
 */
export class StreamStore {
  readonly kv: Kv;
  readonly #options: StreamStoreOptions;
  /** The last change of each stream under way. */
  readonly #turns = new Map<string, Promise<unknown>>();

  constructor(options: StreamStoreOptions) {
    this.kv = options.kv;
    this.#options = options;
  }

  /** The partition of a path. */
  partition(path: string): Partition {
    return `${this.#options.namespace}/${path}`;
  }

  place(path: string): RowPlace {
    return { partition: this.partition(path), hasher: this.#options.hasher };
  }

  /** A stream as it is now. */
  async load(path: string, signal?: AbortSignal): Promise<StreamSnapshot> {
    const place = this.place(path);
    const keys = [streamKeys.register, streamKeys.lease];
    const [[register, lease], nowMs] = await Promise.all([
      this.kv.get(place.partition, keys, signal === undefined ? {} : { signal }),
      this.kv.nowMs(),
    ]);
    return {
      path,
      place,
      nowMs,
      register: registerRow.read(streamKeys.register, register, place),
      lease: leaseRow.read(streamKeys.lease, lease, place),
    };
  }

  /** One row more of a stream that was loaded. */
  async row(path: string, key: KvKey): Promise<Uint8Array | undefined> {
    const [stored] = await this.kv.get(this.partition(path), [key]);
    return stored;
  }

  /**
   * Reads, decides and writes.
   *
   * @param extend - Reads what the decision needs beside register and lease.
   * @throws StreamRefusal What `decide` refuses, or `UNAVAILABLE` if others came first too often: nothing was written.
   */
  async change<Snapshot extends StreamSnapshot, Result>(
    path: string,
    extend: (snapshot: StreamSnapshot) => Promise<Snapshot>,
    decide: (snapshot: Snapshot) => StreamChange<Result>,
  ): Promise<Result> {
    return this.#inTurn(path, async () => {
      for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
        const { checks, puts, deletes, result } = decide(await extend(await this.load(path)));
        if (puts.length === 0 && deletes.length === 0) return result;
        const { committed } = await this.kv.commit(this.partition(path), { checks, puts, deletes });
        if (!committed) continue;
        this.#options.onChanged(path);
        return result;
      }
      throw new StreamRefusal("UNAVAILABLE", `Others changed ${path} ${ATTEMPTS_MAX} times`, {
        "retry-after": "1",
      });
    });
  }

  /**
   * A stream for somebody who reads it: what has a time to live lives on.
   *
   * @throws StreamRefusal `STREAM_NOT_FOUND`, `STREAM_GONE`.
   */
  async open(path: string): Promise<StreamRegister> {
    const snapshot = await this.load(path);
    const register = liveRegister(snapshot);
    if (touchChange(snapshot, register, undefined).puts.length === 0) return register;
    return this.change(path, same, (current) => {
      const live = liveRegister(current);
      return touchChange(current, live, live);
    });
  }

  /** One after the other, in the order they came. */
  async #inTurn<Result>(path: string, run: () => Promise<Result>): Promise<Result> {
    const before = this.#turns.get(path);
    const turn = (before ?? Promise.resolve()).then(run, run);
    this.#turns.set(path, turn);
    try {
      return await turn;
    } finally {
      if (this.#turns.get(path) === turn) this.#turns.delete(path);
    }
  }
}

/** For a decision that needs no more than register and lease. */
export function same(snapshot: StreamSnapshot): Promise<StreamSnapshot> {
  return Promise.resolve(snapshot);
}
