import { encodeKey, type KvKey, type Partition } from "@tidemark/kv";

/**
 * Where the records of one agent definition lie, in the partition {@link zonePartition}. Content belongs to a
 * conversation: to archive it, or to bring it back, moves no content.
 *
 * | key                                    | record                                                              |
 * | :------------------------------------- | :------------------------------------------------------------------ |
 * | `pointers`                             | register: changes whenever another conversation becomes current      |
 * | `current`, conversation                | the conversation is current                                         |
 * | `archive`, Unix ms, conversation       | the row of an archive, as it is listed                               |
 * | `archived`, conversation               | when it was archived: it is current no more, whoever still writes it |
 * | `digest`, digest                       | the first archive of this content                                   |
 * | `head`, conversation                   | what is there of it: snapshot, log, preview, stamp                   |
 * | `state`, conversation, version, index  | raw bytes of a snapshot                                             |
 * | `log`, conversation, offset            | raw bytes of the log                                                |
 * | `torn`, conversation                   | raw bytes of a last line that lacks its end, from a file             |
 * | `garbage`, conversation                | its content is to be removed                                        |
 */
export const zoneKeys: {
  readonly pointers: KvKey;
  current(conversation: string): KvKey;
  archive(archivedAtMs: number, conversation: string): KvKey;
  archived(conversation: string): KvKey;
  digest(digest: string): KvKey;
  head(conversation: string): KvKey;
  state(conversation: string, version: string, index: number): KvKey;
  log(conversation: string, offset: number): KvKey;
  torn(conversation: string): KvKey;
  garbage(conversation: string): KvKey;
} = {
  pointers: encodeKey(["pointers"]),
  current: (conversation) => encodeKey(["current", conversation]),
  archive: (archivedAtMs, conversation) => encodeKey(["archive", archivedAtMs, conversation]),
  archived: (conversation) => encodeKey(["archived", conversation]),
  digest: (digest) => encodeKey(["digest", digest]),
  head: (conversation) => encodeKey(["head", conversation]),
  state: (conversation, version, index) => encodeKey(["state", conversation, version, index]),
  log: (conversation, offset) => encodeKey(["log", conversation, offset]),
  torn: (conversation) => encodeKey(["torn", conversation]),
  garbage: (conversation) => encodeKey(["garbage", conversation]),
};

/** The partition that holds everything of an agent definition: what one commit can change together. */
export function zonePartition(definition: string): Partition {
  return `zones/${definition}`;
}

/** The partition that lists the definitions that may have zones, and what was migrated. */
export const DIRECTORY_PARTITION: Partition = "zones-directory";

/** Where a definition is listed. */
export function definitionKey(definition: string): KvKey {
  return encodeKey(["definition", definition]);
}

/** Where the ledger notes a migration. */
export function ledgerKey(migration: string): KvKey {
  return encodeKey(["ledger", migration]);
}
