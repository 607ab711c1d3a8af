import { nobleHasher, regionId } from "@tidemark/core";
import {
  createInProcessNetwork,
  type InProcessNetwork,
  type InProcessNetworkOptions,
} from "@tidemark/transport-inprocess";
import type { Transport } from "@tidemark/transport";
import { memoryFs, openWal, readCheckpoint, type Wal } from "@tidemark/wal";
import {
  decodeSnapshotBody,
  finishInstall,
  nextMembership,
  openReplication,
  type CheckpointPlace,
  type Membership,
  type OpenReplicationOptions,
  type Replication,
} from "../src/index.ts";
import { ModelState } from "./model-state.ts";
import { VirtualTimers } from "./virtual-timers.ts";

type Disk = ReturnType<typeof memoryFs>;

/** One running region of a test. */
export interface Node {
  readonly name: string;
  readonly wal: Wal;
  readonly transport: Transport;
  readonly state: ModelState;
  readonly replication: Replication;
}

/** Where a write went. */
export type Written = Awaited<ReturnType<Replication["append"]>>;

/** What a test may say about a region it opens. */
export type NodeOptions = Partial<OpenReplicationOptions> & {
  readonly state?: ModelState;
  readonly segmentBytes?: number;
  readonly queueRecordsMax?: number;
  readonly batchBytesMax?: number;
  /** Keeps checkpoints: begins from the newest, and may take a snapshot of a member. */
  readonly keeps?: boolean;
};

/** Regions a, b, c … over disks in memory, one network and virtual time. */
export class TestCluster implements AsyncDisposable {
  readonly timers: VirtualTimers = new VirtualTimers();
  readonly network: InProcessNetwork;
  readonly disks: Map<string, Disk> = new Map();
  readonly nodes: Map<string, Node> = new Map();
  membership: Membership;
  wallMs = 1_790_000_000_000;
  #random = 1;

  constructor(names: readonly string[], options: InProcessNetworkOptions = {}) {
    this.network = createInProcessNetwork({
      ...options,
      setTimer: (ms, run) => this.timers.setTimer(ms, run),
    });
    this.membership = {
      version: 1,
      regions: new Map(names.map((name, at) => [name, regionId(at + 1)])),
      seed: new Uint8Array(16).fill(7),
      shards: 1,
    };
  }

  /** Opens all of them and lets them find each other. */
  static async of(names: readonly string[], options: InProcessNetworkOptions = {}): Promise<TestCluster> {
    const cluster = new TestCluster(names, options);
    for (const name of names) await cluster.open(name);
    await cluster.timers.advance(50);
    return cluster;
  }

  disk(name: string): Disk {
    let disk = this.disks.get(name);
    if (disk === undefined) this.disks.set(name, (disk = memoryFs({ seed: 1 })));
    return disk;
  }

  node(name: string): Node {
    return this.nodes.get(name)!;
  }

  async open(
    name: string,
    { segmentBytes, queueRecordsMax, batchBytesMax, keeps = false, ...options }: NodeOptions = {},
  ): Promise<Node> {
    const fs = this.disk(name);
    const wal = await openWal({
      fs,
      dir: "data",
      hasher: nobleHasher,
      ...(segmentBytes !== undefined && { segmentBytes }),
      ...(queueRecordsMax !== undefined && { queueRecordsMax }),
      ...(batchBytesMax !== undefined && { batchBytesMax }),
    });
    const transport = options.transport ?? this.network.join(name);
    const state = options.state ?? new ModelState();
    const kept = keeps ? await restored({ fs, dir: "data", hasher: nobleHasher }, wal, state) : {};
    const replication = await openReplication({
      ...kept,
      wal,
      transport,
      hasher: nobleHasher,
      self: this.membership.regions.get(name)!,
      membership: this.membership,
      bootstrap: name === "a",
      channels: { sessions: state },
      timers: this.timers,
      randomBytes: (count) => this.#bytes(count),
      wallClock: () => this.wallMs + this.timers.now(),
      ...options,
    });
    const node = { name, wal, transport, state, replication };
    this.nodes.set(name, node);
    return node;
  }

  /** The list in force with another set of regions, as an operator would write it. */
  listOf(name: string, ...names: readonly string[]): Membership {
    const { membership } = this.node(name).replication;
    const ids = new Map([...(membership.removed ?? [])].map(([id, removed]) => [removed.name, id] as const));
    const used = [...membership.regions.values(), ...ids.values()];
    let next = Math.max(...used);
    const regions = new Map(
      names.map((each) => {
        const id = membership.regions.get(each) ?? ids.get(each) ?? regionId((next += 1));
        return [each, id] as const;
      }),
    );
    return nextMembership(membership, { version: membership.version + 1, regions });
  }

  /** Writes texts, one after the other awaited together. */
  async write(name: string, ...texts: string[]): Promise<Written[]> {
    const { replication } = this.node(name);
    return this.timers.until(
      Promise.all(
        texts.map((text) =>
          replication.append("sessions", 2, (writer) => writer.raw(new TextEncoder().encode(text))),
        ),
      ),
    );
  }

  /** Writes one text. */
  async writeOne(name: string, text: string): Promise<Written> {
    const [written] = await this.write(name, text);
    return written!;
  }

  /** Stops a region in good order. */
  async stop(name: string): Promise<void> {
    const { replication, transport, wal } = this.node(name);
    await this.timers.until(replication.close());
    await transport.close();
    await wal.close();
    this.nodes.delete(name);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const name of this.nodes.keys()) await this.stop(name);
    await this.network.close();
  }

  #bytes(count: number): Uint8Array {
    const bytes = new Uint8Array(count);
    for (let at = 0; at < count; at++) {
      this.#random = (Math.imul(this.#random, 1_103_515_245) + 12_345) >>> 0;
      bytes[at] = this.#random >>> 16;
    }
    return bytes;
  }
}

/** What a region does when it opens: finishes what a crash interrupted, and begins from its newest checkpoint. */
async function restored(
  place: CheckpointPlace,
  wal: Wal,
  state: ModelState,
): Promise<Partial<OpenReplicationOptions>> {
  await finishInstall(place, wal);
  const checkpoint = await readCheckpoint(place.fs, place.dir, nobleHasher);
  const checkpoints = { fs: place.fs, dir: place.dir };
  if (checkpoint === undefined) return { checkpoints };
  state.restore(decodeSnapshotBody(checkpoint.body).parts.get("sessions")!);
  return { checkpoints, applied: checkpoint.vector };
}
