import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  countMessages,
  messagesToArray,
  parseMessages,
  sliceMessages,
} from "../../src/durable-streams/json-messages.ts";
import { eventText, streamEvent, wholeCharacters } from "../../src/durable-streams/stream-body.ts";
import { nextCursor } from "../../src/durable-streams/stream-cursor.ts";
import { formatOffset, parseOffset } from "../../src/durable-streams/stream-offset.ts";
import { readSseEvents } from "../../src/client.ts";

const utf8 = new TextEncoder();
const text = new TextDecoder();
const counter = fc.maxSafeNat().map((value) => value % 10 ** 16);

describe("formatOffset()", () => {
  test("LIV-10 offsets order as text as positions do, and come back", () => {
    fc.assert(
      fc.property(counter, counter, counter, counter, (epoch, position, otherEpoch, otherPosition) => {
        const [a, b] = [
          formatOffset({ epoch, position }),
          formatOffset({ epoch: otherEpoch, position: otherPosition }),
        ];
        const less = epoch < otherEpoch || (epoch === otherEpoch && position < otherPosition);
        expect(a < b).toBe(less);
        expect(parseOffset(a)).toEqual({ epoch, position });
      }),
    );
  });

  test("LIV-10 any other text is no offset", () => {
    for (const other of [
      "",
      "-1",
      "now",
      "1_2",
      "0000000000000000-0000000000000000",
      "0000000000000000_00000000000000001",
    ]) {
      expect(parseOffset(other)).toBeUndefined();
    }
  });
});

describe("parseMessages()", () => {
  test("LIV-10 messages of any JSON come back as they were written, one by one", () => {
    const value = fc.json();
    fc.assert(
      fc.property(
        fc.array(value, { minLength: 1 }),
        fc.constantFrom("", " ", "\n", "\r\n\t"),
        (values, space) => {
          const body = `${space}[${values.map((one) => space + one + space).join(",")}]${space}`;
          const { data, count } = parseMessages(utf8.encode(body));
          expect(count).toBe(values.length);
          expect(countMessages(data)).toBe(values.length);
          expect(JSON.parse(text.decode(messagesToArray([data])))).toEqual(
            values.map((one) => JSON.parse(one) as unknown),
          );
          const middle = Math.floor(count / 2);
          const halves = [sliceMessages(data, 0, middle), sliceMessages(data, middle, count)].slice(
            middle === 0 ? 1 : 0,
          );
          expect(messagesToArray(halves)).toEqual(messagesToArray([data]));
        },
      ),
    );
  });

  test("LIV-10 numbers keep all their digits, and names their order", () => {
    const body = '[12345678901234567890, 1.50, {"b":1,"a":"]}, \\" ["}]';
    const { data } = parseMessages(utf8.encode(body));
    expect(text.decode(data).split("\n")).toEqual([
      "12345678901234567890",
      "1.50",
      '{"b":1,"a":"]}, \\" ["}',
    ]);
  });

  test("LIV-10 what is not JSON is refused", () => {
    for (const body of ["", "[1,]", "{", "\uFEFF1", "nul"]) {
      expect(() => parseMessages(utf8.encode(body))).toThrow(
        expect.objectContaining({ code: "BAD_REQUEST" }),
      );
    }
    expect(() => parseMessages(Uint8Array.of(0x22, 0xff, 0x22))).toThrow("The body is not UTF-8");
  });
});

describe("streamEvent()", () => {
  test("LIV-10 any text is one event, its line breaks line feeds", async () => {
    const line = fc.string({ unit: fc.constantFrom("a", " ", ":", "\r", "\n", "é", "data: ") });
    await fc.assert(
      fc.asyncProperty(line, async (given) => {
        const { body } = new Response(streamEvent("data", given));
        const events = [];
        for await (const event of readSseEvents(body!)) events.push(event);
        expect(events).toEqual([
          expect.objectContaining({ event: "data", data: given.replaceAll(/\r\n|\r/g, "\n") }),
        ]);
      }),
    );
  });

  test("LIV-10 bytes come back from base64", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
        expect(eventText("base64", bytes)).toBe(Buffer.from(bytes).toString("base64"));
      }),
    );
    const long = new Uint8Array(100_000).map((_, index) => index);
    expect(eventText("base64", long)).toBe(Buffer.from(long).toString("base64"));
  });
});

test("wholeCharacters() LIV-10 cuts text only between characters", () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom("a", "é", "€", "😀") }), fc.nat(), (given, at) => {
      const bytes = utf8.encode(given);
      const cut = at % (bytes.length + 1);
      const length = wholeCharacters(bytes.subarray(0, cut));
      expect(cut - length).toBeLessThanOrEqual(3);
      expect(() => new TextDecoder("utf-8", { fatal: true }).decode(bytes.subarray(0, length))).not.toThrow();
    }),
  );
});

test("nextCursor() LIV-10 never goes back, and passes the reader's own", () => {
  const start = Date.UTC(2024, 9, 9);
  expect(nextCursor(undefined, start + 20_000 * 7, 0)).toBe("7");
  expect(nextCursor("6", start + 20_000 * 7, 0)).toBe("7");
  expect(nextCursor("7", start + 20_000 * 7, 0)).toBe("8");
  expect(nextCursor("7", start + 20_000 * 7, 0.999)).toBe("187");
  expect(nextCursor("9000", start, 0)).toBe("9001");
  expect(nextCursor("nonsense", start, 0)).toBe("0");
});
