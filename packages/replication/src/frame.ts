import {
  HASH_CONTEXTS,
  preimage,
  regionId,
  shardId,
  type Hasher,
  type RegionId,
  type ShardId,
} from "@tidemark/core";

const MAGIC = 0x52464d54; // "TMFR" when read as little-endian bytes.
const FRAME_VERSION = 1;
const OFFSET = {
  magic: 0,
  version: 4,
  kind: 5,
  keyId: 6,
  zero: 7,
  cluster: 8,
  region: 16,
  shard: 18,
  bodyBytes: 20,
  body: 24,
} as const;
const TAG_BYTES = 16;

/** What an envelope adds to its body: a batch must leave this much room in a frame. */
export const FRAME_OVERHEAD_BYTES: number = OFFSET.body + TAG_BYTES;
/** Bytes of a cluster id. */
export const CLUSTER_ID_BYTES = 8;

/** What a frame holds. */
export type FrameKind = "signals" | "sessions" | "ack" | "request" | "reply" | "snapshot";

const KIND_CODE: { readonly [kind in FrameKind]: number } = {
  signals: 1,
  sessions: 2,
  ack: 3,
  request: 4,
  reply: 5,
  snapshot: 6,
};
const KIND_OF = new Map<number, FrameKind>(
  (Object.keys(KIND_CODE) as FrameKind[]).map((kind) => [KIND_CODE[kind], kind]),
);

/** A frame whose tag was right. `body` is a view into the bytes that arrived. */
export interface Frame {
  readonly kind: FrameKind;
  /** 0 when it was not signed. */
  readonly keyId: number;
  /** False for a question of a region that has no cluster yet. */
  readonly ofCluster: boolean;
  readonly clusterId: Uint8Array;
  readonly region: RegionId;
  readonly shard: ShardId;
  readonly body: Uint8Array;
}

/** Why a frame was refused, in the order of the checks. */
export type FrameRefusal =
  | "truncated"
  | "magic"
  | "version"
  | "length"
  | "unsigned"
  | "unknown-key"
  | "tag"
  | "reserved"
  | "kind"
  | "cluster";

/** A cluster key and the id that frames name it by. */
export interface ClusterKey {
  /** 1 to 255. */
  readonly id: number;
  /** 32 bytes. */
  readonly key: Uint8Array;
}

/** How frames are signed. */
export interface FrameKeys {
  /** At most two. The first signs; both are accepted, so that keys rotate without a gap. @defaultValue none */
  readonly keys?: readonly ClusterKey[];
  /** While a key is being turned on: frames without one are accepted as well. @defaultValue false */
  readonly acceptUnsigned?: boolean;
  /** The first step of turning a key on: it is known, and not yet used to sign. @defaultValue false */
  readonly sendUnsigned?: boolean;
}

/** What a {@link FrameCodec} needs to know. */
export interface FrameCodecOptions extends FrameKeys {
  readonly hasher: Hasher;
  /** 8 bytes; zeros for a region that has no cluster yet. */
  readonly clusterId: Uint8Array;
  readonly region: RegionId;
  /** Named by frames that carry no batches. */
  readonly shard: ShardId;
  /** Accept frames of any cluster: for a region that is asking which one it joins. @defaultValue false */
  readonly anyCluster?: boolean;
}

/**
 * Seals and opens frames, little-endian.
 *
 * | offset | bytes | type | field       | notes                                                            |
 * | -----: | ----: | :--- | :---------- | :--------------------------------------------------------------- |
 * |      0 |     4 | u32  | `magic`     | ASCII "TMFR"                                                     |
 * |      4 |     1 | u8   | `version`   | 1                                                                |
 * |      5 |     1 | u8   | `kind`      | 1 signals, 2 sessions, 3 ack, 4 request, 5 reply, 6 snapshot part |
 * |      6 |     1 | u8   | `keyId`     | 0 = not signed                                                   |
 * |      7 |     1 | u8   | zero        |                                                                  |
 * |      8 |     8 |      | `clusterId` | zeros: a region that has none yet                                |
 * |     16 |     2 | u16  | `region`    | the sender                                                       |
 * |     18 |     2 | u16  | `shard`     | of the batches; 0 in other kinds                                 |
 * |     20 |     4 | u32  | `bodyBytes` |                                                                  |
 * |     24 |     n |      | `body`      |                                                                  |
 * | 24 + n |    16 |      | `tag`       | BLAKE3 of all before it, keyed with `derive_key(frame-mac, clusterKey)`, else `derive_key(frame)` |
 *
 * A keyed tag shows forgery by outsiders; without a key it shows damage only. The tag is checked before
 * anything in the body is looked at.
 */
export class FrameCodec {
  readonly clusterId: Uint8Array;
  /** Frames that were let in without a signature while a key is set. */
  unsignedAccepted: number = 0;
  readonly #hasher: Hasher;
  readonly #region: RegionId;
  readonly #shard: ShardId;
  readonly #anyCluster: boolean;
  #macKeys: ReadonlyMap<number, Uint8Array> = new Map();
  #signWith: number = 0;
  #acceptUnsigned: boolean = true;

  constructor(options: FrameCodecOptions) {
    this.#hasher = options.hasher;
    this.clusterId = options.clusterId;
    this.#region = options.region;
    this.#shard = options.shard;
    this.#anyCluster = options.anyCluster ?? false;
    this.setKeys(options);
  }

