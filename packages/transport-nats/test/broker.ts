import { findServer, openFaultProxy } from "@tidemark/servers";
import type { FaultProxy, NatsServer, ServerRelease } from "@tidemark/servers";
import type { Transport } from "@tidemark/transport";
import type { TransportMesh } from "@tidemark/transport-conformance";
import { openNatsTransport } from "../src/index.ts";
import type { NatsTransportOptions } from "../src/index.ts";

/** Quick enough for tests: what takes seconds in service takes tenths of them here. */
export const QUICK: Partial<NatsTransportOptions> = {
  provision: "create",
  ackTimeoutMs: 300,
  heartbeatMs: 200,
  retryMsMax: 200,
  stream: { bytesMax: 16 * 2 ** 20 },
};

/** For connections in tests: back within a moment. */
export const RECONNECT = { reconnectTimeWait: 20, reconnectJitter: 20, pingInterval: 1_000 };

/**
 * Whether a server can be had. Where it cannot, the tests are skipped with one line; in CI that is a failure.
 */
export async function hasServer(release: ServerRelease = "installed"): Promise<boolean> {
  try {
    await findServer("nats", release);
    return true;
  } catch (error) {
    if (process.env["CI"] !== undefined && release === "installed") throw error;
    process.stderr.write(`Skipped: ${error instanceof Error ? error.message : String(error)}\n`);
    return false;
  }
}

let meshes = 0;

/** A name that no earlier test has used on a server. */
export function newPrefix(): string {
  return `t${process.pid}-${meshes++}`;
}

export function openOn(
  port: number,
  prefix: string,
  more: Partial<NatsTransportOptions> = {},
): Promise<Transport> {
  const options = { ...RECONNECT, ...more.options };
  return openNatsTransport({ ...QUICK, prefix, servers: `nats://127.0.0.1:${port}`, ...more, options });
}

/** Peers on one server, each behind a proxy of its own. */
export async function openMesh(
  server: NatsServer,
  peerCount: number,
  more: Partial<NatsTransportOptions> = {},
): Promise<TransportMesh> {
  const prefix = newPrefix();
  const proxies: FaultProxy[] = [];
  const peers: Transport[] = [];
  const open = async (peer: number): Promise<Transport> => {
    const transport = await openOn(proxies[peer]!.port, prefix, more);
    peers[peer] = transport;
    return transport;
  };
  for (let peer = 0; peer < peerCount; peer++) {
    proxies.push(await openFaultProxy({ target: server.port }));
    await open(peer);
  }
  return {
    peers: [...peers],
    reopen: open,
    cut: async (left, right) => {
      proxies[left]!.cut();
      proxies[right]!.cut();
    },
    heal: async () => {
      for (const proxy of proxies) proxy.heal();
    },
    restartBroker: async () => {
      await server.kill();
      await server.start();
    },
    close: async () => {
      for (const transport of peers) await transport.close();
      for (const proxy of proxies) await proxy.close();
    },
  };
}
