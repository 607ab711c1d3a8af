import { ByteReader, ByteWriter, type LogId } from "@tidemark/core";
import { readAck, writeAck, type Ack } from "./ack.ts";
import { decoding } from "./decoding.ts";
import { readDigestDetail, writeDigestDetail, type DigestDetail } from "./digest-parts.ts";
import { decodeMembership, encodeMembership, type Membership } from "./membership.ts";
import { readLogId, writeLogId } from "./log-id-codec.ts";
import { SLOT_COUNT } from "./shard-router.ts";
import { readSchemaDigest, writeSchemaDigest } from "./schema-digest.ts";

/** Bytes of the number a reply repeats, so that an old reply is worth nothing. */
export const NONCE_BYTES = 8;
/** Bytes of a membership digest in a vectors request and reply. */
export const MEMBERSHIP_DIGEST_BYTES = 16;
const TOKEN_BYTES_MAX = 4_096;
const PSEUDONYM_BYTES_MAX = 64;
/** Bytes of one record that a follower hands to a member. */
const RELAY_RECORD_BYTES_MAX: number = 2 * 1024 * 1024;

/** The number of each kind of question. */
export const REQUEST_KIND = {
  range: 1,
  vectors: 2,
  digests: 3,
  snapshot: 4,
  keys: 5,
  membership: 6,
  relay: 7,
  propose: 8,
} as const;

/** A question to one peer. */
export type Request =
  /** Whole batches that cover `from` to `to`. */
  | { readonly kind: "range"; readonly log: LogId; readonly from: number; readonly to: number }
  /** What do you hold? Carries what the asker holds, so that one round trip tells both. */
  | {
      readonly kind: "vectors";
      readonly membershipDigest: Uint8Array;
      readonly ack: Ack;
      /** What the sender folds signals under. */
      readonly schema?: Uint8Array;
    }
  /** State digests: the whole at its vector, and with slots also theirs or those of their objects. */
  | { readonly kind: "digests"; readonly slots: readonly number[]; readonly detail?: DigestDetail }
  /** A snapshot, from the beginning or from a token. */
  | { readonly kind: "snapshot"; readonly token: Uint8Array }
  /** The table of user keys, whole: nothing named asks for its beginning, a resume token for what follows. */
  | { readonly kind: "keys"; readonly pseudonyms: readonly Uint8Array[] }
  /** The list of members: the one question a region without a cluster may ask. */
  | { readonly kind: "membership" }
  /** Sealed operations that the asker may not write: put them into a log of yours, unless you have them. */
  | { readonly kind: "relay"; readonly records: readonly Uint8Array[] }
  /** Agree to another list of members; or it was agreed on, or is taken back. */
  | { readonly kind: "propose"; readonly phase: ProposalPhase; readonly list: Membership };

/** How far a proposal is. */
export type ProposalPhase = "asked" | "decided" | "withdrawn";
const PHASES: readonly ProposalPhase[] = ["asked", "decided", "withdrawn"];

/**
 * The body of a request frame: nonce 8, kind u8, then by kind:
 *
 * | kind | name | fields |
 * | ---: | :--- | :--- |
 * | 1 | range | log (region u16, shard u16, epoch u32, channel u8), from varint, to varint |
 * | 2 | vectors | membership digest 16, ack, then nothing or the digest of the signal schema 32 |
 * | 3 | digests | varint count, then slots, u16, ascending; then nothing, or channel u8 and u8 1 (of slots) or 2 (of their objects) |
 * | 4 | snapshot | resume token `bytes`, at most 4,096 |
 * | 5 | keys | varint count, 0 or 1, then a resume token `bytes`, at most 64 |
 * | 6 | membership | |
 * | 7 | relay | varint count, then records `bytes`, each 1 byte to 2 MiB |
 * | 8 | propose | phase u8 (1 asked, 2 decided, 3 withdrawn), member list |
 */
