import { memoryFs } from "@tidemark/wal";
import type { MemoryFault, MemoryFs, Timers, WalFile, WalFs } from "@tidemark/wal";
import type { Life } from "./life.ts";
import type { Random } from "./random.ts";

/** What a {@link SimDisk} is made of. */
export interface SimDiskOptions {
  readonly random: Random;
  readonly time: Timers;
  /** How often a call takes some time, 0 to 1, and how many virtual milliseconds at most. @defaultValue 0.05 and 4 */
  readonly latency?: { readonly chance: number; readonly maxMs: number };
}

/** What a disk held at some moment: every file of every directory. */
export interface DiskImage {
  readonly directories: readonly string[];
  readonly files: ReadonlyMap<string, Uint8Array>;
}

/**
 * The disk of one machine. It outlives processes, forgets what was not synced at a power loss, fails as told, and takes
 * time drawn from the seed.
 */
export class SimDisk {
  readonly #options: SimDiskOptions;
  readonly #directories: Set<string> = new Set();
  readonly #latency: { readonly chance: number; readonly maxMs: number };
  #disk: MemoryFs;
  #slowMs = 0;
  #images = 0;

  constructor(options: SimDiskOptions) {
    this.#options = options;
    this.#latency = options.latency ?? { chance: 0.05, maxMs: 4 };
    this.#disk = this.#fresh();
  }

  /** What is on the disk, without the life of a process in between: for checkers and faults. */
  get contents(): WalFs {
    return this.#disk;
  }

