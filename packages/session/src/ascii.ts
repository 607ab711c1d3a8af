import { CoreError } from "@tidemark/core";

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * Strict UTF-8 from `at` to `end`. Most names are short and ASCII: those are built eight characters at a time, without a
 * call into the decoder.
 *
 * @throws {@link CoreError} `DECODE_FAILED`.
 */
export function readText(bytes: Uint8Array, at: number, end: number): string {
  let bits = 0;
  for (let index = at; index < end; index++) bits |= bytes[index] as number;
  if (bits < 0x80) return ascii(bytes, at, end - at);
  try {
    return utf8.decode(bytes.subarray(at, end));
  } catch {
    throw new CoreError("DECODE_FAILED", "Cannot read text that is not UTF-8", { offset: at });
  }
}

function ascii(bytes: Uint8Array, at: number, count: number): string {
  const a = bytes[at] as number;
  const b = bytes[at + 1] as number;
  const c = bytes[at + 2] as number;
  const d = bytes[at + 3] as number;
  const e = bytes[at + 4] as number;
  const f = bytes[at + 5] as number;
  const g = bytes[at + 6] as number;
  switch (count) {
    case 0:
      return "";
    case 1:
      return String.fromCharCode(a);
    case 2:
      return String.fromCharCode(a, b);
    case 3:
      return String.fromCharCode(a, b, c);
    case 4:
      return String.fromCharCode(a, b, c, d);
    case 5:
      return String.fromCharCode(a, b, c, d, e);
    case 6:
      return String.fromCharCode(a, b, c, d, e, f);
    case 7:
      return String.fromCharCode(a, b, c, d, e, f, g);
    default: {
      const eight = String.fromCharCode(a, b, c, d, e, f, g, bytes[at + 7] as number);
      return count === 8 ? eight : eight + ascii(bytes, at + 8, count - 8);
    }
  }
}
