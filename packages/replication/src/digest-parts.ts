import { ByteReader, ByteWriter, CHANNEL_CODE, channelOf, type Channel } from "@tidemark/core";

/** One object of the state: what a digest is made of. Its id is as secret as what it names. */
export interface DigestObjectEntry {
  /** 1 session, 2 a user's hides, and so on: see formats.md. */
  readonly kind: number;
  readonly id: string;
  /** 32 bytes. */
  readonly digest: Uint8Array;
}

/** How closely a peer is asked to look at slots of one channel. */
export interface DigestDetail {
  readonly channel: Channel;
  /** `slots`: the digest of each slot; `objects`: of each object in them. */
  readonly of: "slots" | "objects";
}

/** What a digests reply says beyond the whole digest. */
export interface DigestDetails {
  /** The state was folded from its logs, from their beginning, by this run: it is not the one that went wrong on disk. */
  readonly replayed: boolean;
  /** Slots that are not empty. */
  readonly slots: readonly { readonly slot: number; readonly digest: Uint8Array }[];
  readonly objects: readonly DigestObjectEntry[];
  /** There are more objects than fit. */
  readonly truncated: boolean;
}

const OF_CODE = { slots: 1, objects: 2 } as const;
const DIGEST_BYTES = 32;
const FLAGS_KNOWN = 3;

/** channel u8, then 1 for digests of slots or 2 for digests of objects. */
export function writeDigestDetail(writer: ByteWriter, detail: DigestDetail): void {
  writer.u8(CHANNEL_CODE[detail.channel]);
  writer.u8(OF_CODE[detail.of]);
}

/** Reads what {@link writeDigestDetail} wrote. @throws `CoreError` `DECODE_FAILED`. */
export function readDigestDetail(reader: ByteReader): DigestDetail {
  const channel = channelOf(reader.u8());
  if (channel === undefined) return reader.fail("Cannot read this channel", reader.offset - 1);
  const code = reader.u8();
  if (code !== OF_CODE.slots && code !== OF_CODE.objects)
    reader.fail("Cannot read this detail", reader.offset - 1);
  return { channel, of: code === OF_CODE.slots ? "slots" : "objects" };
}

/**
 * flags u8 (1: replayed from the logs, 2: more objects than fit); varint count, slot u16 and digest 32, ascending; varint
 * count, object kind u8, id `text`, digest 32.
 */
export function writeDigestDetails(writer: ByteWriter, details: DigestDetails): void {
  writer.u8((details.replayed ? 1 : 0) | (details.truncated ? 2 : 0));
  writer.varint(details.slots.length);
  for (const { slot, digest } of details.slots) {
    writer.u16(slot);
    writer.raw(digest);
  }
  writer.varint(details.objects.length);
  for (const { kind, id, digest } of details.objects) {
    writer.u8(kind);
    writer.text(id);
    writer.raw(digest);
  }
}

/** Reads what {@link writeDigestDetails} wrote. @throws `CoreError` `DECODE_FAILED`. */
export function readDigestDetails(reader: ByteReader): DigestDetails {
  const flags = reader.u8();
  if ((flags & ~FLAGS_KNOWN) !== 0) reader.fail(`Cannot read flags ${flags}`, reader.offset - 1);
  const slots: { slot: number; digest: Uint8Array }[] = [];
  for (let count = reader.count(2 + DIGEST_BYTES); count > 0; count--) {
    const slot = reader.u16();
    if (slot <= (slots.at(-1)?.slot ?? -1)) reader.fail("Cannot accept unsorted slots", reader.offset - 2);
    slots.push({ slot, digest: reader.view(DIGEST_BYTES).slice() });
  }
  const objects: DigestObjectEntry[] = [];
  for (let count = reader.count(2 + DIGEST_BYTES); count > 0; count--) {
    objects.push({ kind: reader.u8(), id: reader.text(), digest: reader.view(DIGEST_BYTES).slice() });
  }
  return { replayed: (flags & 1) !== 0, slots, objects, truncated: (flags & 2) !== 0 };
}
