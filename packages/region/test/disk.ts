import { memoryFs } from "@tidemark/wal";
import type { MemoryFs, WalFs } from "@tidemark/wal";

const DIRECTORIES = ["data", "data/signals", "data/sessions"];

/** A copy of everything a region's directory holds: an image to restore later. */
export async function copyDisk(from: MemoryFs): Promise<MemoryFs> {
  const to = memoryFs({ seed: 1 });
  for (const dir of DIRECTORIES) {
    await to.mkdir(dir);
    for (const name of await from.list(dir))
      await writeFile(to, `${dir}/${name}`, (await from.readFile(`${dir}/${name}`))!);
    await to.syncDir(dir);
  }
  return to;
}

/** Every file below a region's directory, as text that can be compared. */
export async function contentsOf(disk: WalFs): Promise<Record<string, string>> {
  const contents: Record<string, string> = {};
  for (const dir of DIRECTORIES) {
    for (const name of await disk.list(dir)) {
      const bytes = await disk.readFile(`${dir}/${name}`);
      // A temporary file may be gone by now.
      if (bytes !== undefined) contents[`${dir}/${name}`] = Buffer.from(bytes).toString("base64");
    }
  }
  return contents;
}

/** Replaces a file. */
export async function writeFile(disk: WalFs, path: string, bytes: Uint8Array): Promise<void> {
  await disk.unlink(path);
  const file = await disk.open(path, "create");
  file.write(bytes, 0);
  await file.sync();
  await file.close();
  await disk.syncDir(path.slice(0, path.lastIndexOf("/")));
}

/** A disk as one process sees it: once that has died, nothing it still does reaches the disk. */
export function processOf(disk: MemoryFs): { readonly fs: WalFs; die(): void } {
  let dead = false;
  const fs = new Proxy(disk, {
    get: (target, name) => {
      const value: unknown = Reflect.get(target, name, target);
      if (typeof value !== "function") return value;
      return (...args: unknown[]) => {
        if (dead) return Promise.reject(Object.assign(new Error("The process is dead"), { code: "EBADF" }));
        return value.apply(target, args) as unknown;
      };
    },
  });
  return {
    fs,
    die: () => {
      dead = true;
    },
  };
}
