import { countMessages, parseMessages, type StreamMessages } from "./json-messages.ts";
import {
  accessChange,
  liveRegister,
  noChange,
  type StreamChange,
  type StreamSnapshot,
  tailHeaders,
  touchChange,
} from "./stream-change.ts";
import { StreamRefusal } from "./stream-refusal.ts";
import { chunkItem, producerRow, type Row, streamKeys, unchanged } from "./stream-rows.ts";
import {
  isJson,
  mediaType,
  type ProducerState,
  type StreamProducer,
  type StreamRegister,
} from "./stream-state.ts";

/** What a request appends. */
export interface StreamAppend {
  readonly contentType?: string;
  /** Empty: nothing is appended, which only a request to close may ask for. */
  readonly body: Uint8Array;
  readonly close: boolean;
  /** `Stream-Seq`: of all writers of the stream. */
  readonly writerSequence?: string;
  readonly producer?: StreamProducer;
}

/** How much a stream takes. */
export interface StreamBounds {
  readonly streamBytesMax: number;
  readonly producersMax: number;
}

/** A stream, and the row of the producer that writes, if one does. */
export interface AppendSnapshot extends StreamSnapshot {
  readonly producer?: Row<ProducerState>;
}

/** What came of an append. */
export interface AppendResult {
  /** `false`: it had been done before. */
  readonly appended: boolean;
  readonly register: StreamRegister;
  /** The producer's newest accepted append. */
  readonly producer?: ProducerState;
}

/**
 * Decides an append: the tail, the bytes, what the producer has sent and whether the stream is closed change together
 * or not at all.
 *
 * What is refused, in this order: no stream, a closed stream, the content type, the body, the producer (epoch before
 * sequence), `Stream-Seq`, the limits. What a producer repeats is no error, and needs no body that can be read.
 *
 * @throws StreamRefusal
 */
export function decideAppend(
  snapshot: AppendSnapshot,
  append: StreamAppend,
  bounds: StreamBounds,
): StreamChange<AppendResult> {
  const register = liveRegister(snapshot);
  if (register.closed) return decideClosed(snapshot, register, append);
  checkContentType(register, append);
  const known = snapshot.producer?.body;
  if (append.producer !== undefined && isDuplicate(append.producer, known)) {
    return touchChange(snapshot, register, { appended: false, register, producer: known! });
  }
  checkWriterSequence(register, append);
  const messages = messagesOf(register.contentType, append.body);
  const next = afterAppend(register, append, messages, known === undefined, bounds);
  const result: AppendResult = { appended: true, register: next, ...producerResult(append) };
  const change = accessChange(snapshot, next, result);
  return {
    ...change,
    checks: [...change.checks, ...(snapshot.producer === undefined ? [] : [unchanged(snapshot.producer)])],
    puts: [
      ...change.puts,
      ...chunkPuts(snapshot, register, messages),
      ...producerPuts(snapshot, register, append),
    ],
  };
}

/**
 * What a body adds to a stream of that type.
 *
 * @throws StreamRefusal `BAD_REQUEST` if it is not JSON and should be, or an empty array.
 */
export function messagesOf(contentType: string, body: Uint8Array): StreamMessages {
  if (body.length === 0 || !isJson(contentType)) return { data: body, count: body.length };
  const messages = parseMessages(body);
  if (messages.count === 0) throw new StreamRefusal("BAD_REQUEST", "An empty array appends nothing");
  return messages;
}

/** How many positions the bytes of a chunk take. */
export function positionsOf(contentType: string, data: Uint8Array): number {
  return isJson(contentType) ? countMessages(data) : data.length;
}

function decideClosed(
  { path }: StreamSnapshot,
  register: StreamRegister,
  { body, close, producer }: StreamAppend,
): StreamChange<AppendResult> {
  const { closedBy } = register;
  const closing =
    producer !== undefined &&
    closedBy !== undefined &&
    producer.id === closedBy.id &&
    producer.epoch === closedBy.epoch &&
    producer.sequence === closedBy.sequence;
  if (closing) return noChange({ appended: false, register, producer });
  if (body.length === 0 && close && producer === undefined) return noChange({ appended: false, register });
  throw new StreamRefusal("STREAM_CLOSED", "The stream is closed", tailHeaders(register, path));
}

