import { readFileSync } from "node:fs";
import { ByteWriter, nobleHasher } from "@tidemark/core";
import fc from "fast-check";
import { expect, test } from "vitest";
import { decodeOp, encodeOp, nobleSealer, type Op, UserKeys, UserSeals } from "../src/index.ts";
import { hex, opBytes } from "./history.ts";
import { SAMPLES } from "./ops.ts";

const GOLDEN = JSON.parse(
  readFileSync(new URL("golden/sealed-op-v1.json", import.meta.url), "utf8"),
) as Record<string, string>;

function sealsOf(): UserSeals {
  return new UserSeals({
    hasher: nobleHasher,
    seed: new Uint8Array(16).fill(9),
    keys: UserKeys.create(nobleHasher, new Uint8Array(16).fill(1)),
  });
}

function sealed(op: Op, seals: UserSeals = sealsOf(), user: string = "ann"): Uint8Array {
  const seal = seals.current(user)!;
  const writer = new ByteWriter();
  encodeOp(writer, { ...op, userKey: seal.generation }, seal);
  return writer.take();
}

for (const [name, op] of Object.entries(SAMPLES)) {
  test(`SES-18 golden bytes of ${name} under a user's key`, () => {
    expect(hex(sealed(op))).toBe(GOLDEN[name]);
    const seals = sealsOf();
    const view = decodeOp(Uint8Array.from(Buffer.from(GOLDEN[name]!, "hex")));
    expect(view.userKey).toBe(1);
    expect(hex(view.pseudonym!)).toBe(hex(seals.pseudonymOf("ann")));
    expect(() => view.sealed).toThrow(TypeError);
    expect(view.unseal(seals.find(view.pseudonym!, 1)!)).toBe(true);
    const { clear, sealed: part } = view.verify();
    expect({ ...clear, ...part }).toEqual({ ...op.clear, ...op.sealed });
    // The clear part is what it is in the plain.
    expect(hex(view.clearBytes)).toBe(hex(decodeOp(opBytes(op)).clearBytes));
  });
}

test("SES-18 nothing of the sealed part can be read from the bytes", () => {
  for (const op of Object.values(SAMPLES)) {
    const text = Buffer.from(sealed(op)).toString("latin1");
    for (const word of ["ann", "shopper", "likes linen", "linen shirt", "item-9", "pro", "not this one"])
      expect(text).not.toContain(word);
  }
});

test("SES-18 a sealed part opens at its own place, of its own kind, under its own key alone", () => {
  const seals = sealsOf();
  const bytes = sealed(SAMPLES["annotate the session"]!, seals);
  const seal = seals.current("ann")!;
  expect(decodeOp(bytes).unseal(seal)).toBe(true);
  expect(decodeOp(bytes).unseal(seals.current("bob")!)).toBe(false);
  seals.erase(seal.pseudonym, 1);
  expect(seals.find(seal.pseudonym, 1)).toBeUndefined();
  expect(decodeOp(bytes).unseal(seals.current("ann")!)).toBe(false);
  const view = decodeOp(bytes);
  const swapped = [1, view.stampAt - 1, view.laneAt + 1, 4, view.sealedAt + 20, bytes.length - 1];
  for (const at of swapped) {
    const other = bytes.slice();
    // The kind becomes another one with the same parts, everything else another value.
    other[at] = at === 1 ? 11 : other[at]! ^ 1;
    expect(decodeOp(other).unseal(seal), `byte ${at}`).toBe(false);
  }
});

test("SES-18 the same operation gives the same bytes, and no two share a nonce", () => {
  const op = SAMPLES["annotate the session"]!;
  expect(hex(sealed(op))).toBe(hex(sealed(op)));
  const nonceOf = (bytes: Uint8Array): string => hex(decodeOp(bytes).sealedBytes.subarray(16, 40));
  const others = [
    op,
    { ...op, seqno: 8 },
    { ...op, session: "s-2" },
    { ...op, sealed: { text: "likes wool" } } as Op,
    { ...op, lane: { region: 2, epoch: 1_790_000_000 } },
  ];
  expect(new Set(others.map((one) => nonceOf(sealed(one)))).size).toBe(others.length);
});

test("SES-18 a request digest is keyed by the user's key", () => {
  const seals = sealsOf();
  const [cluster, request] = [new Uint8Array(8), Uint8Array.of(4, 1)];
  const digest = (user: string): string => hex(seals.current(user)!.requestDigest(cluster, request));
  const before = digest("ann");
  expect(before).not.toBe(digest("bob"));
  seals.erase(seals.pseudonymOf("ann"), 1);
  expect(digest("ann")).not.toBe(before);
});

test("SES-18 the default sealer is the published one, and refuses what was not sealed so", () => {
  // draft-irtf-cfrg-xchacha-03, A.3.1.
  const bytes = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, "hex"));
  const plain = Buffer.from(
    "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it.",
  );
  const key = bytes("808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f");
  const nonce = bytes("404142434445464748494a4b4c4d4e4f5051525354555657");
  const associated = bytes("50515253c0c1c2c3c4c5c6c7");
  const result = nobleSealer.seal(key, nonce, plain, associated);
  expect(hex(result.subarray(-16))).toBe("c0875924c1c7987947deafd8780acf49");
  expect(hex(result.subarray(0, 8))).toBe("bd6d179d3e83d43b");
  fc.assert(
    fc.property(fc.nat(result.length - 1), fc.integer({ min: 1, max: 255 }), (at, flip) => {
      const other = result.slice();
      other[at] = other[at]! ^ flip;
      expect(nobleSealer.open(key, nonce, other, associated)).toBeUndefined();
    }),
  );
  expect(nobleSealer.open(key, nonce, result.subarray(0, 10), associated)).toBeUndefined();
  expect(hex(nobleSealer.open(key, nonce, result, associated)!)).toBe(hex(plain));
});
