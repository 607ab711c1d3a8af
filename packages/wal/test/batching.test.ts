import { memoryFs } from "@tidemark/wal";
import fc from "fast-check";
import { expect, test } from "vitest";
import { OWN, batches, open } from "./support.ts";

const size = fc.oneof(fc.nat(300), fc.nat(12_000), fc.nat(60_000));
const record = fc.record({ size, encoded: fc.boolean() });
const call = fc.record({ records: fc.array(record, { minLength: 1, maxLength: 8 }), pause: fc.nat(3) });

test("WAL-5 whatever is appended however, LSNs follow each other, bodies keep their order, batches their bound", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(call, { minLength: 1, maxLength: 25 }),
      fc.integer({ min: 200, max: 50_000 }),
      fc.boolean(),
      async (calls, batchBytesMax, held) => {
        const fs = memoryFs();
        const wal = await open(fs, { batchBytesMax, segmentBytes: 100_000, queueRecordsMax: 40 });
        const log = await wal.createLog(OWN);
        let release = held ? fs.holdSyncs() : undefined;
        const results: Promise<{ first: number; last: number } | undefined>[] = [];
        for (const { records, pause } of calls) {
          const wanted = records.map((each) => ({
            type: 2,
            body: each.encoded
              ? (writer: { raw(bytes: Uint8Array): void }) => writer.raw(new Uint8Array(each.size))
              : new Uint8Array(each.size),
          }));
          results.push(log.appendMany(wanted).catch(() => undefined));
          for (let turn = 0; turn < pause; turn++) await Promise.resolve();
          if (pause === 3) {
            release?.();
            release = held ? fs.holdSyncs() : undefined;
          }
        }
        release?.();
        const settled = await Promise.all(results);
        const found = await batches(log);
        for (const batch of found) expect(batch.bytes.length).toBeLessThanOrEqual(batchBytesMax);
        const stored = found.flatMap((batch) => [...batch.records()]);
        expect(stored.map((each) => each.lsn)).toEqual(stored.map((_, index) => index + 1));
        let before = 0;
        for (const [index, result] of settled.entries()) {
          const sizes = (calls[index] as (typeof calls)[number]).records.map((each) => each.size);
          if (result === undefined) {
            expect(Math.max(...sizes)).toBeGreaterThan(batchBytesMax - 70);
            continue;
          }
          expect(result.first).toBeGreaterThan(before);
          expect(result.last - result.first + 1).toBe(sizes.length);
          expect(stored.slice(result.first - 1, result.last).map((each) => each.body.length)).toEqual(sizes);
          before = result.last;
        }
        expect(log.queue).toMatchObject({ records: 0, bytes: 0, waiting: 0 });
        await wal.close();
      },
    ),
    { numRuns: 60 },
  );
});
