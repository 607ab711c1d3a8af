import { headers } from "@nats-io/nats-core";
import type { Msg, MsgHdrs } from "@nats-io/nats-core";

const PART = "Tidemark-Part";
/** Room for headers below the broker's `max_payload`, which counts them. */
const HEADER_BYTES_MAX = 512;
/** Frames that are put together at a time; the oldest gives way. */
const OPEN_MAX = 8;
/** Below it there is no room for a frame beside its headers. */
export const PAYLOAD_BYTES_MIN = 1_024;

/** One message of a frame. */
export interface Part {
  readonly index: number;
  readonly count: number;
  readonly bytes: Uint8Array;
}

/** Cuts a frame into messages below the broker's `max_payload`. */
export function partsOf(frame: Uint8Array, payloadBytesMax: number): Part[] {
  const bytesMax = Math.max(PAYLOAD_BYTES_MIN, payloadBytesMax) - HEADER_BYTES_MAX;
  const count = Math.max(1, Math.ceil(frame.length / bytesMax));
  return Array.from({ length: count }, (_, index) => ({
    index,
    count,
    bytes: frame.subarray(index * bytesMax, (index + 1) * bytesMax),
  }));
}

/** The headers of a part: none where the frame is whole. */
export function headersOf({ index, count }: Part, id: string): MsgHdrs | undefined {
  if (count === 1) return undefined;
  const made = headers();
  made.set(PART, `${id} ${index} ${count}`);
  return made;
}

interface OpenFrame {
  readonly parts: Uint8Array[];
  readonly count: number;
  bytes: number;
}

/** Puts frames together again. Bounded: what does not fit or does not follow is dropped, as a lossy medium may. */
export class Assembler {
  readonly #frameBytesMax: number;
  readonly #open: Map<string, OpenFrame> = new Map();

  constructor(frameBytesMax: number) {
    this.#frameBytesMax = frameBytesMax;
  }

  /** @returns the frame, the receiver's own, once its last part came. */
  add(message: Msg): Uint8Array | undefined {
    const part = message.headers?.get(PART) ?? "";
    // Not slice(): that of a Buffer is a view.
    if (part === "") return this.#fits(message.data.length) ? new Uint8Array(message.data) : undefined;
    const [id = "", indexText, countText] = part.split(" ");
    const [index, count] = [Number(indexText), Number(countText)];
    if (!Number.isSafeInteger(count) || count < 2) return undefined;
    if (index === 0) {
      this.#open.delete(id);
      this.#open.set(id, { parts: [], count, bytes: 0 });
      if (this.#open.size > OPEN_MAX) this.#open.delete(this.#open.keys().next().value!);
    }
    const open = this.#open.get(id);
    if (open === undefined) return undefined;
    // A repeat of what it has.
    if (index < open.parts.length) return undefined;
    open.bytes += message.data.length;
    // Parts without a byte would never meet the limit, however many there are; no sender makes one.
    const empty = message.data.length === 0;
    if (empty || index !== open.parts.length || count !== open.count || !this.#fits(open.bytes)) {
      this.#open.delete(id);
      return undefined;
    }
    open.parts.push(new Uint8Array(message.data));
    if (open.parts.length < count) return undefined;
    this.#open.delete(id);
    const frame = new Uint8Array(open.bytes);
    let at = 0;
    for (const bytes of open.parts) {
      frame.set(bytes, at);
      at += bytes.length;
    }
    return frame;
  }

  #fits(bytes: number): boolean {
    return bytes <= this.#frameBytesMax;
  }
}
