import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { logId, nobleHasher, regionId, shardId } from "@tidemark/core";
import { Vector } from "@tidemark/wal";
import fc from "fast-check";
import { expect, test } from "vitest";
import {
  clusterIdOf,
  decodeAck,
  decodeMembership,
  decodeReply,
  decodeRequest,
  encodeAck,
  encodeMembership,
  encodeReply,
  encodeRequest,
  encodeSnapshotBody,
  encodeSnapshotToken,
  FRAME_OVERHEAD_BYTES,
  FrameCodec,
  membershipDigest,
  ReplicationError,
  ShardRouter,
  type FrameKeys,
  type Membership,
  type Reply,
  type Request,
} from "../src/index.ts";
import { anyAck, anyBytes, anyLogId, anyVector } from "./arbitrary.ts";

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
const plain = (value: unknown): unknown =>
  JSON.parse(
    JSON.stringify(value, (_, part) =>
      part instanceof Vector ? hex(part.encode()) : part instanceof Uint8Array ? hex(part) : part,
    ),
  );

const anyRequest: fc.Arbitrary<Request> = fc.oneof(
  fc
    .tuple(anyLogId, fc.integer({ min: 1, max: 2 ** 50 }), fc.nat(2 ** 30))
    .map(([log, from, more]): Request => ({ kind: "range", log, from, to: from + more })),
  fc.record({ kind: fc.constant("vectors" as const), membershipDigest: anyBytes(16), ack: anyAck }),
  fc.record({
    kind: fc.constant("vectors" as const),
    membershipDigest: anyBytes(16),
    ack: anyAck,
    schema: anyBytes(32),
  }),
  fc
    .uniqueArray(fc.nat(4_095), { maxLength: 20 })
    .map((slots): Request => ({ kind: "digests", slots: slots.toSorted((a, b) => a - b) })),
  fc
    .tuple(
      fc.constantFrom("signals" as const, "sessions" as const),
      fc.constantFrom("slots" as const, "objects" as const),
    )
    .map(([channel, of]): Request => ({ kind: "digests", slots: [3, 9], detail: { channel, of } })),
  fc.record({ kind: fc.constant("snapshot" as const), token: fc.uint8Array({ maxLength: 50 }) }),
  fc.record({
    kind: fc.constant("keys" as const),
    pseudonyms: fc.array(fc.uint8Array({ maxLength: 64 }), { maxLength: 5 }),
  }),
  fc.constant<Request>({ kind: "membership" }),
  fc.record({
    kind: fc.constant("propose" as const),
    phase: fc.constantFrom("asked" as const, "decided" as const, "withdrawn" as const),
    list: fc.integer({ min: 1, max: 5 }).map((version) => ({
      version,
      regions: new Map([["a", regionId(version)]]),
      seed: new Uint8Array(16),
      shards: 1,
      router: ShardRouter.single(),
    })),
  }),
  fc.record({
    kind: fc.constant("relay" as const),
    records: fc.array(fc.uint8Array({ minLength: 1, maxLength: 60 }), { maxLength: 5 }),
  }),
);

const anyReply: fc.Arbitrary<Reply> = fc.oneof(
  fc.record({ kind: fc.constant("range" as const), batches: fc.uint8Array({ maxLength: 200 }) }),
  fc.record({ kind: fc.constant("vectors" as const), membershipDigest: anyBytes(16), ack: anyAck }),
  fc.record({
    kind: fc.constant("vectors" as const),
    membershipDigest: anyBytes(16),
    ack: anyAck,
    schema: anyBytes(32),
  }),
  fc.record({ kind: fc.constant("digests" as const), vector: anyVector, digest: anyBytes(32) }),
  fc.record({
    kind: fc.constant("digests" as const),
    vector: anyVector,
    digest: anyBytes(32),
    details: fc.record({
      replayed: fc.boolean(),
      truncated: fc.boolean(),
      slots: anyBytes(32).map((digest) => [
        { slot: 4, digest },
        { slot: 4_095, digest },
      ]),
      objects: anyBytes(32).map((digest) => [{ kind: 2, id: "user", digest }]),
    }),
  }),
  fc.record({
    kind: fc.constantFrom("snapshot" as const, "keys" as const),
    part: fc.record({
      id: anyBytes(16),
      totalBytes: fc.maxSafeNat(),
      offset: fc.maxSafeNat(),
      bytes: fc.uint8Array({ maxLength: 60 }),
    }),
  }),
  fc.constant<Reply>({ kind: "relay" }),
  fc.constant<Reply>({ kind: "propose" }),
  fc.record({
    kind: fc.constant("refused" as const),
    of: fc.nat(255),
    refusal: fc.constantFrom(
      "not-held" as const,
      "trimmed" as const,
      "unsupported" as const,
      "not-a-member" as const,
      "not-writing" as const,
      "not-agreed" as const,
    ),
    first: fc.maxSafeNat(),
  }),
);

