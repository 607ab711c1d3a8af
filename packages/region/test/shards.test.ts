import { parseLogId, type LogId } from "@tidemark/core";
import { createBlake3Hasher } from "@tidemark/blake3-wasm";
import { ShardRouter, slotOf } from "@tidemark/replication";
import { slotOfSessionId } from "@tidemark/session";
import fc from "fast-check";
import { expect, test } from "vitest";
import type { Region } from "../src/index.ts";
import { openRegion } from "../src/index.ts";
import { SlotMap } from "../src/slot-map.ts";
import { Cluster, loneOptions } from "./cluster.ts";

const hasher = createBlake3Hasher();

async function sharded(shards: number, ...names: string[]): Promise<Cluster> {
  const cluster = new Cluster(names);
  await cluster.open(names[0]!, { bootstrap: true, shards });
  // The others learn the number from the cluster.
  for (const name of names.slice(1)) await cluster.open(name);
  await Promise.all(names.map((name) => cluster.region(name).ready({ timeoutMs: 5_000 })));
  return cluster;
}

/** The logs a region holds records of. */
function logsOf(region: Region): LogId[] {
  return Object.keys(region.certificate().vector).map((text) => parseLogId(text)!);
}

/** A user of each shard. */
function userOf(shard: number, shards: number): string {
  const router = ShardRouter.hash(shards);
  for (let count = 0; ; count++) {
    const user = `user-${count}`;
    if (router.shardOf(slotOf(hasher, user)) === shard) return user;
  }
}

test("REP-8 a user and all their sessions share a slot, and a minted id names it", () => {
  fc.assert(
    fc.property(
      fc.string({ minLength: 1 }),
      fc.uint8Array({ minLength: 16, maxLength: 16 }),
      fc.integer({ min: 1, max: 64 }),
      (user, random, shards) => {
        const list = { version: 1, regions: new Map(), seed: new Uint8Array(16), shards };
        const slots = new SlotMap(() => list, hasher);
        const id = slots.mint(user, random);
        expect(slotOfSessionId(id)).toBe(slotOf(hasher, user));
        expect(slots.shardOfSession(id, undefined)).toBe(slots.shardOfUser(user));
        expect(slots.shardOfSession("the caller's own id", user)).toBe(slots.shardOfUser(user));
      },
    ),
  );
});

test("REP-8 each user's operations are in the logs of one shard, and roam, count once and converge as without", async () => {
  await using cluster = await sharded(4, "us-east", "eu-west");
  const [east, west] = [cluster.region("us-east"), cluster.region("eu-west")];
  for (let shard = 0; shard < 4; shard++) {
    const user = userOf(shard, 4);
    const session = await east.sessions.start({ user, agent: "scout" });
    const own = await east.sessions.start({ user, agent: "scout", id: `own-${shard}` });
    await session.signal("book", "save", 1, { operationId: "once" });
    await own.hide("book-9");
    const there = await west.sessions.resume(session.id, { cursor: session.cursor() });
    await there.signal("book", "save", 1, { operationId: "once", eventTimeMs: 1 });
    await there.annotate("from here");
    const back = await east.users.resume(user, { ticket: there.ticket() });
    expect(back.hidden()).toEqual(["book-9"]);
    expect((await back.session(session.id)).state().annotations).toHaveLength(1);

    const shards = new Set(
      [...there.progress("us-east").logs, ...own.progress("eu-west").logs].map(({ log }) => log.shard),
    );
    expect([...shards]).toEqual([shard]);
  }
  await cluster.converged();
  expect(east.certificate()).toEqual(west.certificate());
  expect(new Set(logsOf(east).map(({ shard }) => shard)).size).toBe(4);
  expect(new Set(logsOf(east).map(({ region, epoch }) => `${region} ${epoch}`)).size).toBe(
    logsOf(east).length,
  );
});

test("REP-8 a roam while cut hands the tail in under the user's shard, also where the session is new", async () => {
  await using cluster = await sharded(8, "us-east", "eu-west");
  const [east, west] = [cluster.region("us-east"), cluster.region("eu-west")];
  await (await east.sessions.start({ user: "somebody", agent: "scout" })).hide("elsewhere");
  await cluster.converged();
  cluster.network.cut("us-east", "eu-west");
  const user = userOf(5, 8);
  const session = await east.sessions.start({ user, agent: "scout", id: "mine" });
  await session.hide("book");
  const there = await west.users.resume(user, { ticket: session.ticket(), timeoutMs: 50 });
  expect(there.hidden()).toEqual(["book"]);
  const relayed = logsOf(west).filter(({ region }) => region === west.id);
  expect(relayed.map(({ shard }) => shard)).toEqual([5]);
  cluster.network.heal();
  await cluster.converged();
  expect(east.certificate()).toEqual(west.certificate());
  expect(west.health().duplicatesBy.operations).toBeGreaterThan(0);
});

