import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Kv } from "@tidemark/kv";
import { openLmdbKv } from "@tidemark/kv-lmdb";
import { openNatsKv } from "@tidemark/kv-nats";
import { openRedisKv } from "@tidemark/kv-redis";
import { startNats, startRedis } from "@tidemark/servers";
import {
  leaseFence,
  type LeaseRecord,
  type LeaseTimers,
  openReplicatedSessions,
  regionJournal,
  type ReplicatedSession,
  type ReplicatedSessions,
  workCompletion,
} from "@tidemark/session-store";
import { afterEach, expect, test } from "vitest";
import { hasServer } from "./has-server.ts";
import { NAMES, type Name, SwitchedCluster } from "./switched-cluster.ts";

const timers: LeaseTimers = {
  now: () => performance.now(),
  setTimer(ms, run) {
    const timer = setTimeout(run, ms);
    return () => clearTimeout(timer);
  },
};

const opened: (() => Promise<unknown> | void)[] = [];
afterEach(async () => {
  for (const close of opened.splice(0).reverse()) await close();
});

/** A medium that joins the regions, and the store of the same kind that all of them reach. */
interface Place {
  readonly medium: "inprocess" | "nats" | "redis";
  readonly url: string;
  openAuthority(): Promise<Kv>;
}

async function place(medium: Place["medium"], dir: string): Promise<Place> {
  if (medium === "inprocess")
    return { medium, url: "", openAuthority: () => openLmdbKv({ dir: join(dir, "authority") }) };
  const server = await (medium === "nats" ? startNats() : startRedis());
  opened.push(() => server.remove());
  const { url } = server;
  const openAuthority = (): Promise<Kv> =>
    medium === "nats"
      ? openNatsKv({ connection: url, provision: "create" })
      : openRedisKv({ connection: url });
  return { medium, url, openAuthority };
}

/** The sessions of one region, over its region and a store of its own. */
async function openSessions(
  cluster: SwitchedCluster,
  name: Name,
  dir: string,
  authority: Kv,
): Promise<ReplicatedSessions> {
  const kv = await openLmdbKv({ dir: join(dir, name) });
  opened.push(() => kv.close());
  const journal = regionJournal(cluster.region(name), { user: "ada" });
  return openReplicatedSessions({ kv, authority, journal, timers, requireDurable: "disk" });
}

/** Answers the next question of the queue in a turn of its own. */
async function answer(
  session: ReplicatedSession,
  lease: LeaseRecord,
  release: boolean = false,
): Promise<string> {
  const fence = leaseFence(lease);
  const work = (await session.work.claim({ fence, boundary: "idle", max: 1 }))!;
  const question = work.batches[0]!.items[0]!.payload as string;
  await session.commit({
    session: session.id,
    expected: "any",
    lease: fence,
    release,
    config: { provider: "scripted", model: "one" },
    graph: {
      type: "append",
      nodes: [{ id: question, timestamp: 0, payload: { answered: question } }],
      leaf: question,
    },
    turn: { session: session.id, turn: `turn ${question}` },
    completed: [workCompletion(work)],
  });
  return question;
}

for (const [how, medium] of [
  ["in process, with an embedded authority", "inprocess"],
  ["over NATS, with NATS KV as authority", "nats"],
  ["over Redis, with Redis as authority", "redis"],
] as const) {
  const usable = medium === "inprocess" || (await hasServer(medium));
  test.skipIf(!usable)(
    `RUN-12 an agent is sent to another region in the middle of its queue, and its late commit is refused, ${how}`,
    { timeout: 60_000 },
    async () => {
      const dir = mkdtempSync(join(tmpdir(), "tidemark-agent-"));
      opened.push(() => rmSync(dir, { recursive: true, force: true }));
      const { url, openAuthority } = await place(medium, dir);
      await using cluster = new SwitchedCluster({ urlOf: () => url, prefix: "agent" });
      await cluster.moveAll(medium);
      const authority = await openAuthority();
      opened.push(() => authority.close());
      const [us, eu] = await Promise.all(NAMES.map((name) => openSessions(cluster, name, dir, authority)));
      const east = await us!.create({ id: "trip", model: "one" });
      for (const question of ["one", "two", "three"])
        await east.work.enqueue({ items: [{ payload: question }], sourceKey: question });
      const first = (await east.lease.claim({ owner: "us" }))!;
      expect(await answer(east, first)).toBe("one");
      // It holds a question when its time is up.
      await east.work.claim({ fence: leaseFence(first), boundary: "idle", max: 1 });
      await cluster.converged();
      const west = (await eu!.open("trip"))!;
      expect(await west.lease.claim({ owner: "eu" })).toBeUndefined();
      await east.lease.release(leaseFence(first));
      const second = (await west.lease.claim({ owner: "eu" }))!;
      expect(second.generation).toBe(2);
      await west.work.enqueue({ items: [{ payload: "two" }], sourceKey: "two" });
      expect(await answer(west, second)).toBe("two");
      await expect(answer(east, first)).rejects.toMatchObject({ code: "LEASE_EXPIRED" });
      expect(await answer(west, second, true)).toBe("three");

      await cluster.converged();
      for (const sessions of [us!, eu!]) {
        const session = (await sessions.open("trip"))!;
        expect(await session.sync({ ask: true })).toMatchObject({ revision: 3 });
        expect(await session.work.list()).toEqual([]);
        const head = await (await sessions.stores.open("trip"))!.load();
        expect(head!.graph.nodes.map(({ id }) => id)).toEqual(["one", "two", "three"]);
      }
    },
  );
}
