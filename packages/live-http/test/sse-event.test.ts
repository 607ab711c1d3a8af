import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { readSseEvents } from "../src/client.ts";
import { formatSseComment, formatSseEvent, type SseEvent } from "../src/index.ts";

function bodyOf(...parts: (string | Uint8Array)[]): ReadableStream<Uint8Array> {
  const chunks = parts.map((part) => (typeof part === "string" ? new TextEncoder().encode(part) : part));
  return new ReadableStream({
    pull(controller) {
      const next = chunks.shift();
      if (next === undefined) controller.close();
      else controller.enqueue(next);
    },
  });
}

async function read(body: ReadableStream<Uint8Array>, eventCharactersMax?: number): Promise<SseEvent[]> {
  const events: SseEvent[] = [];
  const options = eventCharactersMax === undefined ? {} : { eventCharactersMax };
  for await (const event of readSseEvents(body, options)) events.push(event);
  return events;
}

const field = fc.string({ minLength: 1 }).filter((text) => !/[\r\n\0]/.test(text) && !text.startsWith(" "));
const sseEvent = fc.record(
  { id: field, event: field, data: fc.string({ unit: "binary" }).map((text) => text.replaceAll("\r", "\n")) },
  { requiredKeys: ["data"] },
);

describe("events over a wire", () => {
  test("LIV-10: what formatSseEvent() writes is read again, wherever the bytes are cut, comments between them", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(sseEvent, { maxLength: 5 }),
        fc.integer({ min: 1, max: 9 }),
        async (events, step) => {
          const wire = events.map((event) => formatSseEvent(event) + formatSseComment("alive")).join("");
          const bytes = new TextEncoder().encode(wire);
          const parts: Uint8Array[] = [];
          for (let at = 0; at < bytes.length; at += step) parts.push(bytes.subarray(at, at + step));
          expect(await read(bodyOf(...parts))).toEqual(events);
        },
      ),
      { numRuns: 60 },
    );
  });

  test("formatSseEvent() refuses what would end a line or be ignored", () => {
    for (const spoilt of ["a\nb", "a\rb", "a\0b"]) {
      expect(() => formatSseEvent({ id: spoilt, data: "" })).toThrow(RangeError);
      expect(() => formatSseEvent({ event: spoilt, data: "" })).toThrow(RangeError);
      expect(() => formatSseComment(spoilt)).toThrow(RangeError);
    }
  });

  test("readSseEvents() gives what came whole and leaves out what the end cut off", async () => {
    expect(await read(bodyOf("data: 1\n\nda", "ta: 2\n\ndata: 3\n"))).toEqual([{ data: "1" }, { data: "2" }]);
  });

  test("readSseEvents() refuses an event beyond the limit, on one line or many, after those before it", async () => {
    for (const long of [`data: ${"x".repeat(2_000)}`, "data: x\n".repeat(1_000)]) {
      const seen: SseEvent[] = [];
      const reading = async (): Promise<void> => {
        for await (const event of readSseEvents(bodyOf("data: 1\n\n", long), { eventCharactersMax: 1_000 }))
          seen.push(event);
      };
      await expect(reading()).rejects.toMatchObject({ code: "SSE_MALFORMED" });
      expect(seen).toEqual([{ data: "1" }]);
    }
  });

  test("leaving the loop cancels the body", async () => {
    let cancelled = false;
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => controller.enqueue(new TextEncoder().encode("data: 1\n\ndata: 2\n\n")),
      cancel: () => {
        cancelled = true;
      },
    });
    for await (const event of readSseEvents(body)) {
      expect(event).toEqual({ data: "1" });
      break;
    }
    expect(cancelled).toBe(true);
  });
});
