import { type Kv, KvError } from "@tidemark/kv";
import { interruptingKv } from "@tidemark/kv-conformance";
import fc from "fast-check";
import { expect, test } from "vitest";
import { leaseFence, type LeaseRecord, type ReplicatedSession, type WorkClaim } from "../src/index.ts";
import { commitTurn, ReplicatedWorld } from "./replicated-world.ts";

const TTL_MS = 30_000;

async function begun(names: readonly string[] = ["us-east", "eu-west"]): Promise<ReplicatedWorld> {
  const world = new ReplicatedWorld(names);
  await (await world.open(names[0]!)).create({ id: "s", model: "one" });
  await world.converge();
  return world;
}

async function claim(session: ReplicatedSession, owner: string): Promise<LeaseRecord> {
  const lease = await session.lease.claim({ owner, ttlMs: TTL_MS });
  if (lease === undefined) throw new Error(`${owner} did not get the lease`);
  return lease;
}

async function claimWork(session: ReplicatedSession, lease: LeaseRecord): Promise<WorkClaim | undefined> {
  return session.work.claim({ fence: leaseFence(lease), boundary: "idle", max: 1 });
}

test("RUN-12 a worker in another region takes the lease in the middle of the queue and goes on; every region holds the same bytes", async () => {
  const world = await begun();
  const east = await world.session("us-east");
  const west = await world.session("eu-west");
  for (const input of ["one", "two", "three"])
    await east.work.enqueue({ items: [{ payload: input }], sourceKey: input });
  const first = await claim(east, "east");
  const work = (await claimWork(east, first))!;
  expect(work.batches[0]!.items[0]!.payload).toBe("one");
  await commitTurn(east, first, "t1", { claims: [work], release: true });
  world.network.deliverAll();

  const second = await claim(west, "west");
  expect(second.generation).toBe(2);
  const rest = (await claimWork(west, second))!;
  expect(rest.batches[0]!.items[0]!.payload).toBe("two");
  expect(await commitTurn(west, second, "t2", { claims: [rest] })).toMatchObject({
    outcome: "committed",
    revision: 2,
  });
  await world.converge();
  expect(await world.dump("eu-west")).toEqual(await world.dump("us-east"));
  for (const name of world.names) {
    const open = await (await world.session(name)).work.list();
    expect(open.map(({ items }) => items[0]!.payload)).toEqual(["three"]);
    const { stores } = await world.open(name);
    expect(await (await stores.open("s"))!.headMeta()).toMatchObject({
      revision: 2,
      leaf: "node t2",
      nodeCount: 2,
    });
  }
});

test("RUN-12 C-51 the late commit of a worker whose lease went to another region is refused and changes nothing, anywhere", async () => {
  const world = await begun();
  const east = await world.session("us-east");
  const west = await world.session("eu-west");
  const late = await claim(east, "east");
  world.nowMs += TTL_MS;
  const lease = await claim(west, "west");
  await commitTurn(west, lease, "t1");
  // Its own clock stood still: it still believes that it holds the lease.
  world.nowMs -= TTL_MS;
  const before = await world.dump("us-east");
  await expect(commitTurn(east, late, "t-late")).rejects.toMatchObject({ code: "LEASE_EXPIRED" });
  expect(await world.dump("us-east")).toEqual(before);
  await expect(commitTurn(east, late, "t-late")).rejects.toMatchObject({ code: "LEASE_EXPIRED" });
  await commitTurn(west, lease, "t2");
  await world.converge();
  expect(await world.dump("us-east")).toEqual(await world.dump("eu-west"));
  const head = await (await (await world.open("us-east")).stores.open("s"))!.load();
  expect(head!.graph.nodes.map(({ id }) => id)).toEqual(["node t1", "node t2"]);
});

