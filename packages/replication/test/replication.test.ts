import { expect, test } from "vitest";
import { TestCluster } from "./cluster.ts";
import { tapped } from "./tapped-transport.ts";

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

test("REP-1 what every member holds the medium may forget, and nothing before", async () => {
  const cluster = new TestCluster(["a", "b", "c"]);
  await using _ = cluster;
  const released: string[] = [];
  const transport = tapped(cluster.network.join("a"), {
    release: (subject, { last }) => void released.push(`${subject} up to ${last}`),
  });
  await cluster.open("a", { bootstrap: true, transport });
  await cluster.open("b");
  await cluster.open("c");
  await cluster.timers.advance(2_000);
  cluster.network.cut("a", "c");
  cluster.network.cut("b", "c");
  await cluster.write("a", "one", "two");
  await cluster.timers.advance(5_000);
  expect(released).toEqual([]);
  cluster.network.heal();
  await cluster.timers.advance(5_000);
  // The first record is the epoch's own.
  expect(released).toEqual(["sessions.1.0 up to 3"]);
});
