import { ByteReader, ByteWriter, CoreError, HASH_CONTEXTS, type Hasher, type LogId } from "@tidemark/core";
import { equalBytes } from "./batch-header.ts";
import { writeFully, type WalFile, type WalFs } from "./file-system.ts";
import { logPrefix } from "./segment-name.ts";

/** LSNs that one write was about to store. */
export interface RunIntent {
  readonly from: number;
  readonly to: number;
}

const BYTES = 32;
const NAME = /^r\d{5}-s\d{5}-e\d{10}\.run$/;

/**
 * Says before a write of several batches under one sync which LSNs it holds.
 *
 * Only the last write of a log can be torn. As long as a write is one batch, a damaged batch before a good one is
 * corruption; a fetched range is many batches behind one sync, and this note keeps its torn write from being taken
 * for corruption. 32 bytes in one sector, written in place: from u64, to u64, BLAKE3 of them 16.
 */
export class RunIntentFile {
  readonly #fs: WalFs;
  readonly #dir: string;
  readonly #path: string;
  readonly #log: LogId;
  readonly #hasher: Hasher;
  #file: WalFile | undefined;

  constructor(fs: WalFs, dir: string, log: LogId, hasher: Hasher) {
    this.#fs = fs;
    this.#dir = dir;
    this.#path = `${dir}/${intentName(log)}`;
    this.#log = log;
    this.#hasher = hasher;
  }

  /** Makes the note durable. */
  async write(intent: RunIntent): Promise<void> {
    this.#file ??= await this.#open();
    writeFully(this.#file, encode(intent, this.#hasher), 0);
    await this.#file.sync();
  }

  /** Takes the note back: what it announced is on disk, or was given up. */
  async drop(): Promise<void> {
    await this.close();
    await dropRunIntent(this.#fs, this.#dir, this.#log);
  }

  async close(): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    await file?.close();
  }

  async #open(): Promise<WalFile> {
    if ((await this.#fs.readFile(this.#path)) !== undefined) return this.#fs.open(this.#path, "write");
    const file = await this.#fs.open(this.#path, "create");
    await this.#fs.syncDir(this.#dir);
    return file;
  }
}

/** Reads the note of a log. A torn one says nothing, and the write it announced was never begun. */
export async function readRunIntent(
  fs: WalFs,
  dir: string,
  log: LogId,
  hasher: Hasher,
): Promise<RunIntent | undefined> {
  const bytes = await fs.readFile(`${dir}/${intentName(log)}`);
  if (bytes === undefined || bytes.length !== BYTES) return undefined;
  try {
    const reader = new ByteReader(bytes);
    const intent = { from: reader.u64(), to: reader.u64() };
    return equalBytes(encode(intent, hasher), bytes) ? intent : undefined;
  } catch (error) {
    if (error instanceof CoreError) return undefined;
    throw error;
  }
}

/** Removes the note of a log: everything that is stored is on disk. */
export async function dropRunIntent(fs: WalFs, dir: string, log: LogId): Promise<void> {
  await fs.unlink(`${dir}/${intentName(log)}`);
  await fs.syncDir(dir);
}

function encode(intent: RunIntent, hasher: Hasher): Uint8Array {
  const writer = new ByteWriter(BYTES);
  writer.u64(intent.from);
  writer.u64(intent.to);
  writer.raw(hasher.digest(HASH_CONTEXTS.watermark, writer.view(), BYTES - 16));
  return writer.take();
}

/** Whether a file name is that of a run note. */
export function isIntentName(name: string): boolean {
  return NAME.test(name);
}

/** The file name of a log's note. */
export function intentName(log: LogId): string {
  return `${logPrefix(log)}.run`;
}