test("TRN-4 acks, requests and replies come back as they were", () => {
  fc.assert(
    fc.property(anyAck, anyBytes(8), anyRequest, anyReply, (ack, nonce, request, reply) => {
      expect(plain(decodeAck(encodeAck(ack)))).toEqual(plain(ack));
      expect(plain(decodeRequest(encodeRequest(nonce, request)))).toEqual(plain({ nonce, request }));
      expect(plain(decodeReply(encodeReply(nonce, reply)))).toEqual(plain({ nonce, reply }));
    }),
  );
});

const DECODERS: Record<string, (bytes: Uint8Array) => unknown> = {
  decodeAck,
  decodeRequest,
  decodeReply,
  decodeMembership,
  "ShardRouter.parse": (bytes) => ShardRouter.parse(Buffer.from(bytes).toString("latin1")),
};

test("CORE-13 scenario 38: any bytes decode or give one typed error, nothing else", () => {
  const refused = (decode: (bytes: Uint8Array) => unknown, bytes: Uint8Array): void => {
    try {
      decode(bytes);
    } catch (error) {
      expect(error).toBeInstanceOf(ReplicationError);
      expect((error as ReplicationError).code).toBe("MESSAGE_MALFORMED");
    }
  };
  const nonce = new Uint8Array(8);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
      for (const decode of Object.values(DECODERS)) refused(decode, bytes);
    }),
    { numRuns: 2_000 },
  );
  // Nearly right is harder than random: one byte of a good message changed, cut or doubled.
  fc.assert(
    fc.property(anyRequest, anyReply, fc.nat(), fc.nat(255), (request, reply, at, byte) => {
      const cases = [
        { decode: decodeRequest as (bytes: Uint8Array) => unknown, bytes: encodeRequest(nonce, request) },
        { decode: decodeReply, bytes: encodeReply(nonce, reply) },
      ];
      for (const { decode, bytes } of cases) {
        const changed = bytes.slice();
        changed[at % bytes.length] = byte;
        refused(decode, changed);
        refused(decode, bytes.subarray(0, at % bytes.length));
        refused(decode, Uint8Array.of(...bytes, byte));
      }
    }),
  );
});

test("CORE-13 scenario 38: a giant count is refused before anything is allocated by it", () => {
  const giant = Uint8Array.of(...new Uint8Array(10), 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f);
  expect(() => decodeAck(giant)).toThrow("Cannot read an ack: Cannot hold");
  const keys = Uint8Array.of(...new Uint8Array(8), 5, 0xff, 0xff, 0xff, 0x7f);
  expect(() => decodeRequest(keys)).toThrow("Cannot read a request: Cannot hold");
});

const KEY = { id: 1, key: new Uint8Array(32).fill(1) };
const OTHER = { id: 2, key: new Uint8Array(32).fill(2) };

function codec(keys: FrameKeys = {}, seed: number = 7): FrameCodec {
  const clusterId = clusterIdOf(nobleHasher, new Uint8Array(16).fill(seed));
  return new FrameCodec({ hasher: nobleHasher, clusterId, region: regionId(3), shard: shardId(2), ...keys });
}

test("TRN-4 a frame comes back as it was sealed, with and without a key", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 500 }), fc.boolean(), (body, signed) => {
      const both = codec(signed ? { keys: [KEY] } : {});
      const sealed = both.seal("sessions", body.subarray(0, 5), body.subarray(5));
      expect(sealed.length).toBe(body.length + FRAME_OVERHEAD_BYTES);
      const frame = both.open(sealed);
      expect(frame).toMatchObject({
        kind: "sessions",
        keyId: signed ? 1 : 0,
        region: 3,
        shard: 2,
        ofCluster: true,
      });
      expect(typeof frame === "string" ? undefined : hex(frame.body)).toBe(hex(body));
    }),
  );
});

