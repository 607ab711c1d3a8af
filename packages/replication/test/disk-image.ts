import { memoryFs } from "@tidemark/wal";

type Disk = ReturnType<typeof memoryFs>;

const CHANNELS = ["data", "data/signals", "data/sessions"];

/** A copy of everything a directory holds: an image to restore later. */
export async function copyDisk(from: Disk): Promise<Disk> {
  const to = memoryFs({ seed: 1 });
  for (const dir of CHANNELS) {
    await to.mkdir(dir);
    for (const name of await from.list(dir)) {
      const bytes = await from.readFile(`${dir}/${name}`);
      if (bytes === undefined) continue;
      const file = await to.open(`${dir}/${name}`, "create");
      file.write(bytes, 0);
      await file.sync();
      await file.close();
    }
    await to.syncDir(dir);
  }
  return to;
}
