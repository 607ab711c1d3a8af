import { expect, test } from "vitest";
import type { Region, RegionOptions } from "../src/index.ts";
import { Cluster, timersOf } from "./cluster.ts";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const POLICIES: NonNullable<RegionOptions["policies"]> = [
  { name: "shop", version: 1 },
  {
    name: "shop",
    version: 2,
    signals: ["save"],
    kinds: ["signal", "hide", "unhide", "annotate"],
    opsMax: 4,
    idleMs: HOUR,
    retainMs: 30 * DAY,
    visible: "agent",
  },
  { name: "long", version: 1, durationMs: DAY },
];

async function clusterOf(options: Readonly<Record<string, Partial<RegionOptions>>>): Promise<Cluster> {
  const names = Object.keys(options);
  const cluster = new Cluster(names);
  cluster.timers = timersOf(20);
  for (const name of names) await cluster.open(name, { bootstrap: name === names[0], ...options[name] });
  await Promise.all(names.map((name) => cluster.region(name).ready({ timeoutMs: 5_000 })));
  return cluster;
}

const both = { "us-east": { policies: POLICIES }, "eu-west": { policies: POLICIES } };

/** Time passes for every region. */
function pass(cluster: Cluster, ms: number): void {
  for (const name of Object.keys(cluster.members.regions))
    cluster.skewMs.set(name, (cluster.skewMs.get(name) ?? 0) + ms);
}

/** Resolves once a region has applied an operation of that kind. */
function applied(region: Region, kind: string): Promise<void> {
  return new Promise((resolve) => {
    const stop = region.onChange((change) => {
      if (change.kind !== kind) return;
      stop();
      resolve();
    });
  });
}

test("SES-16 a policy decides what a region accepts; refusals are typed and counted", async () => {
  await using cluster = await clusterOf(both);
  const east = cluster.region("us-east");
  const session = await east.sessions.start({ user: "ada", agent: "scout", policy: "shop" });
  expect(session.state().policy).toMatchObject({ version: 2 });
  expect(await session.signal("book", "buy", 1)).toMatchObject({
    outcome: "refused",
    reason: "POLICY_SIGNAL",
  });
  expect(await session.prefer("size", "m")).toMatchObject({ outcome: "refused", reason: "POLICY_KIND" });
  const written = await Promise.all(
    Array.from({ length: 6 }, (_, at) => session.annotate(`note ${at}`, { operationId: `note-${at}` })),
  );
  expect(written.map(({ outcome }) => outcome)).toEqual([
    ...Array.from({ length: 4 }, () => "applied"),
    ...Array.from({ length: 2 }, () => "refused"),
  ]);
  expect(await session.annotate("note 0", { operationId: "note-0" })).toMatchObject({ outcome: "duplicate" });
  await expect(east.sessions.start({ user: "ada", agent: "scout", policy: "none such" })).rejects.toThrow(
    expect.objectContaining({ code: "POLICY_UNKNOWN" }),
  );
  expect(east.health()).toMatchObject({
    refused: { POLICY_SIGNAL: 1, POLICY_KIND: 1, POLICY_COUNT: 2 },
    policies: { held: [{ name: "shop" }, { name: "shop" }, { name: "long" }], missing: {} },
  });
  expect(await session.close()).toMatchObject({ outcome: "applied" });
});

test("SES-16 rules that cannot be are the caller's bug: nothing on disk is touched", async () => {
  await using cluster = new Cluster(["us-east"]);
  const options = { bootstrap: true, policies: [{ name: "a@b", version: 1 }] };
  await expect(cluster.open("us-east", options)).rejects.toThrow(RangeError);
  expect(
    await cluster
      .disk("us-east")
      .list("data")
      .catch(() => []),
  ).toEqual([]);
});

