import type { ColdStore } from "@tidemark/session";
import type { WalFile, WalFs } from "@tidemark/wal";
import { RegionError } from "./errors.ts";

/** The scratch file in a region's directory. */
export const COLD_FILE_NAME = "cold";

const ROOM_BYTES_MIN = 64;
/** Rooms grow by a quarter: at most a fifth of one is empty. */
const ROOM_GROWTH = 1.25;

/**
 * Opens the scratch file for cold sessions, empty: what an earlier run left is of no use. It is never synced.
 *
 * @returns `undefined` on a file system that cannot read at once.
 */
export async function openColdFile(fs: WalFs, dir: string): Promise<ColdFile | undefined> {
  const path = `${dir}/${COLD_FILE_NAME}`;
  await fs.unlink(path);
  const file = await fs.open(path, "create");
  if (file.readNow !== undefined) return new ColdFile(file);
  await file.close();
  await fs.unlink(path);
  return undefined;
}

/**
 * A cold store in one file. Bytes lie in rooms of a few sizes; a room that was left takes the next of its size, so the
 * file grows no further than the most that ever lay in it. In memory: 16 bytes a session, in typed arrays.
 */
export class ColdFile implements ColdStore {
  readonly #file: WalFile;
  #offsets: Float64Array = new Float64Array(1024);
  #lengths: Uint32Array = new Uint32Array(1024);
  #checks: Uint32Array = new Uint32Array(1024);
  #end: number = 0;
  #fileEnd: number = 0;
  readonly #freePlaces: number[] = [];
  /** By size of the room: offsets. */
  readonly #freeRooms: Map<number, number[]> = new Map();
  #bytes: number = 0;

  constructor(file: WalFile) {
    this.#file = file;
  }

  /** Bytes kept, and of the file. */
  get size(): { readonly bytes: number; readonly fileBytes: number } {
    return { bytes: this.#bytes, fileBytes: this.#fileEnd };
  }

  put(bytes: Uint8Array): number {
    const room = roomFor(bytes.length);
    const free = this.#freeRooms.get(room);
    const offset = free?.pop() ?? this.#fileEnd;
    try {
      this.#write(bytes, offset);
    } catch (error) {
      if (offset !== this.#fileEnd) free?.push(offset);
      throw error;
    }
    if (offset === this.#fileEnd) this.#fileEnd += room;
    const place = this.#freePlaces.pop() ?? this.#end++;
    if (place === this.#offsets.length) this.#grow();
    this.#offsets[place] = offset;
    this.#lengths[place] = bytes.length;
    this.#checks[place] = checkOf(bytes);
    this.#bytes += bytes.length;
    return place;
  }

  /** @throws RegionError `REGION_DAMAGED` if other bytes come back than were written. */
  get(place: number): Uint8Array {
    const bytes = new Uint8Array(this.#lengths[place] as number);
    const offset = this.#offsets[place] as number;
    let done = 0;
    while (done < bytes.length) {
      const count = this.#file.readNow?.(bytes.subarray(done), offset + done) ?? 0;
      if (count === 0) break;
      done += count;
    }
    if (done === bytes.length && checkOf(bytes) === this.#checks[place]) return bytes;
    throw new RegionError(
      "REGION_DAMAGED",
      `Cannot read back a session at ${offset} of the scratch file ${COLD_FILE_NAME}: it was changed; open the region again, the logs have everything`,
    );
  }

  delete(place: number): void {
    const length = this.#lengths[place] as number;
    const room = roomFor(length);
    const free = this.#freeRooms.get(room);
    if (free === undefined) this.#freeRooms.set(room, [this.#offsets[place] as number]);
    else free.push(this.#offsets[place] as number);
    this.#freePlaces.push(place);
    this.#bytes -= length;
  }

  clear(): void {
    this.#end = 0;
    this.#fileEnd = 0;
    this.#bytes = 0;
    this.#freePlaces.length = 0;
    this.#freeRooms.clear();
  }

  /** Lets go of the file; what is in it is of no use afterwards. */
  async close(): Promise<void> {
    await this.#file.close();
  }

  #write(bytes: Uint8Array, offset: number): void {
    for (let done = 0; done < bytes.length;) {
      const taken = this.#file.write(bytes.subarray(done), offset + done);
      if (taken === 0) throw Object.assign(new Error("Cannot write on: no byte was taken"), { code: "EIO" });
      done += taken;
    }
  }

  #grow(): void {
    const length = Math.ceil(this.#offsets.length * 1.5);
    const [offsets, lengths, checks] = [
      new Float64Array(length),
      new Uint32Array(length),
      new Uint32Array(length),
    ];
    offsets.set(this.#offsets);
    lengths.set(this.#lengths);
    checks.set(this.#checks);
    this.#offsets = offsets;
    this.#lengths = lengths;
    this.#checks = checks;
  }
}

function roomFor(bytes: number): number {
  let room = ROOM_BYTES_MIN;
  while (room < bytes) room = Math.ceil(room * ROOM_GROWTH);
  return room;
}

/** FNV-1a, 32 bits: finds damage and misplaced reads, not malice; who can write here can write the logs. */
function checkOf(bytes: Uint8Array): number {
  let check = 0x811c9dc5;
  for (const byte of bytes) check = Math.imul(check ^ byte, 0x01000193);
  return check >>> 0;
}
