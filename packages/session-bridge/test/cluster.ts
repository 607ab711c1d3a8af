import { HlcClock, nobleHasher, regionId } from "@tidemark/core";
import type { RegionId } from "@tidemark/core";
import { clusterIdOf, openReplication } from "@tidemark/replication";
import type { DivergenceReport, Membership, Replication } from "@tidemark/replication";
import { SessionAdmission, SessionFold } from "@tidemark/session";
import type { OpRequest } from "@tidemark/session";
import type { Delivery, Transport } from "@tidemark/transport";
import { createInProcessNetwork } from "@tidemark/transport-inprocess";
import type { InProcessNetwork } from "@tidemark/transport-inprocess";
import { memoryFs, openWal } from "@tidemark/wal";
import type { MemoryFs, Wal } from "@tidemark/wal";
import { SessionReplicationBridge } from "../src/index.ts";
import type { Submitted } from "../src/index.ts";

/** One region: the bridge and what it joins. */
export interface Node {
  readonly id: RegionId;
  readonly disk: MemoryFs;
  readonly wal: Wal;
  readonly transport: Transport;
  readonly fold: SessionFold;
  readonly bridge: SessionReplicationBridge;
  readonly replication: Replication;
}

/** What a test does to frames that are published or heard. */
export interface Tap {
  published?: (subject: string, frame: Uint8Array) => void;
  hear?: (subject: string, frame: Uint8Array) => Uint8Array;
}

export const START: OpRequest = { kind: "start", user: "ada", agent: "scout", metadata: {} };

/** Regions over disks in memory and one network. Timers fire only if `timers` is said: what works, works at once. */
export class BridgeCluster implements AsyncDisposable {
  readonly network: InProcessNetwork = createInProcessNetwork();
  readonly nodes: Map<string, Node> = new Map();
  /** What regions found different from what others hold. */
  readonly diverged: DivergenceReport[] = [];
  readonly #membership: Membership;
  readonly #timed: boolean;
  #nonce = 0;

  constructor(names: readonly string[], options: { readonly timers?: boolean } = {}) {
    const regions = new Map(names.map((name, at) => [name, regionId(at + 1)]));
    this.#membership = { version: 1, regions, seed: new Uint8Array(16).fill(7), shards: 1 };
    this.#timed = options.timers ?? false;
  }

  static async of(
    names: readonly string[],
    options: { readonly timers?: boolean } = {},
  ): Promise<BridgeCluster> {
    const cluster = new BridgeCluster(names, options);
    for (const name of names) await cluster.open(name);
    for (const { replication } of cluster.nodes.values()) await replication.ready({ timeoutMs: 5_000 });
    return cluster;
  }

  node(name: string): Node {
    return this.nodes.get(name)!;
  }

  async open(name: string, tap: Tap = {}): Promise<Node> {
    const id = this.#membership.regions.get(name)!;
    const hasher = nobleHasher;
    const disk = memoryFs({ seed: 1 });
    const wal = await openWal({ fs: disk, dir: "data", hasher });
    const transport = tapped(this.network.join(name), tap);
    const fold = new SessionFold({ hasher, clusterId: clusterIdOf(hasher, this.#membership.seed) });
    const clock = new HlcClock({ clockId: id, now: () => 1_790_000_000_000 });
    const admission = new SessionAdmission<Promise<Submitted>>({ fold, clock });
    const bridge = new SessionReplicationBridge({ fold, admission, clock, self: id });
    const replication = await openReplication({
      wal,
      transport,
      hasher,
      self: id,
      membership: this.#membership,
      bootstrap: name === [...this.#membership.regions.keys()][0],
      clusterKeys: [{ id: 1, key: this.network.clusterKey }],
      channels: { sessions: bridge },
      checkpoints: { fs: disk, dir: "data" },
      diverged: (report) => this.diverged.push(report),
      timers: {
        now: () => performance.now(),
        setTimer: (ms, run) => {
          if (!this.#timed) return () => undefined;
          const timer = setTimeout(run, ms);
          return () => clearTimeout(timer);
        },
      },
      randomBytes: (count) => new Uint8Array(count).fill((this.#nonce = (this.#nonce + 1) & 0xff)),
      wallClock: () => 1_790_000_000_000,
    });
    bridge.attach(replication);
    const node = { id, disk, wal, transport, fold, bridge, replication };
    this.nodes.set(name, node);
    return node;
  }

  /** Resolves once a region has folded so many different operations. */
  folded(name: string, effects: number): Promise<void> {
    const { fold } = this.node(name);
    return new Promise((resolve) => {
      const check = (): void => {
        if (fold.counts.effects < effects) return;
        stop();
        resolve();
      };
      const stop = fold.onChange(check);
      check();
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { replication, wal, transport } of this.nodes.values()) {
      await replication.close();
      await transport.close();
      await wal.close();
    }
    await this.network.close();
  }
}

function tapped(transport: Transport, tap: Tap): Transport {
  return new Proxy(transport, {
    get: (target, name) => {
      if (name === "publish") {
        return (...args: Parameters<Transport["publish"]>) => {
          tap.published?.(args[0], args[1]);
          return target.publish(...args);
        };
      }
      if (name === "subscribe") {
        return async (...args: Parameters<Transport["subscribe"]>) => {
          const subscription = await target.subscribe(...args);
          return {
            close: () => subscription.close(),
            [Symbol.asyncDispose]: () => subscription.close(),
            async *[Symbol.asyncIterator](): AsyncGenerator<Delivery> {
              for await (const { frame } of subscription)
                yield { frame: tap.hear?.(args[0], frame) ?? frame };
            },
          };
        };
      }
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? (value.bind(target) as unknown) : value;
    },
  });
}
