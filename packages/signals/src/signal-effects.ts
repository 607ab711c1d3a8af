import { ByteWriter, HASH_CONTEXTS, type Hasher, preimage } from "@tidemark/core";
import type { SignalContent } from "./signal-record.ts";

/** Bytes of the tag of an operation, and of the digest of what it asks for. */
export const SIGNAL_TAG_BYTES = 8;

const utf8 = new TextEncoder();

/** The effect ids of signals that have no session: what makes a retry, here or in another region, one effect. */
export class SignalEffects {
  readonly #hasher: Hasher;
  readonly #clusterId: Uint8Array;
  readonly #writer: ByteWriter = new ByteWriter(256);

  /** @param clusterId - 8 bytes. */
  constructor(hasher: Hasher, clusterId: Uint8Array) {
    this.#hasher = hasher;
    this.#clusterId = clusterId;
  }

  /**
   * 16 bytes. Tag (8): `tidemark 2026 signal-tag v1` over cluster id and operationId. Digest (8): `tidemark 2026
   * signal-request v1` over cluster id and request bytes: entity `text`, signal `text`, weight f64, event time u64,
   * then nothing or the propensity f64.
   */
  idOf(operationId: string, content: SignalContent): Uint8Array {
    const { entity, signal, weight, eventTimeMs, propensity } = content;
    const writer = this.#writer.reset();
    writer.text(entity);
    writer.text(signal);
    writer.f64(weight + 0);
    writer.u64(eventTimeMs);
    if (propensity !== undefined) writer.f64(propensity);
    const id = new Uint8Array(2 * SIGNAL_TAG_BYTES);
    id.set(this.#hash(HASH_CONTEXTS.signalTag, utf8.encode(operationId)));
    id.set(this.#hash(HASH_CONTEXTS.signalRequest, writer.view()), SIGNAL_TAG_BYTES);
    return id;
  }

  #hash(context: string, bytes: Uint8Array): Uint8Array {
    return this.#hasher.digest(context, preimage([this.#clusterId, bytes]), SIGNAL_TAG_BYTES);
  }
}
