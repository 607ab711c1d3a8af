import { nobleHasher } from "@tidemark/core";
import { encodeRecord, type KvErrorCode, KvError, openMemoryKv } from "@tidemark/kv";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  asSessionStoreError,
  canonicalJson,
  decodeTurnRecord,
  encodeTurnRecord,
  type HeadRecord,
  type JsonValue,
  mergeUsage,
  migrateRecords,
  recordCodec,
  type RecordMigration,
  runDecision,
  SessionStoreError,
  type TurnRecord,
  turnPuts,
} from "../src/index.ts";
import { headRecord } from "../src/head.ts";
import { sessionKeys } from "../src/keys.ts";
import { sessionMetaRecord } from "../src/session-meta.ts";
import { refusal, refused } from "./refusal.ts";
import { appending, Bench, hold, node } from "./stores.ts";

const records = { partition: "session/s", hasher: nobleHasher };
const key = sessionKeys.meta;

describe("records", () => {
  test("RUN-10 a codec gives back what it was given, and equal bodies give equal bytes", () => {
    const codec = recordCodec<{ value: JsonValue }>("any", 3);
    fc.assert(
      fc.property(fc.jsonValue({ stringUnit: "grapheme" }), (value) => {
        const body = JSON.parse(JSON.stringify({ value })) as { value: JsonValue };
        const { value: bytes } = codec.item(body, key, records);
        expect(codec.read(bytes, key, records)).toEqual(body);
        expect(codec.item(codec.read(bytes, key, records)!, key, records).value).toEqual(bytes);
      }),
    );
  });

  test("C-7 C-10 RUN-10 a version that is older or newer is RECORD_VERSION with kind, actual and expected; damage is DATA_CORRUPT", async () => {
    for (const version of [0, 2, 65_535]) {
      const stored = recordCodec<object>("session-meta", version).item({}, key, records).value;
      const error = refusal(() => translated(() => sessionMetaRecord.read(stored, key, records)));
      expect(error).toMatchObject({
        code: "RECORD_VERSION",
        kind: "session-meta",
        actual: version,
        expected: 1,
      });
    }
    expect(sessionMetaRecord.read(undefined, key, records)).toBeUndefined();
    const { value } = recordCodec<object>("session-meta", 1).item({ a: 1 }, key, records);
    for (let at = 0; at < value.length; at++) {
      const damaged = value.with(at, value[at]! ^ 1);
      expect(refusal(() => translated(() => sessionMetaRecord.read(damaged, key, records))).code).toBe(
        "DATA_CORRUPT",
      );
    }
    const elsewhere = () => translated(() => sessionMetaRecord.read(value, sessionKeys.head, records));
    expect(refusal(elsewhere).code).toBe("DATA_CORRUPT");
    const text = encodeRecord(
      { kind: "session-meta", version: 1 },
      Uint8Array.of(0xff),
      { partition: records.partition, key },
      nobleHasher,
    );
    expect(refusal(() => sessionMetaRecord.read(text, key, records))).toMatchObject({
      code: "DATA_CORRUPT",
      kind: "session-meta",
    });
  });

  test("C-7 C-9 RUN-3 a session of which one record is of another version or damaged is refused by every read of it", async () => {
    for (const [code, spoil] of [
      ["RECORD_VERSION", () => recordCodec<object>("head", 2).item({}, sessionKeys.head, records).value],
      ["DATA_CORRUPT", () => Uint8Array.of(1, 2, 3)],
    ] as const) {
      await using bench = new Bench();
      const session = await bench.session();
      const lease = await hold(session);
      await session.commit(appending(session, lease, [node("a")]));
      const kv = await bench.handle();
      await kv.commit(records.partition, { puts: [{ key: sessionKeys.head, value: spoil() }] });
      for (const call of [
        () => session.load(),
        () => session.headMeta(),
        () => session.pickerInfo(),
        () => session.node("a"),
        () => session.fork(),
        () => session.commit(appending(session, lease, [node("b", "a")])),
      ]) {
        expect((await refused(call())).code).toBe(code);
      }
    }
  });
});

