import { type Kv, openMemoryKv } from "@tidemark/kv";
import { expect, test } from "vitest";
import { TidemarkSaver } from "../src/index.ts";
import { checkpointOf, collected, configOf, putStep, WatchedKv } from "./saver-bench.ts";

const METADATA = { source: "loop", step: 0, parents: {} } as const;
const LONG = "long ".repeat(5_000);
const PARTITION = "langgraph/t";

function openSaver() {
  const kv = new WatchedKv(openMemoryKv());
  return { kv, saver: new TidemarkSaver({ kv }) };
}

async function rowsOf(kv: Kv, kind: string) {
  const { items } = await kv.scan(PARTITION, {});
  return items.filter(({ value }) =>
    new TextDecoder().decode(value.subarray(4)).startsWith(`langgraph-${kind}`),
  );
}

test("a checkpoint that names a value which is not there is LANGGRAPH_VALUE_MISSING", async () => {
  const { kv, saver } = openSaver();
  const config = await putStep(saver, configOf("t"), { files: LONG });
  const [part] = await rowsOf(kv, "part");
  await kv.commit(PARTITION, { deletes: [part!.key] });
  const missing = { code: "LANGGRAPH_VALUE_MISSING", thread: "t", retryable: false };
  await expect(saver.getTuple(config)).rejects.toMatchObject(missing);
  await expect(collected(saver.list({}))).rejects.toMatchObject(missing);
  const child = await putStep(new TidemarkSaver({ kv, prefix: "other" }), configOf("t"), { files: 1 });
  await saver.put(config, checkpointOf({}), METADATA, {});
  const query = { config: configOf("t"), channels: ["files"] };
  await expect(saver.getDeltaChannelHistory(query)).rejects.toMatchObject(missing);
  expect(child).toBeDefined();
});

test.each(["checkpoint", "part", "writes", "thread"])(
  "a damaged record of kind %s is KV_CORRUPT",
  async (kind) => {
    const { kv, saver } = openSaver();
    const config = await putStep(saver, configOf("t"), { files: LONG });
    await saver.putWrites(config, [["files", 1]], "task");
    const [row] = await rowsOf(kv, kind);
    const value = row!.value.slice();
    value[value.length - 1]! ^= 1;
    await kv.commit(PARTITION, { puts: [{ key: row!.key, value }] });
    await expect(saver.getTuple(config)).rejects.toMatchObject({ code: "KV_CORRUPT" });
  },
);

test("more than the budget is LANGGRAPH_TOO_LARGE and writes nothing", async () => {
  const kv = new WatchedKv(openMemoryKv());
  const saver = new TidemarkSaver({ kv, bytesPerCallMax: 20_000 });
  const config = await putStep(saver, configOf("t"), { files: "short" });
  kv.commits.length = 0;
  const refused = { code: "LANGGRAPH_TOO_LARGE", limit: 20_000, retryable: false };
  await expect(putStep(saver, config, { files: LONG })).rejects.toMatchObject(refused);
  await expect(saver.putWrites(config, [["files", LONG]], "task")).rejects.toMatchObject(refused);
  expect(kv.commits).toEqual([]);
  expect(() => new TidemarkSaver({ kv, bytesPerCallMax: 0 })).toThrow(RangeError);
});

test("a thread that others keep changing is LANGGRAPH_BUSY", async () => {
  const { kv, saver } = openSaver();
  const rival = new TidemarkSaver({ kv: new RivalKv(kv) });
  await expect(putStep(rival, configOf("t"), { count: 1 })).rejects.toMatchObject({
    code: "LANGGRAPH_BUSY",
    thread: "t",
    retryable: true,
  });
  expect(await saver.getTuple(configOf("t"))).toBeUndefined();
});

/** A store whose commits to threads never pass. */
class RivalKv extends WatchedKv {
  override async commit(...[partition, commit]: Parameters<Kv["commit"]>): ReturnType<Kv["commit"]> {
    return partition === PARTITION ? { committed: false, failed: 0 } : super.commit(partition, commit);
  }
}

