import { expect, test } from "vitest";
import { settled } from "../src/index.ts";

test("settled() rejects with the reason of a signal, before or while it waits, and else as the work does", async () => {
  const never = new Promise<number>(() => undefined);
  const reason = { why: "enough" };
  await expect(settled(never, AbortSignal.abort(reason))).rejects.toBe(reason);
  const controller = new AbortController();
  const waiting = settled(never, controller.signal);
  controller.abort(reason);
  await expect(waiting).rejects.toBe(reason);
  const { signal } = new AbortController();
  await expect(settled(Promise.resolve(1), signal)).resolves.toBe(1);
  await expect(settled(Promise.reject(new Error("lost")), signal)).rejects.toThrow("lost");
  await expect(settled(Promise.resolve(2), undefined)).resolves.toBe(2);
});
