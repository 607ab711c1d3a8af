import { cpSync } from "node:fs";
import { join } from "node:path";
import { createBlake3Hasher } from "@tidemark/blake3-wasm";
import { HASH_CONTEXTS, logId } from "@tidemark/core";
import { openWal } from "@tidemark/wal";
import { nodeFs } from "@tidemark/wal/node";
import { change, closed, filesOf } from "./bad-days.ts";
import type { BadDay } from "./bad-days.ts";
import { makeRegion } from "./harness.ts";

/** A region's directory with a log of another region in many small segments, closed in good order. */
async function withSegments(dir: string): Promise<string[]> {
  await closed(dir);
  const wal = await openWal({ fs: nodeFs(), dir, hasher: createBlake3Hasher(), segmentBytes: 4_096 });
  const log = await wal.createLog(logId(9, 0, 1, "sessions"));
  for (let record = 0; record < 120; record++) await log.append(2, new Uint8Array(100).fill(record));
  await wal.close();
  return filesOf(join(dir, "sessions"), ".wal").filter((path) => path.includes("r00009"));
}

/** Zeroes the last bytes that were written. */
function zeroTail(bytes: Uint8Array): Uint8Array {
  const end = bytes.findLastIndex((byte) => byte !== 0) + 1;
  return bytes.fill(0, end - 20, end);
}

/** What scenarios 3 to 6 do to a log. */
export const DAMAGE: readonly BadDay[] = [
  {
    // A crash that leaves the last write half on the disk: nothing acknowledged was in it.
    name: "with a torn tail",
    make: async (dir) => {
      const region = await makeRegion(`${dir}.live`);
      cpSync(`${dir}.live`, dir, { recursive: true });
      await region.close();
      change(filesOf(join(dir, "sessions"), ".wal").at(-1)!, zeroTail);
    },
  },
  {
    name: "with a torn segment before a valid one",
    make: async (dir) => {
      const [first] = await withSegments(dir);
      change(first!, zeroTail);
    },
  },
  {
    name: "with a flipped bit in a sealed segment",
    make: async (dir) => {
      const [, second] = await withSegments(dir);
      // Within the first batch's payload; a bit of a header's version would read as a newer one.
      change(second!, (bytes) => ((bytes[100]! ^= 4), bytes));
    },
  },
  {
    // The same in the version of a header: what follows is of this version, so that no newer one wrote it.
    name: "with the version of a batch changed",
    make: async (dir) => {
      const [, second] = await withSegments(dir);
      change(second!, (bytes) => ((bytes[4] = 3), bytes));
    },
  },
  {
    name: "with damage below the watermark",
    make: async (dir) => {
      const last = (await withSegments(dir)).at(-1);
      change(last!, zeroTail);
    },
  },
  {
    name: "with a watermark of a newer version",
    make: async (dir) => {
      await withSegments(dir);
      change(join(dir, "watermark"), (bytes) => {
        bytes[4] = 2;
        const body = bytes.subarray(0, bytes.length - 32);
        bytes.set(createBlake3Hasher().digest(HASH_CONTEXTS.watermark, body, 32), body.length);
        return bytes;
      });
    },
  },
  {
    name: "with a damaged watermark",
    make: async (dir) => {
      await withSegments(dir);
      change(join(dir, "watermark"), (bytes) => ((bytes[20]! ^= 1), bytes));
    },
  },
  {
    name: "with a damaged checkpoint",
    make: async (dir) => {
      await withSegments(dir);
      change(filesOf(dir, ".tmcp").at(-1)!, (bytes) => ((bytes[bytes.length - 1]! ^= 1), bytes));
    },
  },
];
