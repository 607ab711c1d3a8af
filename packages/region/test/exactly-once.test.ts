import { expect, test } from "vitest";
import type { Session, WriteResult } from "../src/index.ts";
import { Cluster } from "./cluster.ts";

type Write = (session: Session, operationId: string) => Promise<WriteResult>;

const KINDS: readonly (readonly [string, Write])[] = [
  [
    "signal",
    (session, operationId) =>
      session.signal("book", "save", 0.25, { operationId, eventTimeMs: 1_790_000_000_000 }),
  ],
  ["prefer", (session, operationId) => session.prefer("mood", "calm", { operationId })],
  ["annotate", (session, operationId) => session.annotate("once", { operationId })],
  ["hide", (session, operationId) => session.hide("item", { operationId })],
  ["search", (session, operationId) => session.search("essays", { operationId })],
  ["app", (session, operationId) => session.app("chat", Uint8Array.of(1, 2, 3), { operationId })],
  ["unhide", (session, operationId) => session.unhide("item", { operationId })],
  ["close", (session, operationId) => session.close({ operationId })],
];

test("scenario 44: SES-5 a retry of every kind in two regions while cut is one effect each", async () => {
  await using cluster = await Cluster.of("us-east", "eu-west");
  const [east, west] = [cluster.region("us-east"), cluster.region("eu-west")];
  const here = await east.sessions.start({ user: "ada", agent: "scout" });
  await cluster.converged();
  const there = west.sessions.get(here.id)!;
  cluster.network.cut("us-east", "eu-west");
  for (const [kind, write] of KINDS) {
    const first = await write(here, `op-${kind}`);
    const retry = await write(there, `op-${kind}`);
    expect([kind, first.outcome, retry.outcome]).toEqual([kind, "applied", "applied"]);
    expect(retry.effectId).toBe(first.effectId);
    // Where the first is known, the retry returns its result.
    expect(await write(here, `op-${kind}`)).toMatchObject({ outcome: "duplicate", effectId: first.effectId });
  }
  cluster.network.heal();
  await cluster.converged();
  for (const region of [east, west]) {
    const state = region.sessions.get(here.id)!.state();
    expect(state.signals.get("book")!.get("save")).toMatchObject({ count: 1, weight: 0.25 });
    expect(state.annotations.length).toBe(1);
    expect(state.searches).toEqual(["essays"]);
    expect(state.open).toBe(false);
    expect(state.conflicts).toEqual({ starts: 0, operations: [], forks: [] });
    expect(region.users.get("ada").hidden()).toEqual([]);
    expect(region.health().opsApplied).toBe(KINDS.length + 1);
  }
  expect(east.certificate()).toEqual(west.certificate());
});

test("SES-5 one operationId with another request is refused as a conflict", async () => {
  await using cluster = await Cluster.of("us-east");
  const session = await cluster.region("us-east").sessions.start({ user: "ada", agent: "scout" });
  await session.prefer("mood", "calm", { operationId: "a" });
  expect(await session.prefer("mood", "wild", { operationId: "a" })).toMatchObject({
    outcome: "refused",
    reason: "OPERATION_CONFLICT",
  });
  expect(session.state().hints.get("mood")).toBe("calm");
});

test("WAL-7 a duplicate of a write still in the queue shares its outcome", async () => {
  await using cluster = await Cluster.of("us-east");
  const session = await cluster.region("us-east").sessions.start({ user: "ada", agent: "scout" });
  const results = await Promise.all([1, 2, 3].map(() => session.annotate("once", { operationId: "a" })));
  expect(results.map(({ outcome }) => outcome).sort()).toEqual(["applied", "duplicate", "duplicate"]);
  expect(new Set(results.map(({ effectId }) => effectId)).size).toBe(1);
  expect(session.state().annotations.length).toBe(1);
});

test("SES-16 a write where the close is known is refused, one accepted elsewhere still folds", async () => {
  await using cluster = await Cluster.of("us-east", "eu-west");
  const [east, west] = [cluster.region("us-east"), cluster.region("eu-west")];
  const here = await east.sessions.start({ user: "ada", agent: "scout" });
  await cluster.converged();
  cluster.network.cut("us-east", "eu-west");
  await here.close();
  expect(await here.annotate("late")).toMatchObject({ outcome: "refused", reason: "SESSION_CLOSED" });
  expect((await west.sessions.get(here.id)!.annotate("meanwhile")).outcome).toBe("applied");
  cluster.network.heal();
  await cluster.converged();
  for (const region of [east, west]) {
    const state = region.sessions.get(here.id)!.state();
    expect(state.open).toBe(false);
    expect(state.annotations.map(({ text }) => text)).toEqual(["meanwhile"]);
  }
});

test("REP-6 a write confirmed by all is stable, and an unconfirmed one says so and is durable here", async () => {
  await using cluster = await Cluster.of("us-east", "eu-west");
  const session = await cluster.region("us-east").sessions.start({ user: "ada", agent: "scout" });
  expect((await session.prefer("mood", "calm", { ack: "all" })).ack).toBe("all");
  expect((await session.prefer("mood", "keen", { ack: { remote: 1 } })).ack).toBe("remote");
  cluster.network.cut("us-east", "eu-west");
  const result = await session.prefer("mood", "wild", { ack: { remote: 1 }, timeoutMs: 20 });
  expect(result).toMatchObject({ outcome: "applied", ack: "unconfirmed" });
  expect(session.state().hints.get("mood")).toBe("wild");
});
