import { ByteWriter, EFFECT_ID_BYTES, HASH_CONTEXTS, HLC_BYTES } from "@tidemark/core";
import type { Hasher } from "@tidemark/core";
import { hexOf } from "./hex.ts";
import type { OpView } from "./op-view.ts";

/** Up to this many bytes are copied by hand. */
const SHORT_BYTES = 48;
/** Bytes of an operation tag, and of a request digest. */
export const OPERATION_TAG_BYTES = 8;

/** Computes the keys and ids of operations; one instance reuses its buffer, so results are copies. */
export class EffectIds {
  readonly #hasher: Hasher;
  readonly clusterId: Uint8Array;
  readonly #writer: ByteWriter = new ByteWriter(1024);

  /** @param clusterId - 8 bytes. */
  constructor(hasher: Hasher, clusterId: Uint8Array) {
    this.#hasher = hasher;
    this.clusterId = clusterId;
  }

  /**
   * The idempotency key, 16 bytes: `tidemark 2026 idempotency-key v1` over session id, lane (as encoded in the
   * operation), seqno (u64) and operation bytes, each as u32-LE length and bytes. Operation bytes are kind (u8),
   * stamp, clear part and sealed part, each as u32-LE length and bytes.
   */
  keyOf(op: OpView): Uint8Array {
    const writer = this.#writer.reset();
    const { bytes, stampAt, clearAt, clearEnd, sealedAt } = op;
    textField(writer, op.session);
    slice(writer, bytes, op.laneAt, op.laneEnd);
    writer.u32(8);
    writer.u64(op.seqno);
    // Four lengths of four bytes, the kind and the stamp.
    writer.u32(27 + (clearEnd - clearAt) + (bytes.length - sealedAt));
    writer.u32(1);
    writer.u8(op.kindCode);
    slice(writer, bytes, stampAt, stampAt + HLC_BYTES);
    slice(writer, bytes, clearAt, clearEnd);
    slice(writer, bytes, sealedAt, bytes.length);
    return this.#hasher.digest(HASH_CONTEXTS.idempotencyKey, writer.view(), EFFECT_ID_BYTES);
  }

  /** The operation tag, 8 bytes: `tidemark 2026 operation-tag v1` over cluster id, session id, operationId. */
  operationTag(session: string, operationId: string): Uint8Array {
    const writer = this.#writer.reset();
    field(writer, this.clusterId);
    textField(writer, session);
    textField(writer, operationId);
    return this.#hasher.digest(HASH_CONTEXTS.operationTag, writer.view(), OPERATION_TAG_BYTES);
  }

  /** The request digest, 8 bytes: `tidemark 2026 request v1` over cluster id and request bytes. */
  requestDigest(request: Uint8Array): Uint8Array {
    const writer = this.#writer.reset();
    field(writer, this.clusterId);
    field(writer, request);
    return this.#hasher.digest(HASH_CONTEXTS.request, writer.view(), OPERATION_TAG_BYTES);
  }
}

/** The text form of an effect id: 32 hexadecimal digits. */
export function formatEffectId(id: Uint8Array): string {
  return hexOf(id);
}

const utf8 = new TextEncoder();

function field(writer: ByteWriter, bytes: Uint8Array): void {
  writer.u32(bytes.length);
  writer.raw(bytes);
}

/** A field that is a part of other bytes. A short one is copied faster by hand than by a call into the engine. */
function slice(writer: ByteWriter, bytes: Uint8Array, from: number, to: number): void {
  const count = to - from;
  writer.u32(count);
  if (count > SHORT_BYTES) {
    writer.raw(bytes.subarray(from, to));
    return;
  }
  writer.reserve(count);
  const into = writer.bytes;
  let at = writer.length;
  for (let index = from; index < to; index++) into[at++] = bytes[index] as number;
  writer.length = at;
}

function textField(writer: ByteWriter, text: string): void {
  const units = text.length;
  writer.reserve(4 + units);
  const from = writer.length + 4;
  let bits = 0;
  for (let unit = 0; unit < units; unit++) {
    const code = text.charCodeAt(unit);
    bits |= code;
    writer.bytes[from + unit] = code;
  }
  if (bits >= 0x80) {
    field(writer, utf8.encode(text));
    return;
  }
  writer.u32(units);
  writer.length += units;
}
