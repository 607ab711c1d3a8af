import { formatLogId, nobleHasher, type Channel } from "@tidemark/core";
import type { WalBatch } from "@tidemark/wal";
import type { Frontier, Replicated } from "../src/index.ts";

/** A state that remembers every record it was given, so that a test can see order, holes and repeats. */
export class ModelState implements Replicated {
  readonly channel: Channel = "sessions";
  foldVersion = 1;
  readonly applied = new Map<string, { lsn: number; text: string }[]>();
  frontier: Frontier | undefined;
  stableCalls = 0;
  failAt: string | undefined;
  calls = 0;

  apply(batch: WalBatch): void {
    this.calls += 1;
    const key = formatLogId(batch.log);
    const records = this.applied.get(key) ?? [];
    this.applied.set(key, records);
    for (const { lsn, type, body } of batch.records()) {
      const text = type === 2 ? new TextDecoder().decode(body) : `#${type}`;
      if (text === this.failAt) throw new Error("The fold failed");
      if (lsn !== (records.at(-1)?.lsn ?? 0) + 1)
        throw new Error(`LSN ${lsn} after ${records.at(-1)?.lsn ?? 0}`);
      records.push({ lsn, text });
    }
  }

  stable(frontier: Frontier): void {
    this.frontier = frontier;
    this.stableCalls += 1;
  }

  /** Everything written by callers, whatever the order logs came in. */
  texts(): string[] {
    return [...this.applied.values()]
      .flatMap((records) => records.map(({ text }) => text))
      .filter((text) => !text.startsWith("#"))
      .toSorted();
  }

  snapshot(): Uint8Array {
    return new TextEncoder().encode(JSON.stringify([...this.applied]));
  }

  restore(bytes: Uint8Array): void {
    this.applied.clear();
    for (const [key, records] of JSON.parse(new TextDecoder().decode(bytes))) this.applied.set(key, records);
  }

  reset(): void {
    this.applied.clear();
  }

  digest(): Uint8Array {
    return nobleHasher.digest("tidemark test state", new TextEncoder().encode(JSON.stringify(this.texts())));
  }
}
