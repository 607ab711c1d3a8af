import { ByteReader, readHlc } from "@tidemark/core";
import type { Hlc } from "@tidemark/core";
import { hexOf } from "./hex.ts";
import { formatLane } from "./lane-id.ts";
import type { Lane } from "./lane-id.ts";
import { NAME_BYTES_MAX, OP_BYTES_MAX } from "./limits.ts";
import {
  LANE_TAG_CLIENT,
  LANE_TAG_REGION,
  OP_FLAG_CLIENT_LANE,
  OP_FLAG_OPERATION,
  OP_FLAG_SEALED,
  OP_VERSION,
  PRODUCER_BYTES,
} from "./op-codec.ts";
import type { Operation, OpContent } from "./op.ts";
import { opKindOf } from "./op-kinds.ts";
import type { OpKind } from "./op-kinds.ts";
import { readClear, readSealed } from "./op-parts.ts";
import { formatUuid } from "./session-id-bytes.ts";

const FLAGS = OP_FLAG_OPERATION | OP_FLAG_SEALED | OP_FLAG_CLIENT_LANE;
const EFFECT_BYTES = 16;

/**
 * An encoded operation whose header has been read and checked; its parts are read when they are asked for.
 * It looks into the bytes it was given: they must not change while it is in use.
 */
export class OpView {
  readonly bytes: Uint8Array;
  readonly kindCode: number;
  /** `undefined` for a kind this version does not fold. */
  readonly kind: OpKind | undefined;
  readonly session: string;
  readonly seqno: number;
  readonly stamp: Hlc;
  readonly userKey: number;
  /** Offset of tag and digest (16 bytes), or -1. */
  readonly operationAt: number;
  readonly #lane: readonly [from: number, to: number];
  readonly #clear: readonly [from: number, to: number];
  readonly #sealed: readonly [from: number, to: number] | undefined;
  #clearRead: OpContent["clear"] | undefined;
  #sealedRead: OpContent["sealed"] | undefined;

  /** @throws CoreError `DECODE_FAILED` unless it is exactly one operation. */
  constructor(bytes: Uint8Array) {
    const reader = new ByteReader(bytes);
    if (bytes.length > OP_BYTES_MAX)
      reader.fail(`Cannot accept ${bytes.length} bytes: the limit is ${OP_BYTES_MAX}`);
    const version = reader.u8();
    if (version !== OP_VERSION) reader.fail(`Cannot read operation version ${version}`, 0);
    this.bytes = bytes;
    this.kindCode = reader.u8();
    this.kind = opKindOf(this.kindCode);
    const flags = reader.u8();
    if ((flags & ~FLAGS) !== 0) reader.fail(`Cannot accept unknown flags: ${flags}`, 2);
    this.session = readSessionId(reader);
    this.#lane = readLane(reader, (flags & OP_FLAG_CLIENT_LANE) !== 0);
    const seqnoAt = reader.offset;
    this.seqno = reader.varint();
    if (this.seqno === 0) reader.fail("Cannot accept the number 0: they begin at 1", seqnoAt);
    this.stamp = readHlc(reader);
    this.userKey = reader.u32();
    this.operationAt = (flags & OP_FLAG_OPERATION) === 0 ? -1 : reader.offset;
    if (this.operationAt >= 0) reader.view(EFFECT_BYTES);
    this.#clear = readPart(reader);
    this.#sealed = (flags & OP_FLAG_SEALED) === 0 ? undefined : readPart(reader);
    reader.finish();
    if (this.kind !== undefined && this.userKey === 0) this.#checkSealed(reader);
  }

  /** Whether the client named the operation: then its effect id is its own, else it follows from its place and bytes. */
  get hasOperation(): boolean {
    return this.operationAt >= 0;
  }

