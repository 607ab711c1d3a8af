import { readFileSync } from "node:fs";
import { inspect } from "node:util";
import { nobleHasher as hasher } from "@tidemark/core";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { decodeBase64url, encodeBase64url } from "../src/base64url.ts";
import {
  decodeCursor,
  decodeTicket,
  encodeCursor,
  encodeTicket,
  SessionError,
  Ticket,
} from "../src/index.ts";

const NOW = 1_790_000_000_000;
const clusterId = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8);
const key = { id: 7, key: new Uint8Array(32).fill(9) };
const user = "ada";
const base = [{ region: 1, epoch: 1_790_000_000, lsn: 40 }];
const entries = [
  { region: 1, epoch: 1_790_000_000, lsn: 42 },
  { region: 2, epoch: 1_790_000_001, lsn: 300 },
];
const ops = [new Uint8Array(16).fill(1), new Uint8Array(40).fill(2)];
const content = { user, clusterId, expiresAtMs: NOW + 1000, base, entries, ops, hasher };
const check = { user, clusterId, keys: [key], hasher, nowMs: NOW };

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
const tokenOf = (bytes: Uint8Array): string => `tmt1.${encodeBase64url(bytes)}`;

test("SES-14 a ticket gives back what was put into it", () => {
  const read = decodeTicket(encodeTicket({ ...content, key }), check);
  expect(read).toEqual({ expiresAtMs: NOW + 1000, complete: true, base, entries, ops });
  const op = fc.uint8Array({ minLength: 16, maxLength: 300 });
  fc.assert(
    fc.property(
      fc.array(op, { maxLength: 20 }),
      fc.boolean(),
      fc.integer({ min: NOW + 1, max: 2 ** 48 - 1 }),
      (list, complete, end) => {
        const token = encodeTicket({ ...content, ops: list, complete, expiresAtMs: end, key });
        expect(decodeTicket(token, check)).toEqual({ expiresAtMs: end, complete, base, entries, ops: list });
        expect(new Ticket(token).complete).toBe(complete);
      },
    ),
  );
});

test("SES-14 a tail that does not fit is left out, and the ticket says so", () => {
  const most = Array.from({ length: 100 }, () => new Uint8Array(700));
  for (const ticketBytesMax of [64 * 1024, 200]) {
    const token = encodeTicket({ ...content, ops: most, key, ticketBytesMax });
    const read = decodeTicket(token, { ...check, ticketBytesMax });
    expect([read.complete, read.ops.length, read.entries]).toEqual([false, 0, entries]);
    expect(new Ticket(token).complete).toBe(false);
  }
  const fitting = encodeTicket({ ...content, ops: most.slice(0, 92), key });
  expect(bytesOf(fitting).length).toBeLessThanOrEqual(64 * 1024);
  expect(decodeTicket(fitting, check).complete).toBe(true);
  expect(codeOf(() => encodeTicket({ ...content, key, ticketBytesMax: 50 }))).toBe("CURSOR_TOO_WIDE");
  expect(() => encodeTicket({ ...content, ops: [new Uint8Array(15)] })).toThrow(RangeError);
});

test("SES-14 foreign, forged, of another user, expired and untrusted are told apart, in the documented order", () => {
  const token = encodeTicket({ ...content, key });
  const unsigned = encodeTicket(content);
  const open = { ...check, keys: [] };
  const late = { ...check, nowMs: NOW + 1000 };
  const cases: readonly (readonly [string, () => unknown])[] = [
    ["TICKET_MALFORMED", () => decodeTicket("tmc1." + token.slice(5), check)],
    ["TICKET_MALFORMED", () => decodeTicket(`tmt1.${"A".repeat(1_000_000)}`, check)],
    ["TICKET_MALFORMED", () => decodeTicket(token, { ...check, ticketBytesMax: 50 })],
    [
      "TICKET_FOREIGN",
      () => decodeTicket(token, { ...late, user: "bob", keys: [], clusterId: new Uint8Array(8) }),
    ],
    [
      "TICKET_FORGED",
      () => decodeTicket(token, { ...late, user: "bob", keys: [{ id: 7, key: new Uint8Array(32) }] }),
    ],
    ["TICKET_FORGED", () => decodeTicket(unsigned, check)],
    ["TICKET_FORGED", () => decodeTicket(token, open)],
    ["TICKET_WRONG_USER", () => decodeTicket(token, { ...late, user: "bob" })],
    ["TICKET_EXPIRED", () => decodeTicket(token, late)],
    ["TICKET_UNTRUSTED", () => decodeTicket(unsigned, open)],
    ["accepted", () => decodeTicket(unsigned, { ...open, trustTickets: true })],
    ["accepted", () => decodeTicket(encodeTicket({ ...content, ops: [] }), open)],
    ["accepted", () => decodeTicket(new Ticket(token), { ...check, nowMs: NOW + 999 })],
  ];
  expect(cases.map(([, run]) => codeOf(run))).toEqual(cases.map(([code]) => code));
});

