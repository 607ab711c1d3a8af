import { type ByteReader, ByteWriter, guardUpTo, HASH_CONTEXTS } from "@tidemark/core";
import { decodeBase64url } from "./base64url.ts";
import { SessionError } from "./errors.ts";
import { openToken, readBody, sealToken, TOKEN_HEAD_BYTES, TOKEN_MAC_BYTES } from "./token.ts";
import type { TokenKind, TokenSeal, TokenTrust } from "./token.ts";
import {
  CURSOR_ENTRIES_MAX,
  readPositions,
  TICKET_BASE_ENTRIES_MAX,
  writePositions,
} from "./token-positions.ts";
import type { TokenPosition } from "./token-positions.ts";

/** What {@link encodeTicket} puts into a token. */
export interface EncodeTicketOptions extends TokenSeal {
  /** The user it belongs to. */
  readonly user: string;
  /** When it ends, in Unix milliseconds; see {@link TICKET_LIFETIME_MS_DEFAULT}. */
  readonly expiresAtMs: number;
  /** What was stable when it was minted; at most {@link TICKET_BASE_ENTRIES_MAX} logs. */
  readonly base: readonly TokenPosition[];
  /** The cursor; at most {@link CURSOR_ENTRIES_MAX} logs. */
  readonly entries: readonly TokenPosition[];
  /** Every op of the user above the base, sealed as it was accepted. */
  readonly ops: readonly Uint8Array[];
  /** `false` if the caller already knows that ops are missing. @defaultValue true */
  readonly complete?: boolean;
  /** Bytes a ticket may have before base64url. @defaultValue {@link TICKET_BYTES_MAX_DEFAULT} */
  readonly ticketBytesMax?: number;
}

/** What {@link decodeTicket} checks a token against. */
export interface DecodeTicketOptions extends TokenTrust {
  /** The user it is presented for. */
  readonly user: string;
  /** Unix milliseconds, for the expiry only: no clock is moved by a ticket. */
  readonly nowMs: number;
  /** Whether ops are taken from a ticket nobody has signed, in a cluster without a key. @defaultValue false */
  readonly trustTickets?: boolean;
  /** Bytes a ticket may have before base64url. @defaultValue {@link TICKET_BYTES_MAX_DEFAULT} */
  readonly ticketBytesMax?: number;
}

/** What a ticket says, once it was checked. */
export interface TicketContent {
  readonly expiresAtMs: number;
  /** Whether `ops` are all there were above `base`. */
  readonly complete: boolean;
  readonly base: readonly TokenPosition[];
  readonly entries: readonly TokenPosition[];
  /** Views into one buffer of the ticket's own. */
  readonly ops: readonly Uint8Array[];
}

/** 7 days. */
export const TICKET_LIFETIME_MS_DEFAULT: number = 7 * 24 * 3_600_000;
/** 64 KiB. */
export const TICKET_BYTES_MAX_DEFAULT: number = 64 * 1024;
/** No sealed op is shorter; so a token cannot claim more ops than a small part of its bytes. */
export const TICKET_OP_BYTES_MIN = 16;

const EXPIRY_MAX = 2 ** 48 - 1;
const FLAGS_OFFSET: number = TOKEN_HEAD_BYTES + 6;
const FLAG_COMPLETE = 1;
const INSPECT: symbol = Symbol.for("nodejs.util.inspect.custom");
const TICKET: TokenKind = {
  noun: "ticket",
  prefix: "tmt1.",
  owner: "user",
  macContext: HASH_CONTEXTS.ticketMac,
  malformed: "TICKET_MALFORMED",
  foreign: "TICKET_FOREIGN",
  forged: "TICKET_FORGED",
  wrongOwner: "TICKET_WRONG_USER",
};

/**
 * What a user takes along to another region: `toString()` and `toJSON()` give the token, and printing the
 * object shows nothing of its inside. Every function that takes a ticket takes the token as well.
 */
export class Ticket {
  readonly #token: string;

  constructor(token: string) {
    this.#token = token;
  }

