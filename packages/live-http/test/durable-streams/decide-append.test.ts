import { nobleHasher } from "@tidemark/core";
import fc from "fast-check";
import { expect, test } from "vitest";
import { decideAppend, type StreamAppend } from "../../src/durable-streams/decide-append.ts";
import type { StreamSnapshot } from "../../src/durable-streams/stream-change.ts";
import { StreamRefusal } from "../../src/durable-streams/stream-refusal.ts";
import {
  leaseRow,
  producerRow,
  readChunk,
  registerRow,
  type RowPlace,
  streamKeys,
} from "../../src/durable-streams/stream-rows.ts";
import type { StreamRegister } from "../../src/durable-streams/stream-state.ts";

const PLACE: RowPlace = { partition: "streams/a", hasher: nobleHasher };
const BOUNDS = { streamBytesMax: 60, producersMax: 2 };
const EMPTY: StreamRegister = {
  phase: "live",
  incarnation: "life",
  epoch: 7,
  contentType: "text/plain",
  request: {},
  inherited: [],
  tail: 0,
  bytes: 0,
  closed: false,
  producers: 0,
  pins: 0,
};

/** Rows as a store keeps them, changed all at once. */
class Rows {
  readonly #rows = new Map<string, { readonly key: Uint8Array; readonly value: Uint8Array }>();

  constructor() {
    this.#put(registerRow.item(streamKeys.register, EMPTY, PLACE));
  }

  snapshot(): StreamSnapshot {
    const [register, lease] = [streamKeys.register, streamKeys.lease].map((key) => this.get(key));
    return {
      path: "a",
      place: PLACE,
      nowMs: 0,
      register: registerRow.read(streamKeys.register, register, PLACE),
      lease: leaseRow.read(streamKeys.lease, lease, PLACE),
    };
  }

  append(append: StreamAppend): string {
    const snapshot = this.snapshot();
    const key = append.producer && streamKeys.producer("life", append.producer.id);
    const extended =
      key === undefined ? snapshot : { ...snapshot, producer: producerRow.read(key, this.get(key), PLACE) };
    try {
      const { checks, puts, deletes, result } = decideAppend(extended, append, BOUNDS);
      // What is written rests on what was read of it.
      for (const { key, value } of checks) expect(this.get(key)).toEqual(value);
      if (puts.length > 0) expect(checks.map(({ key }) => key)).toContainEqual(streamKeys.register);
      expect(deletes).toEqual([]);
      for (const item of puts) this.#put(item);
      return result.appended ? "appended" : "repeated";
    } catch (error) {
      if (error instanceof StreamRefusal) return error.code;
      throw error;
    }
  }

  get(key: Uint8Array): Uint8Array | undefined {
    return this.#rows.get(key.join())?.value;
  }

  /** The bytes of all chunks, each of which begins where the one before ends. */
  text(): string {
    const prefix = [...streamKeys.chunk("life", 0)].slice(0, -1).join();
    const chunks = [...this.#rows]
      .filter(([key]) => key.startsWith(prefix))
      .map(([, item]) => readChunk(item, PLACE));
    let text = "";
    for (const { position, data } of chunks.toSorted((a, b) => a.position - b.position)) {
      expect(position).toBe(text.length);
      text += new TextDecoder().decode(data);
    }
    return text;
  }

  #put(item: { readonly key: Uint8Array; readonly value: Uint8Array }): void {
    this.#rows.set(item.key.join(), item);
  }
}

/** The same without a store, a register or rows. */
class Model {
  text = "";
  closedBy: string | undefined;
  writerSequence = "";
  readonly producers = new Map<string, { epoch: number; sequence: number }>();

  append({ contentType, body, close, producer, writerSequence }: StreamAppend): string {
    const name = producer === undefined ? "nobody" : Object.values(producer).join();
    if (this.closedBy !== undefined) {
      if (producer === undefined) return body.length === 0 && close ? "repeated" : "STREAM_CLOSED";
      return name === this.closedBy ? "repeated" : "STREAM_CLOSED";
    }
    if (body.length > 0 && contentType !== "text/plain") return "CONTENT_TYPE_MISMATCH";
    if (producer !== undefined) {
      const { id, epoch, sequence } = producer;
      const known = this.producers.get(id);
      if (known !== undefined && epoch < known.epoch) return "STALE_EPOCH";
      if (known !== undefined && epoch > known.epoch && sequence > 0) return "BAD_REQUEST";
      if (known?.epoch === epoch && sequence <= known.sequence) return "repeated";
      const expected = known?.epoch === epoch ? known.sequence + 1 : 0;
      if (sequence !== expected) return "SEQUENCE_GAP";
    }
    if (writerSequence !== undefined && writerSequence <= this.writerSequence) return "SEQUENCE_CONFLICT";
    if (this.text.length + body.length > BOUNDS.streamBytesMax) return "TOO_LARGE";
    const producers = new Set([...this.producers.keys(), ...(producer === undefined ? [] : [producer.id])]);
    if (producers.size > BOUNDS.producersMax) return "TOO_MANY";
    this.text += new TextDecoder().decode(body);
    if (writerSequence !== undefined) this.writerSequence = writerSequence;
    if (producer !== undefined) this.producers.set(producer.id, producer);
    if (close) this.closedBy = name;
    return "appended";
  }
}

const append: fc.Arbitrary<StreamAppend> = fc
  .record({
    contentType: fc.constantFrom(...Array.from({ length: 9 }, () => "text/plain"), "text/html"),
    body: fc
      .string({ unit: fc.constantFrom("a", "b"), maxLength: 8 })
      .map((text) => new TextEncoder().encode(text)),
    close: fc.integer({ min: 0, max: 19 }).map((drawn) => drawn === 0),
    writerSequence: fc.option(fc.constantFrom("1", "2", "3", "4", "5", "6"), { freq: 3, nil: undefined }),
    producer: fc.option(
      fc.record({
        id: fc.constantFrom("p", "q", "r"),
        epoch: fc.integer({ min: 0, max: 2 }),
        sequence: fc.integer({ min: 0, max: 4 }),
      }),
      { freq: 4, nil: undefined },
    ),
  })
  .map(({ writerSequence, producer, ...others }) => ({
    ...others,
    ...(writerSequence === undefined ? {} : { writerSequence }),
    ...(producer === undefined ? {} : { producer }),
  }));

test("decideAppend() LIV-10 decides as a naive model does, and the rows hold what was appended", () => {
  fc.assert(
    fc.property(fc.array(append, { maxLength: 40 }), (appends) => {
      const [rows, model] = [new Rows(), new Model()];
      for (const one of appends) {
        expect(rows.append(one), JSON.stringify(one)).toBe(model.append(one));
        expect(rows.text()).toBe(model.text);
        const register = rows.snapshot().register.body!;
        expect(register.tail).toBe(model.text.length);
        expect(register.closed).toBe(model.closedBy !== undefined);
      }
    }),
    { numRuns: 100 },
  );
});
