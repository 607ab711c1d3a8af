import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { MemoryColdStore } from "@tidemark/session";
import { memoryFs } from "@tidemark/wal";
import { nodeFs } from "@tidemark/wal/node";
import fc from "fast-check";
import { expect, test } from "vitest";
import { openColdFile } from "../src/cold-file.ts";

const moves = fc.array(
  fc.oneof(
    { weight: 3, arbitrary: fc.record({ put: fc.uint8Array({ maxLength: 700 }) }) },
    { weight: 2, arbitrary: fc.record({ drop: fc.nat() }) },
  ),
  { maxLength: 60 },
);

test("RGN-4 the scratch file gives back what was put into it, and uses the room of what was let go of", async () => {
  const fs = memoryFs();
  await fs.mkdir("data");
  await fc.assert(
    fc.asyncProperty(moves, async (script) => {
      const store = (await openColdFile(fs, "data"))!;
      const model = new MemoryColdStore();
      const held: { readonly place: number; readonly known: number }[] = [];
      let peak = 0;
      for (const move of script) {
        if ("put" in move) held.push({ place: store.put(move.put), known: model.put(move.put) });
        else if (held.length > 0) {
          const [{ place, known }] = held.splice(move.drop % held.length, 1) as [(typeof held)[0]];
          store.delete(place);
          model.delete(known);
        }
        peak = Math.max(peak, held.length);
        for (const { place, known } of held) expect(store.get(place)).toEqual(model.get(known));
        expect(store.size.bytes).toBe(model.byteLength);
      }
      expect(new Set(held.map(({ place }) => place)).size).toBe(held.length);
      store.clear();
      expect(store.get(store.put(Uint8Array.of(7)))).toEqual(Uint8Array.of(7));
      expect(store.size.fileBytes).toBe(64);
      await store.close();
    }),
    { numRuns: 60 },
  );
});

test("RGN-4 a full disk keeps nothing and breaks nothing; bytes that changed are refused", async () => {
  const fs = memoryFs();
  await fs.mkdir("data");
  const store = (await openColdFile(fs, "data"))!;
  const first = store.put(new Uint8Array(100).fill(1));
  fs.failWrite({ code: "ENOSPC" });
  expect(() => store.put(new Uint8Array(100).fill(2))).toThrow("ENOSPC");
  const second = store.put(new Uint8Array(100).fill(3));
  expect(store.get(first)).toEqual(new Uint8Array(100).fill(1));
  expect(store.get(second)).toEqual(new Uint8Array(100).fill(3));
  fs.flipBit("data/cold", 5, 1);
  expect(() => store.get(first)).toThrow(expect.objectContaining({ code: "REGION_DAMAGED" }));
});

test("RGN-4 it works on a real disk, and begins empty over what an earlier run left", async () => {
  const dir = await mkdtemp(join(tmpdir(), "tidemark-cold-"));
  try {
    for (let run = 0; run < 2; run++) {
      const store = (await openColdFile(nodeFs(), dir))!;
      const places = Array.from({ length: 50 }, (_, at) => store.put(new Uint8Array(at * 40).fill(at)));
      for (const [at, place] of places.entries())
        expect(store.get(place)).toEqual(new Uint8Array(at * 40).fill(at));
      await store.close();
    }
  } finally {
    await rm(dir, { recursive: true });
  }
});
