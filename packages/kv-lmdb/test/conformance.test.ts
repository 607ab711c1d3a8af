import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Kv } from "@tidemark/kv";
import { describeKv, type KvFixture } from "@tidemark/kv-conformance";
import { spawnKvWorker } from "@tidemark/kv-conformance/node";
import { open } from "lmdb";
import { beforeAll } from "vitest";
import { openLmdbKv } from "../src/index.ts";
import { PLACES, buildPrograms, bytes, programOf } from "./support.ts";

beforeAll(buildPrograms);

describeKv("LMDB", {
  claims: {
    name: "lmdb",
    durability: PLACES.startsWith("/dev/shm") ? "process" : "disk",
    sharedBy: "machine",
    keysPerCommitMax: 10_000,
    valueBytesMax: 8 * 1_024 * 1_024,
    commitBytesMax: 32 * 1_024 * 1_024,
    scan: true,
    watch: true,
  },
  hooks: ["second", "reopen", "version", "processes"],
  open: openFixture,
});

async function openFixture(): Promise<KvFixture> {
  const place = mkdtempSync(join(PLACES, "tidemark-kv-lmdb-"));
  const dir = join(place, "store");
  const handles: Kv[] = [];
  const openHandle = async (): Promise<Kv> => {
    // Another handle is another process to it: what that commits is seen by polling.
    const kv = await openLmdbKv({ dir, watchPollMs: 5 });
    handles.push(kv);
    return kv;
  };
  return {
    kv: await openHandle(),
    openSecond: openHandle,
    reopen: openHandle,
    setVersion: async (version) => {
      const rows = open<Uint8Array, Uint8Array>({
        path: dir,
        encoding: "binary",
        keyEncoding: "binary",
        overlappingSync: false,
      });
      rows.putSync(Uint8Array.of(0, 0, ...bytes("version")), Uint8Array.of(...bytes("TKV"), version));
      await rows.close();
    },
    spawn: (task) => spawnKvWorker({ program: programOf("task-program"), task, args: [dir], execArgv: [] }),
    close: async () => {
      await Promise.all(handles.map((kv) => kv.close()));
      rmSync(place, { recursive: true, force: true });
    },
  };
}