test("RUN-12 who cannot see what is committed does not get to work: a typed refusal with both revisions, and the lease is free again", async () => {
  const world = await begun();
  const east = await world.session("us-east");
  const west = await world.session("eu-west");
  const lease = await claim(east, "east");
  await commitTurn(east, lease, "t1", { release: true });
  const claiming = west.lease.claim({ owner: "west", ttlMs: TTL_MS });
  let over = false;
  const ended = (): void => void (over = true);
  claiming.then(ended, ended);
  await expect.poll(() => (world.endWaits(), over)).toBe(true);
  await expect(claiming).rejects.toMatchObject({
    code: "NOT_YET_VISIBLE",
    expected: 1,
    actual: 0,
    retryable: true,
  });

  // It is waited for, not asked for again and again.
  const again = west.lease.claim({ owner: "west", ttlMs: TTL_MS });
  await expect
    .poll(async () => (await east.lease.claim({ owner: "probe", ttlMs: TTL_MS })) === undefined)
    .toBe(true);
  world.network.deliverAll();
  expect(await again).toMatchObject({ owner: "west" });
  await expect(commitTurn(west, (await again)!, "t2")).resolves.toMatchObject({ revision: 2 });
});

test("RUN-12 work with a source key is one batch, whichever regions it was queued in, and what is answered stays answered", async () => {
  const world = await begun(["us-east", "eu-west", "ap-south"]);
  const [east, west, south] = await Promise.all(world.names.map((name) => world.session(name)));
  const draft = { items: [{ payload: "hello" }], sourceKey: "message-1" };
  const one = await east!.work.enqueue(draft);
  const other = await west!.work.enqueue(draft);
  expect(other.batch.id).toBe(one.batch.id);
  await expect(east!.work.enqueue({ ...draft, items: [{ payload: "else" }] })).rejects.toMatchObject({
    code: "SOURCE_CONFLICT",
  });
  // What is answered in one region was queued in another, and the third hears of the answer first.
  const question = { items: [{ payload: "and?" }], sourceKey: "message-2" };
  await west!.work.enqueue(question);
  world.network.deliver("eu-west", "us-east");
  const lease = await claim(east!, "east");
  for (const name of ["t1", "t2"])
    await commitTurn(east!, lease, name, { claims: [(await claimWork(east!, lease))!] });
  world.network.deliver("us-east", "ap-south");
  await south!.sync({ ask: true });
  expect(await south!.work.list()).toEqual([]);
  await world.converge();
  for (const session of [east, west, south]) {
    expect(await session!.work.list()).toEqual([]);
    expect(await session!.work.enqueue(draft)).toMatchObject({ enqueued: false });
  }
  expect(await south!.work.find(one.batch.id)).toMatchObject({ state: "completed" });
});

test("RUN-12 cancelled work is cancelled in every region; only the holder of the lease cancels", async () => {
  const world = await begun();
  const east = await world.session("us-east");
  const { batch } = await east.work.enqueue({ items: [{ payload: "hello" }] });
  const lease = await claim(east, "east");
  expect(await east.work.cancel(leaseFence(lease), [batch.id, "nothing"])).toEqual([
    { id: batch.id, outcome: "cancelled" },
    { id: "nothing", outcome: "not-found" },
  ]);
  await world.converge();
  expect(await (await world.session("eu-west")).work.find(batch.id)).toMatchObject({ state: "cancelled" });
  await east.lease.release(leaseFence(lease));
  await expect(east.work.cancel(leaseFence(lease), [batch.id])).rejects.toMatchObject({
    code: "LEASE_EXPIRED",
  });
});

