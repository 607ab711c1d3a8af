import { CoreError, type Hasher } from "@tidemark/core";
import { decodeRecord, encodeRecord, KvError, type KvKey, type Partition } from "@tidemark/kv";

/** The version of every record of this package. */
const VERSION = 1;

/** What a record is of. */
export type RecordKind =
  | "langgraph-checkpoint"
  | "langgraph-directory"
  | "langgraph-item"
  | "langgraph-namespace"
  | "langgraph-part"
  | "langgraph-thread"
  | "langgraph-writes";

/** Records of one store: each has its kind, version and a checksum over its place and body. */
export class Records {
  readonly #hasher: Hasher;

  constructor(hasher: Hasher) {
    this.#hasher = hasher;
  }

  /** The value to put at that place. */
  seal(kind: RecordKind, partition: Partition, key: KvKey, body: Uint8Array): Uint8Array {
    return encodeRecord({ kind, version: VERSION }, body, { partition, key }, this.#hasher);
  }

  /** The body of what is stored there, as `decode` reads it. @throws `KvError` `KV_CORRUPT`, `KV_RECORD_VERSION` */
  open<Body>(
    kind: RecordKind,
    partition: Partition,
    key: KvKey,
    value: Uint8Array,
    decode: (body: Uint8Array) => Body,
  ): Body {
    const { body } = decodeRecord(value, { kind, versions: [VERSION] }, { partition, key }, this.#hasher);
    try {
      return decode(body);
    } catch (error) {
      if (!(error instanceof CoreError)) throw error;
      throw new KvError("KV_CORRUPT", `Cannot read a record of kind ${kind}: ${error.message}`, {
        cause: error,
      });
    }
  }
}