describe("errors", () => {
  test.each<[KvErrorCode, string, boolean]>([
    ["KV_CORRUPT", "DATA_CORRUPT", false],
    ["KV_RECORD_VERSION", "RECORD_VERSION", false],
    ["KV_STORE_VERSION", "RECORD_VERSION", false],
    ["KV_TOO_LARGE", "COMMIT_TOO_LARGE", false],
    ["KV_CLOSED", "STORE_CLOSED", false],
    ["KV_BUSY", "BUSY", true],
    ["KV_UNAVAILABLE", "STORAGE_FAILED", true],
    ["KV_UNSUPPORTED", "STORAGE_FAILED", false],
  ])(
    "C-8 C-9 C-11 %s of the key-value store is %s to a caller, with its cause",
    (code, expected, retryable) => {
      const cause = new KvError(code, "text", { actual: 2, expected: 1, limit: 3 });
      const error = asSessionStoreError(cause) as SessionStoreError;
      expect(error).toBeInstanceOf(SessionStoreError);
      expect([error.code, error.retryable, error.cause]).toEqual([expected, retryable, cause]);
      if (expected === "RECORD_VERSION") expect(error).toMatchObject({ actual: 2, expected: 1 });
      if (expected === "COMMIT_TOO_LARGE") expect(error).toMatchObject({ actual: 2, limit: 3 });
    },
  );

  test("C-8 what is no failure of the key-value store comes back as it is", async () => {
    const reason = new Error("stop");
    expect(asSessionStoreError(reason)).toBe(reason);
    await using bench = new Bench();
    const session = await bench.session();
    const commit = appending(session, await hold(session), [node("a")]);
    await expect(session.commit(commit, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    await expect(session.commit({ ...commit, session: "" })).rejects.toThrow(RangeError);
  });

  test("C-9 a decision that others overtake each time is BUSY, is retryable, and wrote nothing", async () => {
    await using kv = openMemoryKv();
    let round = 0;
    const contended = runDecision(
      kv,
      "p",
      async (view) => {
        const [value] = await view.get([key]);
        await kv.commit("p", { puts: [{ key, value: Uint8Array.of(++round) }] });
        return value;
      },
      (value) => ({
        checks: [{ key, value }],
        puts: [{ key, value: Uint8Array.of(99) }],
        deletes: [],
        result: 1,
      }),
      { attemptsMax: 3 },
    );
    expect(await refused(contended)).toMatchObject({ code: "BUSY", retryable: true });
    expect(await kv.get("p", [key])).toEqual([Uint8Array.of(3)]);
  });
});

describe("turn records", () => {
  const id = fc.string({ unit: "grapheme", minLength: 1, maxLength: 6 });
  const turn: fc.Arbitrary<TurnRecord> = fc.record(
    {
      session: fc.constant("s"),
      turn: id,
      hash: fc.constant("ab".repeat(32)),
      projection: fc.constant(1),
      parentRevision: fc.constant(0),
      revision: fc.constant(1),
      generation: fc.nat(),
      committedAtMs: fc.nat(),
      config: fc.record({ provider: id, model: id }),
      frames: fc.constant([]),
      currentFrame: id,
      graph: fc.record({
        type: fc.constantFrom("append" as const, "replace" as const),
        first: fc.constant(1),
        nodes: fc.uniqueArray(id, { maxLength: 4 }).map((ids) => ids.map((one) => node(one))),
      }),
      bodies: fc
        .dictionary(id, fc.uint8Array({ maxLength: 9 }))
        .map((bodies) => new Map(Object.entries(bodies))),
      usage: fc.constant([]),
      completed: fc.constant([]),
      attachments: fc.array(id),
    },
    {
      requiredKeys: [
        "session",
        "hash",
        "projection",
        "parentRevision",
        "revision",
        "generation",
        "committedAtMs",
        "config",
        "frames",
        "graph",
        "bodies",
        "usage",
        "completed",
        "attachments",
      ],
    },
  );

  test("RUN-12 a turn record comes back from its bytes, and writes the same there", () => {
    fc.assert(
      fc.property(turn, (record) => {
        const back = decodeTurnRecord(encodeTurnRecord(record));
        expect(back).toEqual(record);
        expect(turnPuts(undefined, back, records)).toEqual(turnPuts(undefined, record, records));
        expect(encodeTurnRecord(back)).toEqual(encodeTurnRecord(record));
      }),
    );
  });

  test("RUN-12 a turn is applied to the head it was decided on, and to no other", () => {
    const [record] = fc.sample(turn, 1) as [TurnRecord];
    const { head } = turnPuts(undefined, record, records);
    expect(head.revision).toBe(1);
    expect(() => turnPuts(head, record, records)).toThrow(RangeError);
  });

  test("RUN-10 bytes that are no turn record, or one of another version, are refused", () => {
    const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
    expect(refusal(() => decodeTurnRecord(Uint8Array.of(0xff))).code).toBe("DATA_CORRUPT");
    expect(refusal(() => decodeTurnRecord(bytes("[1")))).toMatchObject({ code: "DATA_CORRUPT" });
    expect(refusal(() => decodeTurnRecord(bytes('{"format":2}')))).toMatchObject({
      code: "RECORD_VERSION",
      kind: "turn-record",
      actual: 2,
      expected: 1,
    });
  });

  test("RUN-2 the head does not grow with the graph", async () => {
    await using bench = new Bench();
    const session = await bench.session();
    const lease = await hold(session);
    const size = async (): Promise<number> => {
      const [value] = await (await bench.handle()).get(records.partition, [sessionKeys.head]);
      return value!.length;
    };
    await session.commit(appending(session, lease, [node("n-000")]));
    const first = await size();
    for (let round = 1; round < 10; round++) {
      const nodes = Array.from({ length: 20 }, (_, index) => node(`n-${round}${index + 10}`));
      await session.commit(appending(session, lease, nodes));
    }
    expect(await size()).toBeLessThan(first + 10);
  });
});

test("C-20 sums of usage do not depend on how the deltas were put together", () => {
  const entry = fc.record({
    source: fc.constantFrom("a", "b"),
    model: fc.constantFrom("m", "n"),
    counts: fc.dictionary(fc.constantFrom("x", "y", "__proto__"), fc.nat(1_000), { noNullPrototype: true }),
  });
  fc.assert(
    fc.property(fc.array(entry), fc.array(entry), (a, b) => {
      expect(mergeUsage(mergeUsage([], a), b)).toEqual(mergeUsage([], [...a, ...b]));
    }),
  );
  const huge = [{ source: "a", model: "m", counts: { x: Number.MAX_SAFE_INTEGER } }];
  expect(() => mergeUsage(huge, [{ source: "a", model: "m", counts: { x: 1 } }])).toThrow(RangeError);
  expect(() => mergeUsage([], [{ source: "a", model: "m", counts: { x: -1 } }])).toThrow(RangeError);
});

describe("migrations", () => {
  const renamed: RecordMigration = {
    kind: "session-meta",
    row: "meta",
    from: 1,
    to: 2,
    migrate(body) {
      const { name, ...rest } = body as { readonly [field: string]: JsonValue };
      return { ...rest, title: name! };
    },
    verify: (before, after) =>
      (before as { readonly name: JsonValue }).name === (after as { readonly title: JsonValue }).title,
  };
  const tagged: RecordMigration = {
    ...renamed,
    from: 2,
    to: 3,
    migrate: (body) => ({ ...(body as { readonly [field: string]: JsonValue }), tags: [] }),
    verify: (before, after) =>
      Object.keys(after as object).length === Object.keys(before as object).length + 1,
  };

  test("RUN-10 C-11 a migration is asked for, goes step by step, is verified by content, and is run again safely", async () => {
    await using bench = new Bench();
    const session = await bench.session();
    const kv = await bench.handle();
    expect(await migrateRecords(kv, records, [renamed, tagged])).toEqual({ migrated: 1, kept: 1 });
    expect(await migrateRecords(kv, records, [renamed, tagged])).toEqual({ migrated: 0, kept: 2 });
    const [value] = await kv.get(records.partition, [key]);
    const later = recordCodec<{ readonly title: string }>("session-meta", 3);
    expect(later.read(value, key, records)).toMatchObject({ title: "s", tags: [] });
    expect(await refused(session.meta())).toMatchObject({ code: "RECORD_VERSION", actual: 3, expected: 1 });
  });

  test("RUN-10 what is not verified, and what is damaged, is not written", async () => {
    await using bench = new Bench();
    await bench.session();
    const kv = await bench.handle();
    const before = await bench.dump();
    const lossy = { ...renamed, migrate: () => ({ title: "lost" }) };
    expect((await refused(migrateRecords(kv, records, [lossy]))).code).toBe("DATA_CORRUPT");
    expect(await bench.dump()).toEqual(before);
    await kv.commit(records.partition, { puts: [{ key, value: Uint8Array.of(1) }] });
    expect((await refused(migrateRecords(kv, records, [renamed]))).code).toBe("DATA_CORRUPT");
  });
});

test("RUN-10 the bytes of a head, as they lie there", () => {
  const head: HeadRecord = {
    session: "s",
    revision: 2,
    config: { provider: "p", model: "m" },
    graph: { floor: 1, next: 3, count: 2, leaf: { id: "n", sequence: 2 } },
    usage: [],
    messages: { user: 1, first: "hi" },
  };
  const { value } = headRecord.item(head, sessionKeys.head, records);
  expect(Buffer.from(value.subarray(0, 8)).toString("hex")).toBe("0101000468656164");
  expect(new TextDecoder().decode(value.subarray(16))).toBe(canonicalJson(head as unknown as JsonValue));
  expect(Buffer.from(value.subarray(8, 16)).toString("hex")).toMatchInlineSnapshot(`"d8e0fbbe7cded877"`);
});

function translated<Result>(call: () => Result): Result {
  try {
    return call();
  } catch (error) {
    throw asSessionStoreError(error);
  }
}
