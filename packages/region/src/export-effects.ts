import { EffectIdSet } from "@tidemark/signals";

const PROBES = 3;
/** Bytes of log that one byte of the filter is for: of named effects about 1 in 200 is then taken for a repeat. */
const LOG_BYTES_PER_BYTE = 32;
const BYTES_MIN: number = 64 * 1024;

/**
 * Finds, in two passes over the same logs, the effects that are in them more than once: exactly, and in memory that does
 * not grow with the logs.
 *
 * An operation with an operationId may be anywhere again, as a retry. The first pass notes each in a filter of fixed size; the
 * few it takes for a repeat, rightly or not, are remembered exactly. In the second pass only these have to be looked up:
 * an effect that is there twice was taken for a repeat the second time, and everything else is there once.
 *
 * An operation without one is once in the log it was accepted in, and else only where it was relayed to: each relayed
 * copy is remembered exactly.
 */
export class OnceFilter {
  readonly #bits: Uint32Array;
  readonly #repeats: EffectIdSet = new EffectIdSet();
  readonly #relayed: EffectIdSet = new EffectIdSet();
  /** Stamps of relayed operations, so that few others are hashed. */
  readonly #relayedStamps: Set<number> = new Set();
  readonly #given: EffectIdSet = new EffectIdSet();

  /** @param logBytes - Of all logs. @param bytesMax - Of the filter. */
  constructor(logBytes: number, bytesMax: number) {
    const wanted = Math.min(
      Math.max(logBytes / LOG_BYTES_PER_BYTE, BYTES_MIN),
      Math.max(bytesMax, BYTES_MIN),
    );
    // A power of two, so that a probe is a mask.
    this.#bits = new Uint32Array(2 ** Math.floor(Math.log2(wanted)) / 4);
  }

  /** Effects that have to be looked up. */
  get remembered(): number {
    return this.#repeats.size + this.#relayed.size;
  }

  /** First pass: an effect with an operationId: 16 bytes at an offset, all of them hash. */
  note(id: Uint8Array, offset: number = 0): void {
    const mask = this.#bits.length - 1;
    const last = word32(id, offset + 12);
    let seen = true;
    for (let probe = 0; probe < PROBES; probe++) {
      const at = word32(id, offset + probe * 4) & mask;
      const bit = 1 << ((last >>> (probe * 5)) & 31);
      if (((this.#bits[at] as number) & bit) !== 0) continue;
      seen = false;
      this.#bits[at] = (this.#bits[at] as number) | bit;
    }
    if (seen) this.#repeats.add(id, offset);
  }

  /** First pass: a copy, in another log than its own, of an operation without an operationId. */
  noteRelayed(key: Uint8Array, wallMs: number): void {
    this.#relayed.add(key);
    this.#relayedStamps.add(wallMs);
  }

  /** Second pass: whether an effect with an operationId is given for the first time. */
  first(id: Uint8Array, offset: number = 0): boolean {
    return this.#repeats.find(id, offset) !== "known" || this.#given.add(id, offset) !== "known";
  }

  /** The same of an operation without one. @param keyOf - Its idempotency key, computed only where it may matter. */
  firstUnnamed(wallMs: number, keyOf: () => Uint8Array): boolean {
    if (!this.#relayedStamps.has(wallMs)) return true;
    const key = keyOf();
    return this.#relayed.find(key) !== "known" || this.#given.add(key) !== "known";
  }
}

function word32(bytes: Uint8Array, at: number): number {
  return (
    (bytes[at] as number) |
    ((bytes[at + 1] as number) << 8) |
    ((bytes[at + 2] as number) << 16) |
    ((bytes[at + 3] as number) << 24)
  );
}
