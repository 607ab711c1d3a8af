import { inspect } from "node:util";
import { clusterIdOf } from "@tidemark/replication";
import { encodeCursor, encodeTicket } from "@tidemark/session";
import { expect, test } from "vitest";
import { RegionError, REGION_DEFAULTS } from "../src/index.ts";
import type { Session } from "../src/index.ts";
import { Cluster } from "./cluster.ts";

async function cutAfterStart(cluster: Cluster): Promise<Session> {
  const session = await cluster.region("us-east").sessions.start({ user: "ada", agent: "scout" });
  await cluster.converged();
  cluster.network.cut("us-east", "eu-west");
  return session;
}

test("SES-12 a cursor shows nothing when printed, is its token in JSON, and is taken as text", async () => {
  await using cluster = await Cluster.of("us-east", "eu-west");
  const session = await cluster
    .region("us-east")
    .sessions.start({ id: "a:b:1", user: "ada", agent: "scout" });
  for (const token of [session.cursor(), session.ticket()]) {
    expect(inspect(token)).toMatch(/^(Cursor|Ticket) \{\}$/);
    expect(JSON.parse(JSON.stringify({ token }))).toEqual({ token: token.toString() });
  }
  const west = cluster.region("eu-west");
  expect((await west.sessions.resume("a:b:1", { cursor: session.cursor().toString() })).state().user).toBe(
    "ada",
  );
  await expect(west.sessions.resume("a:b:2", { cursor: session.cursor() })).rejects.toMatchObject({
    code: "CURSOR_WRONG_SESSION",
  });
});

test("SES-12 a cursor covers a session and its user: other users' records delay no resume, the user's other session does", async () => {
  await using cluster = await Cluster.of("us-east", "eu-west");
  const east = cluster.region("us-east");
  const session = await east.sessions.start({ user: "ada", agent: "scout" });
  const second = await east.sessions.start({ user: "ada", agent: "scout" });
  const bob = await east.sessions.start({ user: "bob", agent: "scout" });
  await cluster.converged();
  cluster.network.cut("us-east", "eu-west");
  for (let count = 0; count < 10; count++) await bob.signal("noise", "view", 1);
  const west = cluster.region("eu-west");
  await west.sessions.resume(session.id, { cursor: session.cursor(), timeoutMs: 0 });
  await second.hide("book");
  await expect(
    west.sessions.resume(session.id, { cursor: session.cursor(), timeoutMs: 0 }),
  ).rejects.toMatchObject({
    code: "NOT_YET_VISIBLE",
  });
});

test("SES-13 a resume ends when what it waits for arrives, at the deadline, or by its signal", async () => {
  await using cluster = await Cluster.of("us-east", "eu-west");
  const session = await cutAfterStart(cluster);
  await session.annotate("late");
  const west = cluster.region("eu-west");
  const cursor = session.cursor();
  const late = await west.sessions
    .resume(session.id, { cursor, timeoutMs: 5 })
    .catch((error: unknown) => error);
  expect(late).toMatchObject({ name: "RegionError", code: "NOT_YET_VISIBLE", retryable: true });
  const [missing] = (late as RegionError).missing;
  expect(missing).toMatchObject({ region: 1 });
  expect(missing!.reached).toBe(missing!.lsn - 1);
  const aborted = new AbortController();
  const given = west.sessions.resume(session.id, { cursor, timeoutMs: 60_000, signal: aborted.signal });
  aborted.abort(new Error("enough"));
  await expect(given).rejects.toThrow("enough");
  await expect(west.sessions.resume(session.id, { cursor, signal: aborted.signal })).rejects.toThrow(
    "enough",
  );
  const waiting = west.sessions.resume(session.id, { cursor, timeoutMs: 60_000 });
  cluster.network.heal();
  expect((await waiting).state().annotations).toEqual([{ text: "late" }]);
  expect(west.metrics().waiting).toBe(0);
});

test("SES-13 scenario 30: more of this region's own log than it has is refused at once, and so is a region that never was a member", async () => {
  await using cluster = await Cluster.of("us-east", "eu-west");
  const east = cluster.region("us-east");
  const session = await east.sessions.start({ user: "ada", agent: "scout" });
  const { hasher } = cluster.platform("us-east");
  const disk = cluster.disk("us-east");
  const { seed } = JSON.parse(new TextDecoder().decode(await disk.readFile("data/region.json"))) as {
    seed: string;
  };
  const clusterId = clusterIdOf(hasher, Buffer.from(seed, "hex"));
  const { log, lsn } = session.progress("eu-west").logs[0]!;
  const cursorOf = (region: number, entryLsn: number): string =>
    encodeCursor({
      session: session.id,
      entries: [{ region, epoch: log.epoch, lsn: entryLsn }],
      clusterId,
      hasher,
      key: { id: 1, key: cluster.network.clusterKey },
    });
  await east.sessions.resume(session.id, { cursor: cursorOf(1, lsn), timeoutMs: 0 });
  for (const cursor of [cursorOf(1, lsn + 1), cursorOf(9, 1)]) {
    const refused = east.sessions.resume(session.id, { cursor, timeoutMs: 5_000 });
    await expect(refused).rejects.toMatchObject({ name: "RegionError", code: "POSITION_UNKNOWN" });
  }
});

