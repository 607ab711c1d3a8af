import { describe, expect, test } from "vitest";
import { MalformedLine, parseOperation } from "../src/operation.ts";
import { readLine, Recording } from "../src/recording.ts";

const utf8 = new TextEncoder();
const start = { op: "start", session: "s", user: "u", agent: "a" };
const signal = { op: "signal", session: "s", entity: "e", signal: "save", weight: 1 };

/** What is wrong with a line, or `undefined` if nothing is. */
function expected(line: string | object): string | undefined {
  try {
    parseOperation(utf8.encode(typeof line === "string" ? line : JSON.stringify(line)));
    return undefined;
  } catch (error) {
    if (error instanceof MalformedLine) return error.message;
    throw error;
  }
}

describe("APP-1 a malformed line says what was expected", () => {
  test.each<[string, string | object, string]>([
    ["broken JSON", "{", "one JSON object"],
    ["two objects", "{} {}", "one JSON object"],
    ["NaN", '{"op":"signal","session":"s","entity":"e","signal":"x","weight":NaN}', "one JSON object"],
    ["a BOM within", '\ufeff{"op":"close","session":"s"}', "one JSON object"],
    ["a list", "[]", "a JSON object"],
    ["null", "null", "a JSON object"],
    ["a string", '"start"', "a JSON object"],
    ["no op", { session: "s" }, '"op" to be one of'],
    ["an unknown op", { op: "mute", session: "s" }, '"op" to be one of'],
    ["an op of the prototype", { op: "constructor", session: "s" }, '"op" to be one of'],
    ["an op of another type", { op: ["close"], session: "s" }, '"op" to be one of'],
    ["an inherited op", '{"__proto__":{"op":"close","session":"s"}}', '"op" to be one of'],
    ["no session", { op: "close" }, '"session" to be a string'],
    ["an empty session", { op: "close", session: "" }, '"session" to have 1 to 128'],
    ["a long session", { op: "close", session: "s".repeat(129) }, '"session" to have 1 to 128'],
    ["a session long in UTF-8 only", { op: "close", session: "é".repeat(65) }, '"session" to have 1 to 128'],
    ["no user", { ...start, user: undefined }, '"user" to be a string'],
    ["a user of another type", { ...start, user: 7 }, '"user" to be a string'],
    ["an empty agent", { ...start, agent: "" }, '"agent" to have 1 to 128'],
    ["metadata as a list", { ...start, metadata: ["x"] }, '"metadata" to be an object of strings'],
    ["metadata as null", { ...start, metadata: null }, '"metadata" to be an object of strings'],
    ["metadata with a number", { ...start, metadata: { x: 1 } }, '"metadata" to be an object of strings'],
    [
      "a long metadata value",
      { ...start, metadata: { x: "y".repeat(16_385) } },
      '"metadata" to have at most 16384',
    ],
    [
      "a metadata key with half a pair",
      '{"op":"start","session":"s","user":"u","agent":"a","metadata":{"\\ud800":"x"}}',
      "lone surrogates",
    ],
    [
      "a metadata value with half a pair",
      '{"op":"start","session":"s","user":"u","agent":"a","metadata":{"x":"\\udc00"}}',
      "lone surrogates",
    ],
    ["no entity", { ...signal, entity: undefined }, '"entity" to be a string'],
    ["no signal", { ...signal, signal: undefined }, '"signal" to be a string'],
    ["no weight", { ...signal, weight: undefined }, '"weight" to be a finite number'],
    ["a weight as text", { ...signal, weight: "1" }, '"weight" to be a finite number'],
    [
      "an infinite weight",
      '{"op":"signal","session":"s","entity":"e","signal":"x","weight":1e999}',
      '"weight" to be a finite number',
    ],
    ["an empty key", { op: "prefer", session: "s", key: "", value: "v" }, '"key" to have 1 to 128'],
    ["no value", { op: "prefer", session: "s", key: "k" }, '"value" to be a string'],
    [
      "a long value",
      { op: "prefer", session: "s", key: "k", value: "v".repeat(16_385) },
      '"value" to have at most 16384',
    ],
    ["no text", { op: "annotate", session: "s" }, '"text" to be a string'],
    [
      "a text long in UTF-8 only",
      { op: "annotate", session: "s", text: "é".repeat(8193) },
      '"text" to have at most 16384',
    ],
    [
      "an entity of null",
      { op: "annotate", session: "s", text: "t", entity: null },
      '"entity" to be a string',
    ],
    ["an empty entity", { op: "annotate", session: "s", text: "t", entity: "" }, '"entity" to have 1 to 128'],
    ["half a pair", '{"op":"annotate","session":"s","text":"\\ud83d"}', "lone surrogates"],
    ["the other half", '{"op":"annotate","session":"s","text":"a\\ude00b"}', "lone surrogates"],
    ["no item", { op: "hide", session: "s" }, '"item" to be a string'],
    ["an empty item", { op: "unhide", session: "s", item: "" }, '"item" to have 1 to 128'],
    ["no query", { op: "search", session: "s" }, '"query" to be a string'],
  ])("%s", (_, line, message) => {
    expect(expected(line)).toContain(message);
  });

  test("invalid UTF-8", () => {
    const line = Buffer.concat([
      utf8.encode('{"op":"close","session":"'),
      Buffer.of(0xc3),
      utf8.encode('"}'),
    ]);
    expect(() => parseOperation(line)).toThrow("UTF-8");
  });

  test("a line over 1 MiB, and none at 1 MiB", () => {
    const line = (bytes: number): Uint8Array => {
      const head = '{"op":"close","session":"s","x":"';
      return utf8.encode(`${head}${"y".repeat(bytes - head.length - 2)}"}`);
    };
    expect(() => parseOperation(line(1024 * 1024 + 1))).toThrow("a line of at most 1048576 bytes");
    expect(parseOperation(line(1024 * 1024))).toEqual({ op: "close", session: "s" });
  });
});

