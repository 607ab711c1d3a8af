import {
  type ByteReader,
  type ByteWriter,
  compareUtf8,
  EFFECT_ID_BYTES,
  readHlc,
  writeHlc,
} from "@tidemark/core";
import { readForkClear, readForkSealed, writeForkClear, writeForkSealed } from "./fork-parts.ts";
import {
  APP_BYTES_MAX,
  isPropensity,
  METADATA_COUNT_MAX,
  NAME_BYTES_MAX,
  SCHEMA_DIGEST_BYTES,
  TEXT_BYTES_MAX,
} from "./limits.ts";
import type { CloseClear, EraseClear, Op, OpContent, SignalSealed, StartClear, StartSealed } from "./op.ts";
import { CLOSE_IDLE, type OpKind } from "./op-kinds.ts";
import { writeSignal } from "./signal-view.ts";
import { GENERATION_MAX, PSEUDONYM_BYTES } from "./user-keys.ts";

/**
 * Writes the clear part of an operation, without its length.
 *
 * | kind                        | fields                                                                               |
 * | :-------------------------- | :----------------------------------------------------------------------------------- |
 * | start                       | policy `text` (0 to 128 bytes), policy version u32, then nothing, or the parent `text` (empty for none, if a schema follows) and nothing or the digest of the signal schema 32 |
 * | fork, merge                 | policy `text`, policy version u32, varint count of positions: log id 9, LSN varint; then the parent `text`, or two |
 * | signal                      | entity `text`, signal `text`, event time: varint zigzag of its distance to the stamp's wall ms, weight: the rest, f64 big-endian without its trailing zero bytes |
 * | unhide, unmute, unblock     | the dots observed, 16 bytes each, ascending, to the end                              |
 * | close                       | reason u8 (0: by agent or user, 1: idle, 2: its time was over), then nothing or, of an idle close, the latest stamp it had seen, 10 |
 * | app                         | namespace `text`                                                                     |
 * | erase                       | pseudonym 16, generation u32 from 1: up to it                                        |
 * | any other                   | nothing                                                                              |
 */
export function writeClear(writer: ByteWriter, op: Op): void {
  switch (op.kind) {
    case "start":
      writer.text(op.clear.policy);
      writer.u32(op.clear.policyVersion);
      if (op.clear.parent !== undefined || op.clear.schema !== undefined) writer.text(op.clear.parent ?? "");
      if (op.clear.schema !== undefined) writer.raw(op.clear.schema);
      return;
    case "fork":
    case "merge":
      writeForkClear(writer, op.clear);
      return;
    case "signal":
      writeSignal(writer, op.clear, op.stamp.wallMs);
      return;
    case "unhide":
    case "unmute":
    case "unblock":
      for (const dot of op.clear.dots) writer.raw(dot);
      return;
    case "close":
      writer.u8(op.clear.reason);
      if (op.clear.latest !== undefined) writeHlc(writer, op.clear.latest);
      return;
    case "app":
      writer.text(op.clear.namespace);
      return;
    case "erase":
      writer.raw(op.clear.pseudonym);
      writer.u32(op.clear.upTo);
      return;
    case "prefer":
    case "annotate":
    case "hide":
    case "mute":
    case "block":
    case "search":
    case "purge":
      return;
    default:
      op satisfies never;
  }
}

/** Kinds that have no sealed part; a bare signal has none either. */
const UNSEALED: ReadonlySet<OpKind> = new Set<OpKind>(["close", "purge", "erase"]);

/** Whether an operation has a sealed part. */
export function hasSealed(op: OpContent): boolean {
  if (op.kind !== "signal") return !UNSEALED.has(op.kind);
  return op.sealed.annotation !== undefined || op.sealed.propensity !== undefined;
}

