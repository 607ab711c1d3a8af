import type { KvCapabilities } from "@tidemark/kv";
import { bytes, expectCode, expectRefusal, expectThat, expectValues, numberBytes } from "./assertions.ts";
import type { KvCheckContext } from "./check.ts";

const A = bytes("a");

/** The capabilities are the pinned claims, and `watch` is there if claimed. */
export async function claimsAreAsPinned({ kv, claims }: KvCheckContext): Promise<void> {
  for (const claim of Object.keys(claims) as (keyof KvCapabilities)[]) {
    const actual = kv.capabilities[claim];
    expectThat(actual === claims[claim], `${claim}: claims ${claims[claim]} and says ${actual}`);
  }
  const extra = Object.keys(kv.capabilities).filter((name) => !(name in claims));
  expectThat(extra.length === 0, `says more than it claims: ${extra.join(", ")}`);
  expectThat((kv.watch !== undefined) === claims.watch, "watch() is there if and only if it is claimed");
}

/** A value at the limit is taken whole, one beyond is `KV_TOO_LARGE`, in a put and in a check. */
export async function limitsValues({ kv, claims }: KvCheckContext): Promise<void> {
  const limit = Math.min(claims.valueBytesMax, claims.commitBytesMax - 1);
  const largest = pattern(limit);
  await kv.commit("p", { puts: [{ key: A, value: largest }] });
  expectValues(await kv.get("p", [A]), [largest], "a value at the limit");
  const checked = await kv.commit("p", { checks: [{ key: A, value: largest }] });
  expectThat(checked.committed, "a check of a value at the limit failed");
  if (limit < claims.valueBytesMax) return;
  const beyond = pattern(limit + 1);
  for (const commit of [{ puts: [{ key: A, value: beyond }] }, { checks: [{ key: A, value: beyond }] }]) {
    const error = await expectCode("KV_TOO_LARGE", () => kv.commit("p", commit), "a value beyond the limit");
    expectThat(
      error.limit === limit && error.actual === limit + 1,
      `KV_TOO_LARGE says ${error.actual} > ${error.limit}: it is ${limit + 1} > ${limit}`,
    );
  }
  expectValues(await kv.get("p", [A]), [largest], "after a value that was refused");
}

/** As many keys as claimed go into one commit, checked and written; one more is `KV_TOO_LARGE`. */
export async function limitsKeysOfACommit({ kv, claims }: KvCheckContext): Promise<void> {
  const limit = claims.keysPerCommitMax;
  const keys = Array.from({ length: limit + 1 }, (_, index) => numberBytes(index));
  const puts = keys.map((key) => ({ key, value: A }));
  const atLimit = {
    checks: keys.slice(0, limit).map((key) => ({ key, value: undefined })),
    puts: puts.slice(0, limit),
  };
  expectThat((await kv.commit("p", atLimit)).committed, "a commit of as many keys as claimed failed");
  const [first, last] = [keys[0]!, keys[limit - 1]!];
  for (const key of [first, last]) expectValues(await kv.get("p", [key]), [A], "a key of a large commit");
  const beyond = [
    { puts },
    { puts: puts.slice(0, limit), deletes: [keys[limit]!] },
    { checks: [{ key: keys[limit]!, value: undefined }], puts: puts.slice(0, limit) },
  ];
  for (const commit of beyond) {
    const error = await expectCode("KV_TOO_LARGE", () => kv.commit("q", commit), "one key too many");
    expectThat(error.limit === limit && error.actual === limit + 1, "KV_TOO_LARGE names other numbers");
  }
  expectValues(await kv.get("q", [first]), [undefined], "after a commit that was refused");
}

