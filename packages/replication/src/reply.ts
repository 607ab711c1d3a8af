import { ByteReader, ByteWriter } from "@tidemark/core";
import { Vector } from "@tidemark/wal";
import { readAck, writeAck, type Ack } from "./ack.ts";
import { decoding } from "./decoding.ts";
import { readDigestDetails, writeDigestDetails, type DigestDetails } from "./digest-parts.ts";
import { FRAME_OVERHEAD_BYTES } from "./frame.ts";
import { decodeMembership, encodeMembership, type Membership } from "./membership.ts";
import { MEMBERSHIP_DIGEST_BYTES, NONCE_BYTES, REQUEST_KIND } from "./request.ts";
import { SNAPSHOT_ID_BYTES, type SnapshotPart } from "./snapshot-token.ts";
import { readSchemaDigest, writeSchemaDigest } from "./schema-digest.ts";

/** What a frame that carries a range adds to its batches. */
export const RANGE_REPLY_OVERHEAD_BYTES: number = FRAME_OVERHEAD_BYTES + NONCE_BYTES + 2;
/** What a frame that carries a piece of a snapshot adds to it: id, bytes of the whole and offset. */
export const SNAPSHOT_REPLY_OVERHEAD_BYTES: number = RANGE_REPLY_OVERHEAD_BYTES + SNAPSHOT_ID_BYTES + 9 + 9;
const STATE_DIGEST_BYTES = 32;

/** Why a peer does not answer with what was asked. */
export type Refusal = "not-held" | "trimmed" | "unsupported" | "not-a-member" | "not-writing" | "not-agreed";
const REFUSAL_CODE: { readonly [refusal in Refusal]: number } = {
  "not-held": 1,
  trimmed: 2,
  unsupported: 3,
  "not-a-member": 4,
  "not-writing": 5,
  "not-agreed": 6,
};
const REFUSAL_OF = new Map<number, Refusal>(
  (Object.keys(REFUSAL_CODE) as Refusal[]).map((refusal) => [REFUSAL_CODE[refusal], refusal]),
);

/** An answer. `batches` is a view into the bytes that arrived. */
export type Reply =
  | { readonly kind: "range"; readonly batches: Uint8Array }
  | {
      readonly kind: "vectors";
      readonly membershipDigest: Uint8Array;
      readonly ack: Ack;
      /** What the sender folds signals under. */
      readonly schema?: Uint8Array;
    }
  | {
      readonly kind: "digests";
      readonly vector: Vector;
      readonly digest: Uint8Array;
      readonly details?: DigestDetails;
    }
  /** A piece of a snapshot; `bytes` is a view as well. */
  | { readonly kind: "snapshot"; readonly part: SnapshotPart }
  /** A piece of the sealed table of user keys; `bytes` is a view as well. */
  | { readonly kind: "keys"; readonly part: SnapshotPart }
  | { readonly kind: "membership"; readonly membership: Membership }
  /** All of the records are durable and applied at the one who was asked. */
  | { readonly kind: "relay" }
  /** Agreed, or heard. */
  | { readonly kind: "propose" }
  | { readonly kind: "refused"; readonly of: number; readonly refusal: Refusal; readonly first: number };

/**
 * The body of a reply frame: the nonce 8 of the request, its kind u8, status u8, then when the status is 0:
 *
 * | kind | name | fields |
 * | ---: | :--- | :--- |
 * | 1 | range | whole batches, verbatim |
 * | 2 | vectors | membership digest 16, ack, then nothing or the digest of the signal schema 32 |
 * | 3 | digests | vector, state digest 32; then nothing, or details: {@link writeDigestDetails} |
 * | 4 | snapshot | id 16, varint bytes of the whole, varint offset, then bytes of it |
 * | 5 | keys | as 4, of the table of user keys |
 * | 6 | membership | the list, canonical |
 * | 7 | relay | nothing: the records are durable there |
 * | 8 | propose | nothing: agreed, or heard |
 *
 * Another status is a refusal (1 not held, 2 trimmed, 3 unsupported, 4 not a member, 5 does not write now, 6 does not agree) and a varint: the
 * first LSN still held, for 6 the version of a list that was promised instead, or 0.
 */
