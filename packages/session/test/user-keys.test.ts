import { readFileSync } from "node:fs";
import { ByteReader, ByteWriter, CoreError, nobleHasher } from "@tidemark/core";
import fc from "fast-check";
import { expect, test } from "vitest";
import { KeyTree, UserKeys } from "../src/index.ts";
import { hex } from "./history.ts";

const ROOT = Uint8Array.from({ length: 16 }, (_, at) => at + 1);
const fresh = (): UserKeys => UserKeys.create(nobleHasher, ROOT);
/** Few first bytes, so that paths share most of their way. */
const pseudonym = fc
  .tuple(fc.constantFrom(0, 1, 0x80), fc.uint8Array({ minLength: 15, maxLength: 15 }))
  .map(([first, rest]) => Uint8Array.from([first, ...rest.map((byte) => byte & 3)]));

test("SES-18 every member derives the same key for a user nobody has written for", () => {
  const [a, b] = [fresh(), UserKeys.decode(fresh().encode(), nobleHasher)];
  const ann = new Uint8Array(16).fill(7);
  expect(hex(a.secretOf(ann, 1)!)).toBe(hex(b.secretOf(ann, 1)!));
  expect(hex(a.secretOf(ann, 1)!)).not.toBe(hex(a.secretOf(ann, 2)!));
});

test("SES-18 an erased generation follows from nothing that is left, and every other key is as it was", () => {
  const erasures = fc.array(fc.record({ who: fc.nat(5), upTo: fc.integer({ min: 1, max: 4 }) }), {
    maxLength: 12,
  });
  fc.assert(
    fc.property(
      fc.uniqueArray(pseudonym, { minLength: 6, maxLength: 6, selector: hex }),
      erasures,
      (users, steps) => {
        const untouched = fresh();
        let keys = fresh();
        const gone = [0, 0, 0, 0, 0, 0];
        for (const [step, { who, upTo }] of steps.entries()) {
          expect(keys.erase(users[who]!, upTo)).toBe(upTo > gone[who]!);
          gone[who] = Math.max(gone[who]!, upTo);
          if (step % 3 === 0) keys = UserKeys.decode(keys.encode(), nobleHasher);
        }
        for (const [who, user] of users.entries()) {
          expect(keys.generationOf(user)).toBe(gone[who]! + 1);
          for (let generation = 1; generation <= 6; generation++) {
            const left = keys.secretOf(user, generation);
            if (generation <= gone[who]!) expect(left).toBeUndefined();
            else expect(hex(left!)).toBe(hex(untouched.secretOf(user, generation)!));
          }
        }
      },
    ),
    { numRuns: 40 },
  );
});

test("SES-18 the order of erasures does not show in the table", () => {
  const users = [1, 2, 200].map((first) => new Uint8Array(16).fill(first));
  const tables = [users, users.toReversed()].map((order) => {
    const keys = fresh();
    for (const user of order) keys.erase(user, 2);
    keys.erase(users[0]!, 1);
    return hex(keys.encode());
  });
  expect(tables[0]).toBe(tables[1]);
});

test("SES-18 no secret of the path to an erased user is left in the table", () => {
  const ann = new Uint8Array(16).fill(0x5a);
  const keys = fresh();
  const gone = [hex(ROOT), hex(keys.secretOf(ann, 1)!)];
  keys.erase(ann, 1);
  const table = hex(keys.encode());
  for (const secret of gone) expect(table).not.toContain(secret);
  // 64 nodes beside the path, 64 above it.
  expect(table.length / 2).toBe(1 + 64 * 17 + 64 + 1 + 1 + 52);
});

test("SES-18 a copy of the tree that still has an erased user's leaf gives nothing back", () => {
  const ann = new Uint8Array(16).fill(3);
  const [before, after] = [new ByteWriter(), fresh()];
  new KeyTree(nobleHasher, ROOT).encode(before);
  after.erase(ann, 1);
  const table = after.encode();
  const erased = table.subarray(table.length - 53);
  const joined = Uint8Array.from([1, ...before.view(), ...erased]);
  const keys = UserKeys.decode(joined, nobleHasher);
  expect(keys.secretOf(ann, 1)).toBeUndefined();
  expect(hex(keys.encode())).toBe(hex(table));
});

test("CORE-13 golden bytes of a table", () => {
  const keys = fresh();
  keys.erase(new Uint8Array(16), 1);
  const golden = readFileSync(new URL("golden/user-keys-v1.hex", import.meta.url), "utf8").trim();
  expect(hex(keys.encode())).toBe(golden);
  expect(hex(UserKeys.decode(Uint8Array.from(Buffer.from(golden, "hex")), nobleHasher).encode())).toBe(
    golden,
  );
  expect(hex(fresh().encode())).toBe(`0101${hex(ROOT)}00`);
});

test("CORE-13 any bytes decode or are refused, and a tree deeper than its paths is", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
      try {
        expect(hex(UserKeys.decode(bytes, nobleHasher).encode())).toBe(hex(bytes));
      } catch (error) {
        expect(error).toBeInstanceOf(CoreError);
      }
    }),
  );
  const deep = Uint8Array.from([...Array.from({ length: 65 }, () => 2), 1]);
  expect(() => KeyTree.decode(new ByteReader(deep), nobleHasher)).toThrow(CoreError);
});
