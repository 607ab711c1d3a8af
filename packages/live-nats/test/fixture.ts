import { jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import type { LiveReplayStore } from "@tidemark/live";
import type { LiveStoreBounds, LiveStoreFixture } from "@tidemark/live-conformance";
import { type FaultProxy, type NatsServer, openFaultProxy } from "@tidemark/servers";
import { openNatsReplayStore } from "../src/index.ts";
import { RECONNECT } from "./helpers.ts";

const IDLE_MS = 600_000;
let stores = 0;

/** A store in a stream of its own. Time is virtual; the first handle goes through a proxy. */
export async function openFixture(server: NatsServer, bounds: LiveStoreBounds): Promise<LiveStoreFixture> {
  stores += 1;
  const stream = `live-${stores}`;
  const opened: LiveReplayStore[] = [];
  const proxy: FaultProxy = await openFaultProxy({ target: server.port });
  let [nowMs, steppedMs] = [0, 0];
  const open = async (port: number): Promise<LiveReplayStore> => {
    const store = await openNatsReplayStore({
      connection: { servers: `nats://127.0.0.1:${port}`, ...RECONNECT },
      stream,
      provision: "create",
      idleMsMax: IDLE_MS,
      heartbeatMs: 200,
      answerTimeoutMs: 1_000,
      monotonicMs: () => nowMs,
      nowMs: () => Date.now() + steppedMs,
      ...bounds,
    });
    opened.push(store);
    return store;
  };
  const store = await open(proxy.port);
  return {
    store,
    openSecond: () => open(server.port),
    advance: async (ms) => void (nowMs += ms),
    stepWallClock: async (ms) => void (steppedMs += ms),
    forget: async () => {
      const connection = await connect({ servers: server.url });
      await (await jetstreamManager(connection)).streams.delete(stream);
      await connection.close();
      return store;
    },
    evict: async () => void (nowMs += IDLE_MS + 1),
    cut: async () => {
      proxy.cut();
      proxy.heal();
    },
    close: async () => {
      await Promise.all(opened.map((each) => each.close()));
      await proxy.close();
    },
  };
}
