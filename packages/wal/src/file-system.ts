/** An open file. Positions are bytes from its start. */
export interface WalFile {
  size(): Promise<number>;
  /** Reads up to `into.length` bytes and returns how many there were. */
  read(into: Uint8Array, position: number): Promise<number>;
  /** The same here and now, for whoever cannot wait; a file system may have no such way. */
  readNow?(into: Uint8Array, position: number): number;
  /** Hands bytes to the page cache, synchronously, and returns how many it took: fewer is a short write. */
  write(bytes: Uint8Array, position: number): number;
  /** The same off the caller's thread. */
  writeAsync(bytes: Uint8Array, position: number): Promise<number>;
  /** `fdatasync` off the caller's thread. */
  sync(): Promise<void>;
  /** `fdatasync` here and now: the quickest way for a lone writer. */
  syncNow(): void;
  truncate(bytes: number): Promise<void>;
  close(): Promise<void>;
}

/** How a file is opened: `create` fails if it exists, `write` and `read` fail if it does not. */
export type WalFileMode = "create" | "write" | "read";

/** A held lock. It also goes when its process dies. */
export interface WalLock {
  release(): Promise<void>;
}

/**
 * The file system as the log uses it. `nodeFs()` of `@tidemark/wal/node` is the real one, `memoryFs()` the one
 * with faults. An error carries a `code` like Node's (`ENOSPC`, `EIO`).
 */
export interface WalFs {
  /** Whether all of it goes with the process: then nothing is durable. @defaultValue false */
  readonly volatile?: boolean;
  /** Creates a directory and its parents. */
  mkdir(path: string): Promise<void>;
  /** Names in a directory; none if it does not exist. */
  list(path: string): Promise<string[]>;
  open(path: string, mode: WalFileMode): Promise<WalFile>;
  /** The whole file, or `undefined` if it does not exist. */
  readFile(path: string): Promise<Uint8Array | undefined>;
  rename(from: string, to: string): Promise<void>;
  /** Removes a file; one that does not exist is no failure. */
  unlink(path: string): Promise<void>;
  /** Makes creations, renames and removals in a directory durable. */
  syncDir(path: string): Promise<void>;
  /** What a path is; `undefined` if nothing is there. */
  kindOf(path: string): Promise<"file" | "directory" | undefined>;
  /** Locks a directory. @throws `WalError` `WAL_LOCKED` that names the holder. */
  lock(dir: string): Promise<WalLock>;
  /** Who holds the lock of a directory, asked without taking it; `undefined` if nobody does. */
  holderOf(dir: string): Promise<string | undefined>;
}

/** Writes everything or throws: a short write is tried on, and one that makes no progress is an `EIO`. */
export function writeFully(file: WalFile, bytes: Uint8Array, position: number): void {
  let done = file.write(bytes, position);
  while (done < bytes.length) {
    const wrote = file.write(bytes.subarray(done), position + done);
    if (wrote === 0) throw Object.assign(new Error("Cannot write on: no byte was taken"), { code: "EIO" });
    done += wrote;
  }
}

/** Replaces a file atomically: temporary file, sync, rename, directory sync. */
export async function replaceFile(fs: WalFs, dir: string, name: string, bytes: Uint8Array): Promise<void> {
  const temporary = `${dir}/${name}.tmp`;
  await fs.unlink(temporary);
  const file = await fs.open(temporary, "create");
  try {
    // In pieces with a sync between: a large body does not hold the thread for long.
    for (let at = 0; at === 0 || at < bytes.length; at += REPLACE_PIECE_BYTES) {
      writeFully(file, bytes.subarray(at, at + REPLACE_PIECE_BYTES), at);
      await file.sync();
    }
  } finally {
    await file.close();
  }
  await fs.rename(temporary, `${dir}/${name}`);
  await fs.syncDir(dir);
}

const REPLACE_PIECE_BYTES = 4 * 1024 * 1024;
