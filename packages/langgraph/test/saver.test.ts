import { ERROR, INTERRUPT, MemorySaver, RESUME } from "@langchain/langgraph-checkpoint";
import { openMemoryKv } from "@tidemark/kv";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { TidemarkSaver } from "../src/index.ts";
import { checkpointOf, collected, configOf, idOf, putStep, WatchedKv } from "./saver-bench.ts";

const METADATA = { source: "loop", step: 0, parents: {} } as const;
const LONG = "long ".repeat(5_000);

function openSaver() {
  const kv = new WatchedKv(openMemoryKv());
  return { kv, saver: new TidemarkSaver({ kv }) };
}

test("RUN-13 whatever is put and written, TidemarkSaver gives what MemorySaver gives", async () => {
  const step = fc.record({
    namespace: fc.constantFrom("", "child"),
    from: fc.nat(),
    changes: fc.dictionary(
      fc.constantFrom("messages", "count", "plan"),
      fc.constantFrom(1, "two", LONG, null),
      {
        maxKeys: 3,
      },
    ),
    writes: fc.array(
      fc.record({
        task: fc.constantFrom("a", "b"),
        path: fc.constantFrom("", "x", "y"),
        of: fc.array(fc.tuple(fc.constantFrom("messages", "count", ERROR, INTERRUPT, RESUME), fc.nat(9)), {
          minLength: 1,
          maxLength: 3,
        }),
      }),
      { maxLength: 3 },
    ),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 8 }), async (steps) => {
      const memory = new MemorySaver();
      const { saver } = openSaver();
      const known: Record<string, string[]> = { "": [], child: [] };
      for (const { namespace, from, changes, writes } of steps) {
        const ids = known[namespace]!;
        // Any checkpoint may be the parent: threads fork.
        const parent = configOf("t", ids.length === 0 ? undefined : ids[from % ids.length], namespace);
        const before = ids.length === 0 ? undefined : await memory.get(parent);
        const next = Math.max(0, ...Object.values(before?.channel_versions ?? {}).map(Number)) + 1;
        const newVersions = Object.fromEntries(Object.keys(changes).map((channel) => [channel, next]));
        const checkpoint = checkpointOf(
          { ...before?.channel_values, ...changes },
          { ...before?.channel_versions, ...newVersions },
        );
        ids.push(checkpoint.id);
        const config = configOf("t", checkpoint.id, namespace);
        for (const one of [memory, saver]) {
          await one.put(parent, checkpoint, METADATA, newVersions);
          for (const { task, path, of } of writes) await one.putWrites(config, of, task, path);
        }
        expect(await saver.getTuple(config)).toEqual(await memory.getTuple(config));
      }
      for (const namespace of ["", "child"]) {
        const config = configOf("t", undefined, namespace);
        expect(await saver.getTuple(config)).toEqual(await memory.getTuple(config));
        expect(await collected(saver.list(config))).toEqual(await collected(memory.list(config)));
        const query = { config, channels: ["messages", "count"] };
        expect(await saver.getDeltaChannelHistory(query)).toEqual(await memory.getDeltaChannelHistory(query));
      }
    }),
    { numRuns: 60 },
  );
});

test("TidemarkSaver stores the same values twice in no thread, and of a list that grows what was added", async () => {
  const { kv, saver } = openSaver();
  const messages = Array.from(
    { length: 2_000 },
    (_, index) => `message ${index}, as long as they tend to be`,
  );
  let config = await putStep(saver, configOf("t"), { messages, files: LONG });
  kv.bytesPut();

  config = await putStep(saver, config, { messages, files: LONG, count: 1 }, ["count"]);
  expect(kv.bytesPut(), "two long values did not change").toBeLessThan(2_000);

  messages.push("one more");
  config = await putStep(saver, config, { messages, files: LONG, count: 1 }, ["messages"]);
  expect(kv.bytesPut(), "the last part of the list").toBeLessThan(20_000);
  expect((await saver.get(config))?.channel_values).toEqual({ messages, files: LONG, count: 1 });
});

test("TidemarkSaver stores a checkpoint and its parts in one commit", async () => {
  const { kv, saver } = openSaver();
  const config = await putStep(saver, configOf("t"), { files: LONG });
  kv.commits.length = 0;
  await putStep(saver, config, { files: `${LONG}!` });
  await saver.putWrites(config, [["files", `${LONG}?`]], "task");
  expect(kv.commits).toHaveLength(2);
});

test("TidemarkSaver stores in several commits what does not fit in one, the checkpoint last", async () => {
  const kv = new WatchedKv(openMemoryKv({ keysPerCommitMax: 5, commitBytesMax: 64 * 1_024 }));
  const saver = new TidemarkSaver({ kv });
  const files = Array.from({ length: 40_000 }, (_, index) => index);
  const config = await putStep(saver, configOf("t"), { files });
  expect(kv.commits.filter(({ partition }) => partition === "langgraph/t").length).toBeGreaterThan(3);
  expect((await saver.get(config))?.channel_values).toEqual({ files });

  kv.beforeCommit = (_, { puts = [] }) => {
    const kinds = puts.map(({ value }) => new TextDecoder().decode(value.subarray(4, 24)));
    if (kinds.includes("langgraph-checkpoint")) throw new Error("cut off before the checkpoint");
  };
  await expect(putStep(saver, config, { files: [-1, ...files] })).rejects.toThrow("cut off");
  expect((await saver.get(configOf("t")))?.channel_values).toEqual({ files });
});