  /** Whether all ops found room. Nobody has checked it yet: it is for whoever minted the ticket. */
  get complete(): boolean {
    // Only the four characters that hold the byte: a ticket can be long.
    const start = TICKET.prefix.length + (FLAGS_OFFSET / 3) * 4;
    return ((decodeBase64url(this.#token.slice(start, start + 4))?.[0] ?? 0) & FLAG_COMPLETE) !== 0;
  }

  /** The token. */
  toString(): string {
    return this.#token;
  }

  /** The token. */
  toJSON(): string {
    return this.#token;
  }

  /** What `console.log` shows. */
  static {
    // Not a method: a computed name has no place in a declaration file.
    Object.defineProperty(this.prototype, INSPECT, { value: (): string => "Ticket {}" });
  }
}

/**
 * Encodes a ticket as a token: `tmt1.` and base64url of
 *
 * | bytes | field | notes |
 * | ----: | :--- | :--- |
 * | 1 | version | 1 |
 * | 1 | key id | 0 = not signed |
 * | 8 | cluster id | |
 * | 8 | user binding | `tidemark 2026 binding v1` of "user", cluster id, user id |
 * | 6 | expiry | u48, Unix milliseconds |
 * | 1 | flags | bit 0: complete; this byte is what the layout has beyond "expiry, base vector" |
 * | | base vector | varint count, at most 1,024; entries as in a cursor |
 * | | cursor | varint count, at most 64; entries as in a cursor |
 * | varint | count of ops | |
 * | | ops | `bytes` each, at least 16, in the caller's order |
 * | 16 | MAC of all before it | only when signed; the key is `tidemark 2026 ticket-mac v1` of the cluster key |
 *
 * Ops that do not fit `ticketBytesMax` are left out, all of them, and the ticket says that it is not complete:
 * half a tail would cover nothing.
 *
 * @throws {@link SessionError} `CURSOR_TOO_WIDE` when `base` or `entries` name too many logs, or more than fit.
 */
export function encodeTicket(options: EncodeTicketOptions): string {
  const { ops, complete = true, ticketBytesMax = TICKET_BYTES_MAX_DEFAULT } = options;
  guardUpTo(options.expiresAtMs, "expiresAtMs", EXPIRY_MAX);
  const positions = new ByteWriter();
  writePositions(positions, options.base, TICKET_BASE_ENTRIES_MAX);
  writePositions(positions, options.entries, CURSOR_ENTRIES_MAX);
  const tail = new ByteWriter();
  tail.varint(ops.length);
  const roomBytes = ticketBytesMax - FLAGS_OFFSET - 1 - positions.length - TOKEN_MAC_BYTES;
  if (roomBytes < 1) {
    throw new SessionError(
      "CURSOR_TOO_WIDE",
      `Cannot fit the logs of a ticket into ${ticketBytesMax} bytes`,
      { retryable: true },
    );
  }
  let fits = true;
  for (const op of ops) {
    if (op.length < TICKET_OP_BYTES_MIN)
      throw new RangeError(`A sealed op has at least 16 bytes: ${op.length}`);
    fits &&= tail.length + op.length + 8 <= roomBytes;
    if (fits) tail.prefixed(op);
  }
  if (!fits) tail.reset().varint(0);
  return sealToken(TICKET, options.user, options, (writer) => {
    writer.u32(options.expiresAtMs % 0x1_0000_0000);
    writer.u16(Math.floor(options.expiresAtMs / 0x1_0000_0000));
    writer.u8(fits && complete ? FLAG_COMPLETE : 0);
    writer.raw(positions.view());
    writer.raw(tail.view());
  });
}

/**
 * Checks a ticket and reads it. The first that fails decides the error: length, prefix, base64url and version
 * (`TICKET_MALFORMED`), cluster (`TICKET_FOREIGN`), MAC (`TICKET_FORGED`), user (`TICKET_WRONG_USER`), expiry
 * (`TICKET_EXPIRED`), the rest (`TICKET_MALFORMED`), and ops that nobody has signed (`TICKET_UNTRUSTED`).
 *
 * @throws {@link SessionError} with one of those codes.
 */
export function decodeTicket(ticket: Ticket | string, options: DecodeTicketOptions): TicketContent {
  const { nowMs, trustTickets = false, ticketBytesMax = TICKET_BYTES_MAX_DEFAULT } = options;
  const reader = openToken(TICKET, String(ticket), options.user, options, ticketBytesMax);
  const content = readBody(TICKET, () => readContent(reader, nowMs));
  if (content.ops.length > 0 && options.keys.length === 0 && !trustTickets) {
    throw new SessionError("TICKET_UNTRUSTED", "Cannot take operations from a ticket that nobody has signed");
  }
  return content;
}

function readContent(reader: ByteReader, nowMs: number): TicketContent {
  const expiresAtMs = reader.u32() + reader.u16() * 0x1_0000_0000;
  if (nowMs >= expiresAtMs) {
    throw new SessionError(
      "TICKET_EXPIRED",
      `Cannot accept a ticket that ended ${nowMs - expiresAtMs} ms ago`,
    );
  }
  const flags = reader.u8();
  if (flags > FLAG_COMPLETE) reader.fail("Cannot accept unknown flags", reader.offset - 1);
  const base = readPositions(reader, TICKET_BASE_ENTRIES_MAX);
  const entries = readPositions(reader, CURSOR_ENTRIES_MAX);
  const count = reader.count(1 + TICKET_OP_BYTES_MIN);
  const ops: Uint8Array[] = [];
  for (let i = 0; i < count; i++) {
    const at = reader.offset;
    const op = reader.prefixed();
    if (op.length < TICKET_OP_BYTES_MIN) reader.fail("Cannot accept an op that is cut", at);
    ops.push(op);
  }
  reader.finish();
  return { expiresAtMs, complete: flags === FLAG_COMPLETE, base, entries, ops };
}
