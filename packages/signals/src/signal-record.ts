import {
  ByteReader,
  type ByteWriter,
  CoreError,
  EFFECT_ID_BYTES,
  EVENT_TIME_MS_MAX,
  type Hlc,
  readHlc,
  writeHlc,
} from "@tidemark/core";
import { SignalError } from "./errors.ts";
import { checkSignalName, SIGNAL_NAME_BYTES_MAX } from "./signal-schema.ts";

/** What happened. */
export interface SignalContent {
  readonly entity: string;
  readonly signal: string;
  /** Below 2^40 in magnitude. */
  readonly weight: number;
  /** When it happened, Unix milliseconds. */
  readonly eventTimeMs: number;
  /** Of an explored item: how likely it was to be shown, above 0 and at most 1. For training, not for scores. */
  readonly propensity?: number;
}

/** A signal that belongs to no session, as the log of the channel `signals` carries it. */
export interface SignalRecord extends SignalContent {
  readonly stamp: Hlc;
  /** 16 bytes if the caller named the operation: {@link SignalEffects.idOf}. */
  readonly effectId?: Uint8Array;
}

/** The type of the record in a log. */
export const RECORD_SIGNAL = 0x01;

const VERSION = 1;
const FLAG_OPERATION = 1;
const FLAG_PROPENSITY = 2;
/** 2^40: what the magnitude of a weight must stay below. */
const WEIGHT_LIMIT: number = 2 ** 40;
const weightBytes = new Uint8Array(8);
const weightView = new DataView(weightBytes.buffer);

/**
 * Checks what a caller gives.
 *
 * @throws {@link SignalError} `SIGNAL_INVALID`. @throws CoreError `INVALID_WEIGHT`.
 */
export function checkSignal(content: SignalContent): void {
  const { entity, signal, weight, eventTimeMs, propensity } = content;
  for (const [name, what] of [
    [entity, "entity"],
    [signal, "signal"],
  ] as const) {
    checkSignalName(name, () =>
      bad(signal, `its ${what} must have 1 to ${SIGNAL_NAME_BYTES_MAX} UTF-8 bytes`),
    );
  }
  if (!(Math.abs(weight) < WEIGHT_LIMIT)) {
    throw new CoreError(
      "INVALID_WEIGHT",
      `Cannot accept the weight ${weight}: its magnitude must be below 2^40`,
    );
  }
  if (!Number.isInteger(eventTimeMs) || eventTimeMs < 0 || eventTimeMs > EVENT_TIME_MS_MAX)
    throw bad(signal, `eventTimeMs must be an integer from 0 to 2^48-1, not ${eventTimeMs}`);
  if (propensity !== undefined && !isPropensity(propensity))
    throw bad(signal, `propensity must be above 0 and at most 1, not ${propensity}`);
}

/** Checks the name of an operation: 1 to 128 UTF-8 bytes. @throws {@link SignalError} `SIGNAL_INVALID`. */
export function checkOperationId(operationId: string): void {
  checkSignalName(
    operationId,
    () =>
      new SignalError("SIGNAL_INVALID", `operationId must have 1 to ${SIGNAL_NAME_BYTES_MAX} UTF-8 bytes`),
  );
}

/** Whether a number is a probability that something that happened can have had. */
export function isPropensity(value: number): boolean {
  return value > 0 && value <= 1;
}

/**
 * Appends the body of a record.
 *
 * | bytes | field | notes |
 * | ----: | :--- | :--- |
 * | 1 | version | 1 |
 * | 1 | flags | bit 0: tag and digest; bit 1: propensity |
 * | 10 | stamp | |
 * | 8 + 8 | operation tag, request digest | if flagged |
 * | | entity, signal | `text`, 1 to 128 bytes each |
 * | | event time | varint zigzag of its distance to the stamp's wall milliseconds |
 * | 8 | propensity | f64, if flagged |
 * | | weight | the rest: f64 **big-endian** without the zero bytes at its end |
 *
 * @param driftMsMax - How far the event may be later than the stamp.
 * @throws CoreError `HLC_DRIFT_EXCEEDED` with both numbers.
 */
