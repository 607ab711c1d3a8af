// P5: BLAKE3 through the hasher seam against the best one-shots of npm and the portable engine.
import assert from "node:assert/strict";
import { createBlake3Hasher } from "../../packages/blake3-wasm/dist/index.js";
import { HASH_CONTEXTS, nobleHasher } from "../../packages/core/dist/index.js";
import { bytesOf, compare, peer, rate, seeded } from "../harness.mjs";

export const ROWS = ["P5"];

const KEY_BYTES = 16;

export async function run() {
  const jit = await peer("blake3-jit");
  const hashWasm = await peer("hash-wasm");
  const wasm = hashWasm && (await hashWasm.createBLAKE3());
  const ours = createBlake3Hasher();
  const context = HASH_CONTEXTS.idempotencyKey;
  const random = seeded(5);
  // What a peer can do best: its plain mode, one state used again, bytes as the result.
  const peers = (inputs) => ({
    ...(jit && { "blake3-jit": () => rate(() => inputs.forEach((input) => jit.hash(input)), inputs.length) }),
    ...(wasm && {
      "hash-wasm": () =>
        rate(() => inputs.forEach((input) => wasm.init().update(input).digest("binary")), inputs.length),
    }),
    "@noble/hashes": () =>
      rate(
        () => inputs.slice(0, 100).forEach((input) => nobleHasher.digest(context, input, KEY_BYTES)),
        Math.min(100, inputs.length),
      ),
  });

  const goals = { "blake3-jit": 1, "hash-wasm": 1 };
  const lines = [];
  const keys = Array.from({ length: 1000 }, () => bytesOf(random, 100));
  const packed = new Uint8Array(keys.length * 100);
  const offsets = new Uint32Array(keys.length + 1);
  keys.forEach((key, index) => {
    packed.set(key, index * 100);
    offsets[index + 1] = (index + 1) * 100;
  });
  const expected = keys.map((key) => nobleHasher.digest(context, key, KEY_BYTES));
  const batch = ours.digestMany(context, packed, offsets, keys.length, KEY_BYTES);
  expected.forEach((digest, index) => {
    assert.deepEqual(batch.slice(index * KEY_BYTES, (index + 1) * KEY_BYTES), digest);
    assert.deepEqual(ours.digest(context, keys[index], KEY_BYTES), digest);
  });
  if (jit && wasm)
    assert.deepEqual(
      new Uint8Array(wasm.init().update(keys[0]).digest("binary")),
      new Uint8Array(jit.hash(keys[0])),
    );

  lines.push(
    ...(await compare({
      row: "P5",
      work: "BLAKE3, 1,000 keys of 100 B as one batch (digestMany)",
      unit: "hashes/s",
      variants: {
        tidemark: () =>
          rate(() => ours.digestMany(context, packed, offsets, keys.length, KEY_BYTES), keys.length),
        ...peers(keys),
      },
      goals,
    })),
    ...(await compare({
      row: "P5",
      work: "BLAKE3, keys of 100 B one by one (digest)",
      unit: "hashes/s",
      variants: {
        tidemark: () => rate(() => keys.forEach((key) => ours.digest(context, key, KEY_BYTES)), keys.length),
        ...peers(keys),
      },
      goals,
    })),
  );

  const batches = Array.from({ length: 8 }, () => bytesOf(random, 65_536));
  const digestContext = HASH_CONTEXTS.walBatchV2;
  for (const bytes of batches) {
    assert.deepEqual(
      ours.digest(digestContext, bytes, KEY_BYTES),
      nobleHasher.digest(digestContext, bytes, KEY_BYTES),
    );
  }
  lines.push(
    ...(await compare({
      row: "P5",
      work: "BLAKE3, digest of a batch of 64 KiB",
      unit: "hashes/s",
      variants: {
        tidemark: () =>
          rate(
            () => batches.forEach((bytes) => ours.digest(digestContext, bytes, KEY_BYTES)),
            batches.length,
          ),
        ...peers(batches),
      },
      goals,
    })),
  );
  return lines;
}
