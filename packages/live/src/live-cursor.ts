import { guardSafe } from "@tidemark/core";
import { decodeBase64url, encodeBase64url } from "./base64url.ts";
import { LiveError, malformed } from "./errors.ts";

/** What every token begins with: the version of its layout. */
export const LIVE_CURSOR_PREFIX = "tml1:";
/** Characters of the longest token. */
export const LIVE_CURSOR_CHARS_MAX = 4_096;
/** Bytes of the longest session id, as UTF-8. */
export const LIVE_SESSION_BYTES_MAX = 256;
/** Characters of the longest session cursor that fits into a token. */
export const LIVE_COMMITTED_CHARS_MAX = 2_048;

/** What a {@link LiveCursor} says. */
export interface LiveCursorFields {
  /** 1 to 256 bytes of UTF-8, any text, colons too. */
  readonly session: string;
  /** The committed head that it belongs to; before any commit, the turn index. */
  readonly revision: number;
  /** Of the last event that was seen: events are numbered from 1, and 0 is before all of them. */
  readonly position: number;
  /** Names the life of the buffer that numbered the events: 1 to 64 of `A-Z a-z 0-9 _ -`. */
  readonly incarnation: string;
  /** A session cursor, which every region honours: printable ASCII, at most 2,048 characters. */
  readonly committed?: string;
}

const INCARNATION = /^[A-Za-z0-9_-]{1,64}$/;
const COMMITTED = /^[\x20-\x7e]+$/;
const DECIMAL = /^(?:0|[1-9][0-9]{0,15})$/;
const INSPECT: symbol = Symbol.for("nodejs.util.inspect.custom");
const utf8 = new TextEncoder();

/** Makes a cursor of fields that need no check, as a store does for each event. */
export let mintCursor: (fields: LiveCursorFields) => LiveCursor;

/**
 * A position in the live events of a session. Callers treat it as opaque: `toString()` and `toJSON()` give the token, and
 * printing the object shows nothing of its inside.
 *
 * The token is `tml1:` and, joined by colons, incarnation, revision, position (canonical decimals up to 2^53-1), base64url
 * of the session cursor or nothing, and last the session id, percent-encoded but for its colons: printable ASCII, at most
 * 4,096 characters, one token a cursor. It is a hint of where its bearer stands, never a right to read the session.
 *
 * @example
 * ```ts
 * const cursor = LiveCursor.of({ session: "trip:1", revision: 3, position: 9, incarnation: "a1" });
 * assert.equal(String(cursor), "tml1:a1:3:9::trip:1");
 * assert.equal(LiveCursor.parse(cursor.toString(), "trip:1").position, 9);
 * ```
 */
export class LiveCursor {
  readonly session: string;
  readonly revision: number;
  readonly position: number;
  readonly incarnation: string;
  readonly committed?: string;
  #token: string | undefined;

  private constructor(fields: LiveCursorFields) {
    this.session = fields.session;
    this.revision = fields.revision;
    this.position = fields.position;
    this.incarnation = fields.incarnation;
    if (fields.committed !== undefined) this.committed = fields.committed;
  }

  static {
    mintCursor = (fields) => new LiveCursor(fields);
    // Not a method: a computed name has no place in a declaration file.
    Object.defineProperty(this.prototype, INSPECT, { value: (): string => "LiveCursor(<opaque>)" });
  }

  /**
   * Makes a cursor, for replay stores.
   *
   * @throws `TypeError` or `RangeError` for fields that are not what {@link LiveCursorFields} says.
   */
  static of(fields: LiveCursorFields): LiveCursor {
    const wrong = problemOf(fields);
    if (wrong !== undefined) throw new RangeError(`Cannot make a cursor: ${wrong}`);
    guardSafe(fields.revision, "revision");
    guardSafe(fields.position, "position");
    return new LiveCursor(fields);
  }