test("TRN-4 every changed bit of a frame is refused, before its body is looked at", () => {
  const both = codec({ keys: [KEY] });
  const sealed = both.seal("ack", Uint8Array.of(1, 2, 3));
  for (let bit = 0; bit < sealed.length * 8; bit++) {
    const changed = sealed.slice();
    changed[bit >> 3]! ^= 1 << (bit & 7);
    expect(both.open(changed), `bit ${bit}`).toBeTypeOf("string");
  }
  for (let length = 0; length < sealed.length; length++)
    expect(both.open(sealed.subarray(0, length))).toBeTypeOf("string");
});

test("TRN-4 refusals are told apart: unsigned, unknown key, wrong key, another cluster, another version", () => {
  const unsigned = codec().seal("ack", new Uint8Array(1));
  const keyed = codec({ keys: [KEY] });
  expect(keyed.open(unsigned)).toBe("unsigned");
  expect(keyed.open(codec({ keys: [OTHER] }).seal("ack", new Uint8Array(1)))).toBe("unknown-key");
  expect(keyed.open(codec({ keys: [{ ...OTHER, id: 1 }] }).seal("ack", new Uint8Array(1)))).toBe("tag");
  expect(codec().open(codec({}, 8).seal("ack", new Uint8Array(1)))).toBe("cluster");
  const newer = unsigned.slice();
  newer[4] = 2;
  expect(codec().open(newer)).toBe("version");
  const accepting = codec({ keys: [KEY], acceptUnsigned: true });
  expect(accepting.open(unsigned)).toBeTypeOf("object");
  expect(accepting.unsignedAccepted).toBe(1);
  expect(accepting.authentication).toBe("accept-unsigned");
});

test("TRN-4 a region without a cluster may ask, and nothing else of it is let in", () => {
  const joiner = new FrameCodec({
    hasher: nobleHasher,
    clusterId: new Uint8Array(8),
    region: regionId(4),
    shard: shardId(0),
    anyCluster: true,
  });
  expect(codec().open(joiner.seal("request", new Uint8Array(9)))).toMatchObject({ ofCluster: false });
  expect(codec().open(joiner.seal("ack", new Uint8Array(9)))).toBe("cluster");
});

test("TRN-4 keys: two at most, of 32 bytes, with ids of their own", () => {
  expect(() => codec({ keys: [KEY, OTHER, { ...OTHER, id: 3 }] })).toThrow(RangeError);
  expect(() => codec({ keys: [KEY, { ...OTHER, id: 1 }] })).toThrow(RangeError);
  expect(() => codec({ keys: [{ id: 0, key: KEY.key }] })).toThrow(RangeError);
  expect(() => codec({ keys: [{ id: 1, key: new Uint8Array(31) }] })).toThrow(RangeError);
});

const MEMBERSHIP: Membership = {
  version: 3,
  regions: new Map([
    ["us-east", regionId(1)],
    ["eu-west", regionId(2)],
  ]),
  seed: new Uint8Array(16).map((_, at) => at),
  shards: 2,
};

/** A list with a past: eu-north went, us-east came back. */
const CHANGED: Membership = {
  ...MEMBERSHIP,
  version: 9,
  removed: new Map([[regionId(7), { name: "eu-north", version: 5 }]]),
  since: new Map([[regionId(1), 9]]),
};

test("REP-7 the past of a list is the end of its bytes, and a list without one has none", () => {
  const plain = hex(encodeMembership({ ...CHANGED, removed: new Map(), since: new Map() }));
  expect(plain).toBe(hex(encodeMembership({ ...MEMBERSHIP, version: 9 })));
  const past = "01" + "0700" + "05000000" + "0865752d6e6f727468" + "01" + "0100" + "09000000";
  expect(hex(encodeMembership(CHANGED))).toBe(plain + past);
  const { removed, since } = decodeMembership(encodeMembership(CHANGED));
  expect([removed, since]).toEqual([CHANGED.removed, CHANGED.since]);
  const wrong: [Partial<Membership>, RegExp][] = [
    [{ removed: new Map([[regionId(1), { name: "a", version: 5 }]]) }, /a member and removed/],
    [{ removed: new Map([[regionId(7), { name: "a", version: 10 }]]) }, /later version/],
    [{ since: new Map([[regionId(7), 5]]) }, /no member is there/],
    [{ since: new Map([[regionId(1), 10]]) }, /later version/],
  ];
  for (const [change, message] of wrong)
    expect(() => decodeMembership(encodeMembership({ ...CHANGED, ...change }))).toThrow(message);
  expect(() => decodeMembership(Buffer.from(plain + "0000", "hex"))).toThrow(/says nothing/);
});

