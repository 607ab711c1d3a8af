import { openFaultProxy, type FaultProxy } from "@tidemark/servers";
import type { RedisServer } from "@tidemark/servers";
import type { TransportMesh } from "@tidemark/transport-conformance";
import { openRedisTransport, type RedisTransport, type RedisTransportOptions } from "../src/index.ts";

/** A connection of the client under test. */
export interface Client {
  readonly connection: RedisTransportOptions["connection"];
  close(): Promise<void>;
}

/** Opens a client of some kind to a loopback port. */
export type OpenClient = (port: number) => Promise<Client>;

let meshes = 0;

/** Peers on one server, each behind a proxy of its own; the keys of one mesh are not those of another. */
export async function openMesh(
  server: RedisServer,
  open: OpenClient,
  peerCount: number,
  options: Partial<RedisTransportOptions> = {},
): Promise<TransportMesh> {
  meshes += 1;
  const prefix = `mesh${meshes}`;
  const clients: Client[] = [];
  const proxies: FaultProxy[] = [];
  const transports: RedisTransport[] = [];
  const join = async (peer: number): Promise<RedisTransport> => {
    const client = await open(proxies[peer]!.port);
    clients.push(client);
    const transport = await openRedisTransport({ connection: client.connection, prefix, ...options });
    transports.push(transport);
    return transport;
  };
  for (let peer = 0; peer < peerCount; peer++) proxies.push(await openFaultProxy({ target: server.port }));
  const peers = await Promise.all(proxies.map((_, peer) => join(peer)));
  let closed: Promise<void> | undefined;
  return {
    peers,
    reopen: join,
    // All that two peers share is the server: their links are cut there.
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
    close: () =>
      (closed ??= (async () => {
        await Promise.all(transports.map((transport) => transport.close()));
        await Promise.all(clients.map((client) => client.close()));
        await Promise.all(proxies.map((proxy) => proxy.close()));
      })()),
  };
}
