import { HASH_CONTEXTS, nobleHasher, regionId } from "@tidemark/core";
import { UserKeys } from "@tidemark/session";
import { memoryFs, type MemoryFs } from "@tidemark/wal";
import { openRegionClock } from "../../../../packages/region/src/clock.ts";
import { decodeKeyFile, encodeKeyFile } from "../../../../packages/region/src/key-file.ts";
import { unwrapKeys, wrapKeys } from "../../../../packages/region/src/key-wrap.ts";
import { formatMembersFile, parseMembersFile } from "../../../../packages/region/src/members-file.ts";
import { readRegionFile, writeRegionFile } from "../../../../packages/region/src/region-file.ts";
import { mutateJson } from "../json.ts";
import { bytesOf, decoderTarget, type FuzzTarget } from "../target.ts";
import { sealTail } from "./wal.ts";
import { RegionError } from "@tidemark/region";

const CLUSTER_KEY = { id: 7, key: new Uint8Array(32).fill(9) };
const WRAP = { hasher: nobleHasher, clusterId: new Uint8Array(8).fill(1) };
const MEMBERS = {
  format: 1,
  version: 3,
  regions: { "us-east": 1, "eu-west": 2 },
  removed: { 3: { name: "ap-south", version: 2 } },
  since: { 2: 2 },
  shards: 2,
  slots: "0-2047:0,2048-4095:1",
  promised: { version: 4, digest: "0".repeat(32) },
};
const REGION = {
  format: 1,
  name: "us-east",
  id: 1,
  seed: "ab".repeat(16),
  joined: true,
  shards: 2,
  since: 2,
  encryption: true,
};

/** The files that say who a directory belongs to. */
export const REGION_FILES: readonly FuzzTarget[] = [
  {
    name: "region-json",
    seeds: () => [bytesOf(JSON.stringify(REGION))],
    mutate: mutateJson,
    run: async (input) => {
      const disk = await diskWith("region.json", input);
      try {
        const file = await readRegionFile(disk, "d");
        if (file === undefined) throw new Error("A file that is there was not read");
        await writeRegionFile(disk, "d", file);
        const again = await readRegionFile(disk, "d");
        if (JSON.stringify(again) !== JSON.stringify(file))
          throw new Error("What was read is not what was written");
      } catch (error) {
        if (!(error instanceof RegionError)) throw error;
      }
    },
  },
  decoderTarget({
    name: "region-members-json",
    seeds: () => [bytesOf(JSON.stringify(MEMBERS))],
    mutate: mutateJson,
    decode: (bytes) => {
      const list = parseMembersFile(bytes, "d");
      const again = parseMembersFile(bytesOf(formatMembersFile(list)), "d");
      if (formatMembersFile(again) !== formatMembersFile(list))
        throw new Error("What was read is not what was written");
      return list;
    },
    heapPerByte: 1024,
  }),
  {
    name: "region-clock",
    seeds: () => [bytesOf("1790000000000 1790000000000".padEnd(63).concat("\n")), new Uint8Array(0)],
    bytesMax: 256,
    run: async (input) => {
      const disk = await diskWith("clock", input);
      const { clock, close } = await openRegionClock(disk, "d", regionId(1), () => 1_790_000_000_000);
      try {
        clock.tick();
      } catch (error) {
        if (typeof (error as { code?: unknown }).code !== "string") throw error;
      }
      await close();
    },
  },
  decoderTarget({
    name: "region-keys",
    seeds: () => {
      const keys = UserKeys.create(nobleHasher, new Uint8Array(16).fill(3));
      return [false, true].map((cleaning) => encodeKeyFile({ keys, cleaning }, nobleHasher));
    },
    decode: (bytes) => decodeKeyFile(bytes, nobleHasher),
    encode: (file) => encodeKeyFile(file, nobleHasher),
    seal: (bytes) => sealTail(HASH_CONTEXTS.keyFile, bytes),
    heapPerByte: 256,
  }),
  {
    name: "region-sealed-keys",
    seeds: () => {
      const table = UserKeys.create(nobleHasher, new Uint8Array(16).fill(3)).encode();
      return [wrapKeys(table, CLUSTER_KEY, new Uint8Array(24).fill(5), WRAP), table];
    },
    // Opened as it is, and as a table that the cluster key has sealed.
    run: (input) => {
      for (const bytes of [input, wrapKeys(input, CLUSTER_KEY, new Uint8Array(24), WRAP)]) {
        try {
          unwrapKeys(bytes, [CLUSTER_KEY], WRAP);
        } catch (error) {
          if (!(error instanceof RegionError)) throw error;
        }
      }
    },
    heapPerByte: 8192,
  },
];

async function diskWith(name: string, bytes: Uint8Array): Promise<MemoryFs> {
  const disk = memoryFs();
  await disk.mkdir("d");
  const file = await disk.open(`d/${name}`, "create");
  file.write(bytes, 0);
  await file.close();
  return disk;
}
