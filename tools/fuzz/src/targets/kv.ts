import { HASH_CONTEXTS, nobleHasher, preimage } from "@tidemark/core";
import { decodeKey, decodeRecord, encodeKey, encodeRecord } from "@tidemark/kv";
import { golden } from "../corpus.ts";
import { bytesOf, decoderTarget, type FuzzTarget } from "../target.ts";

const PLACE = { partition: "session/1", key: encodeKey(["head"]) };
const KIND_AT = 4;
const CHECKSUM_BYTES = 8;

/** What a store gives back: keys, and the records that lie there. */
export const KV: readonly FuzzTarget[] = [
  decoderTarget({
    name: "kv-tuple-key",
    seeds: () =>
      golden("kv", /^tuple-key/)
        .flatMap((file) => JSON.parse(new TextDecoder().decode(file)) as { key: string }[])
        .map(({ key }) => new Uint8Array(Buffer.from(key, "hex"))),
    decode: decodeKey,
    encode: encodeKey,
  }),
  decoderTarget({
    name: "kv-record",
    seeds: () =>
      ["", '{"revision":1}'].map((body) =>
        encodeRecord({ kind: "head", version: 1 }, bytesOf(body), PLACE, nobleHasher),
      ),
    decode: (bytes) => decodeRecord(bytes, { kind: "head", versions: [1, 2] }, PLACE, nobleHasher),
    encode: ({ version, body }) => encodeRecord({ kind: "head", version }, body, PLACE, nobleHasher),
    seal: sealRecord,
    grow: (bytes) =>
      encodeRecord({ kind: "head", version: 1 }, new Uint8Array(bytes).fill(7), PLACE, nobleHasher),
  }),
];

/** Makes the checksum right, where there is room for one. */
function sealRecord(bytes: Uint8Array): Uint8Array {
  const bodyAt = KIND_AT + (bytes[KIND_AT - 1] ?? 0) + CHECKSUM_BYTES;
  if (bytes.length < bodyAt) return bytes;
  const sealed = bytes.slice();
  const header = sealed.subarray(0, bodyAt - CHECKSUM_BYTES);
  const fields = [bytesOf(PLACE.partition), PLACE.key, header, sealed.subarray(bodyAt)];
  sealed.set(nobleHasher.digest(HASH_CONTEXTS.kvRecord, preimage(fields), CHECKSUM_BYTES), header.length);
  return sealed;
}