test("REP-7 a list of members has one encoding, whatever the order it was written in", () => {
  const turned = { ...MEMBERSHIP, regions: new Map([...MEMBERSHIP.regions].toReversed()) };
  expect(hex(encodeMembership(turned))).toBe(hex(encodeMembership(MEMBERSHIP)));
  const decoded = decodeMembership(encodeMembership(MEMBERSHIP));
  expect(hex(encodeMembership(decoded))).toBe(hex(encodeMembership(MEMBERSHIP)));
  expect(decodeMembership(encodeMembership({ ...MEMBERSHIP, encryption: true })).encryption).toBe(true);
  expect(decoded.router!.ranges).toEqual(ShardRouter.hash(2).ranges);
  const digest = hex(membershipDigest(nobleHasher, MEMBERSHIP));
  const others = [
    { ...MEMBERSHIP, version: 4 },
    { ...MEMBERSHIP, shards: 3, router: ShardRouter.hash(2) },
    { ...MEMBERSHIP, router: ShardRouter.single() },
    { ...MEMBERSHIP, regions: new Map([...MEMBERSHIP.regions, ["c", regionId(3)] as const]) },
    { ...MEMBERSHIP, seed: new Uint8Array(16) },
    { ...MEMBERSHIP, encryption: true },
  ];
  for (const other of others) expect(hex(membershipDigest(nobleHasher, other))).not.toBe(digest);
  const twice = {
    ...MEMBERSHIP,
    regions: new Map([
      ["a", regionId(1)],
      ["b", regionId(1)],
    ] as const),
  };
  expect(() => encodeMembership(twice)).toThrow(RangeError);
});

