import type { MemoryFs, WalFile, WalFs } from "@tidemark/wal";

/** A write that is about to be made. */
export interface PendingWrite {
  readonly path: string;
  readonly bytes: Uint8Array;
  readonly position: number;
}

/** A disk that tells before each step that changes it, or makes a change durable, that the step comes. */
export function recordDisk(disk: MemoryFs, onStep: (write?: PendingWrite) => void): WalFs {
  // A file that is renamed while it is open is written under its new name.
  const places: { path: string }[] = [];
  const before = <T>(step: () => T): T => {
    onStep();
    return step();
  };
  return {
    volatile: true,
    mkdir: (path) => disk.mkdir(path),
    list: (path) => disk.list(path),
    readFile: (path) => disk.readFile(path),
    kindOf: (path) => disk.kindOf(path),
    holderOf: (dir) => disk.holderOf(dir),
    lock: (dir) => disk.lock(dir),
    rename: (from, to) =>
      before(() => {
        for (const place of places) if (place.path === from) place.path = to;
        return disk.rename(from, to);
      }),
    unlink: (path) => before(() => disk.unlink(path)),
    syncDir: (path) => before(() => disk.syncDir(path)),
    open: async (path, mode) => {
      if (mode === "create") onStep();
      const place = { path };
      places.push(place);
      return recordFile(place, await disk.open(path, mode), onStep);
    },
  };
}

function recordFile(
  place: { readonly path: string },
  file: WalFile,
  onStep: (write?: PendingWrite) => void,
): WalFile {
  return {
    size: () => file.size(),
    read: (into, position) => file.read(into, position),
    close: () => file.close(),
    write: (bytes, position) => {
      onStep({ path: place.path, bytes, position });
      return file.write(bytes, position);
    },
    writeAsync: (bytes, position) => {
      onStep({ path: place.path, bytes, position });
      return file.writeAsync(bytes, position);
    },
    sync: () => {
      onStep();
      return file.sync();
    },
    syncNow: () => {
      onStep();
      file.syncNow();
    },
    truncate: (length) => {
      onStep();
      return file.truncate(length);
    },
  };
}
