import type { Hlc } from "@tidemark/core";
import type { JournalEntry, SessionJournal } from "../src/index.ts";

interface Entry extends JournalEntry {
  readonly session: string;
  readonly namespace: string;
  readonly operationId: string;
}

/** Journals of regions that hear of each other when the test says so: of each in the order it wrote in. */
export class JournalNetwork {
  readonly names: readonly string[];
  /** What a journal gives of a namespace at most. */
  readonly window: number;
  readonly #entryBytesMax: number;
  readonly #written: Map<string, Entry[]> = new Map();
  /** By reader, then by writer, how many of the writer's entries it has. */
  readonly #heard: Map<string, Map<string, number>> = new Map();
  readonly #wake: Set<() => void> = new Set();
  #now: number = 0;
  /** Makes the next append fail, before or after it took effect. */
  failing: "before" | "after" | undefined;

  constructor(names: readonly string[], { window = 1_000, entryBytesMax = 64 } = {}) {
    this.names = names;
    this.window = window;
    this.#entryBytesMax = entryBytesMax;
    for (const name of names) {
      this.#written.set(name, []);
      this.#heard.set(name, new Map(names.map((from) => [from, 0])));
    }
  }

  /** Lets `to` hear of up to `count` more entries of `from`. */
  deliver(from: string, to: string, count: number = Number.POSITIVE_INFINITY): void {
    const heard = this.#heard.get(to)!;
    heard.set(from, Math.min(this.#written.get(from)!.length, heard.get(from)! + count));
    for (const wake of this.#wake) wake();
  }

  deliverAll(): void {
    for (const from of this.names) for (const to of this.names) this.deliver(from, to);
  }

  journal(name: string): SessionJournal {
    return {
      entryBytesMax: this.#entryBytesMax,
      region: name,
      append: async (session, namespace, bytes, operationId) => {
        const { failing } = this;
        this.failing = undefined;
        if (failing === "before") throw new Error("The journal failed before it wrote");
        const written = this.#written.get(name)!;
        if (
          !this.#visible(name).some((entry) => entry.session === session && entry.operationId === operationId)
        ) {
          const stamp: Hlc = { wallMs: ++this.#now, counter: 0, clockId: this.names.indexOf(name) };
          const effectId = `${name}:${written.length}`;
          written.push({ session, namespace, bytes: bytes.slice(), operationId, stamp, effectId });
        }
        this.deliver(name, name);
        if (failing === "after") throw new Error("The journal failed after it wrote");
      },
      read: (session, namespace, known) =>
        this.#visible(name)
          .filter((entry) => entry.session === session && entry.namespace === namespace)
          .sort((a, b) => a.stamp.wallMs - b.stamp.wallMs)
          .slice(-this.window)
          .filter(({ effectId }) => !known(effectId)),
      changes: (signal) => this.#changes(name, signal),
    };
  }

  #visible(name: string): Entry[] {
    const heard = this.#heard.get(name)!;
    return this.names.flatMap((from) => this.#written.get(from)!.slice(0, heard.get(from)));
  }

  async *#changes(name: string, signal: AbortSignal): AsyncGenerator<string, void> {
    let seen = 0;
    while (!signal.aborted) {
      const visible = this.#visible(name);
      if (visible.length > seen) {
        seen = visible.length;
        for (const session of new Set(visible.map((entry) => entry.session))) yield session;
        continue;
      }
      await new Promise<void>((resolve) => {
        const wake = (): void => {
          this.#wake.delete(wake);
          resolve();
        };
        this.#wake.add(wake);
        signal.addEventListener("abort", wake, { once: true });
      });
    }
  }
}
