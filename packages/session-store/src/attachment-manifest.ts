import type { AttachmentRow } from "./attachment-rows.ts";
import type { LeaseFence } from "./lease.ts";

/** An intent: that bytes of this digest are about to be stored for this session. */
export interface AttachmentIntentDraft {
  /** The hash of the bytes, as `attachmentId()` gives it. */
  readonly id: string;
  /** Where the bytes come from or are known as: free text. */
  readonly uri: string;
  /** The lease the writer works under. While it is held, no sweeper gives the intent up, however old it is. */
  readonly fence?: LeaseFence;
}

/** Bytes to attach. */
export interface AttachmentDraft {
  readonly bytes: Uint8Array;
  readonly uri: string;
  readonly fence?: LeaseFence;
  /** What the caller thinks the id is. Bytes of another id are refused before anything is written. */
  readonly id?: string;
}

/** What committing attachments out of band did. */
export interface AttachmentCommit {
  /** Ids that have a stamp now, or had one. */
  readonly committed: readonly string[];
  /** Ids this session holds no row for: nothing was written for them. */
  readonly unknown: readonly string[];
}

/**
 * The write-ahead manifest of a session's attachments: an intent before any byte, a stamp with the turn that refers to
 * it. A manifest that keeps nothing is legal: {@link noAttachmentManifest}.
 */
export interface AttachmentManifest {
  /** Records the intent. Only once it resolved may bytes be written. */
  intend(intent: AttachmentIntentDraft): Promise<void>;
  /** Stamps rows of this session outside of a turn. Unknown ids are ignored, and reported. */
  commit(ids: readonly string[]): Promise<AttachmentCommit>;
  /** Uncommitted rows recorded at or before `atMs`, oldest first. */
  uncommitted(atMs: number): Promise<AttachmentRow[]>;
  /** Removes this session's row. Its bytes go with the next collection, unless others refer to them. Idempotent. */
  forget(id: string): Promise<void>;
}

/** A manifest that keeps nothing, for hosts whose attachments are never collected. */
export const noAttachmentManifest: AttachmentManifest = {
  intend: () => Promise.resolve(),
  commit: () => Promise.resolve({ committed: [], unknown: [] }),
  uncommitted: () => Promise.resolve([]),
  forget: () => Promise.resolve(),
};
