import type { KvItem } from "@tidemark/kv";
import { positionsOf } from "./decide-append.ts";
import { sliceMessages } from "./json-messages.ts";
import { StreamRefusal } from "./stream-refusal.ts";
import { readChunk, streamKeys } from "./stream-rows.ts";
import { isJson, segmentsOf, type StreamRegister, type StreamSegment } from "./stream-state.ts";
import type { StreamStore } from "./stream-store.ts";

/** What was read of a stream. */
export interface StreamParts {
  /** Of each append its bytes, or the messages of a JSON append. */
  readonly parts: readonly Uint8Array[];
  /** The position behind the last byte or message. */
  readonly next: number;
}

interface Chunk {
  readonly from: number;
  readonly to: number;
  readonly data: Uint8Array;
}

const ROWS_PER_SCAN = 256;
/** A reader waits for no more rows than these: who wants the rest asks again. */
const ROWS_MAX = 1_024;

/**
 * Reads a stream from a position, over all that it has of others, up to the tail that the register knows. It ends
 * after the append that passes `bytesMax`, or after 1,024 appends.
 *
 * @throws StreamRefusal `STREAM_NOT_FOUND` if the stream was deleted meanwhile.
 */
export async function readParts(
  store: StreamStore,
  path: string,
  register: StreamRegister,
  from: number,
  bytesMax: number,
): Promise<StreamParts> {
  const parts: Uint8Array[] = [];
  let next = from;
  let bytes = 0;
  for (const segment of segmentsOf(register, path)) {
    while (next >= segment.from && next < segment.to && bytes < bytesMax && parts.length < ROWS_MAX) {
      for (const chunk of await scanChunks(store, register, segment, next)) {
        if (chunk.from > next) throw torn(path);
        const part = within(register, chunk, next, segment.to);
        parts.push(part);
        bytes += part.length;
        next = Math.min(chunk.to, segment.to);
        if (bytes >= bytesMax || next >= segment.to) break;
      }
    }
  }
  return { parts, next };
}

/** Where the append ends that holds the position, within its part of the stream; the position itself at the tail. */
export async function boundaryAfter(
  store: StreamStore,
  path: string,
  register: StreamRegister,
  position: number,
): Promise<number> {
  const segment = segmentsOf(register, path).find(({ from, to }) => position >= from && position < to);
  if (segment === undefined) return position;
  const [chunk] = await scanChunks(store, register, segment, position);
  return Math.min(chunk!.to, segment.to);
}

/** Chunks of a segment in order, the first of which holds the position. At least one. */
async function scanChunks(
  store: StreamStore,
  register: StreamRegister,
  { path, incarnation, to }: StreamSegment,
  position: number,
): Promise<Chunk[]> {
  const end = streamKeys.chunk(incarnation, to);
  const chunkOf = (item: KvItem): Chunk => {
    const { position: at, data } = readChunk(item, store.place(path));
    return { from: at, to: at + positionsOf(register.contentType, data), data };
  };
  const partition = store.partition(path);
  const start = streamKeys.chunk(incarnation, position);
  const { items } = await store.kv.scan(partition, { start, end, limit: ROWS_PER_SCAN });
  const chunks = items.map(chunkOf);
  if (chunks[0]?.from === position) return chunks;
  // The position lies within an append: it is the last that begins before.
  if (position === 0) throw torn(path);
  const first = streamKeys.chunk(incarnation, 0);
  const before = await store.kv.scan(partition, { start: first, end: start, reverse: true, limit: 1 });
  const holding = before.items.map(chunkOf).filter((chunk) => chunk.to > position);
  if (holding.length === 0) throw torn(path);
  return [...holding, ...chunks];
}

/** What a chunk has from one position to another. */
function within(register: StreamRegister, { from, to, data }: Chunk, start: number, end: number): Uint8Array {
  if (from >= start && to <= end) return data;
  const [first, last] = [Math.max(0, start - from), Math.min(to, end) - from];
  return isJson(register.contentType) ? sliceMessages(data, first, last) : data.subarray(first, last);
}

/** Rows are missing: they are removed after the register, so the stream is no more. */
function torn(path: string): StreamRefusal {
  return new StreamRefusal("STREAM_NOT_FOUND", `The stream at ${path} was deleted`);
}
