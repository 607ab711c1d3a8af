import { ByteReader, CoreError, EFFECT_ID_BYTES, type Hlc } from "@tidemark/core";
import { readText } from "./ascii.ts";
import { hexOf } from "./hex.ts";
import { formatLane, type Lane } from "./lane-id.ts";
import { NAME_BYTES_MAX, OP_BYTES_MAX } from "./limits.ts";
import { LANE_TAG_CLIENT, LANE_TAG_REGION, PRODUCER_BYTES } from "./lane-bytes.ts";
import { OP_FLAG_CLIENT_LANE, OP_FLAG_OPERATION, OP_FLAG_SEALED, OP_VERSION } from "./op-codec.ts";
import type { EraseClear, OpContent, Operation } from "./op.ts";
import { type OpKind, opKindOf } from "./op-kinds.ts";
import { readClear, readSealed } from "./op-parts.ts";
import { formatUuid, isUuid } from "./session-id-bytes.ts";
import { SignalView } from "./signal-view.ts";
import { PSEUDONYM_BYTES } from "./user-keys.ts";
import { associatedData, type UserSeal } from "./user-seal.ts";

const FLAGS = OP_FLAG_OPERATION | OP_FLAG_SEALED | OP_FLAG_CLIENT_LANE;
const REGION_LANE_BYTES = 7;
const CLIENT_LANE_BYTES: number = 1 + PRODUCER_BYTES + 4;
/** What the pseudonym alone says. */
const NOTHING: Uint8Array = new Uint8Array(0);
/** Stamp and user key id. */
const STAMP_AND_KEY_BYTES = 14;

/**
 * An encoded operation whose header was checked when it was opened; its parts are found, and read when they are asked
 * for. It looks into the bytes it was given: they must not change while it is in use.
 */
export class OpView {
  /** The operation, as it was given. */
  readonly bytes: Uint8Array;
  readonly kindCode: number;
  /** `undefined` for a kind this version does not fold. */
  readonly kind: OpKind | undefined;
  readonly seqno: number;
  /** Offset of tag and digest (16 bytes), or -1. */
  readonly operationAt: number;
  readonly #flags: number;
  /** Offset of the lane. */
  readonly laneAt: number;
  /** Offset of the stamp. */
  readonly stampAt: number;
  /** Offset of the clear part. */
  readonly clearAt: number;
  /** Where the clear part ends. */
  readonly clearEnd: number;
  /** Offset of the sealed part, which goes to the end; equal to the length without one. */
  readonly sealedAt: number;
  #session: string | undefined;
  #stamp: Hlc | undefined;
  #clear: OpContent["clear"] | undefined;
  #sealed: OpContent["sealed"] | undefined;
  /** What a user's key has opened. */
  #plain: Uint8Array | undefined;

