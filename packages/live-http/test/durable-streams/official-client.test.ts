import { createFetchWithBackoff, DurableStream, IdempotentProducer, stream } from "@durable-streams/client";
import { expect, test } from "vitest";
import { openStreams } from "./support.ts";

const url = "http://streams.test/chat/1";

/** The handler as the `fetch` of a client; every answer to some requests is lost, though they were done. */
function lossyFetch(
  handle: ReturnType<typeof openStreams>,
  isLost: (request: Request) => boolean,
): typeof fetch {
  return async (...given) => {
    const request = new Request(...given);
    const response = await handle(request);
    if (isLost(request)) throw new TypeError("fetch failed");
    return response;
  };
}

for (const live of ["sse", "long-poll"] as const) {
  test(`durableStreams() LIV-10 the client of the protocol appends exactly once over a bad link, and reads by ${live} to the end`, async () => {
    let posts = 0;
    const handle = openStreams();
    const lossy = lossyFetch(handle, ({ method }) => method === "POST" && ++posts % 3 === 0);
    const fetch = createFetchWithBackoff(lossy, { initialDelay: 1, maxDelay: 2, multiplier: 1 });
    const created = await DurableStream.create({ url, contentType: "application/json", fetch });
    const response = await stream<{ readonly number: number }>({ url, offset: "-1", live, fetch });
    const read: number[] = [];
    const ended = new Promise<void>((resolve) => {
      response.subscribeJson(({ items, streamClosed }) => {
        read.push(...items.map(({ number }) => number));
        if (streamClosed) resolve();
      });
    });
    const errors: unknown[] = [];
    const producer = new IdempotentProducer(created, "p", {
      fetch,
      lingerMs: 0,
      maxBatchBytes: 40,
      onError: (error) => errors.push(error),
    });
    for (let number = 0; number < 20; number++) producer.append(JSON.stringify({ number }));
    await producer.flush();
    await producer.close();
    await ended;
    expect(read).toEqual(Array.from({ length: 20 }, (_, number) => number));
    expect(errors).toEqual([]);
    expect(posts).toBeGreaterThan(3);
    expect(await DurableStream.head({ url, fetch })).toMatchObject({ exists: true, streamClosed: true });
  });
}