  /** The disk as one process sees it. Once that is dead nothing it does reaches the disk. */
  fsFor(life: Life): WalFs {
    const disk = this.#disk;
    const run = <T>(name: string, path: string, effect: () => Promise<T>): Promise<T> =>
      this.#run(life, { name, path, amount: 0 }, effect);
    return {
      mkdir: (path) =>
        run("mkdir", path, async () => {
          this.#directories.add(path);
          await disk.mkdir(path);
        }),
      list: (path) => run("list", path, () => disk.list(path)),
      open: (path, mode) =>
        run("open", path, async () => this.#file(life, path, await disk.open(path, mode))),
      readFile: (path) => run("readFile", path, () => disk.readFile(path)),
      rename: (from, to) => run("rename", to, () => disk.rename(from, to)),
      unlink: (path) => run("unlink", path, () => disk.unlink(path)),
      syncDir: (path) => run("syncDir", path, () => disk.syncDir(path)),
      kindOf: (path) => run("kindOf", path, () => disk.kindOf(path)),
      holderOf: (dir) => run("holderOf", dir, () => disk.holderOf(dir)),
      lock: (dir) =>
        run("lock", dir, async () => {
          const lock = await disk.lock(dir);
          return { release: () => run("unlock", dir, () => lock.release()) };
        }),
    };
  }

  /** Makes a sync fail; see `MemoryFs.failSync`. */
  failSync(fault?: MemoryFault): void {
    this.#disk.failSync(fault);
  }

  /** Makes a write fail; see `MemoryFs.failWrite`. */
  failWrite(fault?: MemoryFault & { readonly bytes?: number }): void {
    this.#disk.failWrite(fault);
  }

  /** No byte more fits. */
  full(): void {
    this.#disk.setBytesMax(0);
  }

  /** There is room again. */
  room(): void {
    this.#disk.setBytesMax(Number.POSITIVE_INFINITY);
  }

  /** Every call takes so many milliseconds longer: a disk that is dying. 0 ends it. */
  slow(ms: number): void {
    this.#slowMs = ms;
  }

  /** Rot at rest. */
  flipBit(path: string, offset: number, bit: number): void {
    this.#disk.flipBit(path, offset, bit);
  }

  /** Names of all files, with their directories, sorted. */
  async files(): Promise<string[]> {
    const found: string[] = [];
    for (const dir of this.#directories) {
      for (const name of await this.#disk.list(dir)) found.push(`${dir}/${name}`);
    }
    return found.toSorted();
  }

  /** A copy of everything, as a backup of a running machine would have it. */
  async image(): Promise<DiskImage> {
    const files = new Map<string, Uint8Array>();
    for (const path of await this.files()) files.set(path, (await this.#disk.readFile(path)) as Uint8Array);
    return { directories: [...this.#directories], files };
  }

  /** Puts an image in place of everything. The machine must be down. */
  async restore(image: DiskImage): Promise<void> {
    this.#disk.kill();
    this.#disk = this.#fresh();
    this.#directories.clear();
    for (const dir of image.directories) {
      this.#directories.add(dir);
      await this.#disk.mkdir(dir);
    }
    for (const [path, bytes] of image.files) {
      const file = await this.#disk.open(path, "create");
      if (bytes.length > 0) file.write(bytes, 0);
      await file.sync();
      await file.close();
    }
    for (const dir of image.directories) await this.#disk.syncDir(dir);
  }

  /** The process died: its handles and locks go, the page cache stays. */
  kill(): void {
    this.#disk.kill();
  }

  /** The power went: of the unsynced sectors any subset is there afterwards. */
  crash(): void {
    this.#disk.crash();
  }

  #file(life: Life, path: string, file: WalFile): WalFile {
    const run = <T>(name: string, effect: () => Promise<T>, amount = 0): Promise<T> =>
      this.#run(life, { name, path, amount }, effect);
    const now = <T>(name: string, amount: number, effect: () => T, dead: T): T => {
      life.call(name, path, amount);
      if (!life.alive) return dead;
      const result = effect();
      life.settle();
      return result;
    };
    return {
      size: () => run("size", () => file.size()),
      read: (into, position) => run("read", () => file.read(into, position), position),
      ...(file.readNow === undefined
        ? {}
        : {
            readNow: (into: Uint8Array, position: number) =>
              now("readNow", position, () => file.readNow!(into, position), 0),
          }),
      write: (bytes, position) =>
        now("write", checksum(bytes, position), () => file.write(bytes, position), bytes.length),
      writeAsync: (bytes, position) =>
        run("writeAsync", () => file.writeAsync(bytes, position), checksum(bytes, position)),
      sync: () => run("sync", () => file.sync()),
      syncNow: () => {
        if (this.#slowMs > 0) life.held(this.#slowMs);
        now("syncNow", 0, () => file.syncNow(), undefined);
      },
      truncate: (length) => run("truncate", () => file.truncate(length), length),
      close: () => run("close", () => file.close()),
    };
  }

  async #run<T>(
    life: Life,
    call: { readonly name: string; readonly path: string; readonly amount: number },
    effect: () => Promise<T>,
  ): Promise<T> {
    life.call(call.name, call.path, call.amount);
    const delayMs = life.alive ? this.#delayMs() : 0;
    // The effect comes at the end: a power loss in between finds it undone.
    if (delayMs > 0) await new Promise<void>((resolve) => void this.#options.time.setTimer(delayMs, resolve));
    if (!life.alive) return never();
    try {
      const result = await effect();
      life.settle();
      return life.alive ? result : await never<T>();
    } catch (error) {
      life.settle();
      if (!life.alive) return never();
      throw error;
    }
  }

  #delayMs(): number {
    const { random } = this.#options;
    const { chance, maxMs } = this.#latency;
    return this.#slowMs + (chance > 0 && random.chance(chance) ? random.next() * maxMs : 0);
  }

  #fresh(): MemoryFs {
    return memoryFs({ seed: this.#options.random.fork(`disk ${this.#images++}`).integer(0x1_0000_0000) });
  }
}

/** What the dead wait for. */
function never<T>(): Promise<T> {
  return new Promise(() => undefined);
}

/** Tells most writes apart: where, how long, and how they begin and end. */
function checksum(bytes: Uint8Array, position: number): number {
  let sum = Math.imul(position + 1, 0x9e3779b1) ^ bytes.length;
  const mix = (from: number, to: number): void => {
    for (let at = from; at < to; at++) sum = Math.imul(sum ^ (bytes[at] as number), 0x01000193);
  };
  mix(0, Math.min(bytes.length, 128));
  if (bytes.length > 128) mix(bytes.length - 16, bytes.length);
  return sum;
}
