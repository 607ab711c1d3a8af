// P5: BLAKE3 through the hasher seam against the best one-shots of npm and the portable engine.
import assert from "node:assert/strict";
import { createBlake3Hasher } from "../../packages/blake3-wasm/dist/index.js";
import { HASH_CONTEXTS, nobleHasher } from "../../packages/core/dist/index.js";
import { bytesOf, compare, peer, rate, seeded } from "../harness.mjs";

export const ROWS = ["P5"];

export async function run() {
  const jit = await peer("blake3-jit");
  const hashWasm = await peer("hash-wasm");
  const ours = createBlake3Hasher();
  const random = seeded(5);
  const lines = [];
  for (const [what, length, count] of [["operation keys, 100 B", 100, 1000], ["batch digest, 64 KiB", 65_536, 8]]) {
    const inputs = Array.from({ length: count }, () => bytesOf(random, length));
    const context = HASH_CONTEXTS.walBatchV2;
    assert.deepEqual(ours.digest(context, inputs[0]), nobleHasher.digest(context, inputs[0]));
    const state = hashWasm === undefined ? undefined : await hashWasm.createBLAKE3();
    const variants = {
      tidemark: () => rate(() => inputs.forEach((input) => ours.digest(context, input, 16)), count),
      ...(jit && { "blake3-jit": () => rate(() => inputs.forEach((input) => jit.hash(input)), count) }),
      ...(state && {
        "hash-wasm": () => rate(() => inputs.forEach((input) => state.init().update(input).digest("binary")), count),
      }),
      "@noble/hashes": () => rate(() => nobleHasher.digest(context, inputs[0], 16), 1),
    };
    lines.push(
      ...(await compare({ row: "P5", work: what, unit: "hashes/s", variants, goals: { "blake3-jit": 1, "hash-wasm": 1 } })),
    );
  }
  return lines;
}
