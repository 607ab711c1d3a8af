import { createBlake3Hasher } from "@tidemark/blake3-wasm";
import { openRegion } from "@tidemark/region";
import type { Region, Session, WriteResult } from "@tidemark/region";
import { memoryFs } from "@tidemark/wal";
import type { MemoryFs } from "@tidemark/wal";
import { checkHistory, finalState, History, outcomeOf, Random, shownSession } from "../src/index.ts";
import { SimNetwork, Trace, VirtualTime } from "../src/index.ts";
import type { DirectoryFiles, FinalState, HistoryEvent, Invariant, WriteEvent } from "../src/index.ts";
import { StubLife } from "./net.ts";

export const hasher = createBlake3Hasher();

/** A history and what regions hold in the end, as plain data. */
export interface RecordedRun {
  history: HistoryEvent[];
  finals: FinalState[];
}

/** Everything under a region's directory. */
export async function filesOf(disk: MemoryFs): Promise<DirectoryFiles> {
  const files: Record<string, Uint8Array> = {};
  for (const dir of ["data", "data/signals", "data/sessions"])
    for (const name of await disk.list(dir)) {
      const bytes = await disk.readFile(`${dir}/${name}`);
      if (bytes !== undefined) files[`${dir}/${name}`.slice("data/".length)] = bytes;
    }
  return files;
}

type Writing = Pick<WriteEvent, "operation"> & Partial<WriteEvent>;

/** Two regions of one network under virtual time, with a client each, whose history is kept. */
export class RecordedCluster {
  readonly time = new VirtualTime(new Random(1));
  readonly network = new SimNetwork({
    timers: this.time,
    random: new Random(2),
    trace: new Trace(() => this.time.now()),
  });
  readonly history = new History({ now: () => this.time.now() });
  readonly regions = new Map<string, Region>();
  readonly disks = new Map<string, MemoryFs>();

  static async open(): Promise<RecordedCluster> {
    const cluster = new RecordedCluster();
    const members = { version: 1, regions: { east: 1, west: 2 } };
    cluster.history.members(1, Object.keys(members.regions));
    const random = new Random(3);
    for (const name of Object.keys(members.regions)) {
      const disk = memoryFs({ seed: 1 });
      const now = (): number => Math.floor(1_790_000_000_000 + cluster.time.now());
      const region = await cluster.run(
        openRegion(
          {
            name,
            members,
            dir: "data",
            bootstrap: name === "east",
            clusterKey: new Uint8Array(32).fill(7),
            segmentBytes: 65_536,
            transport: cluster.network.transport(name, new StubLife()),
          },
          {
            fs: disk,
            volatile: false,
            now,
            timers: cluster.time,
            randomBytes: (count) => random.bytes(count),
            hasher,
          },
        ),
      );
      cluster.disks.set(name, disk);
      cluster.regions.set(name, region);
      cluster.history.observe(region, { life: 1, wallMs: now });
    }
    await cluster.run(Promise.all([...cluster.regions.values()].map((region) => region.ready())));
    return cluster;
  }

  run<T>(promise: Promise<T>): Promise<T> {
    return this.time.until(promise);
  }

  region(name: string): Region {
    return this.regions.get(name)!;
  }

  /** A write by a client, recorded; `call` makes it. */
  async write(
    client: string,
    region: string,
    what: Writing,
    call: () => Promise<WriteResult | Session>,
  ): Promise<void> {
    const event = this.history.write({ client, region, life: 1, user: "ada", session: "s", ...what });
    const result = await this.run(call());
    this.history.returned(event, "outcome" in result ? outcomeOf(result) : { kind: "applied" });
  }

  read(client: string, region: string, ...asked: string[]): void {
    const visible = this.region(region).users.get("ada").filterVisible(asked);
    this.history.read({ client, region, life: 1, user: "ada", asked, visible });
  }

  state(client: string, region: string): void {
    const shown = shownSession(this.region(region).sessions.get("s")!.state());
    this.history.state({ client, region, life: 1, session: "s", shown });
  }