/**
 * Writes the sealed part of an operation in the plain, without its length.
 *
 * | kind                                    | fields                                                                           |
 * | :-------------------------------------- | :------------------------------------------------------------------------------- |
 * | start                                   | user `text`, agent `text`, varint count (the operation is the bound), then key `text` and value `text` each, ascending by the bytes of the key |
 * | fork, merge                             | as a start, then the digest 32 of the state, and the state ({@link encodeCarried}) to the end |
 * | signal                                  | annotation `text` (empty for none, if a propensity follows), then nothing or the propensity f64; with neither there is no sealed part |
 * | prefer                                  | key `text`, value `text`                                                         |
 * | annotate                                | text `text`, then nothing or the entity `text`                                   |
 * | hide, mute, block and their removals    | user `text`, item `text`                                                         |
 * | search                                  | query `text`                                                                     |
 * | app                                     | the bytes, to the end                                                            |
 * | close, purge, erase                     | no sealed part                                                                   |
 */
export function writeSealed(writer: ByteWriter, op: OpContent): void {
  switch (op.kind) {
    case "start":
      writePeople(writer, op.sealed);
      return;
    case "fork":
    case "merge":
      writePeople(writer, op.sealed);
      writeForkSealed(writer, op.sealed);
      return;
    case "signal":
      writer.text(op.sealed.annotation ?? "");
      if (op.sealed.propensity !== undefined) writer.f64(op.sealed.propensity);
      return;
    case "prefer":
      writer.text(op.sealed.key);
      writer.text(op.sealed.value);
      return;
    case "annotate":
      writer.text(op.sealed.text);
      if (op.sealed.entity !== undefined) writer.text(op.sealed.entity);
      return;
    case "hide":
    case "mute":
    case "block":
    case "unhide":
    case "unmute":
    case "unblock":
      writer.text(op.sealed.user);
      writer.text(op.sealed.item);
      return;
    case "search":
      writer.text(op.sealed.query);
      return;
    case "app":
      writer.raw(op.sealed.bytes);
      return;
    case "close":
    case "purge":
    case "erase":
      return;
    default:
      op satisfies never;
  }
}

/** Reads a clear part to the end of the reader; a signal has {@link SignalView}. @throws {@link CoreError} `DECODE_FAILED`. */
export function readClear(reader: ByteReader, kind: Exclude<OpKind, "signal">): OpContent["clear"] {
  switch (kind) {
    case "start": {
      const policy = reader.text(NAME_BYTES_MAX);
      const policyVersion = reader.u32();
      return ended(reader, { policy, policyVersion, ...readOrigin(reader) });
    }
    case "fork":
    case "merge":
      return ended(reader, readForkClear(reader, kind === "fork" ? 1 : 2));
    case "unhide":
    case "unmute":
    case "unblock":
      return { dots: readDots(reader) };
    case "close":
      return readClose(reader);
    case "app":
      return ended(reader, { namespace: name(reader) });
    case "erase":
      return readErase(reader);
    case "prefer":
    case "annotate":
    case "hide":
    case "mute":
    case "block":
    case "search":
    case "purge":
      return ended(reader, {});
    default:
      return kind satisfies never;
  }
}

/** Reads a sealed part to the end of the reader. @throws {@link CoreError} `DECODE_FAILED`. */
export function readSealed(reader: ByteReader, kind: OpKind): OpContent["sealed"] {
  switch (kind) {
    case "start":
      return ended(reader, readPeople(reader));
    case "fork":
    case "merge":
      return { ...readPeople(reader), ...readForkSealed(reader) };
    case "signal":
      return readSignalSealed(reader);
    case "prefer":
      return ended(reader, { key: name(reader), value: reader.text(TEXT_BYTES_MAX) });
    case "annotate": {
      const text = reader.text(TEXT_BYTES_MAX);
      return reader.remaining === 0 ? { text } : ended(reader, { text, entity: name(reader) });
    }
    case "hide":
    case "mute":
    case "block":
    case "unhide":
    case "unmute":
    case "unblock":
      return ended(reader, { user: name(reader), item: name(reader) });
    case "search":
      return ended(reader, { query: reader.text(TEXT_BYTES_MAX) });
    case "app":
      if (reader.remaining > APP_BYTES_MAX)
        reader.fail(`Cannot accept ${reader.remaining} bytes: the limit is ${APP_BYTES_MAX}`);
      return { bytes: reader.view(reader.remaining) };
    case "close":
    case "purge":
    case "erase":
      return reader.fail(`Cannot accept a sealed part of kind ${kind}`);
    default:
      return kind satisfies never;
  }
}

