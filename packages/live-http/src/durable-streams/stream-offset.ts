/**
 * A position in a stream. `position` counts bytes, or the messages of a JSON stream, from the beginning of the stream;
 * `epoch` tells apart streams that lay at one path one after the other, and the parts of a fork. The zeroes are the
 * beginning of any stream.
 */
export interface StreamPosition {
  readonly epoch: number;
  readonly position: number;
}

/** The beginning of any stream. */
export const STREAM_START: StreamPosition = { epoch: 0, position: 0 };

const DIGITS = 16;
const OFFSET = /^(\d{16})_(\d{16})$/;

/**
 * The offset of a position: two numbers of 16 digits, so that offsets of one stream order as text as they do as
 * positions.
 */
export function formatOffset({ epoch, position }: StreamPosition): string {
  return `${digits(epoch)}_${digits(position)}`;
}

/** The position of an offset, or `undefined` if it is none that {@link formatOffset} gives. */
export function parseOffset(text: string): StreamPosition | undefined {
  const [, epoch, position] = OFFSET.exec(text) ?? [];
  if (epoch === undefined || position === undefined) return undefined;
  // Numbers above 2^53 lose digits: they name a position that no stream has, and are refused as such.
  return { epoch: Number(epoch), position: Number(position) };
}

function digits(value: number): string {
  return `${value}`.padStart(DIGITS, "0");
}