test("SES-14 a cursor of a session with the user's name is no ticket, even under another prefix", () => {
  const cursor = encodeCursor({ session: user, clusterId, entries, key, hasher });
  expect(codeOf(() => decodeTicket(`tmt1.${cursor.slice(5)}`, check))).toBe("TICKET_FORGED");
  const open = { ...check, keys: [], trustTickets: true };
  const bare = encodeCursor({ session: user, clusterId, entries, hasher });
  expect(codeOf(() => decodeTicket(`tmt1.${bare.slice(5)}`, open))).toBe("TICKET_WRONG_USER");
  const ticket = encodeTicket({ ...content, ops: [] });
  const asCursor = { session: user, clusterId, keys: [], hasher };
  expect(codeOf(() => decodeCursor(`tmc1.${ticket.slice(5)}`, asCursor))).toBe("CURSOR_WRONG_SESSION");
});

test("SES-14 scenario 30: a signed ticket that is cut at any byte or has any bit flipped is refused with a type", () => {
  const bytes = bytesOf(encodeTicket({ ...content, key }));
  const refused = new Set<string>();
  for (let end = 0; end < bytes.length; end++)
    refused.add(codeOf(() => decodeTicket(tokenOf(bytes.slice(0, end)), check)));
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const damaged = bytes.slice();
    damaged[bit >> 3]! ^= 1 << (bit & 7);
    refused.add(codeOf(() => decodeTicket(tokenOf(damaged), check)));
  }
  expect([...refused].sort()).toEqual(["TICKET_FOREIGN", "TICKET_FORGED", "TICKET_MALFORMED"]);
});

test("SES-14 CORE-13 any text is a ticket or a SessionError, unsigned contents included", () => {
  const open = { ...check, keys: [], trustTickets: true };
  const unsigned = bytesOf(encodeTicket(content));
  const attempt = (token: string): void => {
    const code = codeOf(() => {
      expect(encodeTicket({ user, clusterId, hasher, ...decodeTicket(token, open) })).toBe(token);
    });
    expect(code).toMatch(/^(accepted|TICKET_\w+)$/);
    expect(typeof new Ticket(token).complete).toBe("boolean");
  };
  for (let end = 0; end < unsigned.length; end++) attempt(tokenOf(unsigned.slice(0, end)));
  for (let bit = 0; bit < unsigned.length * 8; bit++) {
    const damaged = unsigned.slice();
    damaged[bit >> 3]! ^= 1 << (bit & 7);
    attempt(tokenOf(damaged));
  }
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 80 }), fc.string(), (tail, text) => {
      attempt(text);
      attempt(`tmt1.${text}`);
      attempt(tokenOf(Uint8Array.of(...unsigned.slice(0, 25), ...tail)));
    }),
  );
});

test("SES-14 printing a ticket shows nothing of its inside; text and JSON are the token", () => {
  const token = encodeTicket({ ...content, key });
  const ticket = new Ticket(token);
  expect([String(ticket), JSON.stringify(ticket), inspect(ticket)]).toEqual([
    token,
    `"${token}"`,
    "Ticket {}",
  ]);
});

test("SES-14 the golden tokens are read and written back", () => {
  const golden = JSON.parse(readFileSync(new URL("golden/tokens-v1.json", import.meta.url), "utf8"));
  expect(encodeTicket({ ...content, key })).toBe(golden.ticketSigned);
  expect(encodeTicket({ ...content, ops: [], complete: false })).toBe(golden.ticketUnsigned);
  expect(decodeTicket(golden.ticketSigned, check).ops).toEqual(ops);
  expect(decodeTicket(golden.ticketUnsigned, { ...check, keys: [] }).complete).toBe(false);
});