describe("APP-1 a well-formed line", () => {
  test.each<[string, string | object]>([
    ["names of 128 bytes", { ...start, session: "é".repeat(64), user: "u".repeat(128) }],
    ["texts of 16 KiB", { op: "search", session: "s", query: "é".repeat(8192) }],
    ["empty texts", { op: "prefer", session: "s", key: "k", value: "" }],
    ["a whole pair", '{"op":"annotate","session":"s","text":"\\ud83d\\ude00"}'],
    [
      "unknown fields, whatever they hold",
      '{"op":"close","session":"s","x":"\\ud800","metadata":7,"__proto__":1}',
    ],
    ["a huge weight", { ...signal, weight: 1e300 }],
    ["any text as a key of metadata", { ...start, metadata: { "": "x", ["k".repeat(16_384)]: "y" } }],
    ["a key given twice", '{"op":"hide","op":"close","session":7,"session":"s"}'],
  ])("may have %s", (_, line) => {
    expect(expected(line)).toBeUndefined();
  });

  test("keeps __proto__ as a key of metadata like any other", () => {
    const operation = parseOperation(
      utf8.encode('{"op":"start","session":"s","user":"u","agent":"a","metadata":{"__proto__":"x","b":"y"}}'),
    );
    expect(operation).toMatchObject({
      metadata: new Map([
        ["__proto__", "x"],
        ["b", "y"],
      ]),
    });
  });
});

describe("APP-1 a recording", () => {
  const close = '{"op":"close","session":"s"}';

  test("may have a BOM, CRLF, blank lines and no last newline", () => {
    const recording = new Recording(utf8.encode(`\ufeff${close}\r\n\r\n \t\n${close}`));
    const lines = Array.from({ length: recording.lineCount }, (_, index) => readLine(recording, index + 1));
    expect(lines).toEqual([
      { op: "close", session: "s" },
      undefined,
      undefined,
      { op: "close", session: "s" },
    ]);
    expect(recording.byteLength(1)).toBe(close.length);
  });

  test("has no line if it is empty, or only a BOM", () => {
    expect(new Recording(new Uint8Array()).lineCount).toBe(0);
    expect(new Recording(utf8.encode("\ufeff")).lineCount).toBe(0);
  });

  test("knows its digest", () => {
    expect(new Recording(utf8.encode("a")).digest()).not.toBe(new Recording(utf8.encode("b")).digest());
  });
});
