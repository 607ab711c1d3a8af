import { StreamLogError } from "./stream-log-errors.ts";

const PREFIX = "tms1";
const NUMBER = /^(?:0|[1-9][0-9]{0,15})$/;
const WRITER = /^[A-Za-z0-9_-]{1,32}$/;

/** A place in a stream: how much of whose text was read. */
export interface StreamOffset {
  readonly stream: string;
  /** The writer whose text it is; a stream has one, and in a race of two writers only the first counts. */
  readonly writer: string;
  /** UTF-16 units before it, as in `text.slice(position)`. */
  readonly position: number;
}

/**
 * Writes an offset: `tms1:<position>:<writer>:<stream>`, printable ASCII, the stream percent-encoded. It means the same
 * in every region.
 */
export function formatStreamOffset({ stream, writer, position }: StreamOffset): string {
  return `${PREFIX}:${position}:${writer}:${encodeURIComponent(stream)}`;
}

/**
 * Reads an offset.
 *
 * @param expectedStream - Refuses one of another stream.
 * @throws {@link StreamLogError} `STREAM_OFFSET_INVALID`.
 */
export function parseStreamOffset(text: string, expectedStream?: string): StreamOffset {
  const [prefix, position = "", writer = "", encoded = "", ...more] = text.split(":");
  if (prefix !== PREFIX) throw invalid(`it does not begin with "${PREFIX}:"`);
  if (!NUMBER.test(position) || Number(position) > Number.MAX_SAFE_INTEGER)
    throw invalid("its position is no number");
  if (!WRITER.test(writer)) throw invalid("it names no writer");
  const stream = more.length === 0 ? decoded(encoded) : "";
  // As it was written, and no other way: two offsets of one place are one text.
  if (stream === "" || encodeURIComponent(stream) !== encoded) throw invalid("it names no stream");
  if (expectedStream !== undefined && stream !== expectedStream)
    throw invalid(`it is of ${JSON.stringify(stream)}, not of ${JSON.stringify(expectedStream)}`);
  return { stream, writer, position: Number(position) };
}

function decoded(encoded: string): string {
  try {
    return decodeURIComponent(encoded);
  } catch {
    return "";
  }
}

function invalid(why: string): StreamLogError {
  return new StreamLogError("STREAM_OFFSET_INVALID", `Cannot read an offset: ${why}`);
}
