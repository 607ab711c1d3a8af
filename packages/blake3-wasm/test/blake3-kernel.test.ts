import { expect, test } from "vitest";
import { encodeBlake3Kernel, openBlake3Kernel } from "../src/blake3-kernel.ts";

test("CORE-14 the kernel is a valid module of moderate size, and each instance has its own memory", () => {
  expect(encodeBlake3Kernel(6).length).toBeLessThan(16_384);
  const [a, b] = [openBlake3Kernel(6), openBlake3Kernel(6)];
  expect(a?.memory.buffer.byteLength).toBe(6 * 65_536);
  expect(a?.memory).not.toBe(b?.memory);
});
