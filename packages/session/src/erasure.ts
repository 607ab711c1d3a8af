import type { ByteWriter, DigestObject } from "@tidemark/core";

/** Where a record stands: number of its log, and LSN. */
export interface RecordPlace {
  readonly log: number;
  readonly lsn: number;
}

/** A user who was erased. */
export class Erasure implements DigestObject {
  readonly objectKind = 5;
  /** The pseudonym, hexadecimal. */
  readonly id: string;
  /** Operations under keys up to this generation fold to nothing but their ledger part. */
  upTo: number = 0;
  /** An operation that says so, by the order of logs and LSNs; none while only a later generation tells of it. */
  place: RecordPlace | undefined;

  constructor(id: string) {
    this.id = id;
  }

  /** u8 1, then the generation u32. */
  writeCanonical(writer: ByteWriter): void {
    writer.u8(1);
    writer.u32(this.upTo);
  }
}
