import { compareBytes } from "@tidemark/core";
import type { KvBell } from "@tidemark/kv";
import { setTimer } from "@tidemark/redis-connection";

/** The mark a partition has now; `undefined` if it holds nothing. */
export type ReadMark = (partition: string) => Promise<Uint8Array | undefined>;

/** A partition that somebody watches. */
interface Watched {
  readonly bells: Set<KvBell>;
  mark: Uint8Array | undefined;
  cancel: () => void;
  /** Whether a look is under way, and whether another is wanted after it. */
  looking: boolean;
  again: boolean;
}

/** Looks at the marks of watched partitions, again and again: every commit leaves another. */
export class Watches {
  readonly #readMark: ReadMark;
  readonly #pollMs: number;
  readonly #watched = new Map<string, Watched>();

  constructor(readMark: ReadMark, pollMs: number) {
    this.#readMark = readMark;
    this.#pollMs = pollMs;
  }

  /** Resolves once every later commit will ring. */
  async hang(bell: KvBell, partition: string): Promise<void> {
    const mark = await this.#readMark(partition);
    const watched = this.#watched.get(partition);
    if (watched !== undefined) {
      watched.bells.add(bell);
      return;
    }
    const fresh: Watched = { bells: new Set([bell]), mark, cancel: () => {}, looking: false, again: false };
    this.#watched.set(partition, fresh);
    this.#later(partition, fresh);
  }

  remove(bell: KvBell): void {
    for (const [partition, watched] of this.#watched) {
      if (!watched.bells.delete(bell) || watched.bells.size > 0) continue;
      watched.cancel();
      this.#watched.delete(partition);
    }
  }

  /** Looks now: this handle has committed there. */
  changed(partition: string): void {
    const watched = this.#watched.get(partition);
    if (watched === undefined) return;
    watched.cancel();
    void this.#look(partition, watched);
  }

  finish(): void {
    for (const { bells } of this.#watched.values()) for (const bell of bells) bell.finish();
  }

  #later(partition: string, watched: Watched): void {
    watched.cancel = setTimer(this.#pollMs, () => void this.#look(partition, watched));
  }

  async #look(partition: string, watched: Watched): Promise<void> {
    if (watched.looking) {
      watched.again = true;
      return;
    }
    watched.looking = true;
    // What cannot be read now is looked at again: the mark of the last look is kept.
    const found = await this.#readMark(partition).catch(() => watched.mark);
    watched.looking = false;
    if (!sameMark(found, watched.mark)) {
      watched.mark = found;
      for (const bell of watched.bells) bell.ring();
    }
    if (this.#watched.get(partition) !== watched) return;
    if (watched.again) {
      watched.again = false;
      void this.#look(partition, watched);
    } else this.#later(partition, watched);
  }
}

function sameMark(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return compareBytes(a, b) === 0;
}