test("SES-16 a region that lacks a policy stores and does not enforce, and says so in health", async () => {
  await using cluster = await clusterOf({ "us-east": { policies: POLICIES }, "eu-west": {} });
  const [east, west] = [cluster.region("us-east"), cluster.region("eu-west")];
  const session = await east.sessions.start({ user: "ada", agent: "scout", policy: "shop" });
  await cluster.converged();
  const there = west.sessions.get(session.id)!;
  expect(await there.signal("book", "buy", 1)).toMatchObject({ outcome: "applied" });
  const { id, version } = session.state().policy!;
  expect(west.health().policies).toEqual({ held: [], missing: { [`${id} ${version}`]: 1 } });
  await cluster.converged();
  expect(session.state().signals.get("book")?.get("buy")?.count).toBe(1);
  expect(west.certificate()).toEqual(east.certificate());
});

test("SES-17 a merge takes in what the policy of its first session allows", async () => {
  await using cluster = await clusterOf({ "us-east": { policies: POLICIES } });
  const east = cluster.region("us-east");
  const [strict, free] = [
    await east.sessions.start({ user: "ada", agent: "scout", policy: "shop" }),
    await east.sessions.start({ user: "ada", agent: "scout" }),
  ];
  await strict.signal("book", "save", 1);
  await free.signal("book", "save", 1);
  await free.signal("book", "buy", 1);
  await free.prefer("size", "m");
  await free.annotate("one");
  await free.annotate("two", { entity: "book" });
  const options = {
    allows: ({ kind, name }: { kind: string; name: string }) => kind !== "annotate" || name === "",
  };
  const merged = await east.sessions.merge(strict.id, free.id, options);
  const { signals, hints, annotations, policy } = merged.state();
  expect([...(signals.get("book") ?? [])].map(([name, { count }]) => [name, count])).toEqual([["save", 2]]);
  expect([hints.size, annotations]).toEqual([0, [{ text: "one" }]]);
  expect(policy).toEqual(strict.state().policy);
  expect(await merged.prefer("size", "l")).toMatchObject({ reason: "POLICY_KIND" });
  const other = await east.sessions.merge(free.id, strict.id);
  expect(other.state().hints.size).toBe(1);
});

test("SES-16 which sessions of a user an agent sees is asked with the session it works in", async () => {
  await using cluster = await clusterOf(both);
  const east = cluster.region("us-east");
  const ids: string[] = [];
  for (const [agent, policy] of [
    ["scout", "shop"],
    ["guide", "shop"],
    ["scout", "long"],
  ] as const)
    ids.push((await east.sessions.start({ user: "ada", agent, policy })).id);
  const ada = east.users.get("ada");
  expect(ada.sessions()).toEqual(ids.toSorted());
  expect(ada.sessions({ visibleTo: ids[0]! })).toEqual([ids[0]!, ids[2]!].toSorted());
  expect(ada.sessions({ visibleTo: ids[1]! })).toEqual([ids[1]!]);
  expect(ada.sessions({ visibleTo: ids[2]! })).toEqual(ids.toSorted());
  expect(() => east.users.get("bob").sessions({ visibleTo: ids[0]! })).toThrow(
    expect.objectContaining({ code: "SESSION_UNKNOWN" }),
  );
});