/** What a start has behind its policy, if anything. */
function readOrigin(reader: ByteReader): Pick<StartClear, "parent" | "schema"> {
  if (reader.remaining === 0) return {};
  const at = reader.offset;
  const parent = reader.text(NAME_BYTES_MAX);
  if (reader.remaining === 0 && parent === "") reader.fail("Cannot accept an empty name", at);
  const schema = reader.remaining === 0 ? undefined : reader.view(SCHEMA_DIGEST_BYTES).slice();
  return { ...(parent === "" ? {} : { parent }), ...(schema === undefined ? {} : { schema }) };
}

function readClose(reader: ByteReader): CloseClear {
  const start = reader.offset;
  const reason = reader.u8();
  if (reader.remaining === 0) return { reason };
  // One close, one encoding: only an idle one depends on what its writer had seen.
  if (reason !== CLOSE_IDLE) reader.fail(`Cannot accept a stamp in a close for reason ${reason}`, start);
  return ended(reader, { reason, latest: readHlc(reader) });
}

function readSignalSealed(reader: ByteReader): SignalSealed {
  const annotation = reader.text(TEXT_BYTES_MAX);
  if (reader.remaining === 0) return { annotation };
  const at = reader.offset;
  const propensity = reader.f64();
  if (!isPropensity(propensity)) reader.fail("Cannot accept the propensity", at);
  return ended(reader, annotation === "" ? { propensity } : { annotation, propensity });
}

function readErase(reader: ByteReader): EraseClear {
  const pseudonym = reader.view(PSEUDONYM_BYTES);
  const at = reader.offset;
  const upTo = reader.u32();
  if (upTo < 1 || upTo >= GENERATION_MAX) reader.fail(`Cannot accept the generation ${upTo}`, at);
  return ended(reader, { pseudonym, upTo });
}

function readDots(reader: ByteReader): Uint8Array[] {
  const dots: Uint8Array[] = [];
  if (reader.remaining % EFFECT_ID_BYTES !== 0) reader.fail("Cannot accept a part of a dot");
  for (let before: Uint8Array | undefined; reader.remaining > 0;) {
    const start = reader.offset;
    const dot = reader.view(EFFECT_ID_BYTES);
    if (before !== undefined && !ascends(before, dot)) reader.fail("Cannot accept dots out of order", start);
    dots.push((before = dot));
  }
  return dots;
}

function ascends(a: Uint8Array, b: Uint8Array): boolean {
  for (let at = 0; at < a.length; at++) {
    const difference = (a[at] as number) - (b[at] as number);
    if (difference !== 0) return difference < 0;
  }
  return false;
}

/** User, agent and metadata: how the sealed part of whatever begins a session begins. */
function writePeople(writer: ByteWriter, { user, agent, metadata }: StartSealed): void {
  writer.text(user);
  writer.text(agent);
  const keys = Object.keys(metadata).sort(compareUtf8);
  writer.varint(keys.length);
  for (const key of keys) {
    writer.text(key);
    writer.text(metadata[key] as string);
  }
}

function readPeople(reader: ByteReader): StartSealed {
  return { user: name(reader), agent: name(reader), metadata: readMetadata(reader) };
}

function readMetadata(reader: ByteReader): Record<string, string> {
  // A null prototype, so that a key may be called `__proto__`.
  const metadata = Object.create(null) as Record<string, string>;
  const start = reader.offset;
  let left = reader.count(2);
  if (left > METADATA_COUNT_MAX)
    reader.fail(`Cannot accept ${left} entries: the limit is ${METADATA_COUNT_MAX}`, start);
  for (let before: string | undefined; left > 0; left--) {
    const at = reader.offset;
    const key = reader.text(TEXT_BYTES_MAX);
    if (before !== undefined && compareUtf8(before, key) >= 0)
      reader.fail("Cannot accept metadata out of order", at);
    metadata[(before = key)] = reader.text(TEXT_BYTES_MAX);
  }
  return metadata;
}

function name(reader: ByteReader): string {
  const start = reader.offset;
  const text = reader.text(NAME_BYTES_MAX);
  if (text === "") reader.fail("Cannot accept an empty name", start);
  return text;
}

function ended<Part>(reader: ByteReader, part: Part): Part {
  reader.finish();
  return part;
}
