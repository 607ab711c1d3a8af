import { ByteWriter, CoreError, nobleHasher } from "@tidemark/core";
import {
  SessionFold,
  SessionPolicy,
  UserKeys,
  decodeCursor,
  decodeOp,
  decodeTicket,
  encodeCursor,
  encodeOp,
  encodeTicket,
  erasedBy,
  formatLane,
  parseLane,
  slotOfSessionId,
  type Op,
} from "@tidemark/session";
import { decodeBase64url, encodeBase64url } from "../../../../packages/session/src/base64url.ts";
import { decodeCarried, encodeCarried } from "../../../../packages/session/src/carried-state.ts";
import { goldenHex, goldenJson } from "../corpus.ts";
import { bytesOf, decoderTarget, type FuzzTarget } from "../target.ts";
import { textTarget } from "../text-target.ts";

const CLUSTER_ID = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8);
const KEY = { id: 7, key: new Uint8Array(32).fill(9) };
const TRUST = { clusterId: CLUSTER_ID, keys: [], hasher: nobleHasher };

/** What clients present, and what is folded. */
export const SESSION: readonly FuzzTarget[] = [
  decoderTarget({
    name: "session-op",
    seeds: () => goldenJson("session", /^op-/).flatMap((file) => Object.values(file).map(fromHex)),
    decode: (bytes) => {
      erasedBy(bytes);
      return decodeOp(bytes);
    },
    encode: (op) => {
      const { session, lane, seqno, stamp, userKey, operation, kind } = op;
      // Of a kind that this version does not know, and of what is under a user's key, the parts stay what they are.
      if (kind === undefined || userKey !== 0) return op.bytes;
      try {
        op.verify();
      } catch (error) {
        if (error instanceof CoreError) return op.bytes;
        throw error;
      }
      const writer = new ByteWriter();
      const parts = { kind, clear: op.clear, sealed: op.sealed };
      encodeOp(writer, {
        session,
        lane,
        seqno,
        stamp,
        userKey,
        ...(operation && { operation }),
        ...parts,
      } as Op);
      return writer.take();
    },
    heapPerByte: 256,
  }),
  tokenTarget("session-cursor", "tmc1.", {
    seeds: (key) => {
      const entries = [
        { region: 1, epoch: 1_790_000_000, lsn: 42 },
        { region: 2, epoch: 1_790_000_001, lsn: 300 },
      ];
      return encodeCursor({ session: "s:1", clusterId: CLUSTER_ID, entries, hasher: nobleHasher, ...key });
    },
    decode: (token, keys) => decodeCursor(token, { ...TRUST, keys, session: "s:1" }),
    encode: ({ entries }) =>
      encodeCursor({ session: "s:1", clusterId: CLUSTER_ID, entries, hasher: nobleHasher }),
  }),
  tokenTarget("session-ticket", "tmt1.", {
    seeds: (key) =>
      encodeTicket({
        user: "u",
        clusterId: CLUSTER_ID,
        hasher: nobleHasher,
        expiresAtMs: 2_000_000_000_000,
        base: [{ region: 1, epoch: 1_790_000_000, lsn: 40 }],
        entries: [{ region: 1, epoch: 1_790_000_000, lsn: 42 }],
        ops: key === undefined ? [] : [new Uint8Array(16).fill(1), new Uint8Array(40).fill(2)],
        ...key,
      }),
    decode: (token, keys) =>
      decodeTicket(token, { ...TRUST, keys, user: "u", nowMs: 1_790_000_000_000, trustTickets: true }),
    encode: (content) => encodeTicket({ ...content, user: "u", clusterId: CLUSTER_ID, hasher: nobleHasher }),
  }),
  decoderTarget({
    name: "session-user-keys",
    seeds: () => [
      UserKeys.create(nobleHasher, new Uint8Array(16).fill(3)).encode(),
      ...goldenHex("session", /^user-keys/),
    ],
    decode: (bytes) => UserKeys.decode(bytes, nobleHasher),
    encode: (keys) => keys.encode(),
    // An erased user takes 52 bytes, and up to 64 hashes if the tree still knows them: what those leave is collected.
    heapPerByte: 8192,
  }),
  decoderTarget({
    name: "session-policy",
    seeds: () => [
      new SessionPolicy(nobleHasher, { name: "default", version: 1 }).encode(),
      new SessionPolicy(nobleHasher, {
        name: "strict",
        version: 2,
        signals: ["like", "save"],
        opsMax: 100,
        rate: { ops: 5, perMs: 1000 },
        durationMs: 3_600_000,
        idleMs: 60_000,
        visible: { agents: ["one", "two"] },
      }).encode(),
    ],
    decode: (bytes) => SessionPolicy.decode(nobleHasher, bytes),
    encode: (policy) => policy.encode(),
    heapPerByte: 512,
    grow: (bytes) => {
      const signals = Array.from(
        { length: Math.min(4096, Math.ceil(bytes / 8)) },
        (_, at) => `sig${10_000 + at}`,
      );
      return new SessionPolicy(nobleHasher, { name: "long", version: 1, signals }).encode();
    },
  }),
  decoderTarget({
    name: "session-carried",
    seeds: () => [
      encodeCarried([]),
      ...goldenJson("session", /^op-v1\.json/).flatMap((file) => Object.values(file).map(fromHex)),
    ],
    decode: decodeCarried,
    encode: encodeCarried,
    heapPerByte: 512,
  }),
  decoderTarget({
    name: "session-fold",
    seeds: () => goldenJson("session", /^state-/).map(({ snapshot }) => fromHex(snapshot as string)),
    decode: (bytes) => {
      const [once, twice] = [emptyFold(), emptyFold()];
      once.restore(bytes);
      twice.restore(once.snapshot());
      if (Buffer.compare(once.snapshot(), twice.snapshot()) !== 0)
        throw new Error("A fold that was restored from its snapshot has another snapshot");
      if (Buffer.compare(once.digest(), twice.digest()) !== 0)
        throw new Error("A fold that was restored from its snapshot has another digest");
    },
    // A fold begins with tables of its own, and each session and lane with more.
    heapPerByte: 4096,
  }),
  textTarget({
    name: "session-lane",
    seeds: [formatLane({ region: 1, epoch: 7 }), formatLane({ producer: "0".repeat(32), epoch: 2 })],
    parse: parseLane,
    format: formatLane,
  }),
  textTarget({
    name: "session-base64url",
    seeds: ["", "AQcBAgMEBQYHCGvCicbgkp5IAgEA", "__--"],
    parse: (text) => decodeBase64url(text),
    format: encodeBase64url,
  }),
  {
    name: "session-id",
    seeds: () => [bytesOf("abababab-abab-8123-abab-abababababab")],
    run: (input) => {
      const slot = slotOfSessionId(new TextDecoder().decode(input));
      if (slot !== undefined && !(slot >= 0 && slot < 4096)) throw new Error(`An id names slot ${slot}`);
    },
  },
];

