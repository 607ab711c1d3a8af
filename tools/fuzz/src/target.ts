import { TidemarkError } from "@tidemark/core";
import type { Random } from "./random.ts";

/** Something that takes bytes from outside. */
export interface FuzzTarget {
  readonly name: string;
  /** Inputs to begin with: golden files and the like. At least one. */
  readonly seeds: () => readonly Uint8Array[] | Promise<readonly Uint8Array[]>;
  /** Takes one input. Throws only if a promise is broken. */
  readonly run: (input: Uint8Array) => void | Promise<void>;
  /** Takes away what running has made outside of memory. */
  readonly close?: () => Promise<void>;
  /** Changes an input in its own language, before or instead of its bytes. */
  readonly mutate?: (input: Uint8Array, random: Random) => Uint8Array;
  /** An input of about this many bytes, for measuring that the work grows with the input and no faster. */
  readonly grow?: (bytes: number) => Uint8Array;
  /**
   * Heap bytes that an input may cost for each of its own, above 64 KiB. Views and buffers count, and so do the objects
   * that hold what was read, which is why it is not 2.
   * @defaultValue 64
   */
  readonly heapPerByte?: number;
  /** Bytes of an input. @defaultValue 4096 */
  readonly bytesMax?: number;
}

/** What {@link decoderTarget} needs. */
export interface DecoderTarget<Value> extends Omit<FuzzTarget, "run"> {
  readonly decode: (input: Uint8Array) => Value;
  /** The inverse, where one value has one encoding. */
  readonly encode?: (value: Value) => Uint8Array;
  /** Makes what only a writer can make, such as a digest, right: so that more than the digest is tried. */
  readonly seal?: (input: Uint8Array) => Uint8Array;
}

/** A target that is a decoder: typed errors, and what decodes encodes to the same bytes. */
export function decoderTarget<Value>(options: DecoderTarget<Value>): FuzzTarget {
  const { decode, encode, seal, ...target } = options;
  const tryOne = (input: Uint8Array): void => {
    const before = input.slice();
    let value: Value;
    try {
      value = decode(input);
    } catch (error) {
      if (error instanceof TidemarkError) return;
      throw new Error("An input was refused without a type", { cause: error });
    }
    if (Buffer.compare(before, input) !== 0) throw new Error("The input was changed");
    if (encode === undefined) return;
    const again = encode(value);
    if (Buffer.compare(again, input) !== 0)
      throw new Error(`An input is not what its value encodes to: ${Buffer.from(again).toString("hex")}`);
  };
  return {
    ...target,
    run: (input) => {
      tryOne(input);
      if (seal !== undefined) tryOne(seal(input));
    },
  };
}

/** The bytes of a text. */
export function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}