test("SES-13 what a disk has lost and no member holds is POSITION_LOST in every region, once all have said so", async () => {
  await using cluster = await Cluster.of("us-east", "eu-west");
  const session = await cutAfterStart(cluster);
  const known = session.progress("eu-west").logs[0]!;
  await session.annotate("lost");
  const cursor = session.cursor();
  await cluster.kill("us-east");
  const disk = cluster.disk("us-east");
  const [segment] = (await disk.list("data/sessions")).filter((name) => name.startsWith("r00001"));
  const bytes = (await disk.readFile(`data/sessions/${segment}`))!;
  disk.flipBit(
    `data/sessions/${segment}`,
    bytes.findLastIndex((byte) => byte !== 0),
    0,
  );
  cluster.network.heal();
  const east = await cluster.open("us-east");
  const west = cluster.region("eu-west");
  await east.ready({ timeoutMs: 5_000 });
  const waiting = west.sessions
    .resume(session.id, { cursor, timeoutMs: 30_000 })
    .catch((error: unknown) => error);
  // The next write opens a new epoch: from then on it is known that nobody will ever have the lost one.
  await east.sessions.get(session.id)!.annotate("kept");
  await cluster.converged();
  const again = await east.sessions
    .resume(session.id, { cursor, timeoutMs: 30_000 })
    .catch((error: unknown) => error);
  for (const lost of [await waiting, again]) {
    expect(lost).toMatchObject({ name: "RegionError", code: "POSITION_LOST", retryable: false });
    expect((lost as RegionError).missing).toEqual([
      { region: 1, epoch: known.log.epoch, lsn: known.lsn + 1, reached: known.lsn },
    ]);
  }
  for (const region of [east, west]) {
    expect(region.sessions.get(session.id)!.state().annotations).toEqual([{ text: "kept" }]);
  }
});

test("SES-13 what every member had is waited for where a disk has lost it again", async () => {
  await using cluster = await Cluster.of("us-east", "eu-west");
  const session = await cluster.region("us-east").sessions.start({ user: "ada", agent: "scout" });
  await session.annotate("held everywhere");
  await session.annotate("held everywhere, too");
  await cluster.converged();
  const cursor = session.cursor();
  cluster.network.cut("us-east", "eu-west");
  await cluster.kill("eu-west");
  const disk = cluster.disk("eu-west");
  const [segment] = (await disk.list("data/sessions")).filter((name) => name.startsWith("r00001"));
  disk.flipBit(`data/sessions/${segment}`, 150, 0);
  for (const name of await disk.list("data"))
    if (name.startsWith("checkpoint-")) await disk.unlink(`data/${name}`);
  const west = await cluster.open("eu-west");
  const [, early] = await Promise.allSettled([
    west.ready({ timeoutMs: 0 }),
    west.sessions.resume(session.id, { cursor, timeoutMs: 5 }),
  ]);
  expect(early).toMatchObject({ reason: { name: "RegionError", code: "NOT_YET_VISIBLE" } });
  cluster.network.heal();
  const there = await west.sessions.resume(session.id, { cursor, timeoutMs: 30_000 });
  expect(there.state().annotations).toEqual([{ text: "held everywhere" }, { text: "held everywhere, too" }]);
});

test("SES-14 a ticket enters a region where the session is new, and any session of the user accepts it", async () => {
  await using cluster = await Cluster.of("us-east", "eu-west");
  cluster.network.cut("us-east", "eu-west");
  const [east, west] = [cluster.region("us-east"), cluster.region("eu-west")];
  const first = await east.sessions.start({ user: "ada", agent: "scout", metadata: { goal: "essays" } });
  const second = await east.sessions.start({ user: "ada", agent: "scout" });
  await second.hide("book");
  const ada = await west.users.resume("ada", { ticket: first.ticket(), timeoutMs: 0 });
  expect(ada.sessions()).toEqual([first.id, second.id].sort());
  expect((await ada.session(first.id)).state().metadata).toEqual({ goal: "essays" });
  expect(ada.hidden()).toEqual(["book"]);
  const third = await ada.session("third", { agent: "scout" });
  await third.annotate("new here");
  // There and back: the ticket of the one region tells the other.
  const back = await east.users.resume("ada", { ticket: ada.ticket(), timeoutMs: 0 });
  expect((await back.session("third")).state().annotations).toEqual([{ text: "new here" }]);
  cluster.network.heal();
  await cluster.converged();
  expect(west.certificate()).toEqual(east.certificate());
  // Once all is stable, a ticket carries nothing.
  expect(east.users.get("ada").ticket().toString().length).toBeLessThan(200);
});

