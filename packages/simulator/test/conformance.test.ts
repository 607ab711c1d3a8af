import { describeTransport } from "@tidemark/transport-conformance";
import type { TransportMesh } from "@tidemark/transport-conformance";
import { Random, SimNetwork, Trace, VirtualTime } from "../src/index.ts";
import type { SimMedium } from "../src/index.ts";

const FRAME_BYTES_MAX = 65_536;
/** Virtual time passes so many times as fast as real time, which the checks measure their deadlines by. */
const SPEED = 20;

/** Lets virtual time pass for as long as the checks run over it. */
function pump(time: VirtualTime): () => void {
  let running = true;
  const run = async (): Promise<void> => {
    const beganMs = performance.now();
    while (running) {
      await time.advance((performance.now() - beganMs) * SPEED - time.now());
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  void run();
  return () => (running = false);
}

/** Machines 0, 1, 2 … */
async function openMesh(medium: SimMedium, peerCount: number): Promise<TransportMesh> {
  const random = new Random(11);
  const timers = new VirtualTime(random.fork("time"));
  const trace = new Trace(() => timers.now());
  const network = new SimNetwork({ timers, random, trace, medium, frameBytesMax: FRAME_BYTES_MAX });
  const life = { alive: true, call: () => undefined, settle: () => undefined };
  const open = (peer: number) => network.transport(`${peer}`, life);
  const between = (left: number, right: number): (readonly [string, string])[] =>
    medium === "direct"
      ? [[`${left}`, `${right}`]]
      : [
          [`${left}`, "broker"],
          [`${right}`, "broker"],
        ];
  const stop = pump(timers);
  return {
    peers: Array.from({ length: peerCount }, (_, peer) => open(peer)),
    reopen: async (peer) => open(peer),
    cut: async (left, right) => {
      for (const [one, other] of between(left, right)) {
        network.cut(one, other);
        network.cut(other, one);
      }
    },
    cutOneWay: async (from, to) => network.cut(`${from}`, `${to}`),
    heal: async () => network.heal(),
    restartBroker: async () => {
      network.broker.restart({ downMs: 20 });
      await timers.sleep(25);
    },
    close: async () => {
      for (const transport of [...network.transports()]) await transport.close();
      stop();
    },
  };
}

describeTransport("SIM-1 simulated network, from machine to machine", {
  claims: { frameBytesMax: FRAME_BYTES_MAX, ordered: false, replay: false, persistent: false },
  hooks: ["cut", "cutOneWay"],
  openMesh: (peerCount) => openMesh("direct", peerCount),
});

describeTransport("SIM-1 simulated network, by way of a broker", {
  claims: { frameBytesMax: FRAME_BYTES_MAX, ordered: true, replay: true, persistent: true },
  hooks: ["cut", "restartBroker"],
  openMesh: (peerCount) => openMesh("broker", peerCount),
});