export function encodeRequest(nonce: Uint8Array, request: Request): Uint8Array {
  if (nonce.length !== NONCE_BYTES) throw new RangeError(`A nonce has 8 bytes: ${nonce.length}`);
  const writer = new ByteWriter();
  writer.raw(nonce);
  writer.u8(REQUEST_KIND[request.kind]);
  switch (request.kind) {
    case "range":
      writeLogId(writer, request.log);
      writer.varint(request.from);
      writer.varint(request.to);
      break;
    case "vectors":
      writer.raw(request.membershipDigest);
      writeAck(writer, request.ack);
      writeSchemaDigest(writer, request.schema);
      break;
    case "digests":
      writer.varint(request.slots.length);
      for (const slot of request.slots) writer.u16(slot);
      if (request.detail !== undefined) writeDigestDetail(writer, request.detail);
      break;
    case "snapshot":
      writer.prefixed(request.token);
      break;
    case "keys":
      writer.varint(request.pseudonyms.length);
      for (const pseudonym of request.pseudonyms) writer.prefixed(pseudonym);
      break;
    case "membership":
      break;
    case "relay":
      writer.varint(request.records.length);
      for (const record of request.records) writer.prefixed(record);
      break;
    case "propose":
      writer.u8(PHASES.indexOf(request.phase) + 1);
      writer.raw(encodeMembership(request.list));
      break;
  }
  return writer.take();
}

/** The inverse of {@link encodeRequest}. @throws `ReplicationError` `MESSAGE_MALFORMED`. */
export function decodeRequest(bytes: Uint8Array): { readonly nonce: Uint8Array; readonly request: Request } {
  return decoding("a request", () => {
    const reader = new ByteReader(bytes);
    const nonce = reader.view(NONCE_BYTES).slice();
    const request = readRequest(reader);
    reader.finish();
    return { nonce, request };
  });
}

function readRequest(reader: ByteReader): Request {
  const kind = reader.u8();
  switch (kind) {
    case REQUEST_KIND.range: {
      const log = readLogId(reader);
      const [from, to] = [reader.varint(), reader.varint()];
      if (from < 1 || to < from) reader.fail("Cannot accept a range that is empty or begins before 1");
      return { kind: "range", log, from, to };
    }
    case REQUEST_KIND.vectors:
      return {
        kind: "vectors",
        membershipDigest: reader.view(MEMBERSHIP_DIGEST_BYTES).slice(),
        ack: readAck(reader),
        ...readSchemaDigest(reader),
      };
    case REQUEST_KIND.digests: {
      const slots: number[] = [];
      for (let count = reader.count(2); count > 0; count--) {
        const slot = reader.u16();
        if (slot >= SLOT_COUNT || slot <= (slots.at(-1) ?? -1)) reader.fail("Cannot accept this slot here");
        slots.push(slot);
      }
      return { kind: "digests", slots, ...(reader.remaining > 0 && { detail: readDigestDetail(reader) }) };
    }
    case REQUEST_KIND.snapshot:
      return { kind: "snapshot", token: reader.prefixed(TOKEN_BYTES_MAX).slice() };
    case REQUEST_KIND.keys: {
      const pseudonyms: Uint8Array[] = [];
      for (let count = reader.count(1); count > 0; count--) {
        pseudonyms.push(reader.prefixed(PSEUDONYM_BYTES_MAX).slice());
      }
      return { kind: "keys", pseudonyms };
    }
    case REQUEST_KIND.membership:
      return { kind: "membership" };
    case REQUEST_KIND.relay: {
      const records: Uint8Array[] = [];
      for (let count = reader.count(2); count > 0; count--) {
        const record = reader.prefixed(RELAY_RECORD_BYTES_MAX);
        if (record.length === 0) reader.fail("Cannot accept an empty record");
        records.push(record.slice());
      }
      return { kind: "relay", records };
    }
    case REQUEST_KIND.propose: {
      const phase = PHASES[reader.u8() - 1];
      if (phase === undefined) return reader.fail("Cannot read a proposal of this phase");
      return { kind: "propose", phase, list: decodeMembership(reader.view(reader.remaining)) };
    }
    default:
      return reader.fail(`Cannot read a request of kind ${kind}`);
  }
}
