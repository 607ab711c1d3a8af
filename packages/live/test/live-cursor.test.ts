import { inspect } from "node:util";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { LiveCursor, LiveError } from "../src/index.ts";

const session = fc.string({ unit: "grapheme", minLength: 1, maxLength: 20 });
const counted = fc.maxSafeNat();
const incarnation = fc.stringMatching(/^[A-Za-z0-9_-]{1,64}$/);
const committed = fc.option(fc.stringMatching(/^[\x20-\x7e]{1,60}$/), { nil: undefined });
const cursors = fc
  .record({ session, revision: counted, position: counted, incarnation, committed })
  .map(({ committed, ...fields }) =>
    LiveCursor.of(committed === undefined ? fields : { ...fields, committed }),
  );

test("LIV-1 B-1 B-2 a cursor round-trips through JSON, with a session id that has colons", () => {
  const cursor = LiveCursor.of({
    session: "session:with:colon",
    revision: 3,
    position: 9,
    incarnation: "a1",
    committed: "tmc1.AQ",
  });
  expect(cursor.toString()).toBe("tml1:a1:3:9:dG1jMS5BUQ:session:with:colon");
  const { at } = JSON.parse(JSON.stringify({ at: cursor })) as { at: string };
  expect(LiveCursor.parse(at, "session:with:colon")).toEqual(cursor);
  fc.assert(
    fc.property(cursors, (cursor) => {
      const token = JSON.parse(JSON.stringify(cursor)) as string;
      expect(token).toMatch(/^[\x21-\x7e]+$/);
      expect(LiveCursor.parse(token, cursor.session)).toEqual(cursor);
    }),
  );
});

test("LIV-1 B-3 printing a cursor shows nothing of its inside, its text is the token", () => {
  const cursor = LiveCursor.parse("tml1:a1:3:9::trip");
  expect(inspect({ cursor })).toBe("{ cursor: LiveCursor(<opaque>) }");
  expect(String(cursor)).toBe("tml1:a1:3:9::trip");
});

describe("LIV-1 B-4 B-6 what is malformed says why", () => {
  test.each([
    ["", "prefix"],
    ["tml2:a:1:2::s", "prefix"],
    ["tml1:", "incarnation"],
    ["tml1:a b:1:2::s", "incarnation"],
    [`tml1:${"a".repeat(65)}:1:2::s`, "incarnation"],
    ["tml1:a", "revision is missing"],
    ["tml1:a:", "revision is not"],
    ["tml1:a:x:2::s", "revision is not"],
    ["tml1:a:+1:2::s", "revision is not"],
    ["tml1:a:01:2::s", "revision is not"],
    ["tml1:a:1.0:2::s", "revision is not"],
    ["tml1:a:9007199254740992:2::s", "revision is not"],
    ["tml1:a:1", "position is missing"],
    ["tml1:a:1:-2::s", "position is not"],
    ["tml1:a:1: 2::s", "position is not"],
    ["tml1:a:1:99999999999999999999::s", "position is not"],
    ["tml1:a:1:2", "session cursor is missing"],
    ["tml1:a:1:2:=:s", "session cursor is invalid"],
    ["tml1:a:1:2:AB:s", "session cursor is invalid"],
    ["tml1:a:1:2:AQ:s", "session cursor is invalid"],
    ["tml1:a:1:2:", "session id is missing"],
    ["tml1:a:1:2::", "session id is empty"],
    ["tml1:a:1:2::%", "percent-encoded"],
    ["tml1:a:1:2::%c3%a9", "not encoded"],
    ["tml1:a:1:2::%61", "not encoded"],
    ["tml1:a:1:2::a b", "not encoded"],
    ["tml1:a:1:2::a\r\nb", "not encoded"],
    [`tml1:a:1:2::${"s".repeat(257)}`, "too long"],
    [`tml1:a:1:2::${"s".repeat(5000)}`, "too long"],
  ])("%j", (token, reason) => {
    let caught: unknown;
    try {
      LiveCursor.parse(token);
    } catch (error) {
      caught = error;
    }
    expect(caught).toBeInstanceOf(LiveError);
    expect(caught).toMatchObject({ code: "MALFORMED", reason: expect.stringContaining(reason) });
  });
});

test("LIV-1 B-5 a well-formed cursor of another session says which was expected and which it is", () => {
  const token = "tml1:a:1:2::mine:too";
  expect(() => LiveCursor.parse(token, "mine")).toThrow(
    expect.objectContaining({ code: "WRONG_SESSION", expected: "mine", actual: "mine:too" }),
  );
});

test("B-6 any text is a cursor in its one form, or malformed", () => {
  const near = fc
    .tuple(cursors, fc.nat(), fc.string({ unit: "binary", maxLength: 2 }), fc.nat({ max: 2 }))
    .map(([cursor, at, put, cut]) => {
      const token = cursor.toString();
      const from = at % (token.length + 1);
      return token.slice(0, from) + put + token.slice(from + cut);
    });
  fc.assert(
    fc.property(fc.oneof(near, fc.string({ unit: "binary" })), (text) => {
      let cursor: LiveCursor;
      try {
        cursor = LiveCursor.parse(text);
      } catch (error) {
        expect(error).toMatchObject({ name: "LiveError", code: "MALFORMED" });
        return;
      }
      // One token a cursor: what was accepted is what is written.
      const { session, revision, position, incarnation, committed } = cursor;
      const fields = { session, revision, position, incarnation };
      expect(LiveCursor.of(committed === undefined ? fields : { ...fields, committed }).toString()).toBe(
        text,
      );
    }),
    { numRuns: 200 },
  );
});

test("LiveCursor.of() refuses fields that no token carries", () => {
  const fields = { session: "s", revision: 1, position: 2, incarnation: "a" };
  for (const wrong of [
    { session: "" },
    { session: "\ud800" },
    { session: "é".repeat(129) },
    { revision: -1 },
    { position: 1.5 },
    { incarnation: "" },
    { incarnation: "a:b" },
    { committed: "" },
    { committed: "é" },
    { committed: "x".repeat(2_049) },
  ]) {
    expect(() => LiveCursor.of({ ...fields, ...wrong }), JSON.stringify(wrong)).toThrow(RangeError);
  }
});