test("REP-8 several shards survive a restart and a crash, from the checkpoint and from the logs", async () => {
  await using cluster = await sharded(3, "us-east", "eu-west");
  const users = [0, 1, 2].map((shard) => userOf(shard, 3));
  for (const user of users)
    await (await cluster.region("us-east").sessions.start({ user, agent: "a", id: user })).hide("x");
  await cluster.converged();
  await cluster.close("us-east");
  const reopened = await cluster.open("us-east", { shards: 3 });
  await reopened.ready();
  for (const user of users) await reopened.sessions.get(user)!.hide("y");
  await cluster.kill("us-east");
  const again = await cluster.open("us-east");
  await again.ready();
  for (const user of users) expect(again.users.get(user).hidden()).toEqual(["x", "y"]);
  await cluster.converged();
  expect(again.certificate()).toEqual(cluster.region("eu-west").certificate());
});

test("REP-8 another number of shards than a directory or its cluster has is refused with both", async () => {
  await using cluster = await sharded(2, "us-east", "eu-west");
  await cluster.close("us-east");
  await expect(cluster.open("us-east", { shards: 3 })).rejects.toMatchObject({
    code: "SHARDS_MISMATCH",
    message: expect.stringMatching(/3 shards.*2/),
  });
  await (await cluster.open("us-east", { shards: 2 })).ready();

  await cluster.close("eu-west");
  cluster.replaceDisk("eu-west", loneOptions().fs);
  const joiner = await cluster.open("eu-west", { shards: 4 });
  await expect(joiner.ready()).rejects.toMatchObject({ code: "SHARDS_MISMATCH" });
  expect(joiner.health().reasons.join()).toContain("SHARDS_MISMATCH");

  for (const shards of [0, 1.5, 4_097]) {
    await expect(openRegion({ dir: "alone", shards }, loneOptions())).rejects.toThrow(RangeError);
  }
});

test("REP-8 slots move to another number of shards while regions run: state, digests and cursors stay as they are", async () => {
  await using cluster = await sharded(1, "us-east", "eu-west");
  const [east, west] = [cluster.region("us-east"), cluster.region("eu-west")];
  const users = [0, 1, 2, 3].map((shard) => userOf(shard, 4));
  const sessions = [];
  for (const user of users) {
    const session = await east.sessions.start({ user, agent: "scout" });
    await session.hide("before");
    sessions.push(session);
  }
  await cluster.converged();
  const { digest } = east.certificate();
  cluster.network.cut("us-east", "eu-west");
  for (const session of sessions) await session.annotate("only here");
  const cursors = sessions.map((session) => session.cursor());

  await east.moveSlots(4);
  expect(east.members().shards).toBe(4);
  for (const session of sessions) await session.hide("after");
  const after = sessions.map((session) => session.cursor());
  expect(new Set(logsOf(east).map(({ shard }) => shard)).size).toBe(4);
  expect(west.members().shards).toBe(1);

  cluster.network.heal();
  for (const [at, session] of sessions.entries()) {
    // What a cursor of before the move names is in the old log, and what one of after it names in both.
    expect(
      (await west.sessions.resume(session.id, { cursor: cursors[at]! })).state().annotations,
    ).toHaveLength(1);
    const there = await west.sessions.resume(session.id, { cursor: after[at]! });
    expect(there.user.hidden()).toEqual(["after", "before"]);
    await there.annotate("there, by the new map", { ack: "all" });
  }
  await cluster.converged();
  expect(west.members()).toEqual(east.members());
  expect(east.certificate()).toEqual(west.certificate());
  expect(digest).not.toBe(east.certificate().digest);
  expect(
    new Set(
      logsOf(west)
        .filter(({ region }) => region === west.id)
        .map(({ shard }) => shard),
    ).size,
  ).toBe(4);

  // Fewer again, and both restarted: the wrong number is refused, the right one opens, and nothing is lost.
  await west.moveSlots(2);
  await cluster.converged();
  const last = east.certificate().digest;
  for (const name of ["us-east", "eu-west"]) await cluster.close(name);
  await expect(cluster.open("us-east", { shards: 4 })).rejects.toMatchObject({ code: "SHARDS_MISMATCH" });
  const reopened = await cluster.open("us-east", { shards: 2 });
  const other = await cluster.open("eu-west");
  await Promise.all([reopened.ready(), other.ready()]);
  expect(reopened.certificate().digest).toBe(last);
  await reopened.sessions.get(sessions[3]!.id)!.hide("again");
  await cluster.converged();
  expect(other.users.get(users[3]!).hidden()).toEqual(["after", "again", "before"]);
});

test("REP-8 a region alone moves its slots too, and keeps them as the first of a cluster", async () => {
  const platform = loneOptions();
  const alone = await openRegion({ dir: "alone" }, platform);
  const session = await alone.sessions.start({ user: userOf(2, 3), agent: "scout" });
  await session.hide("before");
  await alone.moveSlots(3);
  await session.hide("after");
  await expect(alone.moveSlots(0)).rejects.toThrow(RangeError);
  await alone.close();

  await expect(openRegion({ dir: "alone", shards: 1 }, platform)).rejects.toMatchObject({
    code: "SHARDS_MISMATCH",
  });
  const again = await openRegion({ dir: "alone", shards: 3 }, platform);
  expect(again.users.get(userOf(2, 3)).hidden()).toEqual(["after", "before"]);
  expect(
    logsOf(again)
      .map(({ shard }) => shard)
      .toSorted(),
  ).toEqual([0, 2]);
  await again.close();
});
