import { HASH_CONTEXTS, type Hasher } from "@tidemark/core";
import { decodeBase64url, encodeBase64url } from "./base64url.ts";
import { openToken, readBody, sealToken, TOKEN_HEAD_BYTES, TOKEN_MAC_BYTES } from "./token.ts";
import type { TokenKind, TokenSeal, TokenTrust } from "./token.ts";
import { CURSOR_ENTRIES_MAX, readPositions, writePositions, type TokenPosition } from "./token-positions.ts";

/** What {@link encodeCursor} puts into a token. */
export interface EncodeCursorOptions extends TokenSeal {
  /** The session it belongs to. */
  readonly session: string;
  /** In any order; at most {@link CURSOR_ENTRIES_MAX}. */
  readonly entries: readonly TokenPosition[];
}

/** What {@link decodeCursor} checks a token against. */
export interface DecodeCursorOptions extends TokenTrust {
  /** The session it is presented for. */
  readonly session: string;
}

/** What a cursor says, once it was checked. */
export interface CursorContent {
  /** Sorted by region and epoch. */
  readonly entries: readonly TokenPosition[];
}

/** Bytes of the longest cursor, before base64url. */
export const CURSOR_BYTES_MAX: number = TOKEN_HEAD_BYTES + 1 + CURSOR_ENTRIES_MAX * 14 + TOKEN_MAC_BYTES;

const INSPECT: symbol = Symbol.for("nodejs.util.inspect.custom");
const CURSOR: TokenKind = {
  noun: "cursor",
  prefix: "tmc1.",
  owner: "session",
  macContext: HASH_CONTEXTS.cursorMac,
  malformed: "CURSOR_MALFORMED",
  foreign: "CURSOR_FOREIGN",
  forged: "CURSOR_FORGED",
  wrongOwner: "CURSOR_WRONG_SESSION",
};

/**
 * An opaque position of a session: `toString()` and `toJSON()` give the token, and printing the object shows
 * nothing of its inside. Every function that takes a cursor takes the token as well.
 *
 * @example
 * ```ts
 * const cursor = new Cursor("tmc1.AQ");
 * assert.equal(JSON.stringify({ cursor }), '{"cursor":"tmc1.AQ"}');
 * assert.equal(String(cursor), "tmc1.AQ");
 * ```
 */
export class Cursor {
  readonly #token: string;

  constructor(token: string) {
    this.#token = token;
  }

  /** The token. */
  toString(): string {
    return this.#token;
  }

  /** The token. */
  toJSON(): string {
    return this.#token;
  }

  /** What `console.log` shows: a position is nobody's business in a log file. */
  static {
    // Not a method: a computed name has no place in a declaration file.
    Object.defineProperty(this.prototype, INSPECT, { value: (): string => "Cursor {}" });
  }
}

/**
 * Encodes a position of a session as a token: `tmc1.` and base64url of
 *
 * | bytes | field | notes |
 * | ----: | :--- | :--- |
 * | 1 | version | 1 |
 * | 1 | key id | 0 = not signed |
 * | 8 | cluster id | |
 * | 8 | session binding | `tidemark 2026 binding v1` of "session", cluster id, session id |
 * | varint | count | at most 64 |
 * | 7-14 each | region u16, epoch u32, LSN varint | strictly ascending; LSN from 1 |
 * | 16 | MAC of all before it | only when signed; the key is `tidemark 2026 cursor-mac v1` of the cluster key |
 *
 * @throws {@link SessionError} `CURSOR_TOO_WIDE` above 64 entries; retryable, as entries become stable.
 */
export function encodeCursor(options: EncodeCursorOptions): string {
  return sealToken(CURSOR, options.session, options, (writer) => {
    writePositions(writer, options.entries, CURSOR_ENTRIES_MAX);
  });
}

/**
 * Checks a cursor and reads it. The first that fails decides the error: length, prefix, base64url and version
 * (`CURSOR_MALFORMED`), cluster (`CURSOR_FOREIGN`), MAC (`CURSOR_FORGED`), session (`CURSOR_WRONG_SESSION`),
 * entries (`CURSOR_MALFORMED`). Where the cluster has keys, a token that is not signed is forged; where it has
 * none, a signed one cannot be told from a forged one.
 *
 * @throws {@link SessionError} with one of those codes.
 */
export function decodeCursor(cursor: Cursor | string, options: DecodeCursorOptions): CursorContent {
  const reader = openToken(CURSOR, String(cursor), options.session, options, CURSOR_BYTES_MAX);
  return readBody(CURSOR, () => {
    const entries = readPositions(reader, CURSOR_ENTRIES_MAX);
    reader.finish();
    return { entries };
  });
}

/**
 * Reads a cursor without asking who signed it, or of which cluster it is: for tools that read files, whose user needs no right
 * from a cursor. A region reads with {@link decodeCursor}.
 *
 * @throws {@link SessionError} `CURSOR_MALFORMED`, `CURSOR_WRONG_SESSION`.
 */
export function inspectCursor(
  cursor: Cursor | string,
  { session, hasher }: { readonly session: string; readonly hasher: Hasher },
): CursorContent {
  const token = String(cursor);
  const bytes = token.startsWith(CURSOR.prefix) ? decodeBase64url(token, CURSOR.prefix.length) : undefined;
  const keys: TokenTrust["keys"] = [];
  if (bytes === undefined || bytes.length < TOKEN_HEAD_BYTES)
    return decodeCursor(token, { session, clusterId: new Uint8Array(8), keys, hasher });
  const signed = bytes[1] !== 0;
  const plain = bytes.slice(
    0,
    signed ? Math.max(TOKEN_HEAD_BYTES, bytes.length - TOKEN_MAC_BYTES) : bytes.length,
  );
  plain[1] = 0;
  const clusterId = plain.slice(2, 10);
  return decodeCursor(CURSOR.prefix + encodeBase64url(plain), { session, clusterId, keys, hasher });
}
