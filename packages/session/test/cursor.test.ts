import { readFileSync } from "node:fs";
import { inspect } from "node:util";
import { nobleHasher as hasher } from "@tidemark/core";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { decodeBase64url, encodeBase64url } from "../src/base64url.ts";
import {
  Cursor,
  decodeCursor,
  encodeCursor,
  inspectCursor,
  SessionError,
  type TokenPosition,
} from "../src/index.ts";

const clusterId = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8);
const key = { id: 7, key: new Uint8Array(32).fill(9) };
const keys = [{ id: 6, key: new Uint8Array(32).fill(8) }, key];
const session = "s:1";
const entries = [
  { region: 1, epoch: 1_790_000_000, lsn: 42 },
  { region: 2, epoch: 1_790_000_001, lsn: 300 },
];
const check = { session, clusterId, keys, hasher };

const codeOf = (run: () => unknown): string => {
  try {
    run();
  } catch (error) {
    expect(error).toBeInstanceOf(SessionError);
    return (error as SessionError).code;
  }
  return "accepted";
};
const bytesOf = (token: string): Uint8Array => decodeBase64url(token, 5)!;
const tokenOf = (bytes: Uint8Array): string => `tmc1.${encodeBase64url(bytes)}`;

test("SES-12 a cursor gives back its entries, sorted, with and without a key", () => {
  const position = fc.record({
    region: fc.nat(0xffff),
    epoch: fc.nat(0xffff_ffff),
    lsn: fc.oneof(fc.nat(300), fc.maxSafeNat()),
  });
  const sets = fc.uniqueArray(position, {
    maxLength: 64,
    selector: ({ region, epoch }) => `${region}:${epoch}`,
  });
  fc.assert(
    fc.property(sets, fc.boolean(), (list: TokenPosition[], signed) => {
      const token = encodeCursor({ session, clusterId, entries: list, hasher, ...(signed ? { key } : {}) });
      const read = decodeCursor(token, { ...check, keys: signed ? keys : [] });
      const sorted = list
        .filter(({ lsn }) => lsn > 0)
        .sort((a, b) => a.region - b.region || a.epoch - b.epoch);
      expect(read.entries).toEqual(sorted);
    }),
    { numRuns: 200 },
  );
});

test("SES-12 eight entries with the longest numbers take at most 160 bytes before encoding", () => {
  const list = Array.from({ length: 8 }, (_, i) => ({
    region: i,
    epoch: 0xffff_ffff,
    lsn: Number.MAX_SAFE_INTEGER,
  }));
  const token = encodeCursor({ session, clusterId, entries: list, key, hasher });
  expect(bytesOf(token).length).toBeLessThanOrEqual(160);
});

test("SES-12 more than 64 entries are CURSOR_TOO_WIDE, and one log is named once", () => {
  const list = Array.from({ length: 65 }, (_, i) => ({ region: i, epoch: 1, lsn: 1 }));
  expect(codeOf(() => encodeCursor({ session, clusterId, entries: list, hasher }))).toBe("CURSOR_TOO_WIDE");
  const widest = encodeCursor({ session, clusterId, entries: list.slice(1), hasher, key });
  expect(decodeCursor(widest, check).entries).toHaveLength(64);
  const twice = [entries[0]!, entries[0]!];
  expect(() => encodeCursor({ session, clusterId, entries: twice, hasher })).toThrow(RangeError);
});

test("SES-12 printing a cursor shows nothing of its inside; text and JSON are the token", () => {
  const token = encodeCursor({ session, clusterId, entries, key, hasher });
  const cursor = new Cursor(token);
  expect(String(cursor)).toBe(token);
  expect(JSON.parse(JSON.stringify({ cursor }))).toEqual({ cursor: token });
  expect(inspect({ cursor }, { depth: 9, showHidden: true })).toBe("{ cursor: Cursor {} }");
  expect(Object.keys(cursor)).toEqual([]);
  expect(decodeCursor(cursor, check)).toEqual({ entries });
});