test("RUN-12 a turn that was committed when its store failed is answered with its result, under the same lease", async () => {
  const world = await begun();
  const stored = world.stores.get("us-east")!;
  const lease = await claim(await world.session("us-east"), "east");
  let failed = 0;
  for (let at = 1; ; at++) {
    const kv = interruptingKv(stored, { at, when: "before" });
    const session = await (await world.open("us-east", { kv })).open("s").catch(() => undefined);
    if (session === undefined) continue;
    const once = await commitTurn(session, lease, `t${at}`).catch(() => undefined);
    if (!kv.interrupted) break;
    if (once !== undefined) continue;
    failed += 1;
    // Another handle, as after a restart, has only the store and the register to go by.
    world.nowMs += 1;
    const restarted = await world.session("us-east");
    const { revision } = await commitTurn(restarted, lease, `t${at}`);
    expect(revision).toBe((await restarted.sync({ ask: true })).revision);
    expect(await commitTurn(session, lease, `t${at}`)).toMatchObject({ outcome: "replayed", revision });
  }
  expect(failed).toBeGreaterThan(3);
});

test("RUN-12 an authority whose answers are lost is asked again, not given up", async () => {
  const world = await begun();
  let lost = 0;
  let calls = 0;
  const authority: Kv = {
    capabilities: world.authority.capabilities,
    nowMs: () => world.authority.nowMs(),
    get: (...given) => world.authority.get(...given),
    scan: (...given) => world.authority.scan(...given),
    close: () => world.authority.close(),
    [Symbol.asyncDispose]: () => world.authority.close(),
    commit: async (...given) => {
      const result = await world.authority.commit(...given);
      if (calls++ % 2 === 1) return result;
      lost += 1;
      throw new KvError("KV_UNAVAILABLE", "The answer was lost", { committed: "unknown" });
    },
  };
  const session = (await (await world.open("us-east", { authority })).open("s"))!;
  const lease = await claim(session, "east");
  expect(await commitTurn(session, lease, "t1")).toMatchObject({ outcome: "committed", revision: 1 });
  expect(await commitTurn(session, lease, "t2", { release: true })).toMatchObject({ revision: 2 });
  expect(
    await claim(await world.session("eu-west").then((west) => (world.network.deliverAll(), west)), "west"),
  ).toMatchObject({
    generation: 2,
  });
  expect(lost).toBeGreaterThan(1);
});

test("RUN-12 whichever call of a turn fails, before or after it took effect, the turn is committed once and its work done once", async () => {
  let runs = 0;
  for (const target of ["authority", "kv"] as const) {
    for (const when of ["before", "after"] as const) {
      for (let at = 1; ; at++) {
        const world = await begun();
        const { batch } = await (
          await world.session("us-east")
        ).work.enqueue({ items: [{ payload: "hello" }] });
        const kv = interruptingKv(target === "kv" ? world.stores.get("us-east")! : world.authority, {
          at,
          when,
        });
        const attempt = async (options: { kv?: typeof kv; authority?: typeof kv }): Promise<void> => {
          const session = (await (await world.open("us-east", options)).open("s"))!;
          const lease = await claim(session, "east");
          const [held] = await session.work.held(leaseFence(lease));
          const work = held ?? (await claimWork(session, lease));
          await commitTurn(session, lease, "t1", { claims: work === undefined ? [] : [work], release: true });
        };
        const first = await attempt({ [target]: kv }).then(
          () => undefined,
          (error: unknown) => error,
        );
        if (!kv.interrupted) break;
        runs += 1;
        if (first !== undefined) {
          // The process is gone, and its lease with time. The turn's content is what it was, if it is not known to be committed.
          world.nowMs += TTL_MS;
          const session = await world.session("us-east");
          const known =
            (await (await (await world.open("us-east")).stores.open("s"))!.headMeta())?.revision ?? 0;
          if (known === 0)
            await attempt({}).catch((error: { code: string }) =>
              expect(error.code).toBe("TURN_COMMIT_CONFLICT"),
            );
          await session.sync();
        }
        await world.converge();
        expect(await world.dump("eu-west")).toEqual(await world.dump("us-east"));
        for (const name of world.names) {
          const session = await world.session(name);
          expect(await session.work.find(batch.id)).toMatchObject({ state: "completed" });
          expect(await (await (await world.open(name)).stores.open("s"))!.headMeta()).toMatchObject({
            revision: 1,
          });
        }
      }
    }
  }
  expect(runs).toBeGreaterThan(30);
});

