import { jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { startNats } from "@tidemark/servers";
import type { NatsServer } from "@tidemark/servers";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { natsStreams, openNatsTransport } from "../src/index.ts";
import type { Provision } from "../src/index.ts";
import { hasServer, newPrefix, openOn, QUICK } from "./broker.ts";

const FRAME = Uint8Array.of(1);
const SEQUENCE = { epoch: 1, last: 1 };

describe.skipIf(!(await hasServer()))("TRN-6 provisioning", () => {
  let server: NatsServer;
  beforeAll(async () => {
    server = await startNats();
  });
  afterAll(() => server.remove());

  /** Publishes one frame where the stream is absent, as wanted, or smaller than wanted. */
  async function publishWith(provision: Provision, found: "absent" | "same" | "smaller"): Promise<unknown> {
    const prefix = newPrefix();
    await using admin = await connect({ servers: server.url });
    const { streams } = await jetstreamManager(admin);
    const [config] = natsStreams({ prefix, regions: [1], channels: ["sessions"], stream: QUICK.stream! });
    if (found !== "absent")
      await streams.add({ ...config!, ...(found === "smaller" ? { max_bytes: 4_096 } : {}) });
    await using transport = await openOn(server.port, prefix, { provision });
    const signal = AbortSignal.timeout(provision === "create" || provision === "update" ? 5_000 : 400);
    try {
      await transport.publish("sessions.1.0", FRAME, { sequence: SEQUENCE, signal });
    } catch (error) {
      const { code, message, name } = error as Error & { code?: unknown };
      return name === "TimeoutError" ? `waits: ${transport.status.reason}` : `${String(code)}: ${message}`;
    }
    return (await streams.info(config!.name)).config.max_bytes;
  }

  const wanted = QUICK.stream!.bytesMax!;
  test.each<[Provision, "absent" | "same" | "smaller", unknown]>([
    ["bind", "absent", expect.stringMatching(/^waits: .*(not found|no stream)/)],
    ["bind", "smaller", 4_096],
    ["verify", "absent", expect.stringMatching(/^waits: .*(not found|no stream)/)],
    ["verify", "same", wanted],
    ["verify", "smaller", expect.stringMatching(/^PUBLISH_FAILED: .*max_bytes is 4096, wanted is/)],
    ["create", "absent", wanted],
    ["create", "same", wanted],
    ["create", "smaller", expect.stringMatching(/^PUBLISH_FAILED: .*max_bytes is 4096, wanted is/)],
    ["update", "absent", wanted],
    ["update", "smaller", wanted],
  ])("%s, with a stream that is %s", async (provision, found, outcome) => {
    expect(await publishWith(provision, found)).toEqual(outcome);
  });

  test("a borrowed connection is used and never closed", async () => {
    await using connection = await connect({ servers: server.url });
    const prefix = newPrefix();
    const transport = await openNatsTransport({ ...QUICK, connection, prefix });
    expect(transport.status).toEqual({ state: "ready" });
    await transport.publish("sessions.1.0", FRAME, { sequence: SEQUENCE });
    await transport.close();
    expect(connection.isClosed()).toBe(false);
    await connection.flush();
  });

  test("there is one way to a broker, neither none nor two", async () => {
    await using connection = await connect({ servers: server.url });
    await expect(openNatsTransport({})).rejects.toThrow(TypeError);
    await expect(openNatsTransport({ connection, servers: server.url })).rejects.toThrow(TypeError);
    await expect(openNatsTransport({ connection, frameBytesMax: 0 })).rejects.toThrow(RangeError);
  });
});
