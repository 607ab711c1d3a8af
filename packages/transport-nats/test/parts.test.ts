import type { Msg } from "@nats-io/nats-core";
import { expect, test } from "vitest";
import { Assembler } from "../src/parts.ts";

const message = (part: string, text: string): Msg =>
  ({ data: new TextEncoder().encode(text), headers: { get: () => part } }) as unknown as Msg;

test("TRN-6 an assembler drops a frame with an empty part: parts without bytes would fill memory below every limit", () => {
  const assembler = new Assembler(100);
  expect(assembler.add(message("a 0 2", "x"))).toBeUndefined();
  expect(assembler.add(message("a 1 2", "y"))).toEqual(Uint8Array.of(120, 121));
  const parts = [message("b 0 3", "x"), message("b 1 3", ""), message("b 2 3", "y")];
  expect(parts.map((part) => assembler.add(part))).toEqual([undefined, undefined, undefined]);
});
