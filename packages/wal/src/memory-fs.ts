import { WalError } from "./errors.ts";
import type { WalFile, WalFileMode, WalFs, WalLock } from "./file-system.ts";
import { MemoryFile } from "./memory-file.ts";

/** Options of {@link memoryFs}. */
export interface MemoryFsOptions {
  /** Decides what survives a crash. @defaultValue 1 */
  readonly seed?: number;
  /** Bytes that all files together may have. @defaultValue no limit */
  readonly bytesMax?: number;
}

/** A write or sync that is to fail. */
export interface MemoryFault {
  /** Which one from now: 1 is the next. @defaultValue 1 */
  readonly nth?: number;
  /** @defaultValue "EIO" */
  readonly code?: "EIO" | "ENOSPC";
  /** Only files whose path ends like this count. @defaultValue every file */
  readonly path?: string;
}

interface ArmedFault {
  left: number;
  readonly code: string;
  readonly path: string;
  /** Bytes taken before a write fails; a short write takes them and does not fail. */
  readonly bytes: number;
  readonly short: boolean;
}

type DirectoryChange =
  | { readonly set: string; readonly file: MemoryFile }
  | { readonly removed: string }
  | { readonly from: string; readonly to: string };

/** A file system in memory that fails, forgets and crashes as told. */
export class MemoryFs implements WalFs {
  readonly volatile = true;
  /** Names as processes see them, and as the disk holds them. */
  #names = new Map<string, MemoryFile>();
  #storedNames = new Map<string, MemoryFile>();
  /** Changes of directories that no directory sync has covered, in order. */
  #changes: DirectoryChange[] = [];
  readonly #directories = new Set<string>();
  readonly #locks = new Map<string, string>();
  readonly #syncFaults: ArmedFault[] = [];
  readonly #writeFaults: ArmedFault[] = [];
  #held: (() => void)[] | undefined;
  #bytesMax: number;
  #random: number;
  #generation = 0;

  constructor(options: MemoryFsOptions = {}) {
    this.#bytesMax = options.bytesMax ?? Number.POSITIVE_INFINITY;
    this.#random = (options.seed ?? 1) >>> 0;
  }