function checkContentType(register: StreamRegister, { body, contentType }: StreamAppend): void {
  if (body.length === 0) return;
  if (contentType === undefined) throw new StreamRefusal("BAD_REQUEST", "Content-Type is missing");
  if (mediaType(contentType) === mediaType(register.contentType)) return;
  const message = `The stream is of type ${register.contentType}, not ${contentType}`;
  throw new StreamRefusal("CONTENT_TYPE_MISMATCH", message);
}

/** Whether the producer has sent this before. */
function isDuplicate({ epoch, sequence }: StreamProducer, known: ProducerState | undefined): boolean {
  if (known === undefined || epoch > known.epoch) {
    if (sequence === 0) return false;
    if (known !== undefined) {
      throw new StreamRefusal("BAD_REQUEST", "A new epoch of a producer begins with the sequence 0");
    }
    throw gap(0, sequence);
  }
  if (epoch < known.epoch) {
    const headers = { "producer-epoch": `${known.epoch}` };
    throw new StreamRefusal("STALE_EPOCH", `The producer has come to epoch ${known.epoch}`, headers);
  }
  if (sequence > known.sequence + 1) throw gap(known.sequence + 1, sequence);
  return sequence <= known.sequence;
}

function gap(expected: number, received: number): StreamRefusal {
  return new StreamRefusal("SEQUENCE_GAP", `The append ${expected} of the producer is missing`, {
    "producer-expected-seq": `${expected}`,
    "producer-received-seq": `${received}`,
  });
}

function checkWriterSequence(register: StreamRegister, { writerSequence }: StreamAppend): void {
  if (writerSequence === undefined || register.writerSequence === undefined) return;
  // A header value holds units of one byte each: they order as the bytes do.
  if (writerSequence > register.writerSequence) return;
  const message = `Stream-Seq must be greater than ${JSON.stringify(register.writerSequence)}`;
  throw new StreamRefusal("SEQUENCE_CONFLICT", message);
}

function afterAppend(
  register: StreamRegister,
  { close, producer, writerSequence }: StreamAppend,
  { data, count }: StreamMessages,
  newProducer: boolean,
  { streamBytesMax, producersMax }: StreamBounds,
): StreamRegister {
  const bytes = register.bytes + data.length;
  if (bytes > streamBytesMax) {
    throw new StreamRefusal("TOO_LARGE", `A stream may hold ${streamBytesMax} bytes`);
  }
  const producers = register.producers + (producer !== undefined && newProducer ? 1 : 0);
  if (producers > producersMax) {
    throw new StreamRefusal("TOO_MANY", `A stream may have ${producersMax} producers`);
  }
  return {
    ...register,
    tail: register.tail + count,
    bytes,
    producers,
    ...(writerSequence === undefined ? {} : { writerSequence }),
    ...(close ? { closed: true } : {}),
    ...(close && producer !== undefined ? { closedBy: producer } : {}),
  };
}

function chunkPuts({ place }: StreamSnapshot, register: StreamRegister, { data }: StreamMessages) {
  if (data.length === 0) return [];
  return [chunkItem(streamKeys.chunk(register.incarnation, register.tail), data, place)];
}

function producerPuts(
  { place }: StreamSnapshot,
  { incarnation }: StreamRegister,
  { producer }: StreamAppend,
) {
  if (producer === undefined) return [];
  const { id, epoch, sequence } = producer;
  return [producerRow.item(streamKeys.producer(incarnation, id), { epoch, sequence }, place)];
}

function producerResult({ producer }: StreamAppend): { producer?: ProducerState } {
  if (producer === undefined) return {};
  return { producer: { epoch: producer.epoch, sequence: producer.sequence } };
}