test("SES-14 without a cluster key a ticket's operations are taken on the bearer's word only with trustTickets", async () => {
  const cluster = new Cluster(["us-east", "eu-west"], { signed: false });
  await using _ = cluster;
  await cluster.open("us-east", { bootstrap: true });
  await cluster.open("eu-west");
  for (const name of ["us-east", "eu-west"]) await cluster.region(name).ready({ timeoutMs: 5_000 });
  const session = await cutAfterStart(cluster);
  await session.hide("book");
  const ticket = session.ticket();
  await expect(cluster.region("eu-west").users.resume("ada", { ticket })).rejects.toMatchObject({
    code: "TICKET_UNTRUSTED",
  });
  await cluster.close("eu-west");
  const trusting = await cluster.open("eu-west", { trustTickets: true });
  expect((await trusting.users.resume("ada", { ticket, timeoutMs: 0 })).hidden()).toEqual(["book"]);
});

test("SES-14 a ticket ends after seven days, by the clock of the region that is asked", async () => {
  await using cluster = await Cluster.of("us-east", "eu-west");
  const session = await cluster.region("us-east").sessions.start({ user: "ada", agent: "scout" });
  cluster.freeze("us-east");
  const ticket = session.ticket();
  await cluster.converged();
  const west = cluster.region("eu-west");
  cluster.skewMs.set("eu-west", REGION_DEFAULTS.ticketMs - 60_000);
  await west.users.resume("ada", { ticket });
  cluster.skewMs.set("eu-west", REGION_DEFAULTS.ticketMs + 60_000);
  await expect(west.users.resume("ada", { ticket })).rejects.toMatchObject({ code: "TICKET_EXPIRED" });
});

test("SES-14 a ticket whose tail did not fit says so, and its bearer waits for what the cursor names", async () => {
  await using cluster = await Cluster.of("us-east", "eu-west");
  const session = await cutAfterStart(cluster);
  await session.app("chat", new Uint8Array(REGION_DEFAULTS.ticketBytesMax));
  await session.hide("book");
  const ticket = session.ticket();
  expect(ticket.complete).toBe(false);
  const west = cluster.region("eu-west");
  const refused = await west.users.resume("ada", { ticket, timeoutMs: 5 }).catch((error: unknown) => error);
  expect(refused).toMatchObject({ code: "NOT_YET_VISIBLE" });
  expect((refused as RegionError).missing).toHaveLength(1);
  const waiting = west.users.resume("ada", { ticket, timeoutMs: 60_000 });
  cluster.network.heal();
  expect((await waiting).hidden()).toEqual(["book"]);
});

test("BRG-2 SES-14 a ticket presented again and again, and in two regions, folds once and writes once", async () => {
  await using cluster = await Cluster.of("a", "b", "c");
  const session = await cluster.region("a").sessions.start({ user: "ada", agent: "scout" });
  await cluster.converged();
  for (const [from, to] of [
    ["a", "b"],
    ["a", "c"],
    ["b", "c"],
  ] as const)
    cluster.network.cut(from, to);
  for (let count = 0; count < 5; count++) await session.signal("book", "save", 1);
  const ticket = session.ticket();
  for (const name of ["b", "c", "b"])
    await cluster.region(name).users.resume("ada", { ticket, timeoutMs: 0 });
  const before = cluster.region("b").health().durableLsn.sessions;
  await cluster.region("b").users.resume("ada", { ticket, timeoutMs: 0 });
  expect(cluster.region("b").health().durableLsn.sessions).toBe(before);
  cluster.network.heal();
  await cluster.converged();
  for (const name of ["a", "b", "c"]) {
    const region = cluster.region(name);
    expect(region.sessions.get(session.id)!.state().signals.get("book")?.get("save")?.count).toBe(5);
    expect(region.health().opsApplied).toBe(6);
    // The copies in the logs of b and c, as a sees them.
    expect(region.health().duplicatesBy.operations).toBe(10);
    expect(region.certificate()).toEqual(cluster.region("a").certificate());
  }
});

test("SES-14 an operation inside a ticket that is none is TICKET_MALFORMED", async () => {
  await using cluster = await Cluster.of("us-east");
  const disk = cluster.disk("us-east");
  const { seed } = JSON.parse(new TextDecoder().decode(await disk.readFile("data/region.json"))) as {
    seed: string;
  };
  const { hasher } = cluster.platform("us-east");
  const ticket = encodeTicket({
    user: "ada",
    expiresAtMs: Date.now() + 60_000,
    base: [],
    entries: [],
    ops: [new Uint8Array(20).fill(0xee)],
    clusterId: clusterIdOf(hasher, Buffer.from(seed, "hex")),
    key: { id: 1, key: cluster.network.clusterKey },
    hasher,
  });
  await expect(cluster.region("us-east").users.resume("ada", { ticket })).rejects.toMatchObject({
    code: "TICKET_MALFORMED",
  });
});
