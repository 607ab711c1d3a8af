import { MemoryJournals, openStreamLogs } from "@tidemark/live";
import type { UIMessageChunk } from "ai";
import fc from "fast-check";
import { expect, test } from "vitest";
import { createChatHandlers, TidemarkChatTransport } from "../src/index.ts";

/** Timers that do not wait, but for those that watch a silence. */
const clock = {
  wallMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  schedule(delayMs: number, run: () => void): () => void {
    if (delayMs >= 5_000) return () => undefined;
    const timer = setImmediate(run);
    return () => clearImmediate(timer);
  },
};

/** How a connection goes: in parts of so many bytes, and after so many of them it is cut off. */
const connection = fc.record({
  partBytes: fc.integer({ min: 1, max: 90 }),
  parts: fc.integer({ min: 1, max: 60 }),
});

/** Gives the body of a response as a network does. */
function over(response: Response, { partBytes, parts }: { partBytes: number; parts: number }): Response {
  if (response.body === null) return response;
  const reader = response.body.getReader();
  let bytes = new Uint8Array(0);
  let left = parts;
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      if (left-- === 0) {
        await reader.cancel();
        return controller.error(new TypeError("network error"));
      }
      if (bytes.length === 0) {
        const { done, value } = await reader.read();
        if (done) return controller.close();
        bytes = Uint8Array.from(value);
      }
      controller.enqueue(bytes.slice(0, partBytes));
      bytes = bytes.slice(partBytes);
    },
    cancel: () => reader.cancel(),
  });
  return new Response(body, response);
}

test("LIV-8 a page is given each chunk once and in order, wherever text and connections are cut", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.string({ minLength: 1, maxLength: 30, unit: "grapheme" }), { minLength: 1, maxLength: 30 }),
      fc.integer({ min: 2, max: 60 }),
      fc.array(connection, { minLength: 1, maxLength: 12 }),
      async (deltas, pieceLengthMax, connections) => {
        const written: UIMessageChunk[] = [
          { type: "start", messageId: "a" },
          ...deltas.map((delta): UIMessageChunk => ({ type: "text-delta", id: "1", delta: `${delta}\n\n` })),
          { type: "finish" },
        ];
        const journals = new MemoryJournals(["us", "eu"]);
        const [us, eu] = ["us", "eu"].map((name) =>
          createChatHandlers({
            streams: openStreamLogs({
              journal: journals.journal(name),
              pieceLengthMax,
              coalesceMs: 1,
              clock,
            }),
            development: true,
            saveMessages: null,
            respond: () => ReadableStream.from(written),
            clock,
          }),
        );
        let requests = 0;
        const transport = new TidemarkChatTransport({
          api: ["https://us.test/api/chat", "https://eu.test/api/chat"],
          attemptsMax: 1_000,
          clock,
          fetch: async (input, init) => {
            const request = new Request(input, init);
            const handlers = new URL(request.url).hostname === "us.test" ? us! : eu!;
            // In the end there is a connection that holds.
            const how = connections[requests++] ?? { partBytes: 1_000, parts: 1_000_000 };
            return over(await handlers.handle(request), how);
          },
        });
        const given: UIMessageChunk[] = [];
        const turn = {
          trigger: "submit-message" as const,
          messageId: undefined,
          messages: [],
          abortSignal: undefined,
        };
        for await (const chunk of await transport.sendMessages({ chatId: "trip", ...turn }))
          given.push(chunk);
        expect(given).toEqual(written);
      },
    ),
    { numRuns: 60 },
  );
});
