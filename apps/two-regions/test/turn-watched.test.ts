import { type LiveItem, openLive, openMemoryReplayStore, sessionStoreSource } from "@tidemark/live";
import { openMemoryKv } from "@tidemark/kv";
import { type Head, leaseFence, openSessionStores, type SessionStore } from "@tidemark/session-store";
import { expect, test } from "vitest";

async function commitTurn(store: SessionStore, id: string): Promise<void> {
  const lease = (await store.lease.claim({ owner: "worker" }))!;
  await store.commit({
    session: store.id,
    expected: "any",
    lease: leaseFence(lease),
    release: true,
    config: { provider: "scripted", model: "one" },
    graph: { type: "append", nodes: [{ id, timestamp: 0, payload: id }], leaf: id },
    turn: { session: store.id, turn: id },
  });
}

function shown(item: LiveItem<readonly string[]>): unknown {
  if (item.kind !== "event") return [item.kind, item.observation.revision, item.observation.view];
  const { payload } = item.event;
  return payload.kind === "committed" ? [payload.kind, item.event.revision, payload.view] : payload;
}

test("LIV-6a B-36 B-41 the commit of a turn is watched live, and one that nobody told of is found out", async () => {
  await using kv = openMemoryKv();
  const stores = await openSessionStores({ kv });
  const store = await stores.create({ id: "trip", model: "one" });
  const view = (head: Head | undefined): readonly string[] => head?.graph.nodes.map(({ id }) => id) ?? [];
  await using events = openMemoryReplayStore();
  await using live = openLive({ store: events, source: sessionStoreSource(stores, { view }) });
  const session = live.session("trip");
  const items = session.watch();
  const seen = [shown((await items.next()).value)];
  const turn = session.beginTurn({ turn: "one" });
  await commitTurn(store, "one");
  await session.committed();
  turn.done();
  for (let count = 0; count < 3; count++) seen.push(shown((await items.next()).value));
  expect(seen).toEqual([
    ["observation", 0, []],
    expect.objectContaining({ turn: "one", state: "pending" }),
    ["committed", 1, ["one"]],
    { kind: "turn_state", turn: "one", state: "done" },
  ]);
  // The worker dies between its commit and telling of it.
  const { cursor } = await session.observe();
  await commitTurn(store, "two");
  const back = session.watch({ after: cursor.toString() });
  expect(shown((await back.next()).value)).toEqual(["gap", 2, ["one", "two"]]);
  expect(await live.session("unknown").observe()).toMatchObject({ revision: 0, view: [] });
});
