import { ByteReader, ByteWriter, HASH_CONTEXTS, writeHlc } from "@tidemark/core";
import type { Hasher } from "@tidemark/core";
import { bytesOfHex, hexOf } from "./hex.ts";
import type { Lane } from "./lane-id.ts";
import { LANE_TAG_CLIENT, LANE_TAG_REGION, PRODUCER_BYTES } from "./op-codec.ts";
import type { OpView } from "./op-view.ts";

const KEY_BYTES = 16;
/** Bytes of an operation tag, and of a request digest. */
export const OPERATION_TAG_BYTES = 8;

/** Computes the keys and ids of operations; one instance reuses its buffer, so results are copies. */
export class EffectIds {
  readonly #hasher: Hasher;
  readonly #clusterId: Uint8Array;
  readonly #writer: ByteWriter = new ByteWriter(1024);

  /** @param clusterId - 8 bytes. */
  constructor(hasher: Hasher, clusterId: Uint8Array) {
    this.#hasher = hasher;
    this.#clusterId = clusterId;
  }

  /**
   * The idempotency key, 16 bytes: `tidemark 2026 idempotency-key v1` over session id, lane (as encoded in the
   * operation), seqno (u64) and operation bytes, each as u32-LE length and bytes. Operation bytes are kind (u8),
   * stamp, clear part and sealed part, each as u32-LE length and bytes.
   */
  keyOf(op: OpView): Uint8Array {
    const writer = this.#writer.reset();
    field(writer, () => writer.raw(utf8.encode(op.session)));
    field(writer, () => writer.raw(op.laneBytes));
    writer.u32(8);
    writer.u64(op.seqno);
    field(writer, () => {
      writer.u32(1);
      writer.u8(op.kindCode);
      writer.u32(10);
      writeHlc(writer, op.stamp);
      writer.u32(op.clearBytes.length);
      writer.raw(op.clearBytes);
      writer.u32(op.sealedBytes.length);
      writer.raw(op.sealedBytes);
    });
    return this.#hasher.digest(HASH_CONTEXTS.idempotencyKey, writer.view(), KEY_BYTES);
  }

  /** The operation tag, 8 bytes: `tidemark 2026 operation-tag v1` over cluster id, session id, operationId. */
  operationTag(session: string, operationId: string): Uint8Array {
    const writer = this.#writer.reset();
    field(writer, () => writer.raw(this.#clusterId));
    field(writer, () => writer.raw(utf8.encode(session)));
    field(writer, () => writer.raw(utf8.encode(operationId)));
    return this.#hasher.digest(HASH_CONTEXTS.operationTag, writer.view(), OPERATION_TAG_BYTES);
  }

  /** The request digest, 8 bytes: `tidemark 2026 request v1` over cluster id and request bytes. */
  requestDigest(request: Uint8Array): Uint8Array {
    const writer = this.#writer.reset();
    field(writer, () => writer.raw(this.#clusterId));
    field(writer, () => writer.raw(request));
    return this.#hasher.digest(HASH_CONTEXTS.request, writer.view(), OPERATION_TAG_BYTES);
  }
}

/** The text form of an effect id: 32 hexadecimal digits. */
export function formatEffectId(id: Uint8Array): string {
  return hexOf(id);
}

/** The bytes of a lane as an operation carries them: tag, region or producer, epoch. */
export function laneBytesOf(lane: Lane): Uint8Array {
  const writer = new ByteWriter(32);
  if ("producer" in lane) {
    writer.u8(LANE_TAG_CLIENT);
    writer.raw(bytesOfHex(lane.producer));
  } else {
    writer.u8(LANE_TAG_REGION);
    writer.u16(lane.region);
  }
  writer.u32(lane.epoch);
  return writer.take();
}

/** The lane of its bytes, or `undefined` if they are none. */
export function laneOfBytes(bytes: Uint8Array): Lane | undefined {
  const reader = new ByteReader(bytes);
  if (bytes.length === 7 && bytes[0] === LANE_TAG_REGION) {
    reader.u8();
    return { region: reader.u16(), epoch: reader.u32() };
  }
  if (bytes.length !== 5 + PRODUCER_BYTES || bytes[0] !== LANE_TAG_CLIENT) return undefined;
  reader.u8();
  return { producer: hexOf(reader.view(PRODUCER_BYTES)), epoch: reader.u32() };
}

const utf8 = new TextEncoder();

function field(writer: ByteWriter, write: () => void): void {
  const at = writer.length;
  writer.u32(0);
  write();
  const end = writer.length;
  writer.length = at;
  writer.u32(end - at - 4);
  writer.length = end;
}
