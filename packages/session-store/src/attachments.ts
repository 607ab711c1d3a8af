import type {
  AttachmentCommit,
  AttachmentDraft,
  AttachmentIntentDraft,
  AttachmentManifest,
} from "./attachment-manifest.ts";
import { type AttachmentRow, selectUncommitted } from "./attachment-rows.ts";
import type { AttachmentTable } from "./attachment-table.ts";
import { finishDeletion } from "./blob-deletion.ts";
import { decideConfirm, decideHold } from "./blob-fence.ts";
import type { BlobLedger } from "./blob-ledger.ts";
import type { BlobName, BlobStore, DigestOf } from "./blob-store.ts";
import { SessionStoreError } from "./errors.ts";

/** What a session's attachments work with. */
export interface AttachmentsOptions {
  readonly session: string;
  readonly table: AttachmentTable;
  readonly ledger: BlobLedger;
  readonly blobs: BlobStore;
  readonly digestOf: DigestOf;
  /** A name never used before. */
  readonly fresh: () => string;
}

/** How often a writer begins anew when the digest's life ends under it. */
const LIVES_MAX = 8;

/**
 * The attachments of one session: bytes by content hash, readable only through a session that holds a row.
 *
 * A commit touches one partition, and an attachment concerns two: the digest's (its fence and its holders) and the
 * session's (its row). So a writer takes four steps, in this order:
 *
 * 1. **hold** (digest's partition): the session becomes a holder; a condemnation is revoked, a deletion awaited.
 * 2. **row** (session's partition): the intent.
 * 3. **bytes** (blob store), under digest and incarnation.
 * 4. **confirm** (digest's partition): still the same life, still a holder, not in deletion; revokes a condemnation.
 *    Otherwise it starts over at 1; the row stays.
 *
 * And a collector four: **condemn** (a stamp of its own), **look** at every holder's row, **verdict** (only if its stamp
 * is still there: free again, or deletion), then **bytes**, **holders and fence**. A sweeper only removes rows.
 *
 * Why a confirmed attachment whose row stays is never robbed. Let the confirmation happen at time t. A verdict after t
 * rests on a stamp that is still there, so on a condemnation after t, so on a look after t; the row was written before
 * t, so that look finds it. A verdict before t is seen by the confirmation: the fence is in deletion, gone, or of another
 * incarnation, or the holder is gone, and the writer starts over, now with its row in place. Deletions of
 * an earlier life that come late name an earlier incarnation, so they miss the bytes of this one.
 *
 * Why nothing stays for ever. After 1 there is a holder without a row: no proof, and after the grace no youth. After 2
 * the row is uncommitted, and is given up by age once its lease is over; then as after 1. After 3 the same, with bytes
 * that the deletion of the incarnation takes. Bytes that arrive after their life ended are strays that listing the blob
 * store shows. A collector that dies after condemning leaves a fence that the next writer frees or the next
 * collector condemns anew; one that dies in deletion leaves a state that anybody finishes, the next writer included.
 */
export class Attachments implements AttachmentManifest {
  readonly #options: AttachmentsOptions;

  constructor(options: AttachmentsOptions) {
    this.#options = options;
  }

  /** Stores bytes for this session. Once it resolves they are durable, and stay for as long as the row does. */
  async put({ bytes, uri, fence, id }: AttachmentDraft): Promise<AttachmentRow> {
    const digest = this.#options.digestOf(bytes);
    if (id !== undefined && id !== digest) throw mismatch(id, digest);
    const intent = { id: digest, uri, ...(fence === undefined ? {} : { fence }) };
    for (let life = 0; life < LIVES_MAX; life++) {
      const name = await this.hold(digest);
      const row = await this.#row(intent);
      if (!name.stored) await this.#store(name, bytes);
      if (await this.confirm(name)) return row;
    }
    throw retry(digest);
  }

  async intend(intent: AttachmentIntentDraft): Promise<void> {
    await this.hold(intent.id);
    await this.#row(intent);
  }

  /**
   * The bytes of an attachment this session holds a row for.
   *
   * @throws SessionStoreError `ATTACHMENT_MISSING` if it holds none, or its bytes were never stored;
   * `ATTACHMENT_MISMATCH` if the bytes are not those of the id; `STORAGE_FAILED` if it could not be looked.
   */
  async get(id: string): Promise<Uint8Array> {
    const { session, table, ledger, blobs, digestOf } = this.#options;
    const row = isDigest(id) ? await table.row(id) : undefined;
    if (row === undefined) throw missing(id, `session ${session} holds no reference to it`);
    const fence = await ledger.fence(id);
    const bytes = fence === undefined ? undefined : await look(() => blobs.get(fence));
    if (bytes === undefined) throw missing(id, "its bytes were never stored");
    const found = digestOf(bytes);
    if (found !== id) throw mismatch(id, found);
    return bytes;
  }