/** What golden files hold: added, never rewritten. */
const GOLDEN: Record<string, () => Uint8Array> = {
  "v1-ack.bin": () => encodeAck(GOLDEN_ACK),
  "v1-request-range.bin": () =>
    encodeRequest(NONCE, { kind: "range", log: logId(1, 0, 1_790_000_000, "sessions"), from: 5, to: 900 }),
  "v1-request-vectors.bin": () =>
    encodeRequest(NONCE, { kind: "vectors", membershipDigest: new Uint8Array(16).fill(6), ack: GOLDEN_ACK }),
  "v1-request-vectors-schema.bin": () =>
    encodeRequest(NONCE, {
      kind: "vectors",
      membershipDigest: new Uint8Array(16).fill(6),
      ack: GOLDEN_ACK,
      schema: new Uint8Array(32).fill(9),
    }),
  "v1-reply-vectors-schema.bin": () =>
    encodeReply(NONCE, {
      kind: "vectors",
      membershipDigest: new Uint8Array(16).fill(6),
      ack: GOLDEN_ACK,
      schema: new Uint8Array(32).fill(9),
    }),
  "v1-request-digests.bin": () => encodeRequest(NONCE, { kind: "digests", slots: [0, 7, 4_095] }),
  "v1-request-snapshot.bin": () => encodeRequest(NONCE, { kind: "snapshot", token: Uint8Array.of(1, 2) }),
  "v1-request-keys.bin": () =>
    encodeRequest(NONCE, { kind: "keys", pseudonyms: [Uint8Array.of(3), Uint8Array.of(4, 5)] }),
  "v1-request-membership.bin": () => encodeRequest(NONCE, { kind: "membership" }),
  "v1-request-relay.bin": () =>
    encodeRequest(NONCE, { kind: "relay", records: [Uint8Array.of(7), Uint8Array.of(8, 9)] }),
  "v1-reply-relay.bin": () => encodeReply(NONCE, { kind: "relay" }),
  "v1-reply-range.bin": () => encodeReply(NONCE, { kind: "range", batches: Uint8Array.of(9, 9) }),
  "v1-reply-vectors.bin": () =>
    encodeReply(NONCE, { kind: "vectors", membershipDigest: new Uint8Array(16).fill(6), ack: GOLDEN_ACK }),
  "v1-reply-digests.bin": () =>
    encodeReply(NONCE, { kind: "digests", vector: GOLDEN_ACK.vector, digest: new Uint8Array(32).fill(4) }),
  "v1-request-digests-detail.bin": () =>
    encodeRequest(NONCE, { kind: "digests", slots: [7], detail: { channel: "sessions", of: "objects" } }),
  "v1-reply-digests-details.bin": () =>
    encodeReply(NONCE, {
      kind: "digests",
      vector: GOLDEN_ACK.vector,
      digest: new Uint8Array(32).fill(4),
      details: {
        replayed: true,
        truncated: false,
        slots: [{ slot: 7, digest: new Uint8Array(32).fill(5) }],
        objects: [{ kind: 1, id: "s", digest: new Uint8Array(32).fill(6) }],
      },
    }),
  "v1-reply-snapshot.bin": () =>
    encodeReply(NONCE, {
      kind: "snapshot",
      part: { id: new Uint8Array(16).fill(7), totalBytes: 1_000, offset: 300, bytes: Uint8Array.of(1, 2, 3) },
    }),
  "v1-reply-keys.bin": () =>
    encodeReply(NONCE, {
      kind: "keys",
      part: { id: new Uint8Array(16).fill(8), totalBytes: 500, offset: 0, bytes: Uint8Array.of(4, 5) },
    }),
  "v2-membership-encrypted.bin": () => encodeMembership({ ...MEMBERSHIP, encryption: true }),
  "v1-snapshot-token.bin": () => encodeSnapshotToken({ id: new Uint8Array(16).fill(7), offset: 300 }),
  "v1-snapshot-body.bin": () =>
    encodeSnapshotBody({
      membershipVersion: 3,
      foldVersion: 1,
      parts: new Map([["sessions", Uint8Array.of(1, 2)] as const, ["signals", Uint8Array.of(3)] as const]),
      ends: [{ log: logId(1, 0, 1_790_000_000, "sessions"), digest: new Uint8Array(16).fill(0xaa) }],
    }),
  "v1-reply-membership.bin": () => encodeReply(NONCE, { kind: "membership", membership: MEMBERSHIP }),
  "v1-reply-refused.bin": () =>
    encodeReply(NONCE, { kind: "refused", of: 1, refusal: "trimmed", first: 300 }),
  "v1-membership.bin": () => encodeMembership(MEMBERSHIP),
  "v1-request-propose.bin": () => encodeRequest(NONCE, { kind: "propose", phase: "asked", list: CHANGED }),
  "v1-reply-propose.bin": () => encodeReply(NONCE, { kind: "propose" }),
  "v1-reply-not-agreed.bin": () =>
    encodeReply(NONCE, { kind: "refused", of: 8, refusal: "not-agreed", first: 12 }),
  "v1-membership-changed.bin": () => encodeMembership(CHANGED),
  "v1-frame-unsigned.bin": () => codec().seal("sessions", Uint8Array.of(1, 2, 3)),
  "v1-frame-keyed.bin": () => codec({ keys: [KEY] }).seal("ack", Uint8Array.of(1, 2, 3)),
};
const NONCE = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8);
const GOLDEN_ACK = {
  epoch: 1_790_000_001,
  membershipVersion: 3,
  foldVersion: 2,
  vector: Vector.of([
    { log: logId(1, 0, 1_790_000_000, "sessions"), lsn: 300, digest: new Uint8Array(8).fill(0xaa) },
    { log: logId(2, 0, 1_790_000_001, "signals"), lsn: 2 ** 53 - 1, digest: new Uint8Array(8).fill(0xbb) },
  ]),
};

test("CORE-13 golden files hold every format byte for byte", () => {
  for (const [name, make] of Object.entries(GOLDEN)) {
    const path = fileURLToPath(new URL(`golden/${name}`, import.meta.url));
    if (!existsSync(path) && process.env["GOLDEN"] === "add") writeFileSync(path, make());
    expect(hex(make()), name).toBe(readFileSync(path).toString("hex"));
  }
});

test("TRN-4 the ack in hexadecimal", () => {
  expect(hex(encodeAck({ ...GOLDEN_ACK, vector: Vector.of(GOLDEN_ACK.vector.entries().slice(0, 1)) }))).toBe(
    ["813bb16a", "03000000", "0200", "01", "0100", "0000", "803bb16a", "02", "ac02", "aaaaaaaaaaaaaaaa"].join(
      "",
    ),
  );
});
