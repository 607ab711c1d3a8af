import type { WalFs } from "@tidemark/wal";

/** Replaces a text file atomically: whole or not at all, also across a crash. */
export async function replaceFile(fs: WalFs, dir: string, name: string, text: string): Promise<void> {
  const bytes = new TextEncoder().encode(text);
  const temporary = `${dir}/${name}.tmp`;
  // What an earlier crash may have left.
  await fs.unlink(temporary);
  const handle = await fs.open(temporary, "create");
  try {
    if (handle.write(bytes, 0) !== bytes.length)
      throw new Error(`Cannot write ${temporary}: the disk took only a part`);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await fs.rename(temporary, `${dir}/${name}`);
  await fs.syncDir(dir);
}
