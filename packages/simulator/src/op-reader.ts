import type { Hasher } from "@tidemark/core";
import { ByteCursor, hexOf } from "./byte-cursor.ts";

/** A session operation as a log holds it, read by docs/formats.md alone. */
export interface StoredOp {
  readonly session: string;
  /** The writer, as `OperationPosition` has it. */
  readonly lane: string;
  readonly seqno: number;
  /** Of a region's lane. */
  readonly laneRegion?: number;
  readonly laneEpoch?: number;
  readonly wallMs: number;
  /** Sorts as stamps do. */
  readonly stamp: string;
  /** `unknown` for a kind of a later version. */
  readonly kind: string;
  /** 32 hexadecimal digits: what counts once. */
  readonly effect: string;
  /** Tag of the operation id; absent without one. */
  readonly tag?: string;
  /** Absent where the sealed part is under a user's key. */
  readonly content?: OpContents;
  readonly bytes: Uint8Array;
}

/** What an operation says; what its kind does not have is absent. */
export interface OpContents {
  readonly user?: string;
  readonly agent?: string;
  readonly parents?: readonly string[];
  readonly item?: string;
  /** Of a removal: the effect ids of the hides it had seen. */
  readonly dots?: readonly string[];
  readonly text?: string;
  readonly key?: string;
  readonly value?: string;
  readonly entity?: string;
  readonly weight?: number;
  readonly reason?: number;
  /** Of an idle close: the latest stamp it had seen. */
  readonly seen?: string;
  readonly pseudonym?: string;
  readonly generation?: number;
}

const KINDS: Readonly<Record<number, string>> = {
  1: "start",
  2: "signal",
  3: "prefer",
  4: "annotate",
  5: "hide",
  6: "unhide",
  7: "mute",
  8: "unmute",
  9: "block",
  10: "unblock",
  11: "search",
  12: "close",
  13: "app",
  14: "fork",
  15: "merge",
  16: "purge",
  17: "erase",
};

/** Reads the body of a record of type 2. @throws `RangeError` or `TypeError` for bytes that are none. */
export function readStoredOp(bytes: Uint8Array, hasher: Hasher): StoredOp {
  const cursor = new ByteCursor(bytes);
  const version = cursor.u8();
  if (version !== 1) throw new RangeError(`Version ${version} of an operation`);
  const kindCode = cursor.u8();
  const flags = cursor.u8();
  const session = bytes[cursor.at] === 0 ? uuidOf(cursor) : cursor.text();
  const laneAt = cursor.at;
  const lane = readLane(cursor);
  const laneBytes = bytes.subarray(laneAt, cursor.at);
  const seqno = cursor.varint();
  const stampBytes = cursor.raw(10);
  const userKey = cursor.u32();
  const [tag, request] = (flags & 1) === 0 ? [] : [cursor.raw(8), cursor.raw(8)];
  const clear = cursor.bytes();
  const sealed = (flags & 2) === 0 ? new Uint8Array(0) : cursor.bytes();
  if (cursor.left !== 0) throw new RangeError(`${cursor.left} bytes behind an operation`);
  const kind = KINDS[kindCode] ?? "unknown";
  const plain = userKey === 0 || (flags & 2) === 0;
  return {
    session,
    ...lane,
    seqno,
    wallMs: wallOf(stampBytes),
    stamp: hexOf(stampBytes),
    kind,
    effect:
      tag === undefined || request === undefined
        ? hexOf(
            hasher.digest(
              "tidemark 2026 idempotency-key v1",
              fields(
                new TextEncoder().encode(session),
                laneBytes,
                u64(seqno),
                fields(Uint8Array.of(kindCode), stampBytes, clear, sealed),
              ),
              16,
            ),
          )
        : hexOf(tag) + hexOf(request),
    ...(tag === undefined ? {} : { tag: hexOf(tag) }),
    ...(plain ? { content: readContents(kind, clear, sealed) } : {}),
    bytes,
  };
}

function readLane(cursor: ByteCursor): Pick<StoredOp, "lane" | "laneRegion" | "laneEpoch"> {
  const owner = cursor.u8();
  if (owner === 1) {
    const laneRegion = cursor.u16();
    const laneEpoch = cursor.u32();
    return { lane: `r${padded(laneRegion, 5)}-e${padded(laneEpoch, 10)}`, laneRegion, laneEpoch };
  }
  if (owner !== 2) throw new RangeError(`A lane of kind ${owner}`);
  return { lane: `w${hexOf(cursor.raw(16))}-e${padded(cursor.u32(), 10)}` };
}

function readContents(kind: string, clear: Uint8Array, sealed: Uint8Array): OpContents {
  const open = new ByteCursor(clear);
  const shut = new ByteCursor(sealed);
  switch (kind) {
    case "start": {
      open.text();
      open.u32();
      const parent = open.left > 0 ? open.text() : "";
      return { user: shut.text(), agent: shut.text(), parents: parent === "" ? [] : [parent] };
    }
    case "fork":
    case "merge": {
      open.text();
      open.u32();
      for (let positions = open.varint(); positions > 0; positions--) {
        open.raw(9);
        open.varint();
      }
      const parents: string[] = [];
      while (open.left > 0) parents.push(open.text());
      return { user: shut.text(), agent: shut.text(), parents };
    }
    case "signal": {
      const [entity, key] = [open.text(), open.text()];
      open.varint();
      const weight = new Uint8Array(8);
      weight.set(open.rest());
      return { entity, key, weight: new DataView(weight.buffer).getFloat64(0) };
    }
    case "prefer":
      return { key: shut.text(), value: shut.text() };
    case "annotate":
    case "search":
      return { text: shut.text() };
    case "hide":
    case "mute":
    case "block":
      return { user: shut.text(), item: shut.text() };
    case "unhide":
    case "unmute":
    case "unblock": {
      const dots: string[] = [];
      while (open.left > 0) dots.push(hexOf(open.raw(16)));
      return { user: shut.text(), item: shut.text(), dots };
    }
    case "close": {
      const reason = open.u8();
      return open.left === 0 ? { reason } : { reason, seen: hexOf(open.raw(10)) };
    }
    case "app":
      return { key: open.text(), text: new TextDecoder().decode(shut.rest()) };
    case "erase":
      return { pseudonym: hexOf(open.raw(16)), generation: open.u32() };
    default:
      return {};
  }
}

function uuidOf(cursor: ByteCursor): string {
  cursor.u8();
  return hexOf(cursor.raw(16)).replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

function wallOf(stamp: Uint8Array): number {
  return stamp.subarray(0, 6).reduce((wallMs, byte) => wallMs * 256 + byte, 0);
}

/** Each field as u32 length and bytes. */
function fields(...parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + 4 + part.length, 0));
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const part of parts) {
    view.setUint32(at, part.length, true);
    bytes.set(part, at + 4);
    at += 4 + part.length;
  }
  return bytes;
}

function u64(value: number): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(value), true);
  return bytes;
}

function padded(value: number, digits: number): string {
  return String(value).padStart(digits, "0");
}