type Step =
  | { readonly do: "claim" | "enqueue" | "commit" | "restart" | "release"; readonly region: number }
  | { readonly do: "deliver"; readonly from: number; readonly to: number; readonly count: number }
  | { readonly do: "time" };

const region = fc.nat({ max: 2 });
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constantFrom(
        "claim" as const,
        "enqueue" as const,
        "commit" as const,
        "restart" as const,
        "release" as const,
      ),
      region,
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant("deliver" as const),
      from: region,
      to: region,
      count: fc.nat({ max: 6 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("time" as const) }) },
);

test("RUN-12 whatever workers, leases and networks do, acknowledged turns are in every region in one order, and no work is done twice", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
      const world = await begun(["us-east", "eu-west", "ap-south"]);
      const names = world.names;
      const sessions = await Promise.all(names.map((name) => world.session(name)));
      const leases: (LeaseRecord | undefined)[] = [];
      const acknowledged: { name: string; revision: number }[] = [];
      const answered: string[] = [];
      const queued: string[] = [];
      let count = 0;
      for (const one of steps) {
        if (one.do === "deliver") world.network.deliver(names[one.from]!, names[one.to]!, one.count);
        else if (one.do === "time") world.nowMs += TTL_MS;
        else if (one.do === "restart") sessions[one.region] = await world.session(names[one.region]!);
        else if (one.do === "enqueue") {
          const { batch } = await sessions[one.region]!.work.enqueue({ items: [{ payload: count++ }] });
          queued.push(batch.id);
        } else if (one.do === "release") {
          const lease = leases[one.region];
          if (lease !== undefined) await sessions[one.region]!.lease.release(leaseFence(lease));
        } else if (one.do === "claim") {
          const claiming = sessions[one.region]!.lease.claim({ owner: names[one.region]!, ttlMs: TTL_MS });
          const settled = claiming.then(
            (lease) => ({ lease }),
            (error: { code: string }) => ({ error }),
          );
          let result: Awaited<typeof settled> | undefined;
          void settled.then((value) => (result = value));
          while (result === undefined) {
            await new Promise((resolve) => setImmediate(resolve));
            world.endWaits();
          }
          if ("error" in result) expect(result.error.code).toBe("NOT_YET_VISIBLE");
          else leases[one.region] = result.lease ?? leases[one.region];
        } else {
          const lease = leases[one.region];
          if (lease === undefined) continue;
          const name = `t${count++}`;
          try {
            const work = await claimWork(sessions[one.region]!, lease);
            const claims = work === undefined ? [] : [work];
            const { revision } = await commitTurn(sessions[one.region]!, lease, name, { claims });
            acknowledged.push({ name, revision });
            answered.push(...claims.flatMap(({ batches }) => batches.map(({ id }) => id)));
          } catch (error) {
            expect((error as { code: string }).code).toBe("LEASE_EXPIRED");
          }
        }
      }
      await world.converge();
      const dumps = await Promise.all(names.map((name) => world.dump(name)));
      for (const dump of dumps) expect(dump).toEqual(dumps[0]);
      expect(acknowledged.map(({ revision }) => revision)).toEqual(acknowledged.map((_, at) => at + 1));
      expect(new Set(answered).size).toBe(answered.length);
      for (const name of names) {
        const store = (await (await world.open(name)).stores.open("s"))!;
        const nodes = (await store.load())?.graph.nodes ?? [];
        expect(nodes.map(({ id }) => id)).toEqual(acknowledged.map((turn) => `node ${turn.name}`));
        const open = await (await world.session(name)).work.list();
        expect(new Set(open.map(({ id }) => id))).toEqual(
          new Set(queued.filter((id) => !answered.includes(id))),
        );
      }
    }),
    { numRuns: 60 },
  );
});
