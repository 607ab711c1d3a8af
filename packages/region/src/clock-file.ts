import { WalError } from "@tidemark/wal";
import type { WalErrorCode, WalFile, WalFs } from "@tidemark/wal";

const FILE = "clock";
const BYTES = 64;

/**
 * The upper bound of every stamp this region has issued, kept ahead of them on disk, so that a restart
 * resumes above all of them whatever the wall clock says then. A lost or damaged file is no error: order
 * within a session comes from the session's own stamps.
 */
export class ClockFile {
  /** The bound found on disk, in milliseconds; 0 if there was none. */
  readonly boundMs: number;
  readonly #file: WalFile;

  private constructor(file: WalFile, boundMs: number) {
    this.#file = file;
    this.boundMs = boundMs;
  }

  static async open(fs: WalFs, dir: string): Promise<ClockFile> {
    const path = `${dir}/${FILE}`;
    const bytes = await fs.readFile(path);
    const file = await fs.open(path, bytes === undefined ? "create" : "write");
    if (bytes === undefined) await fs.syncDir(dir);
    return new ClockFile(file, bytes === undefined ? 0 : parse(bytes));
  }

  /**
   * Makes a new bound durable before it returns: no stamp above the old one has been issued yet.
   *
   * @throws WalError `WAL_WRITE_FAILED`, `WAL_NO_SPACE`, `WAL_SYNC_FAILED`: what needed the stamp was not written.
   */
  persist(boundMs: number): void {
    // One sector, so that a crash leaves the old bound or the new one.
    const bytes = new TextEncoder().encode(`${boundMs} ${boundMs}`.padEnd(BYTES - 1).concat("\n"));
    const written = onDisk("WAL_WRITE_FAILED", () => this.#file.write(bytes, 0));
    if (written !== bytes.length)
      throw new WalError("WAL_WRITE_FAILED", "Cannot write the clock file: the disk took only a part");
    onDisk("WAL_SYNC_FAILED", () => this.#file.syncNow());
  }

  async close(): Promise<void> {
    await this.#file.close();
  }
}

/** Gives what a disk says the code that writers of a region know. */
function onDisk<Value>(code: WalErrorCode, call: () => Value): Value {
  try {
    return call();
  } catch (error) {
    const said = error instanceof Error && "code" in error ? error.code : undefined;
    const full = said === "ENOSPC" || said === "EDQUOT";
    throw new WalError(full ? "WAL_NO_SPACE" : code, `Cannot write the clock file: ${String(error)}`, {
      cause: error,
    });
  }
}

/** The bound is written twice; two that differ are a torn write and count as none. */
function parse(bytes: Uint8Array): number {
  const [first, second] = new TextDecoder().decode(bytes).trim().split(" ");
  const bound = Number(first);
  return first === second && Number.isSafeInteger(bound) && bound > 0 ? bound : 0;
}
