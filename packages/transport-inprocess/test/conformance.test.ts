import { describeTransport } from "@tidemark/transport-conformance";
import type { TransportMesh } from "@tidemark/transport-conformance";
import { createInProcessNetwork } from "../src/index.ts";
import type { InProcessNetworkOptions } from "../src/index.ts";

/** A network of peers 0, 1, 2 … whose links can be cut. */
async function openMesh(peerCount: number, options: InProcessNetworkOptions = {}): Promise<TransportMesh> {
  const network = createInProcessNetwork({ frameBytesMax: 65_536, ...options });
  return {
    peers: Array.from({ length: peerCount }, (_, peer) => network.join(`${peer}`)),
    reopen: async (peer) => network.join(`${peer}`),
    cut: async (left, right) => network.cut(`${left}`, `${right}`),
    cutOneWay: async (from, to) => network.cut(`${from}`, `${to}`, { oneWay: true }),
    heal: async () => network.heal(),
    close: () => network.close(),
  };
}

const claims = { frameBytesMax: 65_536, ordered: true, replay: false, persistent: false };

describeTransport("TRN-5 in-process", { claims, hooks: ["cut", "cutOneWay"], openMesh });

describeTransport("TRN-5 in-process, over a link that takes time", {
  claims,
  hooks: ["cut", "cutOneWay"],
  openMesh: (peerCount) => openMesh(peerCount, { latencyMs: 0.5 }),
});

describeTransport("TRN-5 in-process, over a link that repeats and reorders", {
  claims: { ...claims, ordered: false },
  hooks: ["cut", "cutOneWay"],
  openMesh: (peerCount) => openMesh(peerCount, { seed: 11, duplicateRate: 0.2, reorderRate: 0.2 }),
});
