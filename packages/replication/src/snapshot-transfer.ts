import { equalBytes } from "./equal-bytes.ts";
import type { SnapshotPart, SnapshotToken } from "./snapshot-token.ts";

/** What is to be done with a piece that arrived. */
export type TransferEffect =
  /** Forget what was received: this is the first piece of another snapshot. Then keep it. */
  | { readonly kind: "begin"; readonly part: SnapshotPart }
  /** Keep it behind what is there. */
  | { readonly kind: "append"; readonly part: SnapshotPart }
  /** It is of no use: it came twice, or out of turn. Ask again. */
  | { readonly kind: "ignore" }
  /** It claims more than a snapshot may have. */
  | { readonly kind: "too-large"; readonly totalBytes: number };

/** What an earlier attempt, or an earlier run, has received. */
export interface PartialSnapshot {
  readonly id: Uint8Array;
  readonly totalBytes: number;
  readonly receivedBytes: number;
}

/**
 * The receiving end of a snapshot as a state machine: pieces come in answer to tokens, in order, and a provider that
 * has dropped what it served begins again with another one. Nothing is believed of it before its digest was checked.
 */
export class SnapshotTransfer {
  readonly #bytesMax: number;
  #partial: PartialSnapshot | undefined;

  constructor(options: { readonly bytesMax: number; readonly partial?: PartialSnapshot | undefined }) {
    this.#bytesMax = options.bytesMax;
    this.#partial = options.partial;
  }

  /** What to ask for next; `undefined` asks for a snapshot from its beginning. */
  get token(): SnapshotToken | undefined {
    const partial = this.#partial;
    return partial === undefined ? undefined : { id: partial.id, offset: partial.receivedBytes };
  }

  get partial(): PartialSnapshot | undefined {
    return this.#partial;
  }

  /** Every byte is there. */
  get complete(): boolean {
    return this.#partial !== undefined && this.#partial.receivedBytes === this.#partial.totalBytes;
  }

  receive(part: SnapshotPart): TransferEffect {
    const { id, totalBytes, offset, bytes } = part;
    if (totalBytes > this.#bytesMax) return { kind: "too-large", totalBytes };
    if (bytes.length === 0 || offset + bytes.length > totalBytes) return { kind: "ignore" };
    const partial = this.#partial;
    const same = partial !== undefined && equalBytes(partial.id, id) && partial.totalBytes === totalBytes;
    if (same && offset === partial.receivedBytes && !this.complete) {
      this.#partial = { id, totalBytes, receivedBytes: offset + bytes.length };
      return { kind: "append", part };
    }
    if (offset > 0 || same) return { kind: "ignore" };
    this.#partial = { id: id.slice(), totalBytes, receivedBytes: bytes.length };
    return { kind: "begin", part };
  }

  /** What was received is no snapshot: begin again. */
  discard(): void {
    this.#partial = undefined;
  }
}
