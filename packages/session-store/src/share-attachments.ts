import type { Attachments } from "./attachments.ts";
import { type AttachmentRow, attachmentRecord } from "./attachment-rows.ts";
import type { BlobName } from "./blob-store.ts";
import type { KvItem } from "@tidemark/kv";
import { sessionKeys } from "./keys.ts";
import type { RecordContext } from "./records.ts";

/** What a child takes over: rows to make it with, and the lives of their digests to confirm afterwards. */
export interface SharedAttachments {
  readonly items: readonly KvItem[];
  readonly held: readonly BlobName[];
}

/**
 * Lets a session that is about to be made refer to what another has committed: the child becomes a holder of each
 * digest before it has a row, and confirms after, as every writer does.
 */
export async function shareAttachments(
  parent: Attachments,
  child: Attachments,
  records: RecordContext & { readonly session: string },
): Promise<SharedAttachments> {
  const { session } = records;
  const committed = (await parent.rows()).filter(({ committedAtMs }) => committedAtMs !== undefined);
  const held: BlobName[] = [];
  for (const { id } of committed) held.push(await child.hold(id));
  const items = committed.map(({ generation: _, ...row }: AttachmentRow) =>
    attachmentRecord.item({ ...row, session }, sessionKeys.attachment(row.id), records),
  );
  return { items, held };
}
