import type { ByteWriter, DigestObject } from "@tidemark/core";
import type { SessionEntry } from "./session-entry.ts";

/**
 * What is left of a session that was purged. Its canonical bytes say only that it was: of a purge nothing else is told
 * by the set of operations alone once what exactly-once needs is dropped.
 */
export class Tombstone implements DigestObject {
  readonly objectKind = 3;
  readonly id: string;
  /** Lanes, effects and unstable operations, while copies of operations can still arrive for the first time. */
  kept: SessionEntry | undefined;
  /** A purge of it is stable, and every member knows what a purge is: nothing of it arrives for the first time any more. */
  stable: boolean = false;

  constructor(id: string, kept?: SessionEntry) {
    this.id = id;
    this.kept = kept;
  }

  /** u8 1. */
  writeCanonical(writer: ByteWriter): void {
    writer.u8(1);
  }
}
