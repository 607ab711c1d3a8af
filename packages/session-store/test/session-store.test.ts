import { expect, test } from "vitest";
import { appending, Bench, hold, node } from "./stores.ts";

test("smoke", async () => {
  await using bench = new Bench();
  const session = await bench.session();
  const lease = await hold(session);
  const first = await session.commit(
    appending(session, lease, [node("a"), node("b", "a")], { turn: { session: "s", turn: "t1" } }),
  );
  expect(first.revision).toBe(1);
  expect(await session.load()).toMatchObject({ revision: 1, graph: { leaf: "b" } });
  expect(await session.load({ scope: "path" })).toMatchObject({
    graph: { leaf: "b", nodes: [{ id: "a" }, { id: "b" }] },
  });
  const child = await session.fork({ leaf: "a" });
  expect(await child.load()).toMatchObject({ revision: 1, graph: { leaf: "a" } });
});
