import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Names } from "../src/names.ts";

const token = fc.stringMatching(/^[A-Za-z0-9_-]{1,8}$/);
const subject = fc.array(token, { minLength: 1, maxLength: 8 }).map((tokens) => tokens.join("."));

describe("TRN-6 names", () => {
  test("the broker takes every stream's name, and no two kinds of a subject, and no two subjects, share one", () => {
    const names = new Names("app");
    fc.assert(
      fc.property(subject, subject, (one, other) => {
        expect(names.streamOf(one) ?? "").not.toMatch(/[.*>/\\\s]/);
        const all = [names.stored(one), names.live(one), names.asked(one)];
        expect(new Set(all).size).toBe(3);
        if (one !== other) {
          const others = [names.stored(other), names.live(other), names.asked(other)];
          expect(all.some((name) => others.includes(name))).toBe(false);
        }
        const [left, right] = [one.split("."), other.split(".")];
        const same = left[0] === right[0] && left[1] === right[1];
        if (left.length > 2 && right.length > 2)
          expect(names.streamOf(one) === names.streamOf(other)).toBe(same);
      }),
    );
  });

  test("near misses have streams of their own", () => {
    const names = new Names("app");
    const near = ["a_b.c.0", "a.b_c.0", "a.b-c.0", "a.b.0", "A.b.0", "a.b0.0"].map((one) =>
      names.streamOf(one),
    );
    expect(new Set(near).size).toBe(near.length);
    expect(names.subjectsOf(names.streamOf("sessions.1.0")!)).toEqual(["app.sessions.1.>"]);
    expect(names.streamOf("ack.1")).toBeUndefined();
  });

  test.each(["", "a.b", "a b", "a*", "a>", "a+b", "größe", "a\n", "x".repeat(33)])(
    "%j is no prefix",
    (prefix) => {
      expect(() => new Names(prefix)).toThrow(RangeError);
    },
  );
});
