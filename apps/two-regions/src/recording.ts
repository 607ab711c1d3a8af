import { createHash } from "node:crypto";
import { closeSync, openSync, readSync } from "node:fs";
import { MalformedLine, parseOperation, type Operation } from "./operation.ts";

/** A recording has at most this many bytes: it is held as it was read, and parsed line by line. */
export const RECORDING_BYTES_MAX: number = 2 ** 31 - 1;

const NEWLINE = 0x0a;
const READ_BYTES = 1024 * 1024;

/**
 * A recorded stream of session operations: the bytes as they were read and where each line begins.
 *
 * Lines are parsed each time they are asked for, so a million of them cost their bytes and little else.
 */
export class Recording {
  readonly #bytes: Uint8Array;
  readonly #starts: Float64Array;
  /** Lines of the input, blank ones included; line numbers are 1 to this. */
  readonly lineCount: number;

  constructor(bytes: Uint8Array) {
    if (bytes.length > RECORDING_BYTES_MAX) {
      throw new RangeError(
        `Cannot hold a recording of ${bytes.length} bytes: the limit is ${RECORDING_BYTES_MAX}`,
      );
    }
    this.#bytes = bytes;
    this.#starts = lineStarts(bytes);
    this.lineCount = this.#starts.length - 1;
  }

  /** SHA-256 of the input, in hexadecimal: two recordings are the same if their bytes are. */
  digest(): string {
    return createHash("sha256").update(this.#bytes).digest("hex");
  }

  /** Bytes of a line, without its end. */
  byteLength(line: number): number {
    return this.#line(line).length;
  }

  /**
   * The operation on a line; `undefined` for a blank line.
   *
   * @param line - From 1.
   * @throws MalformedLine.
   */
  read(line: number): Operation | undefined {
    const bytes = this.#line(line);
    return isBlank(bytes) ? undefined : parseOperation(bytes);
  }

  /** The operation on a line that is known to hold one. */
  operation(line: number): Operation {
    const operation = this.read(line);
    if (operation === undefined) throw new RangeError(`Line ${line} is blank`);
    return operation;
  }

  #line(line: number): Uint8Array {
    const [from, next] = [this.#starts[line - 1], this.#starts[line]];
    if (from === undefined || next === undefined) throw new RangeError(`There is no line ${line}`);
    let to = next;
    if (to > from && this.#bytes[to - 1] === NEWLINE) to--;
    if (to > from && this.#bytes[to - 1] === 0x0d) to--;
    return this.#bytes.subarray(from, to);
  }
}

/** What a line holds, without throwing. */
export function readLine(recording: Recording, line: number): Operation | MalformedLine | undefined {
  try {
    return recording.read(line);
  } catch (error) {
    if (error instanceof MalformedLine) return error;
    throw error;
  }
}

/** Reads a whole file, pipe or device; `-` is standard input. @throws as `node:fs` does, and `RangeError` beyond the limit. */
export function readInput(path: string): Uint8Array {
  const descriptor = path === "-" ? 0 : openSync(path, "r");
  try {
    return readAll(descriptor);
  } finally {
    if (descriptor !== 0) closeSync(descriptor);
  }
}

function readAll(descriptor: number): Uint8Array {
  let bytes = Buffer.allocUnsafe(READ_BYTES);
  let length = 0;
  for (;;) {
    if (length === bytes.length) bytes = grown(bytes);
    const count = readSome(descriptor, bytes, length);
    if (count === 0) return bytes.subarray(0, length);
    length += count;
    if (length > RECORDING_BYTES_MAX) throw new RangeError(`the limit is ${RECORDING_BYTES_MAX} bytes`);
  }
}

function grown(bytes: Buffer): Buffer<ArrayBuffer> {
  const larger = Buffer.allocUnsafe(Math.min(bytes.length * 2, RECORDING_BYTES_MAX + 1));
  bytes.copy(larger);
  return larger;
}

function readSome(descriptor: number, into: Uint8Array, offset: number): number {
  for (;;) {
    try {
      return readSync(descriptor, into, offset, Math.min(into.length - offset, READ_BYTES), null);
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      if (code === "EOF") return 0;
      if (code !== "EAGAIN") throw error;
      // The other end left the pipe in non-blocking mode and has nothing yet.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
    }
  }
}

/** Where each line begins, then the length of the input. */
function lineStarts(bytes: Uint8Array): Float64Array {
  const hasBom = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf;
  let starts = new Float64Array(1024);
  let count = 0;
  const push = (offset: number): void => {
    if (count === starts.length) {
      const larger = new Float64Array(count * 2);
      larger.set(starts);
      starts = larger;
    }
    starts[count++] = offset;
  };
  let from = hasBom ? 3 : 0;
  while (from < bytes.length) {
    push(from);
    const newline = bytes.indexOf(NEWLINE, from);
    from = newline === -1 ? bytes.length : newline + 1;
  }
  push(bytes.length);
  return starts.slice(0, count);
}

function isBlank(bytes: Uint8Array): boolean {
  for (const byte of bytes) if (byte !== 0x20 && byte !== 0x09 && byte !== 0x0d) return false;
  return true;
}
