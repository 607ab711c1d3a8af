import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createBlake3Hasher } from "../../packages/blake3-wasm/src/index.ts";
import {
  ByteReader,
  ByteWriter,
  HASH_CONTEXTS,
  logId,
  nobleHasher,
  regionId,
  shardId,
} from "../../packages/core/src/index.ts";
import { FrameCodec } from "../../packages/replication/src/index.ts";
import {
  associatedData,
  decodeOp,
  EffectIds,
  OP_KIND_CODE,
  OpView,
  SessionFold,
  UserKeys,
  UserSeals,
  writeRequest,
} from "../../packages/session/src/index.ts";
import { encodeRecord } from "../../packages/kv/src/index.ts";
import { SignalEffects, SignalLedger, SignalSchema } from "../../packages/signals/src/index.ts";
import { decodeBatch } from "../../packages/wal/src/index.ts";
import { describe, expect, test } from "vitest";
import { root } from "../lib/root.mjs";

const vectors = JSON.parse(readFileSync(join(root, "docs", "hash-vectors.json"), "utf8"));
const bytes = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex, "hex"));
const hex = (value: Uint8Array): string => Buffer.from(value).toString("hex");

test("CORE-14 every hash context and every kind of operation is in docs/formats.md", () => {
  const page = readFileSync(join(root, "docs", "formats.md"), "utf8");
  expect(Object.values(HASH_CONTEXTS).filter((context) => !page.includes(`\`${context}\``))).toEqual([]);
  const kinds = Object.keys(OP_KIND_CODE).filter(
    (kind) => !new RegExp(`\\|[^|\n]*\\b${kind}\\b[^|\n]*\\|`).test(page),
  );
  expect(kinds).toEqual([]);
});

test("CORE-14 SES-3 three vectors of each hash are published", () => {
  const { about, ...tables } = vectors;
  expect(about).toContain("docs/formats.md");
  for (const [name, table] of Object.entries(tables)) expect(table, name).toHaveLength(3);
});

