import { expect, test } from "vitest";
import { deaths, judgeInMemory, judgeProcess } from "../src/crash-matrix.ts";

test("C-33 C-86 RUN-8 a turn that ends before or after any call of the store has one outcome and leaves nothing over", async () => {
  const all = await deaths();
  expect(all.length).toBeGreaterThan(40);
  for (const death of all) await judgeInMemory(death);
});

test("C-33 C-86 RUN-11 a process killed in the middle of a turn over LMDB goes on to the one outcome", async () => {
  const all = await deaths();
  // A few places spread over the turn; the command kills at all of them.
  const step = Math.ceil(all.length / 4);
  for (let index = step - 1; index < all.length; index += step) await judgeProcess(all[index]!);
});
