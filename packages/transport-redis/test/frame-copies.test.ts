import { expect, test } from "vitest";
import { FrameCopies } from "../src/frame-copies.ts";

test("FrameCopies uses memory again that was given back, for a frame of about the size, and no other", () => {
  const copies = new FrameCopies();
  const frame = new Uint8Array(10_000).fill(1);
  const [first, second] = [copies.copy(frame), copies.copy(frame)];
  frame.fill(2);
  expect(first).toEqual(new Uint8Array(10_000).fill(1));
  expect(second.buffer).not.toBe(first.buffer);
  copies.giveBack(first);
  expect(copies.copy(new Uint8Array(20_000)).buffer).not.toBe(first.buffer);
  const third = copies.copy(new Uint8Array(9_000).fill(3));
  expect(third.buffer).toBe(first.buffer);
  expect(third).toEqual(new Uint8Array(9_000).fill(3));
  expect(copies.copy(frame).buffer).not.toBe(first.buffer);
});

test("FrameCopies keeps 8 MiB at most, and nothing of small frames", () => {
  const copies = new FrameCopies();
  const large = Array.from({ length: 9 }, () => copies.copy(new Uint8Array(2 ** 20)));
  for (const copy of large) copies.giveBack(copy);
  const again = Array.from({ length: 9 }, () => copies.copy(new Uint8Array(2 ** 20)).buffer);
  expect(again.filter((buffer) => large.some((copy) => copy.buffer === buffer))).toHaveLength(8);
  const small = copies.copy(new Uint8Array(100));
  copies.giveBack(small);
  expect(copies.copy(new Uint8Array(100)).buffer).not.toBe(small.buffer);
});