  /** Goes to another region with a ticket. */
  async roam(client: string, from: string, to: string): Promise<void> {
    const must = this.history.mustOf(client, "ada");
    const calledAt = this.time.now();
    const ticket = this.region(from).users.get("ada").ticket();
    await this.run(this.region(to).users.resume("ada", { ticket, timeoutMs: 1_000 }));
    const asked = {
      client,
      by: "ticket",
      from,
      to,
      life: 1,
      user: "ada",
      calledAt,
      timeoutMs: 1_000,
      must,
    } as const;
    this.history.roam({ ...asked, outcome: "covered" });
  }

  /** What everybody holds, once all is everywhere; closes all. */
  async end(): Promise<RecordedRun> {
    const healedAt = this.time.now();
    await this.run(Promise.all([...this.regions.values()].map((region) => region.synced())));
    this.history.converged({ healedAt, convergedAt: this.time.now(), boundMs: 10_000 });
    const finals: FinalState[] = [];
    for (const [name, region] of this.regions) {
      this.history.sample(region.metrics());
      this.history.certificate(name, region.certificate());
      finals.push(finalState(region, this.history.events, await filesOf(this.disks.get(name)!)));
    }
    for (const region of this.regions.values()) await this.run(region.close());
    return { history: this.history.events, finals };
  }
}

/**
 * A run with something of everything: writes in both regions, also while they are cut, retries in both, hides that are
 * lifted and not, a roam there and back.
 */
export async function recordRun(): Promise<RecordedRun> {
  const cluster = await RecordedCluster.open();
  const [east, west] = [cluster.region("east"), cluster.region("west")];
  await cluster.write("c", "east", { operation: "start" }, () =>
    east.sessions.start({ id: "s", user: "ada", agent: "guide" }),
  );
  const here = east.sessions.get("s")!;
  await cluster.write("c", "east", { operation: "annotate", text: "one" }, () => here.annotate("one"));
  await cluster.write("c", "east", { operation: "hide", item: "gone" }, () => here.hide("gone"));
  await cluster.write("c", "east", { operation: "hide", item: "back" }, () => here.hide("back"));
  const signal = { operation: "signal", entity: "book", key: "save", weight: 2 } as const;
  await cluster.write("c", "east", signal, () => here.signal("book", "save", 2));
  cluster.read("c", "east", "gone", "back", "never");
  cluster.state("c", "east");
  await cluster.run(east.synced());
  cluster.network.cut("east", "west");
  cluster.network.cut("west", "east");
  await cluster.write("c", "east", { operation: "prefer", key: "mood", value: "calm" }, () =>
    here.prefer("mood", "calm"),
  );
  await cluster.write("c", "east", { operation: "annotate", text: "cut" }, () => here.annotate("cut"));
  await cluster.write("c", "east", { operation: "unhide", item: "back" }, () => here.unhide("back"));
  cluster.read("c", "east", "gone", "back");
  const far = west.sessions.get("s")!;
  const named = { operation: "annotate", text: "twice", operationId: "n" } as const;
  await cluster.write("d", "west", named, () => far.annotate("twice", { operationId: "n" }));
  await cluster.write("c", "east", named, () => here.annotate("twice", { operationId: "n" }));
  await cluster.roam("c", "east", "west");
  cluster.state("c", "west");
  cluster.read("c", "west", "gone", "back");
  await cluster.write("c", "west", { operation: "search", text: "films" }, () => far.search("films"));
  await cluster.write("c", "west", { operation: "app", key: "chat", text: "hello" }, () =>
    far.app("chat", new TextEncoder().encode("hello")),
  );
  await cluster.write("c", "west", { ...signal, operationId: "m" }, () =>
    far.signal("book", "save", 2, { operationId: "m", eventTimeMs: 1_790_000_000_000 }),
  );
  cluster.network.heal();
  await cluster.run(east.synced());
  cluster.read("c", "west", "gone", "back");
  cluster.state("c", "west");
  return cluster.end();
}

/** The invariants that a run breaks, each once. */
export function brokenBy({ history, finals }: RecordedRun): Invariant[] {
  return [...new Set(checkHistory(history, finals, { hasher }).map(({ invariant }) => invariant))];
}