export function encodeReply(nonce: Uint8Array, reply: Reply): Uint8Array {
  const bulk = reply.kind === "range" ? reply.batches : "part" in reply ? reply.part.bytes : undefined;
  const writer = new ByteWriter(bulk === undefined ? 256 : bulk.length + 64);
  writer.raw(nonce);
  if (reply.kind === "refused") {
    writer.u8(reply.of);
    writer.u8(REFUSAL_CODE[reply.refusal]);
    writer.varint(reply.first);
    return writer.take();
  }
  writer.u8(REQUEST_KIND[reply.kind]);
  writer.u8(0);
  switch (reply.kind) {
    case "range":
      writer.raw(reply.batches);
      break;
    case "vectors":
      writer.raw(reply.membershipDigest);
      writeAck(writer, reply.ack);
      writeSchemaDigest(writer, reply.schema);
      break;
    case "digests":
      reply.vector.write(writer);
      writer.raw(reply.digest);
      if (reply.details !== undefined) writeDigestDetails(writer, reply.details);
      break;
    case "snapshot":
    case "keys":
      writer.raw(reply.part.id);
      writer.varint(reply.part.totalBytes);
      writer.varint(reply.part.offset);
      writer.raw(reply.part.bytes);
      break;
    case "membership":
      writer.raw(encodeMembership(reply.membership));
      break;
    case "relay":
    case "propose":
      break;
  }
  return writer.take();
}

/** The inverse of {@link encodeReply}. @throws `ReplicationError` `MESSAGE_MALFORMED`. */
export function decodeReply(bytes: Uint8Array): { readonly nonce: Uint8Array; readonly reply: Reply } {
  return decoding("a reply", () => {
    const reader = new ByteReader(bytes);
    const nonce = reader.view(NONCE_BYTES).slice();
    const reply = readReply(reader);
    reader.finish();
    return { nonce, reply };
  });
}

function readReply(reader: ByteReader): Reply {
  const kind = reader.u8();
  const status = reader.u8();
  if (status !== 0) {
    const refusal = REFUSAL_OF.get(status);
    if (refusal === undefined) return reader.fail(`Cannot read a reply of status ${status}`);
    return { kind: "refused", of: kind, refusal, first: reader.varint() };
  }
  switch (kind) {
    case REQUEST_KIND.range:
      return { kind: "range", batches: reader.view(reader.remaining) };
    case REQUEST_KIND.vectors:
      return {
        kind: "vectors",
        membershipDigest: reader.view(MEMBERSHIP_DIGEST_BYTES).slice(),
        ack: readAck(reader),
        ...readSchemaDigest(reader),
      };
    case REQUEST_KIND.digests:
      return {
        kind: "digests",
        vector: Vector.read(reader),
        digest: reader.view(STATE_DIGEST_BYTES).slice(),
        ...(reader.remaining > 0 && { details: readDigestDetails(reader) }),
      };
    case REQUEST_KIND.snapshot:
      return { kind: "snapshot", part: readPart(reader) };
    case REQUEST_KIND.keys:
      return { kind: "keys", part: readPart(reader) };
    case REQUEST_KIND.membership:
      return { kind: "membership", membership: decodeMembership(reader.view(reader.remaining)) };
    case REQUEST_KIND.relay:
      return { kind: "relay" };
    case REQUEST_KIND.propose:
      return { kind: "propose" };
    default:
      return reader.fail(`Cannot read a reply of kind ${kind}`);
  }
}

function readPart(reader: ByteReader): SnapshotPart {
  const id = reader.view(SNAPSHOT_ID_BYTES).slice();
  const [totalBytes, offset] = [reader.varint(), reader.varint()];
  return { id, totalBytes, offset, bytes: reader.view(reader.remaining) };
}