/** A commit of as many bytes as claimed is taken; one more is `KV_TOO_LARGE`. */
export async function limitsBytesOfACommit({ kv, claims }: KvCheckContext): Promise<void> {
  // Each key has 4 bytes; values that are alike reach the bound with the fewest keys, but for the last.
  const count = Math.ceil(claims.commitBytesMax / (claims.valueBytesMax + 4));
  // Not to be reached with so few keys: then there is no such bound to hold.
  if (count > claims.keysPerCommitMax) return;
  const each = Math.floor(claims.commitBytesMax / count) - 4;
  const values = Array.from({ length: count }, () => each);
  values[0]! += claims.commitBytesMax - count * (each + 4);
  const commitOf = (sizes: readonly number[]) => ({
    puts: sizes.map((size, index) => ({ key: numberBytes(index), value: pattern(size) })),
  });
  expectThat((await kv.commit("p", commitOf(values))).committed, "a commit at the limit failed");
  const smallest = values.length - 1;
  if (values[smallest]! === claims.valueBytesMax) return;
  values[smallest]! += 1;
  const error = await expectCode("KV_TOO_LARGE", () => kv.commit("p", commitOf(values)), "one byte too many");
  expectThat(error.limit === claims.commitBytesMax, `KV_TOO_LARGE names ${error.limit} as the limit`);
}

/** Keys and partitions have bounds, and what is none is a wrong argument: nothing of it is written. */
export async function limitsKeysAndPartitions({ kv, claims }: KvCheckContext): Promise<void> {
  const tooLong = new Uint8Array(1_025);
  for (const [what, call] of [
    ["get() of a key", () => kv.get("p", [tooLong])],
    ["a put", () => kv.commit("p", { puts: [{ key: tooLong, value: A }] })],
    ["a check", () => kv.commit("p", { checks: [{ key: tooLong, value: undefined }] })],
    ["a delete", () => kv.commit("p", { deletes: [tooLong] })],
    ["get() of a partition", () => kv.get("é".repeat(257), [A])],
    ["commit() to a partition", () => kv.commit("x".repeat(513), { puts: [{ key: A, value: A }] })],
  ] as const) {
    const error = await expectCode("KV_TOO_LARGE", call, what);
    expectThat(error.limit === 1_024 || error.limit === 512, `${what}: KV_TOO_LARGE without its limit`);
  }
  const none = new Uint8Array(0);
  for (const [what, call] of [
    ["get() of an empty key", () => kv.get("p", [none])],
    ["a put of an empty key", () => kv.commit("p", { puts: [{ key: none, value: A }] })],
    ["an empty partition", () => kv.get("", [A])],
    ["a commit to an empty partition", () => kv.commit("", { puts: [{ key: A, value: A }] })],
  ] as const) {
    await expectRefusal("RangeError", call, what);
  }
  for (const [what, call] of [
    ["a lone surrogate", () => kv.commit("\ud800", { puts: [{ key: A, value: A }] })],
    ["a key that is text", () => kv.get("p", ["a" as never])],
    ["a value that is text", () => kv.commit("p", { puts: [{ key: A, value: "a" as never }] })],
  ] as const) {
    await expectRefusal("TypeError", call, what);
  }
  if (!claims.scan) return;
  for (const limit of [0, -1, 0.5, Number.NaN, 10_001]) {
    await expectRefusal("RangeError", () => kv.scan("p", { limit }), `scan() with a limit of ${limit}`);
  }
}

/** What the claims leave out is `KV_UNSUPPORTED`, not half done. */
export async function saysWhatItCannotDo({ kv, claims }: KvCheckContext): Promise<void> {
  if (claims.scan) return;
  for (const call of [() => kv.scan("p", {}), () => kv.get("p", [A, bytes("b")])]) {
    const error = await expectCode("KV_UNSUPPORTED", call, "a call that needs scan");
    expectThat(error.capability === "scan", "KV_UNSUPPORTED does not name the capability");
  }
}

/** The time is that of a clock in Unix milliseconds, and one for all handles. */
export async function tellsTheTime({ kv, second }: KvCheckContext): Promise<void> {
  const [first, other] = [await kv.nowMs(), await second.nowMs()];
  expectThat(Number.isSafeInteger(first) && first >= 0, `nowMs() is no time in milliseconds: ${first}`);
  expectThat(Math.abs(other - first) < 60_000, `two handles tell times ${other - first} ms apart`);
}

/** Bytes that repeat with a prime, so that a cut or shifted copy differs. */
function pattern(length: number): Uint8Array {
  const filled = new Uint8Array(length);
  for (let index = 0; index < length; index++) filled[index] = index % 251;
  return filled;
}
