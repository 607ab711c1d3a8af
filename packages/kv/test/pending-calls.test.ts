import { expect, test } from "vitest";
import { PendingCalls } from "../src/index.ts";

test("run() rejects with the reason of a signal, before or while it waits, and else as the work does", async () => {
  const calls = new PendingCalls();
  const never = new Promise<number>(() => undefined);
  const reason = { why: "enough" };
  await expect(calls.run(never, AbortSignal.abort(reason))).rejects.toBe(reason);
  const controller = new AbortController();
  const waiting = calls.run(never, controller.signal);
  controller.abort(reason);
  await expect(waiting).rejects.toBe(reason);
  const { signal } = new AbortController();
  await expect(calls.run(Promise.resolve(1), signal)).resolves.toBe(1);
  await expect(calls.run(Promise.reject(new Error("lost")), signal)).rejects.toThrow("lost");
  await expect(calls.run(Promise.resolve(2))).resolves.toBe(2);
});

test("close() refuses new calls at once, and lets go once those under way have settled, though nobody waits for them", async () => {
  const calls = new PendingCalls();
  let finish: (value: string) => void = () => undefined;
  const work = new Promise<string>((resolve) => (finish = resolve));
  const left = calls.run(work, AbortSignal.abort("left"));
  await expect(left).rejects.toBe("left");
  const steps: string[] = [];
  const closing = calls.close(() => void steps.push("let go"));
  expect(() => calls.guard()).toThrow(expect.objectContaining({ code: "KV_CLOSED" }));
  expect(() => calls.guard(AbortSignal.abort(new Error("first")))).toThrow("first");
  await Promise.resolve();
  steps.push("settled");
  finish("done");
  await closing;
  await calls.close(() => void steps.push("again"));
  expect(steps).toEqual(["settled", "let go"]);
});
