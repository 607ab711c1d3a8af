import type { Hasher } from "@tidemark/core";
import { decodeRecord, encodeRecord, type KvItem, type KvKey, type Partition } from "@tidemark/kv";
import { canonicalJson, type JsonValue } from "./canonical-json.ts";
import { SessionStoreError } from "./errors.ts";

/** Where records of one partition lie, and what their checksums are made with. */
export interface RecordContext {
  readonly partition: Partition;
  readonly hasher: Hasher;
}

/**
 * How bodies of one kind become records and come back. A record carries its kind, its schema version and a checksum
 * over its place and body (`@tidemark/kv`); the body is canonical JSON.
 */
export interface RecordCodec<Body> {
  readonly kind: string;
  /** The schema version that is written, and the only one that is read: anything else is migrated, explicitly. */
  readonly version: number;
  /** The item to put. Equal bodies at one key give equal bytes. */
  item(body: Body, key: KvKey, context: RecordContext): KvItem;
  /**
   * The body of what is stored at a key, or `undefined` if nothing is.
   *
   * @throws `KvError` `KV_CORRUPT` and `KV_RECORD_VERSION`, which {@link asSessionStoreError} translates;
   * {@link SessionStoreError} `DATA_CORRUPT` if the body is not JSON. What cannot be read is never `undefined`.
   */
  read(bytes: Uint8Array | undefined, key: KvKey, context: RecordContext): Body | undefined;
}

const utf8 = new TextEncoder();
const strictUtf8 = new TextDecoder("utf-8", { fatal: true });

/**
 * The codec of one kind of record. A body must be what canonical JSON can say: absent fields are left out, not
 * `undefined`.
 */
export function recordCodec<Body extends object>(kind: string, version: number): RecordCodec<Body> {
  return {
    kind,
    version,
    item: (body, key, { partition, hasher }) => ({
      key,
      value: encodeRecord(
        { kind, version },
        utf8.encode(canonicalJson(body as JsonValue)),
        { partition, key },
        hasher,
      ),
    }),
    read(bytes, key, { partition, hasher }) {
      if (bytes === undefined) return undefined;
      const { body } = decodeRecord(bytes, { kind, versions: [version] }, { partition, key }, hasher);
      return parseBody(body, kind) as Body;
    },
  };
}

/** The JSON of a record's body. */
export function parseBody(body: Uint8Array, kind: string): unknown {
  try {
    return JSON.parse(strictUtf8.decode(body));
  } catch (cause) {
    throw new SessionStoreError("DATA_CORRUPT", `Cannot read a ${kind}: its body is not JSON`, {
      cause,
      kind,
    });
  }
}