  /** @throws {@link CoreError} `DECODE_FAILED` if the header or the length of a part is not what the format says. */
  constructor(bytes: Uint8Array) {
    const end = bytes.length;
    if (end > OP_BYTES_MAX) fail(`Cannot accept ${end} bytes: the limit is ${OP_BYTES_MAX}`, 0);
    if (end < 4) fail(`Cannot read an operation of ${end} bytes`, end);
    if (bytes[0] !== OP_VERSION) fail(`Cannot read version ${bytes[0]} of an operation`, 0);
    const flags = bytes[2] as number;
    if (flags > FLAGS) fail("Cannot accept unknown flags", 2);
    this.bytes = bytes;
    this.kindCode = bytes[1] as number;
    this.kind = opKindOf(this.kindCode);
    this.#flags = flags;
    this.#stamp = undefined;
    this.#clear = undefined;
    this.#sealed = undefined;
    this.#plain = undefined;
    let at = 4;
    const idBytes = bytes[3] as number;
    if (idBytes === 0) {
      at += 16;
      this.#session = undefined;
    } else {
      // A length of two bytes is 128 exactly.
      if (idBytes >= 0x80) {
        if (idBytes > 0x80 || bytes[4] !== 1)
          fail(`Cannot accept a session id of more than ${NAME_BYTES_MAX} bytes`, 3);
        at += 1;
      }
      if (at + idBytes > end) fail(`Cannot read ${idBytes} bytes: ${end - at} remain`, at);
      this.#session = readText(bytes, at, at + idBytes);
      if (idBytes === 36 && isUuid(this.#session)) fail("Cannot accept a UUID as text", 3);
      at += idBytes;
    }
    this.laneAt = at;
    const client = (flags & OP_FLAG_CLIENT_LANE) !== 0;
    if (at < end && bytes[at] !== (client ? LANE_TAG_CLIENT : LANE_TAG_REGION))
      fail("Cannot accept the tag of the lane", at);
    at += client ? CLIENT_LANE_BYTES : REGION_LANE_BYTES;
    const seqnoAt = at;
    let seqno = at < end ? (bytes[at++] as number) : 0;
    if (seqno >= 0x80) {
      const second = bytes[at] as number;
      if (at < end && second > 0 && second < 0x80) {
        seqno = (seqno & 0x7f) | (second << 7);
        at += 1;
      } else {
        const reader = new ByteReader(bytes, seqnoAt);
        seqno = reader.varint();
        at = reader.offset;
      }
    }
    if (seqno === 0) fail("Cannot read a number from 1", seqnoAt);
    this.seqno = seqno;
    this.stampAt = at;
    at += STAMP_AND_KEY_BYTES;
    const named = (flags & OP_FLAG_OPERATION) !== 0;
    this.operationAt = named ? at : -1;
    if (named) at += EFFECT_ID_BYTES;
    if (at >= end) fail(`Cannot read the header: the operation ends at ${end}`, this.stampAt);
    let length = bytes[at++] as number;
    if (length >= 0x80) {
      const reader = new ByteReader(bytes, at - 1);
      length = reader.varint();
      at = reader.offset;
    }
    this.clearAt = at;
    at += length;
    this.clearEnd = at;
    if ((flags & OP_FLAG_SEALED) !== 0 && at < end) {
      length = bytes[at++] as number;
      if (length >= 0x80) {
        const reader = new ByteReader(bytes, at - 1);
        length = reader.varint();
        at = reader.offset;
      }
      this.sealedAt = at;
      at += length;
    } else {
      if ((flags & OP_FLAG_SEALED) !== 0) fail("Cannot read the sealed part: the operation ends", at);
      this.sealedAt = end;
    }
    if (at !== end)
      fail(`Cannot accept an operation of ${end} bytes: its parts end at ${at}`, Math.min(at, end));
  }

  get session(): string {
    return (this.#session ??= formatUuid(this.bytes, 4));
  }

  /** The key that encrypts the sealed part; 0 for none. */
  get userKey(): number {
    return u32(this.bytes, this.stampAt + 10);
  }

  get stamp(): Hlc {
    const { bytes } = this;
    return (this.#stamp ??= {
      wallMs: this.#wallMs(),
      counter: u16be(bytes, this.stampAt + 6),
      clockId: u16be(bytes, this.stampAt + 8),
    });
  }

  /** Whether a client owns the lane. */
  get clientOwned(): boolean {
    return (this.#flags & OP_FLAG_CLIENT_LANE) !== 0;
  }

  /** Where the lane ends. */
  get laneEnd(): number {
    return this.laneAt + (this.clientOwned ? CLIENT_LANE_BYTES : REGION_LANE_BYTES);
  }

  /** The lane's bytes: tag, region or producer, epoch; a view. */
  get laneBytes(): Uint8Array {
    return this.bytes.subarray(this.laneAt, this.laneEnd);
  }

  /** Whether its lane has these bytes, without making anything. */
  laneIs(bytes: Uint8Array): boolean {
    const from = this.laneAt;
    // The tag comes first and tells the length: no two lanes are a prefix of each other.
    for (let at = 0; at < bytes.length; at++) if (bytes[at] !== this.bytes[from + at]) return false;
    return true;
  }

  get lane(): Lane {
    const { bytes } = this;
    const at = this.laneAt + 1;
    if (this.clientOwned)
      return { producer: hexOf(bytes, at, PRODUCER_BYTES), epoch: u32(bytes, at + PRODUCER_BYTES) };
    return { region: (bytes[at] as number) | ((bytes[at + 1] as number) << 8), epoch: u32(bytes, at + 2) };
  }

  get laneText(): string {
    return formatLane(this.lane);
  }

  /** Whether the client named the operation: then its effect id is its own, else it follows from its place and bytes. */
  get hasOperation(): boolean {
    return this.operationAt >= 0;
  }

  /** Tag and request digest, 16 bytes, a view; `undefined` without an operationId. */
  get operationBytes(): Uint8Array | undefined {
    return this.operationAt < 0
      ? undefined
      : this.bytes.subarray(this.operationAt, this.operationAt + EFFECT_ID_BYTES);
  }

  get operation(): Operation | undefined {
    const bytes = this.operationBytes;
    return bytes === undefined ? undefined : { tag: bytes.subarray(0, 8), digest: bytes.subarray(8, 16) };
  }

  /** The stamp's ten bytes, a view. */
  get stampBytes(): Uint8Array {
    return this.bytes.subarray(this.stampAt, this.stampAt + 10);
  }

  /** The clear part's bytes, a view. */
  get clearBytes(): Uint8Array {
    return this.bytes.subarray(this.clearAt, this.clearEnd);
  }

  /** The sealed part's bytes, a view; empty without one. */
  get sealedBytes(): Uint8Array {
    return this.bytes.subarray(this.sealedAt);
  }

  /** Whose key the sealed part is under, 16 bytes, a view; `undefined` for one in the plain, or too short to say. */
  get pseudonym(): Uint8Array | undefined {
    const { sealedAt } = this;
    return this.userKey === 0 || this.bytes.length - sealedAt < PSEUDONYM_BYTES
      ? undefined
      : this.bytes.subarray(sealedAt, sealedAt + PSEUDONYM_BYTES);
  }

  /** Whether its sealed part is in the plain, or was opened. */
  get readable(): boolean {
    return this.userKey === 0 || this.#plain !== undefined;
  }

  /** Opens a part under a user's key, which must be of that user and generation; returns whether it did. */
  unseal(seal: UserSeal): boolean {
    if (this.#plain !== undefined) return true;
    const part = this.sealedBytes;
    this.#plain =
      part.length === PSEUDONYM_BYTES
        ? NOTHING
        : seal.open(part, associatedData(this.session, this.laneBytes, this.seqno, this.kindCode));
    return this.#plain !== undefined;
  }

  /**
   * The clear part. That of a signal is read field by field.
   *
   * @throws {@link CoreError} `DECODE_FAILED` if the part is not of its kind; `TypeError` for an unknown kind.
   */
  get clear(): OpContent["clear"] {
    return (this.#clear ??= this.#readClear());
  }

  /** The sealed part. @throws as {@link OpView.clear}; `TypeError` for a part under a user's key that was not opened. */
  get sealed(): OpContent["sealed"] {
    return (this.#sealed ??= this.#readSealed());
  }

  /** Reads both parts, so that neither can fail later. @throws as {@link OpView.clear} and {@link OpView.sealed}. */
  verify(): this {
    const { clear } = this;
    if (clear instanceof SignalView) this.#clear = clear.read();
    void this.sealed;
    return this;
  }

  #readClear(): OpContent["clear"] {
    const kind = this.#knownKind();
    if (kind === "signal") return new SignalView(this.bytes, this.clearAt, this.clearEnd, this.#wallMs());
    return readClear(new ByteReader(this.bytes, this.clearAt, this.clearEnd), kind);
  }

  #readSealed(): OpContent["sealed"] {
    const kind = this.#knownKind();
    if ((this.#flags & OP_FLAG_SEALED) === 0) {
      if (kind === "signal" || kind === "close" || kind === "purge" || kind === "erase") return {};
      fail(`Cannot accept the kind ${kind} without a sealed part`, this.sealedAt);
    }
    if (this.userKey === 0) return readSealed(new ByteReader(this.bytes, this.sealedAt), kind);
    const plain = this.#plain;
    if (plain === undefined) throw new TypeError("Cannot read a part that is under a user's key");
    if (plain === NOTHING && (kind === "signal" || kind === "close")) return {};
    return readSealed(new ByteReader(plain), kind);
  }

  #knownKind(): OpKind {
    if (this.kind === undefined)
      throw new TypeError(`Cannot read the parts of kind ${this.kindCode}: this version does not know it`);
    return this.kind;
  }

  #wallMs(): number {
    const { bytes } = this;
    const at = this.stampAt;
    return u16be(bytes, at) * 0x1_0000_0000 + u16be(bytes, at + 2) * 0x1_0000 + u16be(bytes, at + 4);
  }
}

/**
 * Opens an operation: its header is checked, its parts when they are read ({@link OpView.verify} reads them all). Takes
 * time in proportion to the header, whatever the lengths claim.
 *
 * @throws {@link CoreError} `DECODE_FAILED` with the offset.
 */
export function decodeOp(bytes: Uint8Array): OpView {
  return new OpView(bytes);
}

/** What an erasure says, whatever else its bytes are; `undefined` for anything else. */
export function erasedBy(bytes: Uint8Array): EraseClear | undefined {
  try {
    const op = decodeOp(bytes);
    return op.kind === "erase" && op.userKey === 0 ? (op.verify().clear as EraseClear) : undefined;
  } catch (error) {
    if (error instanceof CoreError) return undefined;
    throw error;
  }
}

/** Whether this version folds an operation: its kind is known, and its parts can be read and are what they should be. */
export function isFoldable(op: OpView): boolean {
  if (op.kind === undefined || !op.readable) return false;
  try {
    op.verify();
    return true;
  } catch (error) {
    if (error instanceof CoreError) return false;
    throw error;
  }
}

function u16be(bytes: Uint8Array, at: number): number {
  return ((bytes[at] as number) << 8) | (bytes[at + 1] as number);
}

function u32(bytes: Uint8Array, at: number): number {
  return (
    ((bytes[at] as number) |
      ((bytes[at + 1] as number) << 8) |
      ((bytes[at + 2] as number) << 16) |
      ((bytes[at + 3] as number) << 24)) >>>
    0
  );
}

function fail(message: string, offset: number): never {
  throw new CoreError("DECODE_FAILED", message, { offset });
}
