import { type ByteWriter, type DigestObject, HideSet, HLC_ZERO, type Hlc } from "@tidemark/core";
import { LazySet } from "./lazy-map.ts";
import { LogPositions } from "./log-positions.ts";
import type { SessionEntry } from "./session-entry.ts";
import { TicketBytes } from "./ticket-bytes.ts";
import type { UnstableOp } from "./unstable-op.ts";
import { UserSessions } from "./user-sessions.ts";

const EMPTY_HIDES_BYTES = 2;
const NOTHING: ReadonlySet<string> = new Set();

/** What the fold holds of one user, across sessions. */
export class UserEntry implements DigestObject {
  readonly objectKind = 2;
  readonly id: string;
  readonly sessions: UserSessions = new UserSessions();
  /** Sessions that were purged, while operations of theirs are kept. */
  readonly purged: LazySet<SessionEntry> = new LazySet();
  /** Number of a log to the LSN of the last record there of a session of this user, or of the user's hides. */
  readonly positions: LogPositions = new LogPositions();
  /** Operations on this user's hides that are not stable, from whatever session. */
  readonly unstableHides: LazySet<UnstableOp> = new LazySet();
  readonly held: TicketBytes = new TicketBytes();
  /** The latest stamp of any hide of this user: an unhide is stamped above it. */
  hideStamp: Hlc = HLC_ZERO;
  #hides: HideSet | undefined;

  constructor(id: string) {
    this.id = id;
  }

  get hides(): HideSet {
    return (this.#hides ??= new HideSet());
  }

  set hides(hides: HideSet) {
    this.#hides = hides;
  }

  /** Items that must not be shown; of a user without any nothing is made for the asking. */
  get hiddenItems(): ReadonlySet<string> {
    return this.#hides?.hiddenItems ?? NOTHING;
  }

  /** The dots that no known unhide names. */
  writeCanonical(writer: ByteWriter): void {
    if (this.#hides === undefined) return;
    const bytes = this.hides.digestBytes();
    if (bytes.length > EMPTY_HIDES_BYTES) writer.raw(bytes);
  }
}