test("two that write to one task at once: both are kept, a place once", async () => {
  const { kv, saver } = openSaver();
  const config = await putStep(saver, configOf("t"), { count: 1 });
  let raced = false;
  kv.beforeCommit = async () => {
    if (raced) return;
    raced = true;
    await saver.putWrites(config, [["count", "first"]], "task");
  };
  await saver.putWrites(
    config,
    [
      ["count", "second"],
      ["plan", "second"],
    ],
    "task",
  );
  expect((await saver.getTuple(config))?.pendingWrites).toEqual([
    ["task", "count", "first"],
    ["task", "plan", "second"],
  ]);
});

test("deleteThread() is one moment: cut off anywhere, the thread is there whole or not at all", async () => {
  for (let cut = 0; ; cut++) {
    const { kv, saver } = openSaver();
    let config = await putStep(saver, configOf("t"), { files: LONG });
    for (let step = 0; step < 3; step++) config = await putStep(saver, config, { files: `${step}${LONG}` });
    let commits = 0;
    kv.beforeCommit = () => {
      if (commits++ === cut) throw new Error("cut off");
    };
    const ended = await saver.deleteThread("t").then(
      () => true,
      () => false,
    );
    kv.beforeCommit = () => undefined;
    if (cut === 0) {
      expect(await collected(saver.list({}))).toHaveLength(4);
    } else {
      expect(await saver.getTuple(config)).toBeUndefined();
      expect(await collected(saver.list({}))).toEqual([]);
    }
    // Whoever uses the thread next removes what is left, and starts anew.
    if (cut > 0) {
      const fresh = await putStep(saver, configOf("t"), { count: 1 });
      expect(await collected(saver.list({}))).toHaveLength(1);
      expect((await saver.get(fresh))?.channel_values).toEqual({ count: 1 });
      expect(await rowsOf(kv, "part")).toEqual([]);
    }
    if (ended) break;
  }
});

test("deleteThread() leaves no row but the one that says so, and no name", async () => {
  const { kv, saver } = openSaver();
  const config = await putStep(saver, configOf("t"), { files: LONG });
  await saver.putWrites(config, [["files", LONG]], "task");
  await saver.deleteThread("t");
  await saver.deleteThread("t");
  await saver.deleteThread("never there");
  expect((await kv.scan(PARTITION, {})).items).toHaveLength(1);
  const names = [..."0123456789abcdef"].map((shard) => kv.scan(`langgraph.directory/${shard}`, {}));
  expect((await Promise.all(names)).flatMap(({ items }) => items)).toEqual([]);
});

test("what was decided before a deletion does not count after it", async () => {
  const { kv, saver } = openSaver();
  const config = await putStep(saver, configOf("t"), { files: LONG });
  let deleted = false;
  kv.beforeCommit = async (partition) => {
    if (deleted || partition !== PARTITION) return;
    deleted = true;
    await saver.deleteThread("t");
  };
  // It names the parts of its parent, which are gone; decided anew it stores them.
  await saver.put(config, { ...checkpointOf({ files: LONG }), channel_versions: { files: 1 } }, METADATA, {});
  expect((await saver.get(configOf("t")))?.channel_values).toEqual({ files: LONG });
  expect(await collected(saver.list({}))).toHaveLength(1);
});

test("a thread that is made while it is deleted is listed", async () => {
  const { kv, saver } = openSaver();
  await putStep(saver, configOf("t"), { count: 1 });
  await saver.deleteThread("t");
  let deleted = false;
  kv.beforeCommit = async (partition) => {
    if (deleted || partition !== PARTITION) return;
    deleted = true;
    // The name is written, the thread not yet: this forgets the name.
    await saver.deleteThread("t");
  };
  await putStep(saver, configOf("t"), { count: 2 });
  expect(await collected(saver.list({}))).toHaveLength(1);
});