  /** The lane's bytes: tag, region or producer, epoch. */
  get laneBytes(): Uint8Array {
    return this.bytes.subarray(this.#lane[0], this.#lane[1]);
  }

  /** Whether its lane has these bytes, without making anything. */
  laneIs(bytes: Uint8Array): boolean {
    const [from, to] = this.#lane;
    if (bytes.length !== to - from) return false;
    for (let at = 0; at < bytes.length; at++) if (bytes[at] !== this.bytes[from + at]) return false;
    return true;
  }

  get lane(): Lane {
    const reader = new ByteReader(this.bytes, ...this.#lane);
    if (reader.u8() === LANE_TAG_REGION) return { region: reader.u16(), epoch: reader.u32() };
    const producer = hexOf(reader.view(PRODUCER_BYTES));
    return { producer, epoch: reader.u32() };
  }

  get laneText(): string {
    return formatLane(this.lane);
  }

  /** Tag and request digest, 16 bytes, as a view; `undefined` without an operationId. */
  get operationBytes(): Uint8Array | undefined {
    return this.operationAt < 0
      ? undefined
      : this.bytes.subarray(this.operationAt, this.operationAt + EFFECT_BYTES);
  }

  get operation(): Operation | undefined {
    const bytes = this.operationBytes;
    return bytes === undefined ? undefined : { tag: bytes.subarray(0, 8), digest: bytes.subarray(8, 16) };
  }

  /** The clear part's bytes, as a view. */
  get clearBytes(): Uint8Array {
    return this.bytes.subarray(this.#clear[0], this.#clear[1]);
  }

  /** The sealed part's bytes, as a view; empty without one. */
  get sealedBytes(): Uint8Array {
    return this.#sealed === undefined
      ? this.bytes.subarray(0, 0)
      : this.bytes.subarray(this.#sealed[0], this.#sealed[1]);
  }

  /** @throws CoreError `DECODE_FAILED` if the part is not of its kind. */
  get clear(): OpContent["clear"] {
    if (this.kind === undefined) throw new TypeError("The parts of an unknown kind cannot be read");
    this.#clearRead ??= readClear(new ByteReader(this.bytes, ...this.#clear), this.kind, this.stamp.wallMs);
    return this.#clearRead;
  }

  /** @throws CoreError `DECODE_FAILED` if the part is not of its kind. */
  get sealed(): OpContent["sealed"] {
    if (this.kind === undefined) throw new TypeError("The parts of an unknown kind cannot be read");
    this.#sealedRead ??=
      this.#sealed === undefined ? {} : readSealed(new ByteReader(this.bytes, ...this.#sealed), this.kind);
    return this.#sealedRead;
  }

  #checkSealed(reader: ByteReader): void {
    const needs = this.kind !== "signal" && this.kind !== "close";
    if (needs && this.#sealed === undefined)
      reader.fail(`Cannot accept a ${this.kind} without its sealed part`);
  }
}

/**
 * Reads an operation, every part of it that this version can read.
 *
 * @throws CoreError `DECODE_FAILED`.
 */
export function decodeOp(bytes: Uint8Array): OpView {
  const op = new OpView(bytes);
  if (isFoldable(op)) void [op.clear, op.sealed];
  return op;
}

/** Whether this version can fold it: it knows the kind, and the sealed part is in the plain. */
export function isFoldable(op: OpView): boolean {
  return op.kind !== undefined && op.userKey === 0;
}

function readSessionId(reader: ByteReader): string {
  if (reader.remaining > 0 && reader.bytes[reader.offset] === 0) {
    reader.u8();
    const at = reader.offset;
    reader.view(16);
    return formatUuid(reader.bytes, at);
  }
  const start = reader.offset;
  const id = reader.text(NAME_BYTES_MAX);
  // One id, one encoding: a UUID has a shorter one.
  if (id.length === 36 && UUID.test(id)) reader.fail("Cannot accept a UUID as text", start);
  return id;
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

function readLane(reader: ByteReader, client: boolean): readonly [number, number] {
  const from = reader.offset;
  const tag = reader.u8();
  if (tag !== (client ? LANE_TAG_CLIENT : LANE_TAG_REGION))
    reader.fail(`Cannot accept lane tag ${tag}`, from);
  reader.view((client ? PRODUCER_BYTES : 2) + 4);
  return [from, reader.offset];
}

function readPart(reader: ByteReader): readonly [number, number] {
  const length = reader.varint();
  const from = reader.offset;
  reader.view(length);
  return [from, from + length];
}
