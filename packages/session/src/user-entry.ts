import { type ByteWriter, type DigestObject, HideSet, HLC_ZERO, type Hlc } from "@tidemark/core";
import type { SessionEntry } from "./session-entry.ts";
import { TicketBytes } from "./ticket-bytes.ts";
import type { UnstableOp } from "./unstable-op.ts";

const EMPTY_HIDES_BYTES = 2;

/** What the fold holds of one user, across sessions. */
export class UserEntry implements DigestObject {
  readonly objectKind = 2;
  readonly id: string;
  hides: HideSet = new HideSet();
  readonly sessions: Map<string, SessionEntry> = new Map();
  /** Sessions that were purged, while operations of theirs are kept. */
  readonly purged: Set<SessionEntry> = new Set();
  /** Number of a log to the LSN of the last record there of a session of this user, or of the user's hides. */
  readonly positions: Map<number, number> = new Map();
  /** Operations on this user's hides that are not stable, from whatever session. */
  readonly unstableHides: Set<UnstableOp> = new Set();
  readonly held: TicketBytes = new TicketBytes();
  /** The latest stamp of any hide of this user: an unhide is stamped above it. */
  hideStamp: Hlc = HLC_ZERO;

  constructor(id: string) {
    this.id = id;
  }

  /** The dots that no known unhide names. */
  writeCanonical(writer: ByteWriter): void {
    const bytes = this.hides.digestBytes();
    if (bytes.length > EMPTY_HIDES_BYTES) writer.raw(bytes);
  }
}