  /** Replaces the keys, between two frames. @throws `RangeError` for more than two, or an id used twice. */
  setKeys(options: FrameKeys): void {
    const { keys = [], acceptUnsigned = false, sendUnsigned = false } = options;
    if (keys.length > 2) throw new RangeError(`At most two cluster keys are live: ${keys.length}`);
    const macKeys = new Map<number, Uint8Array>();
    for (const { id, key } of keys) {
      if (!Number.isInteger(id) || id < 1 || id > 255) throw new RangeError(`key id must be 1 to 255: ${id}`);
      if (key.length !== 32) throw new RangeError(`A cluster key has 32 bytes: ${key.length}`);
      if (macKeys.has(id)) throw new RangeError(`Two cluster keys share the id ${id}`);
      macKeys.set(id, this.#hasher.digest(HASH_CONTEXTS.frameMac, preimage([key])));
    }
    this.#macKeys = macKeys;
    this.#signWith = sendUnsigned ? 0 : (keys[0]?.id ?? 0);
    this.#acceptUnsigned = keys.length === 0 || acceptUnsigned || sendUnsigned;
  }

  /** How frames are authenticated now, for health. */
  get authentication(): "none" | "accept-unsigned" | "required" {
    if (this.#macKeys.size === 0) return "none";
    return this.#acceptUnsigned ? "accept-unsigned" : "required";
  }

  /** Puts a body, given in parts, into an envelope. */
  seal(kind: FrameKind, ...parts: readonly Uint8Array[]): Uint8Array {
    return this.sealOf(this.#shard, kind, parts);
  }

  /** The same for batches of a shard. */
  sealOf(shard: ShardId, kind: FrameKind, parts: readonly Uint8Array[]): Uint8Array {
    let bodyBytes = 0;
    for (const part of parts) bodyBytes += part.length;
    const bytes = new Uint8Array(OFFSET.body + bodyBytes + TAG_BYTES);
    const view = new DataView(bytes.buffer);
    view.setUint32(OFFSET.magic, MAGIC, true);
    bytes[OFFSET.version] = FRAME_VERSION;
    bytes[OFFSET.kind] = KIND_CODE[kind];
    bytes[OFFSET.keyId] = this.#signWith;
    bytes.set(this.clusterId, OFFSET.cluster);
    view.setUint16(OFFSET.region, this.#region, true);
    view.setUint16(OFFSET.shard, shard, true);
    view.setUint32(OFFSET.bodyBytes, bodyBytes, true);
    let at: number = OFFSET.body;
    for (const part of parts) {
      bytes.set(part, at);
      at += part.length;
    }
    bytes.set(this.#tag(this.#signWith, bytes.subarray(0, at)), at);
    return bytes;
  }

  /** Checks an envelope; a frame that fails is a reason, not an exception, so that no link stalls on it. */
  open(bytes: Uint8Array): Frame | FrameRefusal {
    if (bytes.length < FRAME_OVERHEAD_BYTES) return "truncated";
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    if (view.getUint32(OFFSET.magic, true) !== MAGIC) return "magic";
    if (bytes[OFFSET.version] !== FRAME_VERSION) return "version";
    const bodyEnd = bytes.length - TAG_BYTES;
    if (view.getUint32(OFFSET.bodyBytes, true) !== bodyEnd - OFFSET.body) return "length";
    const keyId = bytes[OFFSET.keyId] as number;
    if (keyId === 0 && !this.#acceptUnsigned) return "unsigned";
    if (keyId !== 0 && !this.#macKeys.has(keyId)) return "unknown-key";
    if (!equalTags(this.#tag(keyId, bytes.subarray(0, bodyEnd)), bytes.subarray(bodyEnd))) return "tag";
    if (bytes[OFFSET.zero] !== 0) return "reserved";
    const kind = KIND_OF.get(bytes[OFFSET.kind] as number);
    if (kind === undefined) return "kind";
    const clusterId = bytes.slice(OFFSET.cluster, OFFSET.cluster + CLUSTER_ID_BYTES);
    const ofCluster = this.#anyCluster || clusterId.every((byte, at) => byte === this.clusterId[at]);
    // A region without a cluster may ask which one it joins, and nothing else.
    if (!ofCluster && !(kind === "request" && clusterId.every((byte) => byte === 0))) return "cluster";
    if (keyId === 0 && this.#macKeys.size > 0) this.unsignedAccepted += 1;
    return {
      kind,
      keyId,
      ofCluster,
      clusterId,
      region: regionId(view.getUint16(OFFSET.region, true)),
      shard: shardId(view.getUint16(OFFSET.shard, true)),
      body: bytes.subarray(OFFSET.body, bodyEnd),
    };
  }

  #tag(keyId: number, bytes: Uint8Array): Uint8Array {
    const key = this.#macKeys.get(keyId);
    return key === undefined
      ? this.#hasher.digest(HASH_CONTEXTS.frame, bytes, TAG_BYTES)
      : this.#hasher.keyedDigest(key, bytes, TAG_BYTES);
  }
}

/** Looks at every byte whatever it finds, so that time tells nothing. */
function equalTags(a: Uint8Array, b: Uint8Array): boolean {
  let difference = a.length ^ b.length;
  for (let at = 0; at < a.length; at++) difference |= (a[at] as number) ^ (b[at] ?? 0);
  return difference === 0;
}
