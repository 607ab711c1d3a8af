import fc from "fast-check";
import { expect, test } from "vitest";
import {
  nextMembership,
  ReplicationError,
  type Membership,
  type MembershipPromise,
  type MembershipStore,
} from "../src/index.ts";
import { TestCluster } from "./cluster.ts";

const NAMES = ["a", "b", "c", "d"];

/** What a region keeps on disk beside its logs. */
class Directory implements MembershipStore {
  list: Membership;
  promised: MembershipPromise | undefined;
  since = 0;

  constructor(list: Membership) {
    this.list = list;
  }

  async keep(list: Membership): Promise<void> {
    this.list = list;
    if (this.promised !== undefined && this.promised.version <= list.version) this.promised = undefined;
  }

  async promise(promised: MembershipPromise | undefined): Promise<void> {
    this.promised = promised;
  }
}

/** Four regions, one operator, and everything that was acknowledged. */
class Deployment {
  readonly cluster: TestCluster = new TestCluster(NAMES);
  readonly directories: Map<string, Directory> = new Map();
  readonly acknowledged: string[] = [];
  /** The newest list the operator wrote. */
  operator: Membership = this.cluster.membership;
  readonly #keeps: boolean;

  constructor(keeps: boolean) {
    this.#keeps = keeps;
    for (const name of NAMES) this.directories.set(name, new Directory(this.operator));
  }

  async start(name: string): Promise<void> {
    const directory = this.directories.get(name)!;
    await this.cluster.open(name, {
      keeps: this.#keeps,
      membershipStore: directory,
      membership: directory.list,
      joinedSince: directory.since,
      joining: false,
      returned: async (since) => {
        directory.since = since;
      },
      ...(directory.promised === undefined ? {} : { promised: directory.promised }),
    });
  }

  running(): string[] {
    return [...this.cluster.nodes.keys()];
  }

  async write(name: string, text: string): Promise<void> {
    try {
      await this.cluster.write(name, text);
      this.acknowledged.push(text);
    } catch (error) {
      // Fenced, and said so: then nothing was promised.
      if (!(error instanceof ReplicationError) || error.code !== "FENCED") throw error;
    }
  }

  /** One operator writes one list after the other, at whatever region can be reached. */
  async change(at: string, names: readonly string[]): Promise<boolean> {
    const all = this.cluster.membership.regions;
    const regions = new Map(names.map((name) => [name, all.get(name)!] as const));
    const version = this.operator.version + 1;
    const next = nextMembership(this.operator, { version, regions });
    try {
      await this.cluster.timers.until(this.cluster.node(at).replication.setMembership(next));
    } catch (error) {
      // It has not heard yet that it is a member again.
      if (!(error instanceof ReplicationError) || error.code !== "MEMBERSHIP_REFUSED") throw error;
      return false;
    }
    this.operator = next;
    return true;
  }
}

const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant("write" as const), name: fc.constantFrom(...NAMES) }) },
  fc.record({
    do: fc.constant("cut" as const),
    a: fc.constantFrom(...NAMES),
    b: fc.constantFrom(...NAMES),
    oneWay: fc.boolean(),
  }),
  fc.record({ do: fc.constant("heal" as const) }),
  fc.record({ do: fc.constant("stop" as const), name: fc.constantFrom(...NAMES) }),
  fc.record({ do: fc.constant("start" as const), name: fc.constantFrom(...NAMES) }),
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("list" as const),
      at: fc.constantFrom(...NAMES),
      names: fc.uniqueArray(fc.constantFrom(...NAMES), { minLength: 1 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant("wait" as const), ms: fc.constantFrom(5, 300, 2_500) }),
  },
);

test.each([
  ["logs alone", false],
  ["the snapshot of a member", true],
])(
  "REP-7 REP-12 whoever comes, goes, is cut off and restarts: nothing acknowledged is lost, nothing is doubled, all converge, by %s",
  async (_, keeps) => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 30, size: "max" }), async (steps) => {
        const deployment = new Deployment(keeps);
        const { cluster } = deployment;
        await using __ = cluster;
        for (const name of NAMES) await deployment.start(name);
        await cluster.timers.advance(100);
        let texts = 0;
        for (const each of steps) {
          const running = deployment.running();
          if (each.do === "write" && running.includes(each.name))
            await deployment.write(each.name, `${(texts += 1)} in ${each.name}`);
          if (each.do === "cut" && each.a !== each.b)
            cluster.network.cut(each.a, each.b, { oneWay: each.oneWay });
          if (each.do === "heal") cluster.network.heal();
          if (each.do === "stop" && running.includes(each.name) && running.length > 1)
            await cluster.stop(each.name);
          if (each.do === "start" && !running.includes(each.name)) await deployment.start(each.name);
          if (each.do === "list" && running.includes(each.at) && deployment.operator.regions.has(each.at))
            await deployment.change(each.at, [...new Set([each.at, ...each.names])]);
          if (each.do === "wait") await cluster.timers.advance(each.ms);
        }
        cluster.network.heal();
        for (const name of NAMES) if (!deployment.running().includes(name)) await deployment.start(name);
        let done = false;
        for (const member of deployment.operator.regions.keys())
          done ||= await deployment.change(member, NAMES);
        expect(done).toBe(true);
        const back = (): boolean =>
          NAMES.every((name) => {
            const { replication, state } = cluster.node(name);
            return (
              replication.membership.version === deployment.operator.version &&
              replication.fence.stage === "open" &&
              state.texts().length === deployment.acknowledged.length
            );
          });
        for (let turn = 0; turn < 60 && !back(); turn++) await cluster.timers.advance(1_000);
        for (const name of NAMES) {
          const { replication, state } = cluster.node(name);
          expect([name, replication.fence.stage, replication.membership.version]).toEqual([
            name,
            "open",
            deployment.operator.version,
          ]);
          expect([name, state.texts()]).toEqual([name, deployment.acknowledged.toSorted()]);
        }
        // And the cluster works: what is written now is stable.
        const { log, lsn } = await cluster.writeOne("a", "at last");
        await cluster.timers.advance(3_000);
        expect(cluster.node("a").replication.frontier().covers(log, lsn)).toBe(true);
      }),
      { numRuns: 25 },
    );
  },
  60_000,
);
