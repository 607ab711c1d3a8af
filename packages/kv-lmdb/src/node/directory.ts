import { mkdir, open, statfs } from "node:fs/promises";
import { dirname, resolve } from "node:path";

/** What lies under a directory: `memory` ends with the machine, `network` keeps no locks between machines. */
export type DirectoryMedium = "disk" | "memory" | "network";

/** Linux: `f_type` of `statfs(2)`. Other systems number theirs otherwise and count as a disk. */
const MEDIA: ReadonlyMap<number, DirectoryMedium> = new Map([
  [0x0102_1994, "memory"], // tmpfs
  [0x8584_58f6, "memory"], // ramfs
  [0x6969, "network"], // NFS
  [0x517b, "network"], // SMB
  [0xff53_4d42, "network"], // CIFS
  [0xfe53_4d42, "network"], // SMB2
  [0x5346_414f, "network"], // AFS
  [0x00c3_6400, "network"], // Ceph
  [0x0102_1997, "network"], // 9P
  [0x0bd0_0bd0, "network"], // Lustre
  [0x4750_4653, "network"], // GPFS
]);

/** Makes the directory and those above it. Resolves to the first that was missing, if any was. */
export async function makeDirectory(dir: string): Promise<string | undefined> {
  return mkdir(dir, { recursive: true });
}

/** What the directory lies on. */
export async function mediumOf(dir: string): Promise<DirectoryMedium> {
  if (process.platform !== "linux") return "disk";
  const { type } = await statfs(dir);
  return MEDIA.get(type >>> 0) ?? "disk";
}

/**
 * Syncs the names: a file that is synced is lost with power all the same if its name is not. From the directory
 * up to the one that holds the first that was made.
 */
export async function syncNames(dir: string, firstMade: string | undefined): Promise<void> {
  // Windows cannot open a directory; its file system journals names by itself.
  if (process.platform === "win32") return;
  const last = firstMade === undefined ? resolve(dir) : dirname(resolve(firstMade));
  for (let path = resolve(dir); ; path = dirname(path)) {
    const handle = await open(path, "r");
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
    if (path === last || path === dirname(path)) return;
  }
}
