import { expect, test } from "vitest";
import { TestCluster } from "./cluster.ts";

test("REP-1 REP-2 REP-3 what one region writes is stored verbatim and applied in the other", async () => {
  await using cluster = await TestCluster.of(["a", "b"]);
  await cluster.write("a", "one", "two");
  await cluster.write("b", "three");
  await cluster.timers.advance(20);
  for (const name of ["a", "b"]) {
    expect(cluster.node(name).state.texts()).toEqual(["one", "three", "two"]);
    expect(cluster.node(name).replication.health()).toMatchObject({ state: "ready", reasons: [] });
  }
  const [a, b] = [cluster.node("a"), cluster.node("b")];
  expect(a.replication.vector().encode()).toEqual(b.replication.vector().encode());
  for (const log of a.wal.logs()) {
    const theirs = b.wal.log(log.id)!;
    expect(await theirs.readBatches(1, log.durable.lsn, 1 << 20)).toEqual(
      await log.readBatches(1, log.durable.lsn, 1 << 20),
    );
  }
});