test("SES-10 SES-16 the owner closes what is idle and purges it after its time, in every region; hides stay", async () => {
  await using cluster = await clusterOf(both);
  const [east, west] = [cluster.region("us-east"), cluster.region("eu-west")];
  const session = await east.sessions.start({ user: "ada", agent: "scout", policy: "shop" });
  await session.hide("book-1", { operationId: "hide-1" });
  await session.annotate("secret");
  const kept = await east.sessions.start({ user: "ada", agent: "scout" });
  await cluster.converged();
  const cursor = session.cursor();
  const ticket = session.ticket();
  const there = west.sessions.get(session.id)!;
  const seen: string[] = [];
  const stream = (async () => {
    for await (const { kind } of there.changes()) {
      seen.push(kind);
      if (kind === "purge") return;
    }
  })();

  const closed = applied(west, "close");
  pass(cluster, HOUR);
  await closed;
  expect(await there.annotate("late")).toMatchObject({ outcome: "refused", reason: "SESSION_CLOSED" });
  expect(kept.state().open).toBe(true);
  await cluster.converged();

  const purged = [applied(east, "purge"), applied(west, "purge")];
  pass(cluster, 30 * DAY);
  await Promise.all(purged);
  await stream;
  expect(seen).toEqual(["close", "purge"]);
  await cluster.converged();
  for (const region of [east, west]) {
    expect(region.sessions.get(session.id)).toBeUndefined();
    expect(region.users.get("ada").sessions()).toEqual([kept.id]);
    expect(region.users.get("ada").hidden()).toEqual(["book-1"]);
    expect(region.health().purged).toBe(1);
    await expect(region.sessions.resume(session.id, { cursor })).rejects.toThrow(
      expect.objectContaining({ code: "SESSION_PURGED" }),
    );
    await expect(region.sessions.start({ id: session.id, user: "ada", agent: "scout" })).rejects.toThrow(
      expect.objectContaining({ code: "SESSION_PURGED" }),
    );
  }
  expect(() => session.state()).toThrow(expect.objectContaining({ code: "SESSION_PURGED" }));
  expect(await there.annotate("late")).toMatchObject({ outcome: "refused", reason: "SESSION_PURGED" });
  expect(session.progress("eu-west").synced).toBe(true);
  await expect(west.users.resume("ada", { ticket })).rejects.toThrow(
    expect.objectContaining({ code: "TICKET_EXPIRED" }),
  );
  // The user goes on: the hide is lifted from another session, and what is new is not mixed up with what was.
  expect(await kept.unhide("book-1")).toMatchObject({ outcome: "applied" });
  await cluster.converged();
  for (const region of [east, west]) expect(region.users.get("ada").hidden()).toEqual([]);
  expect(east.certificate()).toEqual(west.certificate());

  // Restarted from its checkpoint it knows all that.
  await cluster.close("us-east");
  const again = await cluster.open("us-east", { policies: POLICIES });
  expect(again.health().purged).toBe(1);
  expect(again.certificate()).toEqual(west.certificate());
  await expect(again.sessions.start({ id: session.id, user: "ada", agent: "scout" })).rejects.toThrow(
    expect.objectContaining({ code: "SESSION_PURGED" }),
  );
});

test("scenario 51: the owner closes for idleness while it is cut off and another region serves the session: the close is void", async () => {
  await using cluster = await clusterOf(both);
  const [east, west] = [cluster.region("us-east"), cluster.region("eu-west")];
  const session = await east.sessions.start({ user: "ada", agent: "scout", policy: "shop" });
  await cluster.converged();
  cluster.network.cut("us-east", "eu-west");
  pass(cluster, HOUR / 2);
  const there = west.sessions.get(session.id)!;
  await there.annotate("still here");
  const closed = applied(east, "close");
  pass(cluster, HOUR / 2);
  await closed;
  expect(session.state().open).toBe(false);
  cluster.network.heal();
  await cluster.converged();
  for (const region of [east, west]) {
    const state = region.sessions.get(session.id)!.state();
    expect([state.open, state.annotations.map(({ text }) => text)]).toEqual([true, ["still here"]]);
  }
  expect(await session.annotate("and here")).toMatchObject({ outcome: "applied" });
  await cluster.converged();
  expect(east.certificate()).toEqual(west.certificate());
});

test("SES-16 once the owner is removed, the member with the lowest number closes and purges", async () => {
  const policies = { policies: [{ name: "brief", version: 1, idleMs: HOUR, retainMs: HOUR }] };
  await using cluster = await clusterOf({ a: policies, b: policies, c: policies });
  const [a, b] = [cluster.region("a"), cluster.region("b")];
  const session = await cluster.region("c").sessions.start({ user: "ada", agent: "scout", policy: "brief" });
  await cluster.converged();
  await cluster.close("c");
  await a.setMembers({ version: 2, regions: { a: 1, b: 2 } });
  const closed = applied(b, "close");
  pass(cluster, HOUR);
  await closed;
  expect(b.sessions.get(session.id)!.state().open).toBe(false);
  const purged = applied(b, "purge");
  pass(cluster, HOUR);
  await purged;
  expect(b.sessions.get(session.id)).toBeUndefined();
  const writers = b.certificate().vector;
  expect(Object.keys(writers).filter((log) => log.startsWith("sessions:"))).toHaveLength(2);
  await cluster.converged();
  expect(b.certificate()).toEqual(a.certificate());
});

