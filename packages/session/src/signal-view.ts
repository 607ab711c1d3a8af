import { type ByteWriter, CoreError, EVENT_TIME_MS_MAX } from "@tidemark/core";
import { readText } from "./ascii.ts";
import { NAME_BYTES_MAX } from "./limits.ts";
import type { SignalClear } from "./op.ts";

const weightBytes = new Uint8Array(8);
const weightView = new DataView(weightBytes.buffer);

/** Up to this many UTF-16 units a name is written in place. */
const SHORT_NAME_UNITS = 64;

/**
 * Appends the clear part of a signal, as {@link writeClear} says. A weight has the zero bytes at its end left out: most
 * take two bytes.
 */
export function writeSignal(writer: ByteWriter, clear: SignalClear, wallMs: number): void {
  writer.reserve(2 * SHORT_NAME_UNITS + 24);
  writeName(writer, clear.entity);
  writeName(writer, clear.signal);
  const distance = clear.eventTimeMs - wallMs;
  writer.varint(distance >= 0 ? distance * 2 : distance * -2 - 1);
  // Adding zero makes a negative zero positive: one number, one encoding.
  weightView.setFloat64(0, clear.weight + 0, false);
  let length = 8;
  while (length > 0 && weightBytes[length - 1] === 0) length -= 1;
  writer.reserve(length);
  const { bytes } = writer;
  const from = writer.length;
  for (let at = 0; at < length; at++) bytes[from + at] = weightBytes[at] as number;
  writer.length = from + length;
}

/** There is room for a short name. */
function writeName(writer: ByteWriter, name: string): void {
  const units = name.length;
  if (units <= SHORT_NAME_UNITS) {
    const { bytes } = writer;
    const from = writer.length + 1;
    let bits = 0;
    for (let unit = 0; unit < units; unit++) {
      const code = name.charCodeAt(unit);
      bits |= code;
      bytes[from + unit] = code;
    }
    if (bits < 0x80) {
      bytes[from - 1] = units;
      writer.length = from + units;
      return;
    }
  }
  writer.text(name);
  writer.reserve(SHORT_NAME_UNITS + 24);
}

/**
 * The clear part of a signal, the one operation there are many of: each field is found and checked when it is read.
 *
 * @throws {@link CoreError} `DECODE_FAILED`, from each field.
 */
export class SignalView implements SignalClear {
  readonly #bytes: Uint8Array;
  readonly #at: number;
  readonly #end: number;
  readonly #wallMs: number;
  #signalAt: number = 0;
  #timeAt: number = 0;
  #weightAt: number = 0;

  constructor(bytes: Uint8Array, at: number, end: number, wallMs: number) {
    this.#bytes = bytes;
    this.#at = at;
    this.#end = end;
    this.#wallMs = wallMs;
  }

  get entity(): string {
    return readText(this.#bytes, this.#nameAt(this.#at), this.#findSignal());
  }

  get signal(): string {
    const at = this.#findSignal();
    return readText(this.#bytes, this.#nameAt(at), this.#findTime());
  }

  get eventTimeMs(): number {
    let at = this.#findTime();
    let distance = 0;
    for (let scale = 1, length = 1; ; scale *= 128, length++) {
      const byte = this.#byte(at++);
      distance += (byte & 0x7f) * scale;
      if (byte < 0x80) {
        if ((byte === 0 && length > 1) || distance > Number.MAX_SAFE_INTEGER)
          this.#fail("Cannot accept the event time", at);
        break;
      }
      if (length === 8) this.#fail("Cannot accept the event time", at);
    }
    const eventTimeMs = this.#wallMs + (distance % 2 === 0 ? distance / 2 : (distance + 1) / -2);
    if (eventTimeMs < 0 || eventTimeMs > EVENT_TIME_MS_MAX) this.#fail("Cannot accept the event time", at);
    return eventTimeMs;
  }

  get weight(): number {
    let at = this.#weightAt;
    if (at === 0) {
      at = this.#findTime();
      while (this.#byte(at++) >= 0x80);
      this.#weightAt = at;
    }
    const length = this.#end - at;
    if (length > 8) this.#fail("Cannot accept a weight of more than 8 bytes", at);
    weightView.setFloat64(0, 0, false);
    for (let index = 0; index < length; index++) weightBytes[index] = this.#bytes[at + index] as number;
    const weight = weightView.getFloat64(0, false);
    const tail = length > 0 && weightBytes[length - 1] === 0;
    if (tail || !(Math.abs(weight) < 2 ** 40) || Object.is(weight, -0))
      this.#fail("Cannot accept the weight", at);
    return weight;
  }

  /** Reads every field once. @throws {@link CoreError} `DECODE_FAILED`. */
  read(): SignalClear {
    return { entity: this.entity, signal: this.signal, eventTimeMs: this.eventTimeMs, weight: this.weight };
  }

  /** Where the entity ends. */
  #findSignal(): number {
    if (this.#signalAt === 0) this.#signalAt = this.#nameEnd(this.#at);
    return this.#signalAt;
  }

  #findTime(): number {
    if (this.#timeAt === 0) this.#timeAt = this.#nameEnd(this.#findSignal());
    return this.#timeAt;
  }

  /** A length of two bytes is 128 exactly. */
  #nameAt(at: number): number {
    return this.#byte(at) < 0x80 ? at + 1 : at + 2;
  }

  #nameEnd(at: number): number {
    const length = this.#byte(at);
    if (length === 0 || length > 0x80 || (length === 0x80 && this.#byte(at + 1) !== 1)) {
      this.#fail(`Cannot accept a name that is empty or longer than ${NAME_BYTES_MAX} bytes`, at);
    }
    const end = length + (length === 0x80 ? at + 2 : at + 1);
    if (end > this.#end) this.#fail(`Cannot read ${length} bytes: the part ends`, at);
    return end;
  }

  #byte(at: number): number {
    if (at >= this.#end) this.#fail("Cannot read a byte: the part ends", at);
    return this.#bytes[at] as number;
  }

  #fail(message: string, offset: number): never {
    throw new CoreError("DECODE_FAILED", message, { offset });
  }
}
