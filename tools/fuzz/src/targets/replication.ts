import { HASH_CONTEXTS, nobleHasher, preimage, regionId, shardId } from "@tidemark/core";
import {
  FRAME_OVERHEAD_BYTES,
  FrameCodec,
  ReplicationError,
  ShardRouter,
  decodeAck,
  decodeMembership,
  decodeReply,
  decodeRequest,
  decodeSnapshotBody,
  decodeSnapshotToken,
  encodeAck,
  encodeMembership,
  encodeReply,
  encodeRequest,
  encodeSnapshotBody,
  encodeSnapshotToken,
} from "@tidemark/replication";
import { golden } from "../corpus.ts";
import { decoderTarget, type FuzzTarget } from "../target.ts";
import { textTarget } from "../text-target.ts";

const CLUSTER_ID = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8);
const KEY = { id: 7, key: new Uint8Array(32).fill(9) };
const MAC_KEY = nobleHasher.digest(HASH_CONTEXTS.frameMac, preimage([KEY.key]));
const TAG_BYTES = 16;

/** What comes from other regions. */
export const REPLICATION: readonly FuzzTarget[] = [
  {
    name: "replication-frame",
    seeds: () => {
      const bodies = ["", "a body"].map((text) => new TextEncoder().encode(text));
      return [...golden("replication", /^v1-frame/), ...bodies.map((body) => codec().seal("request", body))];
    },
    run: (input) => {
      // Nothing but the kind and the cluster is left to refuse once a tag is right.
      for (const bytes of [input, sealFrame(input)]) {
        const frame = codec().open(bytes);
        if (typeof frame === "string") continue;
        if (frame.body.length !== bytes.length - FRAME_OVERHEAD_BYTES)
          throw new Error(`A frame of ${bytes.length} bytes has a body of ${frame.body.length}`);
      }
    },
  },
  decoderTarget({
    name: "replication-ack",
    seeds: () => golden("replication", /^v1-ack/),
    decode: decodeAck,
    encode: encodeAck,
    heapPerByte: 256,
  }),
  decoderTarget({
    name: "replication-request",
    seeds: () => golden("replication", /^v1-request/),
    decode: decodeRequest,
    encode: ({ nonce, request }) => encodeRequest(nonce, request),
    heapPerByte: 256,
  }),
  decoderTarget({
    name: "replication-reply",
    seeds: () => golden("replication", /^v1-reply/),
    decode: decodeReply,
    encode: ({ nonce, reply }) => encodeReply(nonce, reply),
    heapPerByte: 256,
  }),
  decoderTarget({
    name: "replication-membership",
    seeds: () => golden("replication", /membership(-changed|-encrypted)?\.bin$/),
    decode: decodeMembership,
    encode: encodeMembership,
    heapPerByte: 256,
    grow: (bytes) => {
      const count = Math.ceil(bytes / 12);
      const regions = new Map(Array.from({ length: count }, (_, id) => [`region-${id}`, regionId(id)]));
      return encodeMembership({ version: 1, regions, seed: new Uint8Array(16), shards: 1 });
    },
  }),
  decoderTarget({
    name: "replication-snapshot-body",
    seeds: () => golden("replication", /snapshot-body/),
    decode: decodeSnapshotBody,
    encode: encodeSnapshotBody,
    heapPerByte: 256,
  }),
  decoderTarget({
    name: "replication-snapshot-token",
    seeds: () => golden("replication", /snapshot-token/),
    decode: decodeSnapshotToken,
    encode: encodeSnapshotToken,
  }),
  textTarget({
    name: "replication-slot-map",
    seeds: ["0-4095:0", "0-2047:0,2048-4095:1"],
    parse: (text) => {
      try {
        return ShardRouter.parse(text);
      } catch (error) {
        if (error instanceof ReplicationError) return undefined;
        throw error;
      }
    },
    format: (router) => router.format(),
  }),
];

function codec(): FrameCodec {
  const [region, shard] = [regionId(1), shardId(0)];
  return new FrameCodec({ hasher: nobleHasher, clusterId: CLUSTER_ID, region, shard, keys: [KEY] });
}

/** Makes the length and the tag of a frame right. */
function sealFrame(input: Uint8Array): Uint8Array {
  if (input.length < FRAME_OVERHEAD_BYTES) return input;
  const bytes = input.slice();
  const end = bytes.length - TAG_BYTES;
  new DataView(bytes.buffer).setUint32(20, bytes.length - FRAME_OVERHEAD_BYTES, true);
  bytes[6] = KEY.id;
  bytes.set(nobleHasher.keyedDigest(MAC_KEY, bytes.subarray(0, end), TAG_BYTES), end);
  return bytes;
}