test("SES-12 malformed, foreign, wrong session and forged are told apart, in the documented order", () => {
  const token = encodeCursor({ session, clusterId, entries, key, hasher });
  const other = clusterId.map((byte) => byte ^ 1);
  const cases: readonly (readonly [string, () => unknown])[] = [
    ["CURSOR_MALFORMED", () => decodeCursor("", check)],
    ["CURSOR_MALFORMED", () => decodeCursor("tmt1." + token.slice(5), check)],
    ["CURSOR_MALFORMED", () => decodeCursor(`${token}=`, check)],
    ["CURSOR_MALFORMED", () => decodeCursor(`tmc1.${"A".repeat(1_000_000)}`, check)],
    ["CURSOR_MALFORMED", () => decodeCursor(tokenOf(bytesOf(token).fill(2, 0, 1)), check)],
    ["CURSOR_FOREIGN", () => decodeCursor(token, { ...check, clusterId: other, keys: [], session: "else" })],
    ["CURSOR_FORGED", () => decodeCursor(token, { ...check, session: "else", keys: [] })],
    ["CURSOR_FORGED", () => decodeCursor(token, { ...check, keys: [keys[0]!] })],
    ["CURSOR_FORGED", () => decodeCursor(encodeCursor({ session, clusterId, entries, hasher }), check)],
    ["CURSOR_WRONG_SESSION", () => decodeCursor(token, { ...check, session: "s:2" })],
    ["CURSOR_WRONG_SESSION", () => decodeCursor(token, { ...check, session: "s" })],
    ["accepted", () => decodeCursor(token, check)],
  ];
  expect(cases.map(([, run]) => codeOf(run))).toEqual(cases.map(([code]) => code));
});

test("SES-12 a user's binding is not a session's, whatever the ids hold", () => {
  const a = encodeCursor({ session: "a:b", clusterId, entries, hasher });
  expect(codeOf(() => decodeCursor(a, { ...check, session: "a", keys: [] }))).toBe("CURSOR_WRONG_SESSION");
  expect(() => encodeCursor({ session: "\ud800", clusterId, entries, hasher })).toThrow(TypeError);
});

test("SES-12 scenario 30: a signed cursor that is cut at any byte or has any bit flipped is refused with a type", () => {
  const bytes = bytesOf(encodeCursor({ session, clusterId, entries, key, hasher }));
  const refused = new Set<string>();
  for (let end = 0; end < bytes.length; end++)
    refused.add(codeOf(() => decodeCursor(tokenOf(bytes.slice(0, end)), check)));
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const damaged = bytes.slice();
    damaged[bit >> 3]! ^= 1 << (bit & 7);
    refused.add(codeOf(() => decodeCursor(tokenOf(damaged), check)));
  }
  expect([...refused].sort()).toEqual(["CURSOR_FOREIGN", "CURSOR_FORGED", "CURSOR_MALFORMED"]);
});

test("SES-12 CORE-13 any text is a cursor or a SessionError, unsigned entries included", () => {
  const unsigned = bytesOf(encodeCursor({ session, clusterId, entries, hasher }));
  const attempt = (token: string): void => {
    const open = { ...check, keys: [] };
    const code = codeOf(() => {
      const read = decodeCursor(token, open);
      expect(encodeCursor({ session, clusterId, entries: read.entries, hasher })).toBe(token);
    });
    expect(code).toMatch(/^(accepted|CURSOR_\w+)$/);
  };
  for (let end = 0; end < unsigned.length; end++) attempt(tokenOf(unsigned.slice(0, end)));
  for (let bit = 0; bit < unsigned.length * 8; bit++) {
    const damaged = unsigned.slice();
    damaged[bit >> 3]! ^= 1 << (bit & 7);
    attempt(tokenOf(damaged));
  }
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), fc.string(), (tail, text) => {
      attempt(text);
      attempt(`tmc1.${text}`);
      attempt(tokenOf(Uint8Array.of(...unsigned.slice(0, 18), ...tail)));
    }),
  );
});

test("SES-12 the golden tokens are read and written back", () => {
  const golden = JSON.parse(readFileSync(new URL("golden/tokens-v1.json", import.meta.url), "utf8"));
  expect(encodeCursor({ session, clusterId, entries, key, hasher })).toBe(golden.cursorSigned);
  expect(encodeCursor({ session, clusterId, entries, hasher })).toBe(golden.cursorUnsigned);
  expect(decodeCursor(golden.cursorSigned, check)).toEqual({ entries });
  expect(decodeCursor(golden.cursorUnsigned, { ...check, keys: [] })).toEqual({ entries });
});

test("SES-12 inspectCursor() reads what any cluster signed, for its session alone, and any text is one or a SessionError", () => {
  for (const signed of [{}, { key }]) {
    const token = encodeCursor({ session, clusterId, entries, hasher, ...signed });
    expect(inspectCursor(token, { session, hasher })).toEqual({ entries });
    expect(codeOf(() => inspectCursor(token, { session: "s:2", hasher }))).toBe("CURSOR_WRONG_SESSION");
    for (let length = 0; length < token.length; length++)
      expect(codeOf(() => inspectCursor(token.slice(0, length), { session, hasher }))).not.toBe("accepted");
  }
  const bytes = fc.uint8Array({ maxLength: 64 });
  fc.assert(
    fc.property(bytes, (some) => void codeOf(() => inspectCursor(tokenOf(some), { session, hasher }))),
  );
});
