import { expect, test } from "vitest";
import { collapse, NO_PREVIEW, PREVIEW_SNAPSHOT_BYTES_MAX, previewOf } from "../src/index.ts";
import { stateText } from "./zones-on-memory.ts";

const of = (text: string): ReturnType<typeof previewOf> => previewOf(new TextEncoder().encode(text));

test("ZON-5 A-32 what cannot be looked into has an empty preview and no nodes", () => {
  const large = stateText("x".repeat(PREVIEW_SNAPSHOT_BYTES_MAX));
  for (const text of ["", "not JSON", "null", "7", "[]", "{}", '{"nodes":7}', '{"nodes":{}}', large])
    expect(of(text)).toEqual(NO_PREVIEW);
  expect(previewOf(Uint8Array.of(0x7b, 0xff, 0x7d))).toEqual(NO_PREVIEW);
  expect(of('{"nodes":[null,7,"x",{"type":"user_message","text":7},{"type":"user_message"}]}')).toEqual({
    preview: "",
    nodeCount: 5,
  });
});

test("ZON-5 A-32a the count is the length of nodes, whatever they are", () => {
  expect(of(stateText("a", "b", "c")).nodeCount).toBe(3);
  expect(of('{"nodes":[]}')).toEqual(NO_PREVIEW);
});

test("ZON-5 A-32b the preview is the first user message that is not blank; the bootstrap heading only if nothing follows", () => {
  expect(of(stateText(" ", "\n", "first", "second")).preview).toBe("first");
  expect(of(stateText("# Session Context\nfacts", "asked")).preview).toBe("asked");
  expect(of(stateText("# Session Context for you", "  ")).preview).toBe("# Session Context for you");
  expect(of(stateText("asked", "# Session Context")).preview).toBe("asked");
  const nodes = [
    { type: "assistant_message", text: "not this" },
    { type: "user_message", text: "this" },
  ];
  expect(of(JSON.stringify({ nodes })).preview).toBe("this");
});

test("ZON-5 A-32c white space is one space, none leads, and what is longer than 240 characters is cut with one ellipsis", () => {
  expect(collapse(" \t\n a \r\n  b  ")).toBe("a b ");
  expect(collapse("x".repeat(240))).toBe("x".repeat(240));
  expect(collapse("x".repeat(241))).toBe(`${"x".repeat(240)}…`);
  expect(collapse("😀".repeat(240))).toBe("😀".repeat(240));
  expect(collapse("😀".repeat(241))).toBe(`${"😀".repeat(240)}…`);
  expect(of(stateText(`${"a".repeat(240)}  `)).preview).toBe("a".repeat(240));
  expect(of(`{"nodes":[{"type":"user_message","text":"\\ud800x"}]}`).preview).toBe("\ufffdx");
});
