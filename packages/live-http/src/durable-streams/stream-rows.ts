import type { Hasher } from "@tidemark/core";
import {
  decodeKey,
  decodeRecord,
  encodeKey,
  encodeRecord,
  type KvCheck,
  KvError,
  type KvItem,
  type KvKey,
  type Partition,
} from "@tidemark/kv";
import type { ProducerState, StreamLease, StreamPin, StreamRegister, StreamRemains } from "./stream-state.ts";

/**
 * Where a stream lies, in the partition of its path. All but the register is named by the life it belongs to, so that
 * what is left of one life is never read in another.
 *
 * | key                                   | record                                                               |
 * | :------------------------------------ | :------------------------------------------------------------------- |
 * | `stream`                              | the register: the tail, whether it is closed, what it was created as |
 * | `lease`                               | until when a stream with a time to live is left alone                |
 * | `chunk`, incarnation, position        | the bytes of one append, as they came; the messages of a JSON append |
 * | `producer`, incarnation, id           | epoch and sequence of an idempotent producer                         |
 * | `pin`, incarnation, incarnation       | a fork, and what it has of the stream                                |
 * | `remains`, incarnation                | a life whose rows are to be removed                                  |
 */
export const streamKeys: {
  readonly register: KvKey;
  readonly lease: KvKey;
  chunk(incarnation: string, position: number): KvKey;
  producer(incarnation: string, id: string): KvKey;
  pin(incarnation: string, fork: string): KvKey;
  remains(incarnation: string): KvKey;
} = {
  register: encodeKey(["stream"]),
  lease: encodeKey(["lease"]),
  chunk: (incarnation, position) => encodeKey(["chunk", incarnation, position]),
  producer: (incarnation, id) => encodeKey(["producer", incarnation, id]),
  pin: (incarnation, fork) => encodeKey(["pin", incarnation, fork]),
  remains: (incarnation) => encodeKey(["remains", incarnation]),
};

/** The kinds of rows a life has besides its register. */
export const LIFE_ROWS: readonly string[] = ["chunk", "producer", "pin"];

/** One partition, and what its checksums are made with. */
export interface RowPlace {
  readonly partition: Partition;
  readonly hasher: Hasher;
}

/** A row as it was read: what is stored, and what that says. */
export interface Row<Body> {
  readonly key: KvKey;
  readonly stored: Uint8Array | undefined;
  readonly body: Body | undefined;
}

/** How rows of one kind are read and written. */
export interface RowKind<Body extends object> {
  read(key: KvKey, stored: Uint8Array | undefined, place: RowPlace): Row<Body>;
  item(key: KvKey, body: Body, place: RowPlace): KvItem;
}

const VERSION = 1;
const utf8 = new TextEncoder();
const strictUtf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

export const registerRow: RowKind<StreamRegister> = rowKind("durable-stream");
export const leaseRow: RowKind<StreamLease> = rowKind("durable-stream-lease");
export const producerRow: RowKind<ProducerState> = rowKind("durable-stream-producer");
export const pinRow: RowKind<StreamPin> = rowKind("durable-stream-pin");
export const remainsRow: RowKind<StreamRemains> = rowKind("durable-stream-remains");

/** The bytes of one append, as a row. */
export function chunkItem(key: KvKey, data: Uint8Array, { partition, hasher }: RowPlace): KvItem {
  return { key, value: encodeRecord({ kind: CHUNK, version: VERSION }, data, { partition, key }, hasher) };
}

/** The bytes of one append, and where they begin. */
export function readChunk(
  { key, value }: KvItem,
  { partition, hasher }: RowPlace,
): { readonly position: number; readonly data: Uint8Array } {
  const { body } = decodeRecord(value, { kind: CHUNK, versions: [VERSION] }, { partition, key }, hasher);
  return { position: Number(decodeKey(key).at(-1)), data: body };
}

/** That a row is as it was read. */
export function unchanged({ key, stored }: Row<object>): KvCheck {
  return { key, value: stored };
}

const CHUNK = "durable-stream-chunk";

function rowKind<Body extends object>(kind: string): RowKind<Body> {
  return {
    item: (key, body, { partition, hasher }) => ({
      key,
      value: encodeRecord(
        { kind, version: VERSION },
        utf8.encode(JSON.stringify(body)),
        { partition, key },
        hasher,
      ),
    }),
    read(key, stored, { partition, hasher }) {
      if (stored === undefined) return { key, stored, body: undefined };
      const { body } = decodeRecord(stored, { kind, versions: [VERSION] }, { partition, key }, hasher);
      return { key, stored, body: jsonOf(body, kind) as Body };
    },
  };
}

function jsonOf(body: Uint8Array, kind: string): unknown {
  try {
    return JSON.parse(strictUtf8.decode(body));
  } catch (cause) {
    throw new KvError("KV_CORRUPT", `Cannot read a record of kind ${kind}: its body is not JSON`, {
      cause,
      kind,
    });
  }
}
