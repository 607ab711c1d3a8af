import { runConformanceTests } from "@durable-streams/server-conformance-tests";
import { afterAll, beforeAll, describe } from "vitest";
import { durableStreams } from "../../packages/live-http/src/durable-streams/index.ts";
import { serve } from "./web-server.mjs";

/**
 * Runs the published suite of the Durable Streams protocol against the handler, over a store.
 *
 * @param {{ start: () => Promise<import("../../packages/kv/src/index.ts").Kv>, stop: () => Promise<void> }} backend
 */
export function validateStreams(backend) {
  describe("durableStreams()", () => {
    // The suite reads the address when a test runs.
    const target = { baseUrl: "", longPollTimeoutMs: 2_000 };
    let server;
    beforeAll(async () => {
      const kv = await backend.start();
      const onError = (error) => console.error(error);
      const longPollMs = target.longPollTimeoutMs;
      const cors = { origins: "*" };
      const handle = durableStreams({ kv, authorize: () => true, onError, longPollMs, cors });
      server = await serve(handle);
      target.baseUrl = server.url;
    });
    afterAll(async () => {
      await server?.close();
      await backend.stop();
    });
    runConformanceTests(target);
  });
}
