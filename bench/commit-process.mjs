// Commits from so many callers so many times each: traced, to count what it asks of the disk.
import { openLmdbKv } from "../packages/kv-lmdb/dist/index.js";

const [dir, callers, each] = process.argv.slice(2);
const kv = await openLmdbKv({ dir });
await Promise.all(
  Array.from({ length: Number(callers) }, async (_, caller) => {
    for (let count = 0; count < Number(each); count++) {
      await kv.commit(`caller/${caller}`, { puts: [{ key: Uint8Array.of(1), value: Uint8Array.of(count) }] });
    }
  }),
);
await kv.close();
