import { ByteReader, ByteWriter, CoreError } from "@tidemark/core";

const VERSION = 1;
const KIND = { open: 1, piece: 2, renewed: 3, end: 4, cancel: 5 } as const;
const OUTCOMES = ["done", "error", "cancelled"] as const;

/** UTF-16 units of the longest stream that can be read. */
export const STREAM_LENGTH_MAX: number = 16 * 1024 * 1024;
/** UTF-8 bytes of the id of a stream. */
export const STREAM_ID_BYTES_MAX = 80;
/** UTF-16 units of the message of a stream that failed; a longer one is cut. */
export const STREAM_MESSAGE_LENGTH_MAX = 1_000;
/** Pieces in one namespace: fewer than the 1,000 that a journal gives of it. */
export const SEGMENT_PIECES = 500;
/** Namespaces of pieces that one stream may have. */
export const SEGMENTS_MAX = 128;
/** Bytes of a piece beside its text. */
export const PIECE_HEADER_BYTES = 16;
const WRITER_BYTES_MAX = 32;
const TTL_MS_MAX: number = 3_600_000;

/** How a producer says its stream ended. */
export type StreamOutcome = (typeof OUTCOMES)[number];

/** An entry of a stream's log. */
export type StreamEntry =
  /** A writer claims the stream, and promises an entry at least every `ttlMs`. */
  | { readonly kind: "open"; readonly stream: string; readonly writer: string; readonly ttlMs: number }
  /** Text at a place: `number` counts pieces from 0, `start` is in UTF-16 units. */
  | { readonly kind: "piece"; readonly number: number; readonly start: number; readonly text: string }
  /** The writer lives, and has nothing to say. */
  | { readonly kind: "renewed" }
  /** The writer ended, after as many pieces and UTF-16 units. */
  | {
      readonly kind: "end";
      readonly stream: string;
      readonly writer: string;
      readonly outcome: StreamOutcome;
      readonly pieces: number;
      readonly length: number;
      readonly message: string;
    }
  /** Somebody wants the stream to stop, whoever writes it. */
  | { readonly kind: "cancel"; readonly stream: string };

/**
 * Writes an entry: u8 version 1, u8 kind, then by kind, texts behind a varint of their bytes, numbers as varints:
 *
 * | kind | what      | fields                                                       |
 * | ---: | :-------- | :----------------------------------------------------------- |
 * |    1 | `open`    | stream, writer, ttl in ms                                    |
 * |    2 | `piece`   | number, start, text                                          |
 * |    3 | `renewed` |                                                              |
 * |    4 | `end`     | stream, writer, u8 outcome, pieces, length, message          |
 * |    5 | `cancel`  | stream                                                       |
 */
export function encodeStreamEntry(entry: StreamEntry): Uint8Array {
  const out = new ByteWriter();
  out.u8(VERSION);
  out.u8(KIND[entry.kind]);
  switch (entry.kind) {
    case "open":
      out.text(entry.stream);
      out.text(entry.writer);
      out.varint(entry.ttlMs);
      break;
    case "piece":
      out.varint(entry.number);
      out.varint(entry.start);
      out.text(entry.text);
      break;
    case "renewed":
      break;
    case "end":
      out.text(entry.stream);
      out.text(entry.writer);
      out.u8(OUTCOMES.indexOf(entry.outcome));
      out.varint(entry.pieces);
      out.varint(entry.length);
      out.text(entry.message);
      break;
    case "cancel":
      out.text(entry.stream);
  }
  return out.take();
}

/** The exact inverse. @throws CoreError `DECODE_FAILED` for anything else. */
export function decodeStreamEntry(bytes: Uint8Array): StreamEntry {
  const input = new ByteReader(bytes);
  if (input.u8() !== VERSION) input.fail("Cannot read another version of an entry", 0);
  const entry = readBody(input, input.u8());
  input.finish();
  return entry;
}

/** As {@link decodeStreamEntry}; `undefined` for what is no entry. */
export function readStreamEntry(bytes: Uint8Array): StreamEntry | undefined {
  try {
    return decodeStreamEntry(bytes);
  } catch (error) {
    if (error instanceof CoreError) return undefined;
    throw error;
  }
}

function readBody(input: ByteReader, kind: number): StreamEntry {
  switch (kind) {
    case KIND.open:
      return {
        kind: "open",
        stream: readId(input),
        writer: input.text(WRITER_BYTES_MAX),
        ttlMs: upTo(input, TTL_MS_MAX),
      };
    case KIND.piece: {
      const number = upTo(input, SEGMENTS_MAX * SEGMENT_PIECES);
      const start = upTo(input, STREAM_LENGTH_MAX);
      const text = input.text();
      if (text === "" || start + text.length > STREAM_LENGTH_MAX)
        input.fail("Cannot read a piece of this length");
      return { kind: "piece", number, start, text };
    }
    case KIND.renewed:
      return { kind: "renewed" };
    case KIND.end: {
      const stream = readId(input);
      const writer = input.text(WRITER_BYTES_MAX);
      const outcome = OUTCOMES[input.u8()] ?? input.fail("Cannot read an outcome that is none");
      const pieces = upTo(input, SEGMENTS_MAX * SEGMENT_PIECES);
      const length = upTo(input, STREAM_LENGTH_MAX);
      const message = input.text(STREAM_MESSAGE_LENGTH_MAX * 3);
      return { kind: "end", stream, writer, outcome, pieces, length, message };
    }
    case KIND.cancel:
      return { kind: "cancel", stream: readId(input) };
    default:
      return input.fail(`Cannot read an entry of kind ${kind}`, 1);
  }
}

function readId(input: ByteReader): string {
  const id = input.text(STREAM_ID_BYTES_MAX);
  return id === "" ? input.fail("Cannot read a stream without an id") : id;
}

function upTo(input: ByteReader, max: number): number {
  const value = input.varint();
  return value <= max ? value : input.fail(`Cannot read ${value}: the limit is ${max}`);
}