function emptyFold(): SessionFold {
  return new SessionFold({ hasher: nobleHasher, clusterId: CLUSTER_ID });
}

interface Token<Content> {
  readonly seeds: (key?: { readonly key: typeof KEY }) => string;
  readonly decode: (token: string, keys: readonly (typeof KEY)[]) => Content;
  readonly encode: (content: Content) => string;
}

/** A token as bytes behind its prefix: unsigned, where every byte is read, and as it comes under a key. */
function tokenTarget<Content>(name: string, prefix: string, token: Token<Content>): FuzzTarget {
  const bytesIn = (text: string): Uint8Array => decodeBase64url(text, prefix.length) as Uint8Array;
  return decoderTarget({
    name,
    seeds: () => [bytesIn(token.seeds()), bytesIn(token.seeds({ key: KEY })), bytesOf(token.seeds())],
    decode: (bytes) => {
      const text = new TextDecoder().decode(bytes);
      for (const keys of [[], [KEY]]) ignoring(() => token.decode(text, keys));
      ignoring(() => token.decode(prefix + encodeBase64url(bytes), [KEY]));
      return token.decode(prefix + encodeBase64url(bytes), []);
    },
    encode: (content) => bytesIn(token.encode(content)),
    heapPerByte: 256,
  });
}

/** A typed refusal is an answer; anything else is not, and goes on. */
function ignoring(run: () => unknown): void {
  try {
    run();
  } catch (error) {
    if (typeof (error as { code?: unknown }).code !== "string") throw error;
  }
}

function fromHex(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, "hex"));
}
