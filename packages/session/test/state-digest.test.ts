import { readFileSync } from "node:fs";
import { ByteWriter, HASH_CONTEXTS, logId, nobleHasher, STATE_SLOTS, StateDigest } from "@tidemark/core";
import { expect, test } from "vitest";
import { SessionFold } from "../src/index.ts";
import { CLUSTER_ID, hex, opBytes } from "./history.ts";
import { SAMPLES } from "./ops.ts";

const GOLDEN = JSON.parse(readFileSync(new URL("golden/state-v1.json", import.meta.url), "utf8")) as {
  readonly digest: string;
  readonly snapshot: string;
};

/** Every sample, each at a number of its own. */
function sampled(): SessionFold {
  const fold = new SessionFold({ hasher: nobleHasher, clusterId: CLUSTER_ID });
  for (const [at, op] of Object.values(SAMPLES).entries()) {
    fold.apply(opBytes({ ...op, seqno: 2 * at + 1 }), logId(1, 0, 1_790_000_000, "sessions"), at + 1);
  }
  return fold;
}

test("REP-12 golden digest and snapshot of one operation of each kind", () => {
  const fold = sampled();
  expect(hex(fold.digest())).toBe(GOLDEN.digest);
  expect(hex(fold.snapshot())).toBe(GOLDEN.snapshot);
  const restored = new SessionFold({ hasher: nobleHasher, clusterId: CLUSTER_ID });
  restored.restore(Uint8Array.from(Buffer.from(GOLDEN.snapshot, "hex")));
  expect(hex(restored.digest())).toBe(GOLDEN.digest);
});

test("the state digest follows from the objects as the format says", () => {
  const fold = sampled();
  const objects = [...fold.sessions.values(), ...fold.users.values()].flatMap((object) => {
    const writer = new ByteWriter();
    object.writeCanonical(writer);
    if (writer.length === 0) return [];
    const id = Buffer.from(object.id);
    const slotHash = Buffer.from(nobleHasher.digest(HASH_CONTEXTS.slot, id, 2));
    const hash = nobleHasher.digest(
      HASH_CONTEXTS.state,
      fields([Buffer.from([object.objectKind]), id, Buffer.from(writer.view())]),
    );
    return [
      { id, kind: object.objectKind, slot: slotHash.readUInt16LE() % STATE_SLOTS, hash: Buffer.from(hash) },
    ];
  });
  expect(objects.length).toBe(3);
  objects.sort((a, b) => a.slot - b.slot || Buffer.compare(a.id, b.id) || a.kind - b.kind);
  const parts = [Buffer.from([1, 0]), Buffer.alloc(64)];
  for (const slot of new Set(objects.map((object) => object.slot))) {
    const inSlot = objects.filter((object) => object.slot === slot).map(({ hash }) => hash);
    const number = Buffer.alloc(2);
    number.writeUInt16LE(slot);
    const digest = nobleHasher.digest(HASH_CONTEXTS.state, Buffer.concat(inSlot));
    expect(hex(fold.slotDigest(slot))).toBe(hex(digest));
    parts.push(number, Buffer.from(digest));
  }
  expect(hex(fold.digest())).toBe(hex(nobleHasher.digest(HASH_CONTEXTS.state, Buffer.concat(parts))));
});

test("a digest costs what has changed: only objects touched since are written again", () => {
  const digest = new StateDigest(nobleHasher, { foldVersion: 1 });
  let writes = 0;
  const objects = Array.from({ length: 50 }, (_, at) => ({
    objectKind: 1,
    id: `s${at}`,
    writeCanonical: (writer: ByteWriter) => {
      writes += 1;
      writer.u8(at);
    },
  }));
  for (const object of objects) digest.touch(object);
  const before = hex(digest.digest());
  expect(writes).toBe(50);
  digest.touch(objects[7]!);
  expect(hex(digest.digest())).toBe(before);
  expect(writes).toBe(51);
  digest.digest();
  expect(writes).toBe(51);
});

function fields(all: readonly Buffer[]): Buffer {
  return Buffer.concat(
    all.flatMap((field) => {
      const length = Buffer.alloc(4);
      length.writeUInt32LE(field.length);
      return [length, field];
    }),
  );
}