export function writeSignalRecord(writer: ByteWriter, record: SignalRecord, driftMsMax: number): void {
  const { stamp, effectId, entity, signal, weight, eventTimeMs, propensity } = record;
  const aheadMs = eventTimeMs - stamp.wallMs;
  if (aheadMs > driftMsMax) {
    throw new CoreError(
      "HLC_DRIFT_EXCEEDED",
      `Cannot accept an event time ${aheadMs} ms ahead of its stamp: the limit is ${driftMsMax} ms`,
      { aheadMs, driftMsMax },
    );
  }
  writer.u8(VERSION);
  writer.u8((effectId === undefined ? 0 : FLAG_OPERATION) | (propensity === undefined ? 0 : FLAG_PROPENSITY));
  writeHlc(writer, stamp);
  if (effectId !== undefined) writer.raw(effectId);
  writer.text(entity);
  writer.text(signal);
  writer.varint(aheadMs >= 0 ? aheadMs * 2 : aheadMs * -2 - 1);
  if (propensity !== undefined) writer.f64(propensity);
  // Adding zero makes a negative zero positive: one number, one encoding.
  weightView.setFloat64(0, weight + 0, false);
  let length = 8;
  while (length > 0 && weightBytes[length - 1] === 0) length -= 1;
  writer.raw(weightBytes.subarray(0, length));
}

/**
 * Reads what {@link writeSignalRecord} wrote, and nothing else. A time ahead of the stamp is read: it was judged where
 * it was accepted.
 *
 * @throws CoreError `DECODE_FAILED`.
 */
export function readSignalRecord(
  bytes: Uint8Array,
  start: number = 0,
  end: number = bytes.length,
): SignalRecord {
  const reader = new ByteReader(bytes, start, end);
  if (reader.u8() !== VERSION) reader.fail("Cannot read this version of a signal", start);
  const flags = reader.u8();
  if (flags > (FLAG_OPERATION | FLAG_PROPENSITY)) reader.fail("Cannot accept unknown flags", start + 1);
  const stamp = readHlc(reader);
  const effectId = (flags & FLAG_OPERATION) === 0 ? undefined : reader.view(EFFECT_ID_BYTES).slice();
  const entity = name(reader);
  const signal = name(reader);
  const timeAt = reader.offset;
  const zigzag = reader.varint();
  const half = Math.floor(zigzag / 2);
  const eventTimeMs = stamp.wallMs + (zigzag % 2 === 0 ? half : -half - 1);
  if (eventTimeMs < 0 || eventTimeMs > EVENT_TIME_MS_MAX) reader.fail("Cannot accept the event time", timeAt);
  const propensityAt = reader.offset;
  const propensity = (flags & FLAG_PROPENSITY) === 0 ? undefined : reader.f64();
  if (propensity !== undefined && !isPropensity(propensity))
    reader.fail("Cannot accept the propensity", propensityAt);
  const weight = readWeight(reader);
  return {
    stamp,
    ...(effectId === undefined ? {} : { effectId }),
    entity,
    signal,
    weight,
    eventTimeMs,
    ...(propensity === undefined ? {} : { propensity }),
  };
}

function readWeight(reader: ByteReader): number {
  const at = reader.offset;
  const length = reader.remaining;
  if (length > 8) reader.fail(`Cannot accept a weight of ${length} bytes`);
  weightBytes.fill(0);
  weightBytes.set(reader.view(length));
  const weight = weightView.getFloat64(0, false);
  const tail = length > 0 && weightBytes[length - 1] === 0;
  if (tail || !(Math.abs(weight) < WEIGHT_LIMIT) || Object.is(weight, -0))
    reader.fail("Cannot accept the weight", at);
  return weight;
}

function name(reader: ByteReader): string {
  const at = reader.offset;
  const text = reader.text(SIGNAL_NAME_BYTES_MAX);
  if (text === "") reader.fail("Cannot accept an empty name", at);
  return text;
}

function bad(signal: string, why: string): SignalError {
  return new SignalError("SIGNAL_INVALID", `Cannot accept the signal ${JSON.stringify(signal)}: ${why}`, {
    signal,
  });
}
