import { expect, test } from "vitest";
import { Cluster } from "./cluster.ts";

test("SES-17 a fork begins with what its parent held where it was made, in every region and after a restart", async () => {
  await using cluster = await Cluster.of("us-east", "eu-west");
  const [east, west] = [cluster.region("us-east"), cluster.region("eu-west")];
  const parent = await east.sessions.start({ user: "ada", agent: "scout", metadata: { plan: "pro" } });
  await parent.signal("book", "like", 1);
  await parent.prefer("mood", "calm");
  await parent.close();
  const fork = await parent.fork({ agent: "clerk" });
  expect(fork.id).not.toBe(parent.id);
  await fork.signal("book", "like", 1);
  await cluster.converged();
  for (const region of [east, west]) {
    const state = region.sessions.get(fork.id)!.state();
    expect(state).toMatchObject({
      user: "ada",
      agent: "clerk",
      metadata: { plan: "pro" },
      parents: [parent.id],
    });
    expect(state.open).toBe(true);
    expect(state.signals.get("book")?.get("like")?.count).toBe(2);
    expect(state.hints.get("mood")).toBe("calm");
  }
  expect(east.certificate()).toEqual(west.certificate());
  const { digest } = west.certificate();
  await cluster.close("eu-west");
  const again = await cluster.open("eu-west");
  await again.ready();
  expect(again.certificate().digest).toBe(digest);
  expect(again.sessions.get(fork.id)!.state().signals.get("book")?.get("like")?.count).toBe(2);
});

test("SES-17 SES-14 a ticket brings a fork into a region that is cut off and never saw the parent", async () => {
  await using cluster = await Cluster.of("us-east", "eu-west");
  const [east, west] = [cluster.region("us-east"), cluster.region("eu-west")];
  cluster.network.cut("us-east", "eu-west");
  const parent = await east.sessions.start({ user: "ada", agent: "scout" });
  await parent.annotate("seen");
  const fork = await parent.fork({ id: "branch" });
  await west.users.resume("ada", { ticket: fork.ticket(), timeoutMs: 0 });
  expect(west.sessions.get("branch")!.state().annotations).toEqual([{ text: "seen" }]);
  await west.sessions.get("branch")!.annotate("mine");
  cluster.network.heal("us-east", "eu-west");
  await cluster.converged();
  expect(fork.state().annotations).toEqual([{ text: "seen" }, { text: "mine" }]);
  expect(east.certificate()).toEqual(west.certificate());
});

test("SES-17 a merge has what both sessions had, once, and is refused by code where it cannot be", async () => {
  await using cluster = await Cluster.of("us-east");
  const region = cluster.region("us-east");
  const trunk = await region.sessions.start({ user: "ada", agent: "scout" });
  await trunk.signal("book", "like", 1);
  const [left, right] = [await trunk.fork(), await trunk.fork()];
  await left.signal("book", "like", 1);
  await right.annotate("quiet");
  await right.search("lamp");
  const merged = await region.sessions.merge(left.id, right.id, {
    operationId: "join",
    allows: ({ kind }) => kind !== "search",
  });
  expect(merged.state()).toMatchObject({
    parents: [left.id, right.id],
    searches: [],
    annotations: [{ text: "quiet" }],
  });
  expect(merged.state().signals.get("book")?.get("like")?.count).toBe(2);
  const other = await region.sessions.start({ user: "bob", agent: "scout" });
  await expect(region.sessions.merge(left.id, other.id)).rejects.toMatchObject({
    code: "SESSION_USERS_DIFFER",
  });
  await expect(region.sessions.merge(left.id, "nobody")).rejects.toMatchObject({ code: "SESSION_UNKNOWN" });
  await expect(trunk.fork({ id: left.id })).rejects.toMatchObject({ code: "SESSION_EXISTS" });
  for (let count = 0; count < 9; count++) await trunk.app("log", new Uint8Array(250 * 1024));
  await expect(trunk.fork()).rejects.toMatchObject({
    code: "SESSION_TOO_LARGE",
    message: expect.stringMatching(/23\d{5} bytes/) as string,
  });
});

test("SES-17 REP-8 a fork lies in the shard of its user, whatever its id", async () => {
  await using cluster = new Cluster(["us-east"]);
  const region = await cluster.open("us-east", { bootstrap: true, shards: 4 });
  const parent = await region.sessions.start({ user: "ada", agent: "scout" });
  await parent.annotate("seen");
  const forks = [
    await parent.fork(),
    ...(await Promise.all(["a", "b", "c"].map((id) => parent.fork({ id })))),
  ];
  const merged = await region.sessions.merge(forks[0]!.id, "a", { id: "m" });
  for (const session of [...forks, merged]) {
    await session.annotate("mine");
    expect(session.state().annotations).toEqual([{ text: "seen" }, { text: "mine" }]);
    // One log has all of the user's.
    expect(session.progress("us-east").synced).toBe(true);
  }
  const { vector } = region.certificate();
  const written = Object.entries(vector).filter(([log, lsn]) => log.startsWith("sessions:") && lsn > 1);
  expect(written.length).toBe(1);
});

test("SES-17 SES-18 what a fork carries is under the user's key, and goes with the user", async () => {
  await using cluster = new Cluster(["us", "eu"]);
  for (const name of ["us", "eu"]) await cluster.open(name, { bootstrap: name === "us", encryption: true });
  const [us, eu] = [cluster.region("us"), cluster.region("eu")];
  await Promise.all([us, eu].map((region) => region.ready({ timeoutMs: 5_000 })));
  const parent = await us.sessions.start({ user: "ada", agent: "scout" });
  await parent.annotate("a word of hers");
  const forks = [await parent.fork({ id: "a" }), await parent.fork({ id: "b" })];
  await us.sessions.merge("a", "b", { id: "c" });
  await cluster.converged();
  expect(eu.sessions.get("c")!.state().annotations).toEqual([{ text: "a word of hers" }]);
  await us.users.erase("ada");
  await cluster.converged();
  for (const region of [us, eu]) {
    for (const id of [...forks.map((fork) => fork.id), "c"]) {
      const state = region.sessions.get(id)?.state();
      expect(state?.annotations ?? []).toEqual([]);
      expect(state?.user).toBeUndefined();
    }
  }
  expect(us.certificate().digest).toBe(eu.certificate().digest);
});
