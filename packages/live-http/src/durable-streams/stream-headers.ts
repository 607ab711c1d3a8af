import type { StreamAppend } from "./decide-append.ts";
import type { StreamCreation } from "./decide-create.ts";
import { StreamRefusal } from "./stream-refusal.ts";
import type { StreamForkRequest, StreamProducer } from "./stream-state.ts";

/** The longest value of a header of the protocol, in bytes. */
export const HEADER_BYTES_MAX: number = 512;

const TTL_SECONDS_MAX = 10_000_000_000;
const DECIMAL = /^(0|[1-9]\d*)$/;
const DIGITS = /^\d+$/;
const MEDIA_TYPE = /^[\w!#$&^.+-]+\/[\w!#$&^.+-]+/;
const TIMESTAMP = /^\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d+)?([Zz]|[+-]\d{2}:\d{2})$/;

/**
 * What the headers of a PUT ask for, but for its body.
 *
 * @param pathOf - The path of a stream on this server that a header names, or `undefined`.
 * @throws StreamRefusal `BAD_REQUEST`.
 */
export function parseCreation(
  headers: Headers,
  pathOf: (text: string) => string | undefined,
): Omit<StreamCreation, "body"> {
  const ttl = header(headers, "stream-ttl");
  const expiresAt = header(headers, "stream-expires-at");
  if (ttl !== undefined && expiresAt !== undefined)
    throw bad("Stream-TTL and Stream-Expires-At exclude each other");
  if (expiresAt !== undefined && !(TIMESTAMP.test(expiresAt) && Number.isFinite(Date.parse(expiresAt)))) {
    throw bad("Stream-Expires-At must be a time of RFC 3339");
  }
  const ttlSeconds = ttl === undefined ? undefined : decimal(ttl, "Stream-TTL", TTL_SECONDS_MAX);
  const fork = parseFork(headers, pathOf);
  const contentType = header(headers, "content-type");
  return {
    ...(contentType !== undefined && MEDIA_TYPE.test(contentType) ? { contentType } : {}),
    closed: closes(headers),
    request: {
      ...(ttlSeconds === undefined ? {} : { ttlSeconds }),
      ...(expiresAt === undefined ? {} : { expiresAt }),
      ...(fork === undefined ? {} : { fork }),
    },
  };
}

/** What the headers of a POST ask for, but for its body. @throws StreamRefusal `BAD_REQUEST`. */
export function parseAppend(headers: Headers): Omit<StreamAppend, "body"> {
  const contentType = header(headers, "content-type");
  const writerSequence = header(headers, "stream-seq");
  const producer = parseProducer(headers);
  return {
    close: closes(headers),
    ...(contentType === undefined || contentType === "" ? {} : { contentType }),
    ...(writerSequence === undefined ? {} : { writerSequence }),
    ...(producer === undefined ? {} : { producer }),
  };
}

function parseFork(
  headers: Headers,
  pathOf: (text: string) => string | undefined,
): StreamForkRequest | undefined {
  const from = header(headers, "stream-forked-from");
  const offset = header(headers, "stream-fork-offset");
  const subOffset = header(headers, "stream-fork-sub-offset");
  if (from === undefined) {
    if (subOffset !== undefined) throw bad("Stream-Fork-Sub-Offset needs Stream-Forked-From");
    if (offset !== undefined) throw bad("Stream-Fork-Offset needs Stream-Forked-From");
    return undefined;
  }
  const path = pathOf(from);
  if (path === undefined) throw new StreamRefusal("STREAM_NOT_FOUND", `There is no source at ${from}`);
  return {
    path,
    ...(offset === undefined ? {} : { offset }),
    subOffset:
      subOffset === undefined ? 0 : decimal(subOffset, "Stream-Fork-Sub-Offset", Number.MAX_SAFE_INTEGER),
  };
}

function parseProducer(headers: Headers): StreamProducer | undefined {
  const id = header(headers, "producer-id");
  const epoch = header(headers, "producer-epoch");
  const sequence = header(headers, "producer-seq");
  if (id === undefined && epoch === undefined && sequence === undefined) return undefined;
  if (id === undefined || epoch === undefined || sequence === undefined) {
    throw bad("Producer-Id, Producer-Epoch and Producer-Seq come together");
  }
  if (id === "") throw bad("Producer-Id must not be empty");
  return { id, epoch: counter(epoch, "Producer-Epoch"), sequence: counter(sequence, "Producer-Seq") };
}

/** Any other value is as if the header were not there. */
function closes(headers: Headers): boolean {
  return headers.get("stream-closed")?.toLowerCase() === "true";
}

function header(headers: Headers, name: string): string | undefined {
  const value = headers.get(name);
  if (value === null) return undefined;
  if (value.length > HEADER_BYTES_MAX) throw bad(`${name} may have ${HEADER_BYTES_MAX} bytes`);
  return value;
}

function decimal(text: string, name: string, max: number): number {
  const value = Number(text);
  if (!DECIMAL.test(text) || value > max) throw bad(`${name} must be an integer from 0 to ${max}`);
  return value;
}

function counter(text: string, name: string): number {
  const value = Number(text);
  if (!DIGITS.test(text) || !Number.isSafeInteger(value))
    throw bad(`${name} must be an integer from 0 to 2^53-1`);
  return value;
}

function bad(message: string): StreamRefusal {
  return new StreamRefusal("BAD_REQUEST", message);
}