test("SES-10 scenario 25: a removed region returns after a purge that it never heard of: its hide holds, and nothing else comes back", async () => {
  const policies = { policies: [{ name: "brief", version: 1, idleMs: HOUR, retainMs: HOUR }] };
  let isBack: () => void = () => undefined;
  const back = new Promise<void>((resolve) => (isBack = resolve));
  const hear = (_: object, message: string): void => {
    if (message.includes("This region is back")) isBack();
  };
  const logger = { info: hear, warn: hear, error: hear };
  await using cluster = await clusterOf({ a: policies, b: policies, c: { ...policies, logger } });
  const [a, b, c] = [cluster.region("a"), cluster.region("b"), cluster.region("c")];
  const session = await a.sessions.start({ user: "ada", agent: "scout", policy: "brief" });
  await session.hide("old", { operationId: "hide-old" });
  const other = await a.sessions.start({ user: "ada", agent: "scout" });
  await cluster.converged();
  for (const name of ["a", "b"]) cluster.network.cut("c", name);
  const there = c.sessions.get(session.id)!;
  await there.hide("new", { operationId: "hide-new" });
  await there.hide("old", { operationId: "hide-old" });
  await there.annotate("nobody else has seen this");
  // The others go on without it, and forget.
  await a.setMembers({ version: 2, regions: { a: 1, b: 2 } });
  expect((await other.unhide("old", { ack: "all", timeoutMs: 60_000 })).ack).toBe("all");
  const purged = Promise.all([applied(a, "purge"), applied(b, "purge")]);
  const closed = applied(b, "close");
  pass(cluster, HOUR);
  await closed;
  await Promise.all([a, b].map((region) => region.synced({ timeoutMs: 20_000 })));
  pass(cluster, HOUR);
  await purged;
  expect((await other.annotate("later", { ack: "all", timeoutMs: 60_000 })).ack).toBe("all");
  expect([a, b].map((region) => region.users.get("ada").hidden())).toEqual([[], []]);
  const hidden = Promise.all([applied(a, "hide"), applied(b, "hide")]);
  cluster.network.heal();
  await hidden;
  await Promise.all([a, b].map((region) => region.synced({ timeoutMs: 20_000 })));
  // Taken back, it serves what the others know.
  await b.setMembers({ version: 3, regions: { a: 1, b: 2, c: 3 } });
  await back;
  await c.ready({ timeoutMs: 20_000 });
  await cluster.converged();
  for (const region of [a, b, c]) {
    expect(region.users.get("ada").hidden()).toEqual(["new"]);
    expect(region.sessions.get(session.id)).toBeUndefined();
    expect(region.users.get("ada").sessions()).toEqual([other.id]);
    await expect(region.sessions.start({ id: session.id, user: "ada", agent: "scout" })).rejects.toThrow(
      expect.objectContaining({ code: "SESSION_PURGED" }),
    );
  }
  expect(b.certificate()).toEqual(a.certificate());
  expect(c.certificate()).toEqual(a.certificate());
});

test("SES-16 a purge waits while a member is cut off, and what that member wrote meanwhile changes nothing but hides", async () => {
  await using cluster = await clusterOf(both);
  const [east, west] = [cluster.region("us-east"), cluster.region("eu-west")];
  const session = await east.sessions.start({ user: "ada", agent: "scout", policy: "long" });
  await cluster.converged();
  cluster.network.cut("us-east", "eu-west");
  const there = west.sessions.get(session.id)!;
  await there.hide("book");
  await there.signal("book", "save", 1);
  const closed = applied(east, "close");
  pass(cluster, DAY);
  await closed;
  // Its duration is over everywhere, known or not.
  expect(await there.annotate("late")).toMatchObject({ outcome: "refused", reason: "POLICY_DURATION" });
  cluster.network.heal();
  await cluster.converged();
  for (const region of [east, west]) {
    const { open, signals } = region.sessions.get(session.id)!.state();
    expect([open, signals.get("book")?.get("save")?.count]).toEqual([false, 1]);
    expect(region.users.get("ada").hidden()).toEqual(["book"]);
  }
});
