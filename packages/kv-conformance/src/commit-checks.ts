import type { KvCheck, KvCommit, KvCommitResult } from "@tidemark/kv";
import { bytes, expectRefusal, expectThat, expectValues } from "./assertions.ts";
import type { KvCheckContext } from "./check.ts";

const A = bytes("a");
const B = bytes("b");
const C = bytes("c");
const ONE = bytes("1");
const TWO = bytes("2");

function expectFailed(result: KvCommitResult, index: number, what: string): void {
  expectThat(!result.committed, `${what}: it was committed`);
  const { failed } = result as { failed: number };
  expectThat(failed === index, `${what}: expected failed ${index} and got ${failed}`);
}

/** Checks of one key: each kind holds over what it names, and over nothing else. */
export async function judgesEveryKindOfCheck({ kv }: KvCheckContext): Promise<void> {
  const check = async (value: Uint8Array | undefined): Promise<boolean> =>
    (await kv.commit("p", { checks: [{ key: A, value }] })).committed;
  expectThat(await check(undefined), "a check for absence failed over nothing");
  expectThat(!(await check(ONE)), "a check for a value held over nothing");
  await kv.commit("p", { puts: [{ key: A, value: ONE }] });
  expectThat(await check(ONE), "a check for the value that is stored failed");
  expectThat(!(await check(undefined)), "a check for absence held over a value");
  // Near misses: another byte, a prefix, a continuation, what a number or a text would make equal.
  for (const near of [TWO, bytes("11"), bytes("1\0"), bytes(" 1"), bytes("01"), bytes("1.0")]) {
    expectThat(!(await check(near)), "a check held over other bytes");
  }
  const any = Uint8Array.from({ length: 256 }, (_, byte) => byte);
  await kv.commit("p", { puts: [{ key: A, value: any }] });
  expectThat(await check(any), "a check of every byte failed over the same bytes");
  expectThat(!(await check(any.slice(0, -1))), "a check for a beginning of the value held");
}

/** A commit whose check fails says which, and changes nothing. */
export async function changesNothingIfACheckFails({ kv }: KvCheckContext): Promise<void> {
  await kv.commit("p", { puts: [{ key: A, value: ONE }] });
  const put = await kv.commit("p", { checks: [{ key: A, value: TWO }], puts: [{ key: A, value: TWO }] });
  expectFailed(put, 0, "a put under a check that fails");
  const deleted = await kv.commit("p", { checks: [{ key: A, value: undefined }], deletes: [A] });
  expectFailed(deleted, 0, "a delete under a check that fails");
  expectValues(await kv.get("p", [A]), [ONE], "the value after commits that failed");
}

/** Of several checks the first that fails is named, and no write of the commit is seen. */
export async function isAllOrNothing({ kv }: KvCheckContext): Promise<void> {
  await kv.commit("p", {
    puts: [
      { key: A, value: ONE },
      { key: B, value: ONE },
    ],
  });
  const holds: KvCheck = { key: A, value: ONE };
  const fails: KvCheck = { key: B, value: TWO };
  const absent: KvCheck = { key: C, value: undefined };
  const writes: KvCommit = {
    puts: [
      { key: A, value: TWO },
      { key: C, value: TWO },
    ],
    deletes: [B],
  };
  const orders: [KvCheck[], number][] = [
    [[fails], 0],
    [[holds, absent, fails], 2],
    [[fails, holds], 0],
    [[{ key: C, value: ONE }, fails], 0],
    [[holds, { key: C, value: ONE }, fails], 1],
  ];
  for (const [checks, index] of orders) {
    expectFailed(await kv.commit("p", { ...writes, checks }), index, `${checks.length} checks`);
    expectValues(await kv.get("p", [A, B, C]), [ONE, ONE, undefined], "after a commit that failed");
  }
  const done = await kv.commit("p", { ...writes, checks: [holds, { key: B, value: ONE }, absent] });
  expectThat(done.committed, "a commit whose checks all hold was not committed");
  expectValues(await kv.get("p", [A, B, C]), [TWO, undefined, TWO], "after the commit");
}

/** All checks are judged before anything is written: one may be of a key that the commit writes. */
export async function checksWhatItWrites({ kv }: KvCheckContext): Promise<void> {
  const swap = (from: Uint8Array | undefined, to: Uint8Array) =>
    kv.commit("p", { checks: [{ key: A, value: from }], puts: [{ key: A, value: to }] });
  expectThat((await swap(undefined, ONE)).committed, "creating what is absent failed");
  expectThat((await swap(ONE, TWO)).committed, "replacing what is there failed");
  expectFailed(await swap(ONE, TWO), 0, "replacing what was there before");
  const removed = await kv.commit("p", { checks: [{ key: A, value: TWO }], deletes: [A] });
  expectThat(removed.committed, "deleting what is there failed");
  expectThat((await swap(undefined, ONE)).committed, "creating what was deleted failed");
}

/** Commits without checks always succeed; without writes they say whether their checks hold. */
export async function takesCommitsWithoutEither({ kv }: KvCheckContext): Promise<void> {
  for (const commit of [{}, { checks: [], puts: [], deletes: [] }, { deletes: [A] }]) {
    expectThat((await kv.commit("p", commit)).committed, "a commit without checks was not committed");
  }
  expectFailed(await kv.commit("p", { checks: [{ key: A, value: ONE }] }), 0, "checks alone");
  expectValues(await kv.get("p", [A]), [undefined], "after commits that wrote nothing");
}

/** A key is in puts and deletes at most once, and in checks at most once. */
export async function refusesAKeyTwice({ kv }: KvCheckContext): Promise<void> {
  const put = { key: A, value: ONE };
  const commits: [string, KvCommit][] = [
    ["two puts", { puts: [put, { key: bytes("a"), value: TWO }] }],
    ["a put and a delete", { puts: [put], deletes: [bytes("a")] }],
    ["two deletes", { deletes: [A, bytes("a")] }],
    [
      "two checks",
      {
        checks: [
          { key: A, value: undefined },
          { key: bytes("a"), value: undefined },
        ],
      },
    ],
  ];
  for (const [what, commit] of commits) {
    await expectRefusal("RangeError", () => kv.commit("p", commit), `${what} of one key`);
  }
  expectValues(await kv.get("p", [A]), [undefined], "after commits that were refused");
}