  /** Makes a sync fail: its bytes stay in the page cache, called clean, and never reach the disk. */
  failSync(fault: MemoryFault = {}): void {
    this.#syncFaults.push({
      left: fault.nth ?? 1,
      code: fault.code ?? "EIO",
      path: fault.path ?? "",
      bytes: 0,
      short: false,
    });
  }

  /** Makes a write fail after it has taken `bytes` bytes. @defaultValue 0 */
  failWrite(fault: MemoryFault & { readonly bytes?: number } = {}): void {
    const { nth = 1, code = "EIO", path = "", bytes = 0 } = fault;
    this.#writeFaults.push({ left: nth, code, path, bytes, short: false });
  }

  /** Makes a write take only `bytes` bytes and report so. */
  shortWrite(fault: { readonly nth?: number; readonly path?: string; readonly bytes: number }): void {
    this.#writeFaults.push({
      left: fault.nth ?? 1,
      code: "",
      path: fault.path ?? "",
      bytes: fault.bytes,
      short: true,
    });
  }

  /** Sets the room there is; writes beyond fail with `ENOSPC`. */
  setBytesMax(bytes: number): void {
    this.#bytesMax = bytes;
  }

  /** Holds every sync that is not `syncNow` until the returned function is called. */
  holdSyncs(): () => void {
    this.#held ??= [];
    return () => {
      const held = this.#held ?? [];
      this.#held = undefined;
      for (const run of held) run();
    };
  }

  /** How many syncs are held. */
  get heldSyncs(): number {
    return this.#held?.length ?? 0;
  }

  /** Flips a bit on the disk. */
  flipBit(path: string, offset: number, bit: number): void {
    this.#file(path).flipBit(offset, bit);
  }

  /** The process dies: handles and locks go, the page cache stays. */
  kill(): void {
    this.#generation += 1;
    this.#locks.clear();
    this.#held = undefined;
    this.#syncFaults.length = 0;
    this.#writeFaults.length = 0;
  }

  /**
   * The machine dies. Of the unsynced sectors any subset survives, of the unsynced changes of directories a prefix:
   * the seed decides, unless `survives` does.
   */
  crash(survives: () => boolean = () => this.#next() < 0.5): void {
    this.kill();
    const names = new Map(this.#storedNames);
    for (const change of this.#changes) {
      if (!survives()) break;
      applyChange(names, change);
    }
    this.#names = names;
    this.#storedNames = new Map(names);
    this.#changes = [];
    for (const file of new Set(names.values())) file.crash(survives);
  }

  /**
   * Another disk in the same state, what is not synced included: for trying several crashes of one moment. Locks, open
   * files, held syncs and armed faults stay behind.
   */
  copy(): MemoryFs {
    const copy = new MemoryFs({ seed: this.#random, bytesMax: this.#bytesMax });
    const files = new Map<MemoryFile, MemoryFile>();
    const copyOf = (file: MemoryFile): MemoryFile => {
      const known = files.get(file) ?? file.copy();
      files.set(file, known);
      return known;
    };
    for (const [name, file] of this.#names) copy.#names.set(name, copyOf(file));
    for (const [name, file] of this.#storedNames) copy.#storedNames.set(name, copyOf(file));
    for (const change of this.#changes)
      copy.#changes.push("set" in change ? { set: change.set, file: copyOf(change.file) } : change);
    for (const directory of this.#directories) copy.#directories.add(directory);
    return copy;
  }

  async mkdir(path: string): Promise<void> {
    const parts = path.split("/");
    for (let count = 1; count <= parts.length; count++)
      this.#directories.add(parts.slice(0, count).join("/"));
  }

  async list(path: string): Promise<string[]> {
    const prefix = `${path}/`;
    const found: string[] = [];
    for (const name of this.#names.keys()) {
      if (name.startsWith(prefix) && !name.slice(prefix.length).includes("/"))
        found.push(name.slice(prefix.length));
    }
    return found;
  }

  async open(path: string, mode: WalFileMode): Promise<WalFile> {
    const existing = this.#names.get(path);
    if (mode === "create") {
      if (existing !== undefined) throw fileError("EEXIST", path);
      if (!this.#directories.has(path.slice(0, path.lastIndexOf("/")))) throw fileError("ENOENT", path);
      const file = new MemoryFile();
      this.#change({ set: path, file });
      return this.#handle(path, file, mode);
    }
    return this.#handle(path, this.#file(path), mode);
  }

  async readFile(path: string): Promise<Uint8Array | undefined> {
    const file = this.#names.get(path);
    return file?.bytes.slice(0, file.length);
  }

  async rename(from: string, to: string): Promise<void> {
    this.#file(from);
    this.#change({ from, to });
  }

  async unlink(path: string): Promise<void> {
    if (this.#names.has(path)) this.#change({ removed: path });
  }

  async syncDir(path: string): Promise<void> {
    this.#fault(this.#syncFaults, path);
    const inside = (name: string): boolean => name.slice(0, name.lastIndexOf("/")) === path;
    const rest: DirectoryChange[] = [];
    for (const change of this.#changes) {
      const name = "set" in change ? change.set : "removed" in change ? change.removed : change.to;
      if (inside(name)) applyChange(this.#storedNames, change);
      else rest.push(change);
    }
    this.#changes = rest;
  }

  async kindOf(path: string): Promise<"file" | "directory" | undefined> {
    if (this.#names.has(path)) return "file";
    return this.#directories.has(path) ? "directory" : undefined;
  }

  async holderOf(dir: string): Promise<string | undefined> {
    return this.#locks.get(dir);
  }

  async lock(dir: string): Promise<WalLock> {
    const holder = this.#locks.get(dir);
    if (holder !== undefined) {
      throw new WalError("WAL_LOCKED", `Cannot open ${dir}: ${holder} holds it`, { holder, retryable: true });
    }
    this.#locks.set(dir, "this process");
    const generation = this.#generation;
    return {
      release: async () => {
        if (generation === this.#generation) this.#locks.delete(dir);
      },
    };
  }

  #handle(path: string, file: MemoryFile, mode: WalFileMode): WalFile {
    const generation = this.#generation;
    let closed = false;
    const check = (writing: boolean): void => {
      if (closed || generation !== this.#generation) throw fileError("EBADF", path);
      if (writing && mode === "read") throw fileError("EBADF", path);
    };
    const read = (into: Uint8Array, position: number): number => {
      check(false);
      const view = file.bytes.subarray(position, Math.min(file.length, position + into.length));
      into.set(view);
      return view.length;
    };
    const write = (bytes: Uint8Array, position: number): number => {
      check(true);
      return this.#write(path, file, bytes, position);
    };
    const sync = (): void => {
      check(true);
      try {
        this.#fault(this.#syncFaults, path);
      } catch (error) {
        file.forgetDirty();
        throw error;
      }
      file.sync();
    };
    return {
      size: async () => {
        check(false);
        return file.length;
      },
      read: async (into, position) => read(into, position),
      readNow: read,
      write,
      writeAsync: async (bytes, position) => write(bytes, position),
      sync: async () => {
        check(true);
        if (this.#held !== undefined) await new Promise<void>((resolve) => this.#held?.push(resolve));
        sync();
      },
      syncNow: sync,
      truncate: async (length) => {
        check(true);
        file.truncate(length);
      },
      close: async () => {
        closed = true;
      },
    };
  }

  #write(path: string, file: MemoryFile, bytes: Uint8Array, position: number): number {
    const fault = this.#armed(this.#writeFaults, path);
    if (fault !== undefined) {
      const taken = bytes.subarray(0, fault.bytes);
      if (taken.length > 0) file.write(taken, position);
      if (fault.short) return taken.length;
      throw fileError(fault.code, path);
    }
    const growth = Math.max(0, position + bytes.length - file.length);
    if (growth > 0 && growth > this.#bytesMax - this.#used()) {
      const room = Math.max(0, this.#bytesMax - this.#used());
      const taken = bytes.subarray(0, Math.max(0, file.length + room - position));
      if (taken.length === 0) throw fileError("ENOSPC", path);
      file.write(taken, position);
      return taken.length;
    }
    file.write(bytes, position);
    return bytes.length;
  }

  #used(): number {
    let bytes = 0;
    for (const file of this.#names.values()) bytes += file.length;
    return bytes;
  }

  #file(path: string): MemoryFile {
    const file = this.#names.get(path);
    if (file === undefined) throw fileError("ENOENT", path);
    return file;
  }

  #change(change: DirectoryChange): void {
    applyChange(this.#names, change);
    this.#changes.push(change);
  }

  #fault(faults: ArmedFault[], path: string): void {
    const fault = this.#armed(faults, path);
    if (fault !== undefined) throw fileError(fault.code, path);
  }

  /** Counts one event against every armed fault; the one that is due is used up. */
  #armed(faults: ArmedFault[], path: string): ArmedFault | undefined {
    let due: ArmedFault | undefined;
    for (const fault of faults) {
      if (!path.endsWith(fault.path)) continue;
      fault.left -= 1;
      if (fault.left <= 0) due ??= fault;
    }
    if (due !== undefined) faults.splice(faults.indexOf(due), 1);
    return due;
  }

  /** Mulberry32, so that a seed gives the same run everywhere. */
  #next(): number {
    this.#random = (this.#random + 0x6d2b79f5) >>> 0;
    let mixed = this.#random;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000;
  }
}

/**
 * A file system in memory with faults, for tests and simulations.
 *
 * @example
 * ```ts
 * const fs = memoryFs({ seed: 7 });
 * await fs.mkdir("data");
 * const file = await fs.open("data/a", "create");
 * file.write(Uint8Array.of(1), 0);
 * fs.crash(() => false);
 * assert.equal(await fs.readFile("data/a"), undefined);
 * ```
 */
export function memoryFs(options: MemoryFsOptions = {}): MemoryFs {
  return new MemoryFs(options);
}

function applyChange(names: Map<string, MemoryFile>, change: DirectoryChange): void {
  if ("set" in change) {
    names.set(change.set, change.file);
  } else if ("removed" in change) {
    names.delete(change.removed);
  } else {
    const file = names.get(change.from);
    if (file === undefined) return;
    names.delete(change.from);
    names.set(change.to, file);
  }
}

function fileError(code: string, path: string): Error {
  return Object.assign(new Error(`${code}: ${path}`), { code });
}