describe.each([
  ["the portable engine", nobleHasher],
  ["the fast engine", createBlake3Hasher()],
])("%s gives the published hashes", (_, hasher) => {
  test.each<{ batch: string; digest: string }>(vectors.batchDigest)(
    "CORE-14 of a batch: $digest",
    (vector) => {
      expect(hex(decodeBatch(bytes(vector.batch), 0, hasher).digest)).toBe(vector.digest);
    },
  );

  test.each<{ op: string; key: string }>(vectors.idempotencyKey)(
    "SES-3 of an operation: $key",
    ({ op, key }) => {
      expect(hex(new EffectIds(hasher, new Uint8Array(8)).keyOf(new OpView(bytes(op))))).toBe(key);
    },
  );

  test.each<Record<"clusterId" | "session" | "operationId" | "tag", string>>(vectors.operationTag)(
    "SES-5 of an operation id: $tag",
    ({ clusterId, session, operationId, tag }) => {
      expect(hex(new EffectIds(hasher, bytes(clusterId)).operationTag(session, operationId))).toBe(tag);
    },
  );

  test.each<{
    clusterId: string;
    request: Parameters<typeof writeRequest>[1];
    bytes: string;
    digest: string;
  }>(vectors.requestDigest)("SES-5 of a request: $digest", (vector) => {
    const writer = new ByteWriter();
    writeRequest(writer, vector.request);
    expect(hex(writer.take())).toBe(vector.bytes);
    expect(hex(new EffectIds(hasher, bytes(vector.clusterId)).requestDigest(bytes(vector.bytes)))).toBe(
      vector.digest,
    );
  });

  test.each<Record<"clusterKey" | "frameKey" | "frame", string>>(vectors.frameKey)(
    "TRN-4 of a cluster key: $frameKey",
    ({ clusterKey, frame }) => {
      const sealed = bytes(frame);
      const codec = new FrameCodec({
        hasher,
        clusterId: sealed.slice(8, 16),
        region: regionId(2),
        shard: shardId(0),
        keys: [{ id: sealed[6]!, key: bytes(clusterKey) }],
      });
      expect(codec.open(sealed)).toMatchObject({ kind: "ack", region: 1 });
    },
  );

  test.each<{ kind: number; id: string; canonical: string; hash: string }>(vectors.stateObject)(
    "REP-11 of a state object: $hash",
    (vector) => {
      const writer = new ByteWriter();
      for (const field of [Uint8Array.of(vector.kind), bytes(vector.id), bytes(vector.canonical)]) {
        writer.u32(field.length);
        writer.raw(field);
      }
      expect(hex(hasher.digest(HASH_CONTEXTS.state, writer.take()))).toBe(vector.hash);
    },
  );

  test.each<
    Record<
      "root" | "seed" | "user" | "pseudonym" | "secret" | "session" | "lane" | "plain" | "sealed",
      string
    > &
      Record<"clusterId" | "request" | "digest", string> &
      Record<"generation" | "number" | "kind", number>
  >(vectors.userSeal)("SES-18 of a user's key: $pseudonym", (vector) => {
    const keys = UserKeys.create(hasher, bytes(vector.root));
    const seals = new UserSeals({ hasher, seed: bytes(vector.seed), keys });
    const pseudonym = seals.pseudonymOf(vector.user);
    expect(hex(pseudonym)).toBe(vector.pseudonym);
    expect(hex(keys.secretOf(pseudonym, vector.generation)!)).toBe(vector.secret);
    const seal = seals.find(pseudonym, vector.generation)!;
    const place = associatedData(vector.session, bytes(vector.lane), vector.number, vector.kind);
    const writer = new ByteWriter();
    seal.seal(writer, bytes(vector.plain), place);
    expect(hex(writer.take())).toBe(vector.sealed);
    expect(hex(seal.open(bytes(vector.sealed), place)!)).toBe(vector.plain);
    expect(hex(seal.requestDigest(bytes(vector.clusterId), bytes(vector.request)))).toBe(vector.digest);
  });

  test.each<{ schema: string; digest: string }>(vectors.signalSchema)(
    "SIG-1 of a signal schema: $digest",
    ({ schema, digest }) => {
      const read = SignalSchema.decode(bytes(schema), hasher);
      expect(hex(read.encode())).toBe(schema);
      expect(hex(read.digest)).toBe(digest);
    },
  );

  test.each<Record<"clusterId" | "operationId" | "request" | "effectId", string>>(vectors.signalEffect)(
    "SIG-3 of a signal without a session: $effectId",
    ({ clusterId, operationId, request, effectId }) => {
      const reader = new ByteReader(bytes(request));
      const content = {
        entity: reader.text(),
        signal: reader.text(),
        weight: reader.f64(),
        eventTimeMs: reader.u64(),
      };
      const propensity = reader.remaining === 0 ? {} : { propensity: reader.f64() };
      const effects = new SignalEffects(hasher, bytes(clusterId));
      expect(hex(effects.idOf(operationId, { ...content, ...propensity }))).toBe(effectId);
    },
  );

  test.each<{ schema: string; records: string[]; digest: string }>(vectors.ledgerDigest)(
    "SIG-2 REP-11 of a ledger: $digest",
    ({ schema, records, digest }) => {
      for (const order of [records, records.toReversed()]) {
        const ledger = new SignalLedger({ hasher, schema: SignalSchema.decode(bytes(schema), hasher) });
        for (const record of order) expect(ledger.apply(bytes(record))).not.toBe("malformed");
        expect(hex(ledger.digest())).toBe(digest);
      }
    },
  );

  test.each<Record<"partition" | "key" | "kind" | "body" | "record", string> & { version: number }>(
    vectors.kvRecord,
  )("RUN-10 of a record of kind $kind", ({ partition, key, kind, version, body, record }) => {
    const place = { partition, key: bytes(key) };
    expect(hex(encodeRecord({ kind, version }, bytes(body), place, hasher))).toBe(record);
  });

  test.each<{ ops: string[]; digest: string }>(vectors.stateDigest)(
    "REP-11 SES-7 of a state: $digest",
    (vector) => {
      for (const ops of [vector.ops, vector.ops.toReversed()]) {
        const fold = new SessionFold({ hasher, clusterId: new Uint8Array(8) });
        ops.forEach((op, index) => fold.apply(bytes(op), logId(1, 0, 7, "sessions"), index + 1));
        expect(hex(fold.digest())).toBe(vector.digest);
      }
    },
  );
});

test.each<{ op: string; effectId: string }>(vectors.effectId)(
  "SES-5 an effect id: $effectId",
  ({ op, effectId }) => {
    const view = new OpView(bytes(op));
    const key = new EffectIds(nobleHasher, new Uint8Array(8)).keyOf(view);
    const own = view.hasOperation ? view.bytes.slice(view.operationAt, view.operationAt + 16) : key;
    expect(hex(own)).toBe(effectId);
    expect(decodeOp(bytes(op)).session).toBe(view.session);
  },
);
