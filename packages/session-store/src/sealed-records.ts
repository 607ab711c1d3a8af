import { CoreError, type Hasher } from "@tidemark/core";
import { decodeRecord, encodeRecord, KvError, type KvKey, type Partition } from "@tidemark/kv";

/** Records of an adapter: each has its kind, one version, and a checksum over its place and body. */
export class SealedRecords<Kind extends string> {
  readonly #hasher: Hasher;
  readonly #version: number;

  constructor(hasher: Hasher, version: number) {
    this.#hasher = hasher;
    this.#version = version;
  }

  /** The value to put at that place. */
  seal(kind: Kind, partition: Partition, key: KvKey, body: Uint8Array): Uint8Array {
    return encodeRecord({ kind, version: this.#version }, body, { partition, key }, this.#hasher);
  }

  /** The body of what is stored there, as `decode` reads it. @throws `KvError` `KV_CORRUPT`, `KV_RECORD_VERSION` */
  open<Body>(
    kind: Kind,
    partition: Partition,
    key: KvKey,
    value: Uint8Array,
    decode: (body: Uint8Array) => Body,
  ): Body {
    const { body } = decodeRecord(
      value,
      { kind, versions: [this.#version] },
      { partition, key },
      this.#hasher,
    );
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
