import { expect, test } from "vitest";
import { RegionError } from "../src/index.ts";
import { Cluster } from "./cluster.ts";

/** Two members and a follower, each of which has reached the others. */
async function withFollower(): Promise<Cluster> {
  const cluster = new Cluster(["us-east", "eu-west", "ap-south"]);
  await cluster.open("us-east", { bootstrap: true });
  await cluster.open("eu-west");
  await cluster.open("ap-south", { role: "follower" });
  for (const name of ["us-east", "eu-west", "ap-south"])
    await cluster.region(name).ready({ timeoutMs: 5_000 });
  return cluster;
}

test("REP-10 a follower serves reads, acknowledges, and refuses every write with READ_ONLY", async () => {
  await using cluster = await withFollower();
  const [east, south] = [cluster.region("us-east"), cluster.region("ap-south")];
  expect(south.role).toBe("follower");
  const session = await east.sessions.start({ user: "ada", agent: "scout" });
  await session.hide("book");
  expect((await session.prefer("mood", "calm", { ack: "all" })).ack).toBe("all");
  const there = await south.sessions.resume(session.id, { cursor: session.cursor() });
  expect(there.state().hints.get("mood")).toBe("calm");
  expect(there.user.filterVisible(["book", "other"])).toEqual(["other"]);
  for (const write of [
    () => south.sessions.start({ user: "ada", agent: "scout" }),
    () => there.signal("book", "save", 1),
    () => there.prefer("mood", "wild"),
    () => there.annotate("note"),
    () => there.hide("other"),
    () => there.unhide("book"),
    () => there.mute("other"),
    () => there.unmute("other"),
    () => there.block("other"),
    () => there.unblock("other"),
    () => there.search("essays"),
    () => there.app("chat", Uint8Array.of(1)),
    () => there.close(),
  ]) {
    await expect(write()).rejects.toMatchObject({ name: "RegionError", code: "READ_ONLY", retryable: false });
  }
  expect(south.health().role).toBe("follower");
  expect(south.health().durableLsn.sessions).toBe(0);
});

test("REP-10 a ticket at a follower: its tail goes through a member that writes, and is there when resume resolves", async () => {
  await using cluster = await withFollower();
  const [east, west, south] = ["us-east", "eu-west", "ap-south"].map((name) => cluster.region(name));
  const session = await east!.sessions.start({ user: "ada", agent: "scout" });
  await cluster.converged();
  cluster.network.cut("us-east", "eu-west");
  cluster.network.cut("us-east", "ap-south");
  await session.hide("book");
  for (let count = 0; count < 3; count++) await session.signal("book", "save", 1);

  const user = await south!.users.resume("ada", { ticket: session.ticket(), timeoutMs: 5_000 });
  expect(user.filterVisible(["book", "other"])).toEqual(["other"]);
  expect((await user.session(session.id)).state().signals.get("book")?.get("save")?.count).toBe(3);
  expect(west!.users.get("ada").hidden()).toEqual(["book"]);
  // A ticket whose operations are known needs nobody.
  cluster.network.cut("ap-south", "eu-west");
  await south!.users.resume("ada", { ticket: session.ticket(), timeoutMs: 0 });

  cluster.network.heal();
  await cluster.converged();
  expect(session.state().signals.get("book")?.get("save")?.count).toBe(3);
  expect(west!.certificate()).toEqual(east!.certificate());
  expect(south!.certificate()).toEqual(east!.certificate());
});

test("REP-10 a follower that reaches no member that writes refuses a tail, and says what is missing", async () => {
  await using cluster = await withFollower();
  const [east, south] = [cluster.region("us-east"), cluster.region("ap-south")];
  const session = await east.sessions.start({ user: "ada", agent: "scout" });
  await cluster.converged();
  cluster.network.cut("us-east", "eu-west");
  cluster.network.cut("us-east", "ap-south");
  cluster.network.cut("ap-south", "eu-west");
  await session.hide("book");
  const ticket = session.ticket();
  const refused = await south.users.resume("ada", { ticket, timeoutMs: 30 }).catch((error: unknown) => error);
  expect(refused).toBeInstanceOf(RegionError);
  expect(refused).toMatchObject({ code: "NOT_YET_VISIBLE", retryable: true });
  const { missing } = refused as RegionError;
  expect(missing).toEqual([expect.objectContaining({ region: 1 })]);
  expect(missing[0]!.lsn).toBeGreaterThan(missing[0]!.reached);
  expect(south.users.get("ada").hidden()).toEqual([]);

  // Nobody answers at all: no waiting helps, so it does not wait.
  await cluster.close("eu-west");
  await cluster.close("us-east");
  cluster.network.heal();
  await expect(south.users.resume("ada", { ticket, timeoutMs: 600_000 })).rejects.toMatchObject({
    code: "NOT_YET_VISIBLE",
  });
});

test("REP-10 a tail that arrives by replication while nobody takes it is enough, and abort ends the waiting", async () => {
  await using cluster = await withFollower();
  const [east, south] = [cluster.region("us-east"), cluster.region("ap-south")];
  const session = await east.sessions.start({ user: "ada", agent: "scout" });
  await cluster.converged();
  cluster.network.cut("us-east", "eu-west");
  cluster.network.cut("us-east", "ap-south");
  cluster.network.cut("ap-south", "eu-west");
  await session.hide("book");
  const aborted = new AbortController();
  const given = south.users.resume("ada", {
    ticket: session.ticket(),
    timeoutMs: 60_000,
    signal: aborted.signal,
  });
  aborted.abort(new Error("enough"));
  await expect(given).rejects.toThrow("enough");
  const waiting = south.users.resume("ada", { ticket: session.ticket(), timeoutMs: 60_000 });
  cluster.network.heal("us-east", "ap-south");
  expect((await waiting).hidden()).toEqual(["book"]);
});
