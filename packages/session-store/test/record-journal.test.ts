import { encodeKey, type Kv, openMemoryKv } from "@tidemark/kv";
import fc from "fast-check";
import { expect, test } from "vitest";
import { RecordJournal, type RecordMode } from "../src/index.ts";
import { JournalNetwork } from "./journal-network.ts";

const REGIONS = ["us-east", "eu-west", "ap-south"] as const;
const PARTITION = "thread/1";
const text = new TextEncoder();
const key = (name: string): Uint8Array => encodeKey(["record", name]);

/** What a region's store holds of the records, by name. */
async function records(kv: Kv, names: readonly string[]): Promise<Record<string, string | undefined>> {
  const values = await kv.get(PARTITION, names.map(key));
  return Object.fromEntries(
    names.map((name, at) => [
      name,
      values[at] === undefined ? undefined : new TextDecoder().decode(values[at]),
    ]),
  );
}

type Step =
  | {
      readonly do: "write";
      readonly region: number;
      readonly name: string;
      readonly mode: RecordMode;
      readonly gone: boolean;
    }
  | { readonly do: "deliver"; readonly from: number; readonly to: number; readonly count: number }
  | { readonly do: "restart"; readonly region: number }
  | { readonly do: "sync"; readonly region: number }
  | { readonly do: "fail"; readonly when: "before" | "after" };

const region = fc.nat({ max: 2 });
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant("write" as const),
      region,
      name: fc.constantFrom("a", "b", "c"),
      mode: fc.constantFrom<RecordMode>("keep", "replace"),
      gone: fc.boolean(),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant("deliver" as const),
      from: region,
      to: region,
      count: fc.nat({ max: 4 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("restart" as const), region }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("sync" as const), region }) },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant("fail" as const),
      when: fc.constantFrom("before" as const, "after" as const),
    }),
  },
);

test("RUN-12 records that are written anywhere, in any order and with failures, are the same in every region: what sorting all writes gives", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
      const network = new JournalNetwork(REGIONS, { entryBytesMax: 120 });
      const stores = REGIONS.map(() => openMemoryKv());
      const open = (at: number): RecordJournal =>
        new RecordJournal({ journal: network.journal(REGIONS[at]!), kv: stores[at]!, namespace: "records" });
      const journals = REGIONS.map((_, at) => open(at));
      // What the naive model says: every write that was acknowledged, or may have been made, in the order of the journal.
      const names = ["a", "b", "c"];
      const written: { name: string; value: string | undefined; mode: RecordMode }[] = [];
      let count = 0;
      for (const one of steps) {
        if (one.do === "deliver") network.deliver(REGIONS[one.from]!, REGIONS[one.to]!, one.count);
        else if (one.do === "restart") journals[one.region] = open(one.region);
        else if (one.do === "sync") await journals[one.region]!.sync("s");
        else if (one.do === "fail") network.failing = one.when;
        else {
          const mode = one.mode;
          const value =
            one.gone && mode === "replace" ? undefined : `${one.name} ${count++} ${"x".repeat(90)}`;
          const change =
            value === undefined
              ? { key: key(one.name), mode }
              : { key: key(one.name), mode, value: text.encode(value) };
          const expected = network.failing;
          try {
            await journals[one.region]!.write("s", PARTITION, [change]);
            expect(expected).toBeUndefined();
            written.push({ name: one.name, value, mode });
          } catch (error) {
            if (expected === undefined) throw error;
            // Of a value only the first of two parts was written, which is nothing; a deletion is one part.
            if (expected === "after" && value === undefined) written.push({ name: one.name, value, mode });
          }
        }
      }
      network.deliverAll();
      for (const journal of journals) await journal.sync("s");
      const [first, ...others] = await Promise.all(stores.map((kv) => records(kv, names)));
      for (const other of others) expect(other).toEqual(first);
      expect(first).toEqual(
        Object.fromEntries(
          names.map((name) => {
            const of = written.filter((write) => write.name === name);
            const replaced = of.findLast(({ mode }) => mode === "replace");
            return [name, (replaced ?? of[0])?.value];
          }),
        ),
      );
    }),
    { numRuns: 150 },
  );
});

test("RUN-12 a hole in what a region wrote is an error, and nothing is applied over it", async () => {
  const network = new JournalNetwork(["us-east", "eu-west"], { window: 3, entryBytesMax: 1_000 });
  const [east, west] = [openMemoryKv(), openMemoryKv()];
  const writer = new RecordJournal({ journal: network.journal("us-east"), kv: east, namespace: "records" });
  const reader = new RecordJournal({ journal: network.journal("eu-west"), kv: west, namespace: "records" });
  for (const name of ["a", "b", "c", "d"])
    await writer.write("s", PARTITION, [{ key: key(name), value: text.encode(name), mode: "keep" }]);
  network.deliverAll();
  await expect(reader.sync("s")).rejects.toMatchObject({ code: "JOURNAL_GAP", session: "s" });
  await expect(
    reader.write("s", PARTITION, [{ key: key("e"), value: text.encode("e"), mode: "keep" }]),
  ).rejects.toMatchObject({ code: "JOURNAL_GAP" });
  expect(await records(west, ["a", "b", "c", "d", "e"])).toEqual({});
});

test("RUN-12 a journal that passes over holes applies what came, and nothing that is earlier than what is there", async () => {
  const network = new JournalNetwork(["us-east", "eu-west"], { window: 3, entryBytesMax: 1_000 });
  const west = openMemoryKv();
  const open = (name: string, kv: Kv): RecordJournal =>
    new RecordJournal({ journal: network.journal(name), kv, namespace: "records", holes: "pass" });
  const [writer, reader] = [open("us-east", openMemoryKv()), open("eu-west", west)];
  for (const name of ["a", "b", "c", "d", "b"])
    await writer.write("s", PARTITION, [{ key: key(name), value: text.encode(name), mode: "replace" }]);
  network.deliverAll();
  await reader.sync("s");
  expect(await records(west, ["a", "b", "c", "d"])).toEqual({ b: "b", c: "c", d: "d" });
  await reader.write("s", PARTITION, [{ key: key("b"), mode: "replace" }]);
  network.deliverAll();
  // It has forgotten what it read, and reads it again.
  await open("eu-west", west).sync("s");
  expect(await records(west, ["a", "b", "c", "d"])).toEqual({ c: "c", d: "d" });
});

test("RUN-12 a region that follows has at hand what was written elsewhere, and says what it could not apply", async () => {
  const network = new JournalNetwork(["us-east", "eu-west"], { entryBytesMax: 1_000 });
  const west = openMemoryKv();
  const writer = new RecordJournal({
    journal: network.journal("us-east"),
    kv: openMemoryKv(),
    namespace: "records",
  });
  const reader = new RecordJournal({ journal: network.journal("eu-west"), kv: west, namespace: "records" });
  const stop = new AbortController();
  const failures: string[] = [];
  const following = reader.follow(stop.signal, (session) => failures.push(session));
  await writer.write("s", PARTITION, [{ key: key("a"), value: text.encode("a"), mode: "keep" }]);
  network.deliver("us-east", "eu-west");
  await expect.poll(() => records(west, ["a"])).toEqual({ a: "a" });
  await west.close();
  await writer.write("t", PARTITION, [{ key: key("b"), value: text.encode("b"), mode: "keep" }]);
  network.deliver("us-east", "eu-west");
  await expect.poll(() => failures).toContain("t");
  stop.abort();
  await following;
});
