import { ByteReader, ByteWriter, type Hasher, equalBytes } from "@tidemark/core";
import { decodeKey, encodeKey, type Kv, type KvItem, type KvKey, type Partition } from "@tidemark/kv";
import { SealedRecords } from "@tidemark/session-store";
import { ExpressSessionError } from "./errors.ts";

/**
 * Keys in the partition of a session.
 *
 * | key                     | row                                                                        |
 * | :---------------------- | :------------------------------------------------------------------------- |
 * | `("cookie")`            | the cookie, and until when the session lasts                               |
 * | `("field", life, name)` | one field, as JSON                                                         |
 * | `("session")`           | the register: which life the session has. Made once in a life, and removed |
 *
 * A life is 8 random bytes. Rows of another life than the register's do not count, so what is written to a session that
 * was destroyed meanwhile, here or in another region, brings nothing back.
 */
export const COOKIE_KEY: KvKey = encodeKey(["cookie"]);
export const REGISTER_KEY: KvKey = encodeKey(["session"]);
/** Behind all rows of this package; what a journal keeps beside them comes after it. */
const ROWS_END: KvKey = encodeKey(["~"]);

const LIFE_BYTES = 8;
const ATTEMPTS_MAX = 16;
const PAGE_ITEMS = 10_000;

const utf8 = new TextEncoder();
const strictUtf8 = new TextDecoder("utf-8", { fatal: true });

/** What the cookie's row says. */
export interface CookieRow {
  readonly life: Uint8Array;
  /** Unix milliseconds by the store's clock: from then on the session is not there. */
  readonly expiresMs: number;
  /** The cookie as JSON; empty for a session without one. */
  readonly cookie: string;
}

/** A session that is there, as one read found it. */
export interface LiveSession {
  /** The register's bytes: as long as they are there, this life is. */
  readonly register: Uint8Array;
  readonly life: Uint8Array;
  readonly expiresMs: number;
  readonly cookie: string;
}

/** All rows of a partition at one moment. */
export interface SessionRows {
  readonly register: Uint8Array | undefined;
  readonly cookie: Uint8Array | undefined;
  /** Keys and values of the fields of all lives. */
  readonly fields: readonly KvItem[];
}

type Kind = "express-session" | "express-session-cookie" | "express-session-field";

/** Reads and makes the rows of sessions. */
export class RowCodec {
  readonly #kv: Kv;
  readonly #records: SealedRecords<Kind>;
  readonly #random: (length: number) => Uint8Array;

  constructor(kv: Kv, hasher: Hasher, random: (length: number) => Uint8Array) {
    this.#kv = kv;
    this.#records = new SealedRecords(hasher, 1);
    this.#random = random;
  }

  /** All rows; more than one page of them is read again until no page is of another moment. */
  async readAll(partition: Partition): Promise<SessionRows> {
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
      const items: KvItem[] = [];
      let start: KvKey | undefined = new Uint8Array(0);
      let pages = 0;
      while (start !== undefined) {
        const range = { ...(start.length === 0 ? {} : { start }), end: ROWS_END, limit: PAGE_ITEMS };
        const page = await this.#kv.scan(partition, range);
        items.push(...page.items);
        start = page.next;
        pages += 1;
      }
      const rows = rowsOf(items);
      if (pages === 1) return rows;
      // Each save changes the cookie's row, and each destruction removes the register.
      const [cookie, register] = await this.#kv.get(partition, [COOKIE_KEY, REGISTER_KEY]);
      if (equalBytes(cookie, rows.cookie) && equalBytes(register, rows.register)) return rows;
    }
    throw busy(partition);
  }

  /** The session, unless it is not there, or over. */
  live(
    partition: Partition,
    { register, cookie }: Pick<SessionRows, "register" | "cookie">,
    nowMs: number,
  ): LiveSession | undefined {
    if (register === undefined || cookie === undefined) return undefined;
    const life = this.#records.open("express-session", partition, REGISTER_KEY, register, decodeLife);
    const row = this.cookieOf(partition, cookie);
    if (!equalBytes(life, row.life) || row.expiresMs <= nowMs) return undefined;
    return { register, life, expiresMs: row.expiresMs, cookie: row.cookie };
  }

  /** What a cookie's row says. */
  cookieOf(partition: Partition, cookie: Uint8Array): CookieRow {
    return this.#records.open("express-session-cookie", partition, COOKIE_KEY, cookie, decodeCookie);
  }

  /** The fields of a life by name, as JSON. */
  fieldsOf(partition: Partition, rows: readonly KvItem[], life: Uint8Array): Map<string, string> {
    const fields = new Map<string, string>();
    for (const { key, value } of rows) {
      const [, of, name] = decodeKey(key) as [string, Uint8Array, string];
      if (!equalBytes(of, life)) continue;
      const text = this.#records.open("express-session-field", partition, key, value, (body) => body);
      fields.set(name, strictUtf8.decode(text));
    }
    return fields;
  }

  /** A life that no session has had. */
  newLife(): Uint8Array {
    return this.#random(LIFE_BYTES);
  }

  registerItem(partition: Partition, life: Uint8Array): KvItem {
    return this.#item("express-session", partition, REGISTER_KEY, life);
  }

  cookieItem(partition: Partition, { life, expiresMs, cookie }: CookieRow): KvItem {
    const writer = new ByteWriter();
    writer.raw(life);
    // No two rows are equal, even if they say the same.
    writer.raw(this.#random(LIFE_BYTES));
    writer.varint(expiresMs);
    writer.text(cookie);
    return this.#item("express-session-cookie", partition, COOKIE_KEY, writer.take());
  }

  fieldItem(partition: Partition, life: Uint8Array, name: string, json: string): KvItem {
    return this.#item("express-session-field", partition, fieldKey(life, name), utf8.encode(json));
  }

  #item(kind: Kind, partition: Partition, key: KvKey, body: Uint8Array): KvItem {
    return { key, value: this.#records.seal(kind, partition, key, body) };
  }
}

/** Where a field is. */
export function fieldKey(life: Uint8Array, name: string): KvKey {
  return encodeKey(["field", life, name]);
}

/** Others changed what a call rested on, again and again. */
export function busy(partition: Partition): ExpressSessionError {
  const message = `Cannot use ${partition}: others changed it ${ATTEMPTS_MAX} times meanwhile`;
  return new ExpressSessionError("EXPRESS_SESSION_BUSY", message);
}

function rowsOf(items: readonly KvItem[]): SessionRows {
  const valueAt = (key: KvKey): Uint8Array | undefined =>
    items.find((item) => equalBytes(item.key, key))?.value;
  const fields = items.filter(({ key }) => decodeKey(key)[0] === "field");
  return { register: valueAt(REGISTER_KEY), cookie: valueAt(COOKIE_KEY), fields };
}

function decodeLife(body: Uint8Array): Uint8Array {
  const reader = new ByteReader(body);
  const life = reader.view(LIFE_BYTES).slice();
  reader.finish();
  return life;
}

function decodeCookie(body: Uint8Array): CookieRow {
  const reader = new ByteReader(body);
  const life = reader.view(LIFE_BYTES).slice();
  reader.view(LIFE_BYTES);
  const expiresMs = reader.varint();
  const cookie = reader.text();
  reader.finish();
  return { life, expiresMs, cookie };
}
