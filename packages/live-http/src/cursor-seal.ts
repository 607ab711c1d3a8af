import { LiveCursor } from "@tidemark/live";
import { SessionRefusal } from "./session-refusal.ts";

/** What every sealed cursor begins with. */
const PREFIX = "tmls1:";
/** What keeps the key from meaning the same elsewhere. */
const PURPOSE = "tidemark live cursor\n";
const MAC_CHARS = 43;
const KEY_BYTES_MIN = 32;
const HMAC = { name: "HMAC", hash: "SHA-256" };
type HmacKey = Awaited<ReturnType<typeof crypto.subtle.importKey>>;
const utf8 = new TextEncoder();

/** How cursors leave the handler and come back to it. */
export interface CursorSeal {
  seal(cursor: LiveCursor): Promise<string>;
  /**
   * Reads what {@link CursorSeal.seal} gave for this session.
   *
   * @throws `MALFORMED` or `WRONG_SESSION`, or `CURSOR_FORGED` for one that has no seal of a key of ours.
   */
  open(text: string, session: string): Promise<LiveCursor>;
}

/** Cursors as they are. */
export const OPEN_CURSORS: CursorSeal = {
  seal: (cursor) => Promise.resolve(cursor.toString()),
  open: async (text, session) => LiveCursor.parse(text, session),
};

/**
 * Cursors with a code that only who has a key can make: HMAC-SHA-256 over the token, which names its session.
 *
 * The first key seals; all open, so that a key can be replaced while cursors of the one before are about.
 *
 * @param keys - Of 32 bytes at least.
 */
export function sealWith(keys: readonly Uint8Array[]): CursorSeal {
  for (const key of keys) {
    if (!(key instanceof Uint8Array) || key.length < KEY_BYTES_MIN)
      throw new RangeError(`A cursor key has ${KEY_BYTES_MIN} bytes at least`);
  }
  let imported: Promise<readonly HmacKey[]> | undefined;
  const keysOf = (): Promise<readonly HmacKey[]> =>
    (imported ??= Promise.all(
      keys.map((key) => crypto.subtle.importKey("raw", key.slice(), HMAC, false, ["sign", "verify"])),
    ));
  return {
    seal: async (cursor) => {
      const token = cursor.toString();
      const [first] = await keysOf();
      const mac = new Uint8Array(await crypto.subtle.sign(HMAC.name, first!, utf8.encode(PURPOSE + token)));
      return `${PREFIX}${base64urlOf(mac)}:${token}`;
    },
    open: async (text, session) => {
      const forged = new SessionRefusal("CURSOR_FORGED", "Cannot use a cursor that was not sealed here");
      const mac = text.slice(PREFIX.length, PREFIX.length + MAC_CHARS);
      const token = text.slice(PREFIX.length + MAC_CHARS + 1);
      if (text !== `${PREFIX}${mac}:${token}` || !/^[\w-]{43}$/.test(mac)) throw forged;
      const [bytes, covered] = [bytesOf(mac), utf8.encode(PURPOSE + token)];
      const checks = (await keysOf()).map((key) => crypto.subtle.verify(HMAC.name, key, bytes, covered));
      if (!(await Promise.all(checks)).includes(true)) throw forged;
      return LiveCursor.parse(token, session);
    },
  };
}

function base64urlOf(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replaceAll("=", "");
}

function bytesOf(base64url: string): Uint8Array<ArrayBuffer> {
  const text = atob(base64url.replaceAll("-", "+").replaceAll("_", "/"));
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}
