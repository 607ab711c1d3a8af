import { HASH_CONTEXTS, type Hasher } from "@tidemark/core";
import type { Kv } from "@tidemark/kv";
import { AttachmentTable } from "./attachment-table.ts";
import { Attachments } from "./attachments.ts";
import { BlobCollector } from "./blob-collector.ts";
import { BlobLedger } from "./blob-ledger.ts";
import type { BlobStore } from "./blob-store.ts";
import { hex } from "./hex.ts";

/** What the attachments of all sessions share. */
export interface AttachmentKeeperOptions {
  readonly kv: Kv;
  readonly hasher: Hasher;
  readonly blobs: BlobStore;
  readonly randomBytes: (count: number) => Uint8Array;
}

/** The id of bytes as an attachment: their hash as 64 hexadecimal digits. */
export function attachmentId(bytes: Uint8Array, hasher: Hasher): string {
  return hex(hasher.digest(HASH_CONTEXTS.attachment, bytes));
}

/** Makes the attachments of sessions, and the collector of what no session refers to. */
export class AttachmentKeeper {
  readonly #options: AttachmentKeeperOptions;
  readonly #ledger: BlobLedger;

  constructor(options: AttachmentKeeperOptions) {
    this.#options = options;
    this.#ledger = new BlobLedger(options.kv, options.hasher);
  }

  /** The attachments of one session. */
  of(session: string): Attachments {
    const { blobs, hasher } = this.#options;
    const digestOf = (bytes: Uint8Array) => attachmentId(bytes, hasher);
    const table = this.#table(session);
    return new Attachments({ session, table, ledger: this.#ledger, blobs, digestOf, fresh: this.#fresh });
  }

  /** A collector that believes for `graceMs` a session that announced itself, though it has no row yet. */
  collector(graceMs: number): BlobCollector {
    const { kv, blobs } = this.#options;
    return new BlobCollector({
      ledger: this.#ledger,
      blobs,
      fresh: this.#fresh,
      graceMs,
      nowMs: () => kv.nowMs(),
      holdsRow: async (session, digest) => (await this.#table(session).row(digest)) !== undefined,
    });
  }

  /** 64 random bits: a digest has few lives, and few steps at once. */
  readonly #fresh = (): string => hex(this.#options.randomBytes(8));

  #table(session: string): AttachmentTable {
    return new AttachmentTable(this.#options.kv, this.#options.hasher, session);
  }
}