  /** The row of an attachment, or `undefined` if this session holds none. */
  async row(id: string): Promise<AttachmentRow | undefined> {
    return isDigest(id) ? this.#options.table.row(id) : undefined;
  }

  /** All rows of this session, in order of their ids. */
  async rows(): Promise<AttachmentRow[]> {
    return this.#options.table.rows();
  }

  async commit(ids: readonly string[]): Promise<AttachmentCommit> {
    const distinct = [...new Set(ids)];
    const unknown = new Set(await this.#options.table.stamp(distinct));
    return { committed: distinct.filter((id) => !unknown.has(id)), unknown: [...unknown] };
  }

  async uncommitted(atMs: number): Promise<AttachmentRow[]> {
    return selectUncommitted(await this.#options.table.rows(), atMs);
  }

  async forget(id: string): Promise<void> {
    await this.#options.table.forget(id);
  }

  /**
   * Gives up intents recorded at or before `atMs` that no turn committed and whose lease, if any, is over. Only
   * rows go; the bytes go with the next collection.
   *
   * @returns The ids given up.
   */
  async sweep(atMs: number): Promise<string[]> {
    const given: string[] = [];
    for (const { id } of await this.uncommitted(atMs)) {
      if (await this.#options.table.giveUp(id, atMs)) given.push(id);
    }
    return given;
  }

  /**
   * Makes this session a holder of a digest: step 1 of a writer, for who writes rows in his own way and then
   * {@link Attachments.confirm | confirms}.
   */
  async hold(digest: string): Promise<BlobName & { readonly stored: boolean }> {
    const { session, ledger, blobs, fresh } = this.#options;
    for (let life = 0; life < LIVES_MAX; life++) {
      const { outcome, fence } = await ledger.step(digest, session, (view, nowMs) =>
        decideHold(view.fence, { digest, session, atMs: nowMs }, fresh()),
      );
      if (fence === undefined) continue;
      if (outcome === "held") return fence;
      await look(() => finishDeletion(ledger, blobs, fence));
    }
    throw retry(digest);
  }

  #row({ id, uri, fence }: AttachmentIntentDraft): Promise<AttachmentRow> {
    const { session, table } = this.#options;
    const generation = fence?.generation;
    return table.intend({ id, session, uri, ...(generation === undefined ? {} : { generation }) });
  }

  async #store(name: BlobName, bytes: Uint8Array): Promise<void> {
    const stored = await look(() => this.#options.blobs.put(name, bytes));
    if (stored !== name.digest) throw mismatch(name.digest, stored);
  }

  /** Step 4 of a writer. `false` if the life it wrote into is over: then it begins anew. */
  async confirm({ digest, incarnation }: BlobName): Promise<boolean> {
    const { session, ledger, fresh } = this.#options;
    const { outcome } = await ledger.step(digest, session, ({ fence, held }) =>
      decideConfirm(fence, held, incarnation, fresh()),
    );
    return outcome === "safe";
  }
}

/** Whether a text can be the id of an attachment: 64 hexadecimal digits. */
function isDigest(id: string): boolean {
  return /^[0-9a-f]{64}$/.test(id);
}

/** Asks the blob store. That it could not answer is `STORAGE_FAILED`, never an answer. */
async function look<Answer>(ask: () => Promise<Answer>): Promise<Answer> {
  try {
    return await ask();
  } catch (cause) {
    if (cause instanceof SessionStoreError) throw cause;
    throw new SessionStoreError("STORAGE_FAILED", "Cannot reach the blob store", { cause, retryable: true });
  }
}

function missing(id: string, reason: string): SessionStoreError {
  return new SessionStoreError("ATTACHMENT_MISSING", `Cannot read attachment ${id}: ${reason}`);
}

function mismatch(id: string, found: string): SessionStoreError {
  return new SessionStoreError("ATTACHMENT_MISMATCH", `The bytes of attachment ${id} have the id ${found}`);
}

function retry(id: string): SessionStoreError {
  return new SessionStoreError(
    "ATTACHMENT_RETRY",
    `Cannot hold attachment ${id}: its bytes were deleted ${LIVES_MAX} times meanwhile`,
  );
}
