import { memoryFs, type Log, type MemoryFs, type Wal, type WalBatch } from "@tidemark/wal";
import fc from "fast-check";
import { expect, test } from "vitest";
import { OWN, batches, body, fresh, open, outcome, own } from "./support.ts";

const SMALL = { segmentBytes: 700 };

/** What is done to a copy of a log, with a number that says how much or where. */
type Step = {
  readonly kind: "append" | "retain" | "rot" | "repair" | "replace" | "fail" | "crash" | "kill" | "close";
  readonly at: number;
};

const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.record({
    kind: fc.constantFrom(
      "append" as const,
      "append" as const,
      "append" as const,
      "retain" as const,
      "rot" as const,
      "repair" as const,
      "replace" as const,
      "fail" as const,
      "crash" as const,
      "kill" as const,
      "close" as const,
    ),
    at: fc.nat(1000),
  }),
  { minLength: 3, maxLength: 25 },
);

/** A log of forty batches, as its owner holds it. */
async function owner(): Promise<{ log: Log; all: WalBatch[] }> {
  const { log } = await fresh(SMALL, 77);
  for (let index = 0; index < 40; index++) {
    const texts = Array.from(
      { length: 1 + (index % 3) },
      (_, part) => `${index}/${part} ${"x".repeat(index)}`,
    );
    await log.appendMany(texts.map((each) => ({ type: 2, body: body(each) })));
  }
  return { log, all: await batches(log) };
}

/** A copy under test, and the naive model of it: from which LSN to which it must hold the owner's bytes. */
class Copy {
  readonly fs: MemoryFs;
  readonly #origin: Log;
  readonly #all: readonly WalBatch[];
  #wal!: Wal;
  /** Rot that nobody has repaired yet: what the copy gives out may stop early, but is never wrong. */
  #rotten = false;
  #first = 1;
  #acked = 0;

  constructor(origin: Log, all: readonly WalBatch[], seed: number) {
    this.fs = memoryFs({ seed });
    this.#origin = origin;
    this.#all = all;
  }

  async open(): Promise<void> {
    this.#wal = await open(this.fs, SMALL);
    const log = this.#wal.log(OWN) ?? (await this.#wal.createLog(OWN));
    if (!this.#rotten) {
      // At most one further write, which had not been acknowledged.
      expect(log.durable.lsn).toBeGreaterThanOrEqual(this.#acked);
      expect(log.failed).toBeUndefined();
      this.#acked = log.durable.lsn;
    }
    expect(log.first).toBeLessThanOrEqual(this.#first);
    this.#first = log.first;
  }

  async run({ kind, at }: Step): Promise<void> {
    const log = own(this.#wal);
    const fetch = (from: number, to: number): Promise<Uint8Array> =>
      this.#origin.readBatches(from, to, 1 + at);
    switch (kind) {
      case "append":
        return this.#append(log, 1 + (at % 4));
      case "fail":
        this.fs.failSync({ nth: 1 + (at % 3), path: ".wal" });
        return this.#append(log, 1 + (at % 4));
      case "retain": {
        await outcome(this.#wal.retain([{ log: OWN, lsn: at % 60 }]));
        this.#first = log.first;
        return undefined;
      }
      case "repair": {
        await persist(() => this.#wal.repair(OWN, fetch));
        expect(log.failed).toBeUndefined();
        expect(log.durable.lsn).toBeGreaterThanOrEqual(this.#acked);
        this.#acked = log.durable.lsn;
        this.#rotten = false;
        return undefined;
      }
      case "replace": {
        const batch = this.#all[at % 30] as WalBatch;
        const after = { lsn: batch.lastLsn, digest: batch.digest };
        await persist(() => this.#wal.replaceLog(OWN, { after }));
        this.#first = batch.lastLsn + 1;
        this.#acked = batch.lastLsn;
        this.#rotten = false;
        return undefined;
      }
      case "rot": {
        const segments = this.#wal.segments(OWN).filter((segment) => segment.bytes > 0);
        const segment = segments[at % Math.max(1, segments.length)];
        if (segment === undefined || this.#rotten) return undefined;
        await this.#reopen("close", () => {
          // The watermark knows of it by now: this is damage, wherever it is.
          this.fs.flipBit(`wal/sessions/${segment.name}`, at % segment.bytes, at & 7);
          this.#rotten = true;
        });
        return undefined;
      }
      default:
        return this.#reopen(kind, () => {});
    }
  }

  /** What is held is the owner's, byte for byte. */
  async check(): Promise<void> {
    const log = own(this.#wal);
    const held = (batch: WalBatch): boolean =>
      batch.firstLsn >= this.#first && batch.lastLsn <= log.durable.lsn;
    if (this.#rotten) {
      const reading = (async () => {
        for await (const batch of log.read(log.first)) {
          expect(batch.bytes).toEqual(this.#all.find(({ firstLsn }) => firstLsn === batch.firstLsn)?.bytes);
        }
      })();
      expect(["WAL_CORRUPT", undefined]).toContain(await outcome(reading));
      return;
    }
    expect(log.first).toBe(this.#first);
    expect(log.durable.lsn).toBe(this.#acked);
    expect(await batches(log)).toEqual(this.#all.filter(held));
    for (const { lastLsn, digest } of this.#all)
      if (lastLsn >= log.first && lastLsn <= log.durable.lsn)
        expect(await log.digestAt(lastLsn)).toEqual(digest);
  }

  async #append(log: Log, count: number): Promise<void> {
    for (let index = 0; index < count; index++) {
      const next = this.#all.find(({ firstLsn }) => firstLsn === log.durable.lsn + 1);
      if (next === undefined || log.failed !== undefined) return;
      const done = await outcome(log.appendVerbatim(next.bytes));
      if (done === undefined) this.#acked = next.lastLsn;
    }
  }

  async #reopen(kind: "crash" | "kill" | "close", between: () => void): Promise<void> {
    if (kind === "close") await this.#wal.close();
    if (kind === "crash") this.fs.crash();
    else this.fs.kill();
    between();
    await this.open();
  }
}

test("WAL-14, WAL-11, scenario 2: retain, repair and replace between crashes, rot and failed syncs: what is held is the owner's", async () => {
  const { log, all } = await owner();
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 0xffff }), steps, async (seed, list) => {
      const copy = new Copy(log, all, seed);
      await copy.open();
      for (const step of list) {
        await copy.run(step);
        await copy.check();
      }
      await copy.run({ kind: "repair", at: 5000 });
      await copy.check();
    }),
    { numRuns: 120 },
  );
});

/** Tries again while a sync that an earlier step has armed fails. */
async function persist(run: () => Promise<unknown>): Promise<void> {
  for (let attempt = 0; attempt < 8; attempt++) {
    const failed = await outcome(run());
    if (typeof failed !== "string") return;
    expect(["EIO", "WAL_WRITE_FAILED"]).toContain(failed);
  }
  await run();
}
