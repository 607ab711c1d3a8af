/**
 * Text that waits to be written, in pieces that can be encoded: no piece ends between the halves of a surrogate pair.
 */
export class PieceBuffer {
  readonly #lengthMax: number;
  #text: string = "";

  /** @param lengthMax - UTF-16 units of a piece, 2 or more. */
  constructor(lengthMax: number) {
    this.#lengthMax = lengthMax;
  }

  /** UTF-16 units that wait. */
  get length(): number {
    return this.#text.length;
  }

  /** A whole piece waits. */
  get full(): boolean {
    return this.#text.length >= this.#lengthMax;
  }

  /** UTF-16 units at the end that wait for their other half: 0 or 1. */
  get half(): number {
    return isHighSurrogate(this.#text.charCodeAt(this.#text.length - 1)) ? 1 : 0;
  }

  push(text: string): void {
    this.#text += text;
  }

  /**
   * The next piece; empty if there is none. Half a surrogate pair at the end waits for its other half; with `all` it
   * becomes U+FFFD, as a lone one in the middle does.
   */
  take(all: boolean): string {
    let end = Math.min(this.#text.length, this.#lengthMax);
    if (end > 0 && isHighSurrogate(this.#text.charCodeAt(end - 1)) && !(all && end === this.#text.length))
      end -= 1;
    const piece = this.#text.slice(0, end);
    this.#text = this.#text.slice(end);
    return wellFormed(piece);
  }
}

const LONE_SURROGATE = /\p{Surrogate}/gu;

/** The text with U+FFFD, which is as long, for what UTF-8 has no bytes for. */
export function wellFormed(text: string): string {
  return text.replaceAll(LONE_SURROGATE, "\u{FFFD}");
}

function isHighSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit <= 0xdbff;
}