  /**
   * Reads a token; the first field from the left that is wrong decides the error.
   *
   * @param expectedSession - The session it is presented for. @defaultValue any
   * @throws {@link LiveError} `MALFORMED`, or `WRONG_SESSION` for a well-formed token of another session.
   */
  static parse(token: string, expectedSession?: string): LiveCursor {
    const cursor = new LiveCursor(fieldsOf(token));
    if (expectedSession !== undefined && cursor.session !== expectedSession) {
      throw new LiveError("WRONG_SESSION", "Cannot use a cursor of another session", {
        expected: expectedSession,
        actual: cursor.session,
      });
    }
    return cursor;
  }

  /** The token. */
  toString(): string {
    return (this.#token ??= tokenOf(this));
  }

  /** The token. */
  toJSON(): string {
    return this.toString();
  }
}

function tokenOf({ incarnation, revision, position, committed, session }: LiveCursorFields): string {
  const covered = committed === undefined ? "" : encodeBase64url(committed);
  return `${LIVE_CURSOR_PREFIX}${incarnation}:${revision}:${position}:${covered}:${encodeSession(session)}`;
}

function fieldsOf(token: string): LiveCursorFields {
  if (typeof token !== "string") throw malformed("a cursor", "it is no text");
  if (token.length > LIVE_CURSOR_CHARS_MAX) throw malformed("a cursor", "it is too long");
  if (!token.startsWith(LIVE_CURSOR_PREFIX)) throw malformed("a cursor", "its prefix is missing");
  const [incarnation = "", revision, position, covered, ...rest] = token
    .slice(LIVE_CURSOR_PREFIX.length)
    .split(":");
  if (!INCARNATION.test(incarnation)) throw malformed("a cursor", "its incarnation is missing or invalid");
  const fields = {
    incarnation,
    revision: decimal(revision, "revision"),
    position: decimal(position, "position"),
    session: "",
  };
  if (covered === undefined) throw malformed("a cursor", "its session cursor is missing");
  const committed = covered === "" ? undefined : decodeBase64url(covered);
  if (covered !== "" && committed === undefined) throw malformed("a cursor", "its session cursor is invalid");
  if (rest.length === 0) throw malformed("a cursor", "its session id is missing");
  const session = decodeSession(rest.join(":"));
  const read = committed === undefined ? { ...fields, session } : { ...fields, session, committed };
  const wrong = problemOf(read);
  if (wrong !== undefined) throw malformed("a cursor", wrong);
  return read;
}

/** What is wrong with the texts of a cursor; `undefined` when nothing is. */
function problemOf({ session, incarnation, committed }: LiveCursorFields): string | undefined {
  if (!INCARNATION.test(incarnation)) return "its incarnation is missing or invalid";
  if (
    committed !== undefined &&
    (committed.length > LIVE_COMMITTED_CHARS_MAX || !COMMITTED.test(committed))
  ) {
    return "its session cursor is invalid";
  }
  if (session === "") return "its session id is empty";
  if (/\p{Surrogate}/u.test(session)) return "its session id is not Unicode text";
  if (session.length * 3 > LIVE_SESSION_BYTES_MAX && utf8.encode(session).length > LIVE_SESSION_BYTES_MAX) {
    return "its session id is too long";
  }
  return undefined;
}

function decimal(text: string | undefined, what: string): number {
  if (text === undefined) throw malformed("a cursor", `its ${what} is missing`);
  const value = Number(text);
  if (!DECIMAL.test(text) || !Number.isSafeInteger(value)) {
    throw malformed("a cursor", `its ${what} is not a canonical decimal up to 2^53-1`);
  }
  return value;
}

function encodeSession(session: string): string {
  return encodeURIComponent(session).replaceAll("%3A", ":");
}

function decodeSession(text: string): string {
  let session: string;
  try {
    session = decodeURIComponent(text);
  } catch {
    throw malformed("a cursor", "its session id is not percent-encoded UTF-8");
  }
  // Two tokens never stand for one cursor.
  if (!/\p{Surrogate}/u.test(session) && encodeSession(session) !== text) {
    throw malformed("a cursor", "its session id is not encoded as it should be");
  }
  return session;
}