test("TidemarkSaver keeps each branch's own value where two branches give one version", async () => {
  const { saver } = openSaver();
  const root = await putStep(saver, configOf("t"), { messages: [] });
  const left = await putStep(saver, root, { messages: ["left"] });
  const right = await putStep(saver, root, { messages: ["right"] });
  expect((await saver.get(left))?.channel_values).toEqual({ messages: ["left"] });
  expect((await saver.get(right))?.channel_values).toEqual({ messages: ["right"] });
});

test.each([0, 1])(
  "TidemarkSaver keeps all values of a copy of step %i, which names no new version",
  async (step) => {
    const { saver } = openSaver();
    const first = await putStep(saver, configOf("t"), { messages: ["first"], files: LONG });
    const second = await putStep(saver, first, { messages: ["second"], files: LONG }, ["messages"]);
    // A copy is made from what its original was made from.
    const [original, from] = step === 0 ? [first, configOf("t")] : [second, first];
    const { channel_values: values, channel_versions: versions } = (await saver.get(original))!;
    const copy = await saver.put(from, checkpointOf(values, versions), { ...METADATA, source: "fork" }, {});
    expect((await saver.get(copy))?.channel_values).toEqual(values);
  },
);

test("TidemarkSaver keeps the writes to a checkpoint that is put after them, or again", async () => {
  const { saver } = openSaver();
  const checkpoint = checkpointOf({ count: 1 });
  const config = configOf("t", checkpoint.id);
  await saver.putWrites(config, [["count", 2]], "task");
  expect(await saver.getTuple(config)).toBeUndefined();
  for (let time = 0; time < 2; time++) {
    await saver.put(configOf("t"), checkpoint, METADATA, { count: 1 });
    expect((await saver.getTuple(config))?.pendingWrites).toEqual([["task", "count", 2]]);
  }
});

test("TidemarkSaver lists all threads and namespaces newest first", async () => {
  const { saver } = openSaver();
  const put: string[] = [];
  for (const [thread, namespace] of [
    ["a", ""],
    ["b", ""],
    ["a", "child"],
    ["b", "child"],
    ["a", ""],
  ]) {
    put.unshift(idOf(await putStep(saver, configOf(thread!, undefined, namespace), { count: put.length })));
  }
  const idsOf = async (...call: Parameters<typeof saver.list>) =>
    (await collected(saver.list(...call))).map(({ checkpoint }) => checkpoint.id);
  expect(await idsOf({})).toEqual(put);
  expect(await idsOf({}, { limit: 2 })).toEqual(put.slice(0, 2));
  expect(await idsOf({}, { before: configOf("any", put[1]) })).toEqual(put.slice(2));
  expect(await idsOf({ configurable: { thread_id: "a" } })).toEqual([put[0], put[2], put[4]]);
});

test("TidemarkSaver filters by what metadata holds, not by which object it is", async () => {
  const { saver } = openSaver();
  const metadata = { ...METADATA, user: { id: 7, tags: ["x"] } };
  await saver.put(configOf("t"), checkpointOf({}), metadata, {});
  const found = (filter: object) => collected(saver.list(configOf("t"), { filter }));
  expect(await found({ user: { tags: ["x"], id: 7 } })).toHaveLength(1);
  expect(await found({ user: { tags: ["y"], id: 7 } })).toHaveLength(0);
  expect(await found({ constructor: Object })).toHaveLength(0);
});

test("TidemarkSaver takes any text as the name of a thread, a channel or a task", async () => {
  const { saver } = openSaver();
  for (const name of ["__proto__", "constructor", "a/b", "\0", "ü"]) {
    const values = Object.fromEntries([[name, 1]]);
    const config = await saver.put(configOf(name), checkpointOf(values), METADATA, values);
    await saver.putWrites(config, [[name, 2]], name);
    const tuple = await saver.getTuple(configOf(name));
    expect(tuple?.checkpoint.channel_values).toEqual(values);
    expect(tuple?.pendingWrites).toEqual([[name, name, 2]]);
  }
});

test("TidemarkSaver refuses configs that name no thread or checkpoint, or not with text", async () => {
  const { saver } = openSaver();
  await expect(saver.put({}, checkpointOf({}), METADATA, {})).rejects.toThrow(TypeError);
  await expect(saver.putWrites(configOf("t"), [], "task")).rejects.toThrow(TypeError);
  await expect(saver.getTuple({ configurable: { thread_id: 7 } })).rejects.toThrow(TypeError);
  expect(() => new TidemarkSaver({ kv: openMemoryKv(), prefix: "a/b" })).toThrow(RangeError);
});
