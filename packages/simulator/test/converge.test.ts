import { expect, test } from "vitest";
import { checkHistory, converge, lagBoundMs, missingOf, Watch } from "../src/index.ts";
import { RecordedCluster } from "./recorded.ts";

test("SIM-2 regions are watched on the way, and converge once links are whole", async () => {
  const cluster = await RecordedCluster.open();
  const { time, history, network } = cluster;
  const regions = (): [ReturnType<typeof cluster.region>, ReturnType<typeof cluster.region>] => [
    cluster.region("east"),
    cluster.region("west"),
  ];
  const watch = new Watch({ history, regions, everySteps: 5 });
  const stop = time.afterStep(() => watch.afterStep());
  await cluster.write("c", "east", { operation: "start" }, () =>
    regions()[0].sessions.start({ id: "s", user: "ada", agent: "guide" }),
  );
  network.cut("east", "west");
  network.cut("west", "east");
  await time.advance(6_000);
  expect(missingOf(regions())).toContain("east is degraded");
  await converge({ time, history, regions, patience: 0 });
  expect(checkHistory(history.events, []).map(({ invariant }) => invariant)).toContain("J");

  network.heal();
  await converge({ time, history, regions });
  stop();
  const last = history.events.at(-1)!;
  expect(last).toMatchObject({ type: "converged", boundMs: lagBoundMs() });
  expect(missingOf(regions())).toBeUndefined();
  const seen = new Set(history.events.map((event) => event.type));
  expect([...seen]).toEqual(expect.arrayContaining(["sample", "certificate"]));
  expect(checkHistory(history.events, [])).toEqual([]);
  for (const region of regions()) await cluster.run(region.close());
});
