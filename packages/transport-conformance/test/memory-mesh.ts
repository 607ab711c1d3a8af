import type { Transport } from "@tidemark/transport";
import type { TransportMesh } from "../src/index.ts";
import { MemoryMedium, MemoryTransport } from "./memory-transport.ts";

/** Methods to put in place of those of a good transport. `life` counts how often the peer was opened. */
export type Defect = (inner: MemoryTransport, peer: number, life: number) => Partial<Transport>;
/** Hooks to put in place of those of a good mesh. */
export type MeshDefect = (medium: MemoryMedium) => Partial<TransportMesh>;

/** One planted bug. */
export interface Planted {
  readonly transport?: Defect;
  readonly mesh?: MeshDefect;
}

/** A good mesh, or one with a bug planted in it. */
export async function openMemoryMesh(peerCount: number, planted: Planted = {}): Promise<TransportMesh> {
  const medium = new MemoryMedium();
  const good: MemoryTransport[] = [];
  const open = (peer: number, life: number): Transport => {
    const inner = new MemoryTransport(medium, peer);
    good.push(inner);
    return planted.transport === undefined ? inner : replace(inner, planted.transport(inner, peer, life));
  };
  const mesh: TransportMesh = {
    peers: Array.from({ length: peerCount }, (_, peer) => open(peer, 1)),
    reopen: async (peer) => open(peer, 2),
    cut: async (left, right) => {
      medium.cut(left, right);
      medium.cut(right, left);
    },
    cutOneWay: async (from, to) => medium.cut(from, to),
    heal: async () => medium.heal(),
    restartBroker: async () => undefined,
    close: async () => {
      for (const transport of good) await transport.close();
    },
  };
  return { ...mesh, ...planted.mesh?.(medium) };
}

/** A transport with some of its members replaced. */
function replace(inner: MemoryTransport, planted: Partial<Transport>): Transport {
  return new Proxy<Transport>(inner, {
    get(target, key) {
      if (Object.hasOwn(planted, key)) return Reflect.get(planted, key) as unknown;
      // Getters and private fields need the real transport as `this`.
      const value = Reflect.get(target, key, target) as unknown;
      return typeof value === "function" ? (value.bind(target) as unknown) : value;
    },
  });
}
