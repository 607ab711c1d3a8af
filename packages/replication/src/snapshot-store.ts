import { ByteReader, ByteWriter, regionId, type RegionId } from "@tidemark/core";
import type { WalFile, WalFs } from "@tidemark/wal";
import { SNAPSHOT_ID_BYTES, type SnapshotPart } from "./snapshot-token.ts";
import type { PartialSnapshot } from "./snapshot-transfer.ts";

const NAME = "snapshot.part";
const MAGIC = 0x50534d54; // "TMSP" when read as little-endian bytes.
const VERSION = 1;
const HEADER_BYTES: number = 18 + SNAPSHOT_ID_BYTES;

/**
 * Keeps the pieces of a snapshot on disk, so that a restarted receiver goes on where it was: magic "TMSP", version u32
 * 1, region u16 that gives it, bytes of the whole u64, id 16, then what was received. Nothing is synced: the whole is verified before it is used.
 */
export class SnapshotStore {
  readonly #fs: WalFs;
  readonly #dir: string;
  #file: WalFile | undefined;
  #bytes: number = 0;

  constructor(fs: WalFs, dir: string) {
    this.#fs = fs;
    this.#dir = dir;
  }

  /** What is there of an earlier attempt. */
  async open(): Promise<(PartialSnapshot & { readonly region: RegionId }) | undefined> {
    const bytes = await this.#fs.readFile(this.#path);
    if (bytes === undefined || bytes.length <= HEADER_BYTES) return undefined;
    const reader = new ByteReader(bytes);
    if (reader.u32() !== MAGIC || reader.u32() !== VERSION) return undefined;
    const region = regionId(reader.u16());
    const totalBytes = reader.u64();
    const id = reader.view(SNAPSHOT_ID_BYTES).slice();
    const receivedBytes = bytes.length - HEADER_BYTES;
    if (receivedBytes > totalBytes) return undefined;
    this.#bytes = bytes.length;
    return { region, id, totalBytes, receivedBytes };
  }

  /** Begins another snapshot with its first piece. */
  async begin(region: RegionId, part: SnapshotPart): Promise<void> {
    await this.discard();
    const header = new ByteWriter(HEADER_BYTES);
    header.u32(MAGIC);
    header.u32(VERSION);
    header.u16(region);
    header.u64(part.totalBytes);
    header.raw(part.id);
    this.#file = await this.#fs.open(this.#path, "create");
    await this.#append(header.take());
    await this.append(part);
  }

  async append(part: SnapshotPart): Promise<void> {
    this.#file ??= await this.#fs.open(this.#path, "write");
    await this.#append(part.bytes);
  }

  /** The whole, as it was received. */
  async read(): Promise<Uint8Array> {
    const bytes = await this.#fs.readFile(this.#path);
    return bytes?.subarray(HEADER_BYTES) ?? new Uint8Array(0);
  }

  async discard(): Promise<void> {
    await this.close();
    this.#bytes = 0;
    await this.#fs.unlink(this.#path);
  }

  async close(): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    await file?.close();
  }

  get #path(): string {
    return `${this.#dir}/${NAME}`;
  }

  async #append(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length;) {
      const wrote = await (this.#file as WalFile).writeAsync(bytes.subarray(at), this.#bytes);
      if (wrote === 0) throw Object.assign(new Error("Cannot write on: no byte was taken"), { code: "EIO" });
      at += wrote;
      this.#bytes += wrote;
    }
  }
}
