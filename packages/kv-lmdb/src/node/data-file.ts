import { constants } from "node:fs";
import { access, open, stat } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { KvError } from "@tidemark/kv";

/** Of the first page of a data file of LMDB, in the order of bytes of the machine: little-endian wherever lmdb is built. */
const OFFSET = { flags: 0x12, magic: 0x18, version: 0x1c, pageBytes: 0x30 } as const;
const HEADER_BYTES = 0x34;
const META_PAGE = 0x08;
const MAGIC = 0xbeef_c0de;
/** The format of pages that lmdb 3 writes. */
const DATA_VERSION = 2;

/** How often a file that is shorter than its first two pages is looked at again: somebody may be making it. */
const LOOKS = 5;
const LOOK_AGAIN_MS = 20;

/**
 * Looks at the files of a store before LMDB does. When LMDB refuses to open them, lmdb 3.5.6 frees its memory twice,
 * which may end the process: so what can be seen is refused here.
 *
 * The lock file is not opened: a process that closes any descriptor of it loses all its locks on it.
 *
 * @throws {@link KvError} `KV_CORRUPT`; an error of the file system if the files may not be read and written.
 */
export async function inspectFiles(dir: string): Promise<void> {
  await access(dir, constants.R_OK | constants.W_OK | constants.X_OK);
  await requireFile(join(dir, "lock.mdb"));
  const data = join(dir, "data.mdb");
  if (!(await requireFile(data))) return;
  for (let look = 1; ; look++) {
    const found = await inspectHeader(data);
    if (found === "whole") return;
    if (found === "foreign" || look === LOOKS) {
      throw new KvError("KV_CORRUPT", `Cannot open ${dir}: data.mdb is no data file of LMDB`);
    }
    await pause(LOOK_AGAIN_MS);
  }
}

/** Whether it is there. @throws if it is, and is no file that may be read and written. */
async function requireFile(path: string): Promise<boolean> {
  try {
    const found = await stat(path);
    if (!found.isFile()) throw new Error(`${path} is no file`);
    await access(path, constants.R_OK | constants.W_OK);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return false;
    throw error;
  }
}

async function inspectHeader(path: string): Promise<"whole" | "short" | "foreign"> {
  const file = await open(path, "r");
  try {
    const { size } = await file.stat();
    if (size === 0) return "whole";
    const header = new DataView(new ArrayBuffer(HEADER_BYTES));
    const { bytesRead } = await file.read(header, 0, HEADER_BYTES, 0);
    if (bytesRead < HEADER_BYTES) return "short";
    const known =
      (header.getUint16(OFFSET.flags, true) & META_PAGE) !== 0 &&
      header.getUint32(OFFSET.magic, true) === MAGIC &&
      (header.getUint32(OFFSET.version, true) & 0xffff) === DATA_VERSION;
    if (!known) return "foreign";
    return size < 2 * header.getUint32(OFFSET.pageBytes, true) ? "short" : "whole";
  } finally {
    await file.close();
  }
}
