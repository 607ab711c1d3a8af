import { type Kv, openMemoryKv, prefixRange } from "@tidemark/kv";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { JournalNetwork } from "../../session-store/test/journal-network.ts";
import { TidemarkSaver } from "../src/index.ts";
import { checkpointOf, collected, configOf, putStep } from "./saver-bench.ts";

const METADATA = { source: "loop", step: 0, parents: {} } as const;
const LONG = "long ".repeat(2_000);
const REGIONS = ["us-east", "eu-west"] as const;

function openRegions() {
  const network = new JournalNetwork(REGIONS, { entryBytesMax: 64 * 1_024 });
  const open = (name: string, kv: Kv) => new TidemarkSaver({ kv, journal: network.journal(name) });
  const stores = [openMemoryKv(), openMemoryKv()] as const;
  return { network, stores, us: open(REGIONS[0], stores[0]), eu: open(REGIONS[1], stores[1]) };
}

/** What the thread `t` holds, newest first. */
async function valuesOf(saver: TidemarkSaver): Promise<unknown[]> {
  return (await collected(saver.list(configOf("t")))).map(({ checkpoint }) => checkpoint.channel_values);
}

test("RUN-12 whatever two regions put, write and delete, both end with the same thread", async () => {
  const step = fc.record({
    region: fc.constantFrom(0, 1),
    do: fc.constantFrom("put", "put", "put", "writes", "writes", "deliver", "deliver", "delete"),
    files: fc.constantFrom<unknown>(1, LONG, `${LONG}!`),
    task: fc.constantFrom("a", "b"),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
      const { network, us, eu } = openRegions();
      for (const { region, do: what, files, task } of steps) {
        const saver = [us, eu][region]!;
        const latest = (await saver.getTuple(configOf("t")))?.config ?? configOf("t");
        if (what === "put") await putStep(saver, latest, { files, fixed: LONG }, ["files"]);
        else if (what === "delete") await saver.deleteThread("t");
        else if (what === "deliver") network.deliver(REGIONS[region], REGIONS[1 - region]!);
        else if (latest.configurable?.["checkpoint_id"] !== undefined) {
          await saver.putWrites(latest, [["files", files]], task);
        }
      }
      network.deliverAll();
      const [ours, theirs] = await Promise.all([us, eu].map((saver) => collected(saver.list(configOf("t")))));
      expect(ours).toEqual(theirs);
    }),
    { numRuns: 60 },
  );
});

test("a thread that was deleted in one region while the other went on is gone in both, and begins anew", async () => {
  const { network, us, eu, stores } = openRegions();
  const config = await putStep(us, configOf("t"), { files: LONG });
  network.deliverAll();
  await us.deleteThread("t");
  await putStep(eu, config, { files: `${LONG}!` });
  network.deliverAll();
  for (const saver of [us, eu]) expect(await valuesOf(saver)).toEqual([]);
  await eu.put(configOf("t"), checkpointOf({ files: LONG }), METADATA, { files: 1 });
  network.deliverAll();
  for (const saver of [us, eu]) expect(await valuesOf(saver)).toEqual([{ files: LONG }]);
  const rows = await stores[0].scan("langgraph/t", prefixRange(["checkpoint"]));
  expect(rows.items, "what was written in between is removed").toHaveLength(1);
});

test("what a region wrote that had not heard of a deletion does not come back with the thread, and may go on", async () => {
  const { network, us, eu } = openRegions();
  const config = await putStep(us, configOf("t"), { files: LONG, step: 0 });
  network.deliverAll();
  const before = await putStep(eu, config, { files: LONG, step: 1 }, ["step"]);
  await us.deleteThread("t");
  await putStep(us, configOf("t"), { step: 2 });
  network.deliverAll();
  for (const saver of [us, eu]) expect(await valuesOf(saver)).toEqual([{ step: 2 }]);
  // It names a checkpoint of the life before, whose values are gone.
  const checkpoint = checkpointOf({ files: LONG, step: 3 }, { files: 1, step: 3 });
  await eu.put(before, checkpoint, METADATA, { step: 3 });
  network.deliverAll();
  for (const saver of [us, eu])
    expect(await valuesOf(saver)).toEqual([{ files: LONG, step: 3 }, { step: 2 }]);
});

test("two calls at once that write to one task: both are kept", async () => {
  const { us } = openRegions();
  const config = await putStep(us, configOf("t"), { count: 1 });
  await Promise.all([
    us.putWrites(config, [["count", 1]], "task"),
    us.putWrites(
      config,
      [
        ["count", 2],
        ["plan", 2],
      ],
      "task",
    ),
  ]);
  expect((await us.getTuple(config))?.pendingWrites).toEqual([
    ["task", "count", 1],
    ["task", "plan", 2],
  ]);
});

test("follow() lists the threads that were made in another region, and tells what it could not apply", async () => {
  const { network, us, eu } = openRegions();
  const ended = new AbortController();
  const failed: string[] = [];
  const following = eu.follow({ signal: ended.signal, onError: (thread) => failed.push(thread) });
  await putStep(us, configOf("t"), { count: 1 });
  network.deliverAll();
  await expect.poll(() => collected(eu.list({}))).toHaveLength(1);
  expect(failed).toEqual([]);
  ended.abort();
  await following;
  await expect(
    new TidemarkSaver({ kv: openMemoryKv() }).follow({ signal: ended.signal, onError: () => undefined }),
  ).rejects.toThrow(TypeError);
});
