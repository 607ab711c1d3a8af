import { decodeKey, type KvKey, prefixRange } from "@tidemark/kv";
import { decideExpiry, decideUnpin } from "./decide-pins.ts";
import { type DueStream, ExpiryIndex } from "./expiry-index.ts";
import type { StreamSnapshot } from "./stream-change.ts";
import { LIFE_ROWS, pinRow, remainsRow, type Row, streamKeys } from "./stream-rows.ts";
import { statusOf, type StreamPin, type StreamRegister } from "./stream-state.ts";
import { same, type StreamStore } from "./stream-store.ts";

/** What a {@link StreamRemoval} takes. */
export interface StreamRemovalOptions {
  readonly store: StreamStore;
  readonly index: ExpiryIndex;
  /** Told of what went wrong while removing rows that nobody can read any more: it is tried again later. */
  readonly onError: (error: unknown) => void;
}

const ROWS_PER_COMMIT = 256;

/** How streams go: what they pinned, their rows, and those whose time has come. Each step can be done again. */
export class StreamRemoval {
  readonly #store: StreamStore;
  readonly #options: StreamRemovalOptions;

  constructor(options: StreamRemovalOptions) {
    this.#store = options.store;
    this.#options = options;
  }

  /** Looks at so many streams at most whose time may have come, and removes those that have expired. How many it looked at. */
  async sweep(limit: number): Promise<number> {
    const due = await this.#options.index.due(await this.#store.kv.nowMs(), limit);
    for (const one of due) await this.#expire(one);
    return due.length;
  }

  async #expire(due: DueStream): Promise<void> {
    const { path, incarnation } = due;
    const { index } = this.#options;
    await this.#store.change(path, same, (snapshot) => decideExpiry(snapshot, incarnation));
    const { register, lease, nowMs } = await this.#store.load(path);
    const present = register.body;
    const lives = present?.incarnation === incarnation && statusOf(present, lease.body, nowMs) === "live";
    if (lives) {
      return index.move(due, Math.max(nowMs + 1, lease.body?.untilMs ?? 0));
    }
    // One that is kept for its forks goes with the last of them.
    if (present?.incarnation === incarnation) await this.clearPins(path, present);
    await this.removeRemains(path);
    await index.remove(due);
  }

  /**
   * Takes away pins of forks that are no more, or were left half made by a process that died. A fork that is being made
   * just now loses its place, and finds that its source is gone.
   *
   * @returns Whether there were any.
   */
  async clearPins(path: string, { incarnation }: StreamRegister): Promise<boolean> {
    const place = this.#store.place(path);
    const { items } = await this.#store.kv.scan(place.partition, prefixRange(["pin", incarnation]));
    let cleared = false;
    for (const { key, value } of items) {
      const fork = lastPart(key);
      const forkPath = pinRow.read(key, value, place).body!.path;
      await this.#store.change(forkPath, same, (snapshot) => decideExpiry(snapshot, fork));
      const { register } = await this.#store.load(forkPath);
      if (register.body?.incarnation === fork) continue;
      await this.removeRemains(forkPath);
      await this.unpin(path, fork);
      cleared = true;
    }
    return cleared;
  }

  /** Takes back a fork that cannot be made whole, unless somebody else has made it so. */
  async abandon(path: string, incarnation: string): Promise<void> {
    await this.#store.change(path, same, (snapshot) => decideExpiry(snapshot, incarnation));
    await this.tryRemoveRemains(path);
  }

  /** Says that a fork reads no more; the last of a stream that is gone takes it along. */
  async unpin(source: string, fork: string): Promise<void> {
    await this.#store.change(
      source,
      async (snapshot) => ({ ...snapshot, pin: await readPin(this.#store, snapshot, fork) }),
      decideUnpin,
    );
    // Also where this was done before, and cut short.
    await this.removeRemains(source);
  }

  /** Removes the rows of lives that have ended at a path. What fails is told, and tried again by who comes next. */
  async tryRemoveRemains(path: string): Promise<void> {
    try {
      await this.removeRemains(path);
    } catch (error) {
      this.#options.onError(error);
    }
  }

  /** Removes the rows of lives that have ended at a path. */
  async removeRemains(path: string): Promise<void> {
    const place = this.#store.place(path);
    const { items } = await this.#store.kv.scan(place.partition, prefixRange(["remains"]));
    for (const { key, value } of items) {
      const incarnation = lastPart(key);
      for (const kind of LIFE_ROWS) await this.#removeRows(path, [kind, incarnation]);
      const source = remainsRow.read(key, value, place).body?.source;
      if (source !== undefined) await this.unpin(source, incarnation);
      await this.#store.kv.commit(place.partition, { deletes: [key] });
    }
  }

  async #removeRows(path: string, prefix: readonly string[]): Promise<void> {
    const partition = this.#store.partition(path);
    const limit = Math.min(ROWS_PER_COMMIT, this.#store.kv.capabilities.keysPerCommitMax);
    for (;;) {
      const { items } = await this.#store.kv.scan(partition, { ...prefixRange(prefix), limit });
      if (items.length === 0) return;
      await this.#store.kv.commit(partition, { deletes: items.map(({ key }) => key) });
    }
  }
}

/** The row of a fork in a stream that was loaded. */
export async function readPin(
  store: StreamStore,
  snapshot: StreamSnapshot,
  fork: string,
): Promise<Row<StreamPin>> {
  const key = streamKeys.pin(snapshot.register.body?.incarnation ?? fork, fork);
  return pinRow.read(key, await store.row(snapshot.path, key), snapshot.place);
}

/** The life that a pin or what remains is named by. */
function lastPart(key: KvKey): string {
  return String(decodeKey(key).at(-1));
}
