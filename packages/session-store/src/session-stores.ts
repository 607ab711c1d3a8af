import { type Hasher, nobleHasher } from "@tidemark/core";
import type { Kv, KvCapabilities } from "@tidemark/kv";
import { AttachmentKeeper, attachmentId } from "./attachment-keeper.ts";
import type { BlobReport } from "./blob-collector.ts";
import type { BlobStore } from "./blob-store.ts";
import { asSessionStoreError, SessionStoreError } from "./errors.ts";
import { forkItems } from "./fork-session.ts";
import { hex } from "./hex.ts";
import type { PickerInfo } from "./head.ts";
import { KvBlobStore } from "./kv-blob-store.ts";
import { sessionPartition } from "./keys.ts";
import { COMMIT_BYTES_MAX, COMMIT_OPERATIONS_MAX, guardId } from "./limits.ts";
import { deleteSession, makeSession, makeSessionOf } from "./make-session.ts";
import type { SessionContext } from "./session-context.ts";
import { isThere, SessionDirectory } from "./session-directory.ts";
import type { SessionMeta, SessionRelation } from "./session-meta.ts";
import { parentOf } from "./session-meta.ts";
import { type ForkOptions, SessionStore, type SessionStoreOptions } from "./session-store.ts";
import { shareAttachments } from "./share-attachments.ts";
import type { QueueLimits } from "./work-queue-record.ts";

/** What a resolved write survives, from least to most. */
export const DURABILITIES: readonly KvCapabilities["durability"][] = ["memory", "process", "disk", "region"];

/** What {@link openSessionStores} takes. */
export interface OpenSessionStoresOptions {
  /** Where everything is kept. It stays yours: close it after the stores. */
  readonly kv: Kv;
  /** @defaultValue `nobleHasher`; `@tidemark/blake3-wasm` is faster */
  readonly hasher?: Hasher;
  /** Unpredictable bytes, for ids and nonces. @defaultValue those of the platform */
  readonly randomBytes?: (count: number) => Uint8Array;
  /** Refuses a key-value store that survives less. @defaultValue `memory`: none is refused */
  readonly requireDurable?: KvCapabilities["durability"];
  /** Keys and values that one commit may write, in bytes. @defaultValue 1 MiB, or what the key-value store takes */
  readonly commitBytesMax?: number;
  /** Records that one commit may write or delete. @defaultValue 512, or what the key-value store takes */
  readonly commitOperationsMax?: number;
  /** How much queued work a session holds. */
  readonly queue?: Partial<QueueLimits>;
  /** Where the bytes of attachments are kept. @defaultValue in `kv`, in chunks */
  readonly blobs?: BlobStore;
}

/** What a new session is. */
export interface CreateSession {
  /** @defaultValue a fresh one: 32 hexadecimal digits */
  readonly id?: string;
  /** @defaultValue the id */
  readonly name?: string;
  readonly model: string;
  readonly workingDirectory?: string;
  /** @defaultValue a root */
  readonly relation?: SessionRelation;
}

/** What {@link SessionStores.collectAttachments} takes. */
export interface CollectAttachmentsOptions {
  /** How old an uncommitted intent without a live lease has to be to be given up. @defaultValue an hour */
  readonly intentAgeMs?: number;
  /** For how long a session that announced itself at a digest is believed without a row. @defaultValue 10 minutes */
  readonly graceMs?: number;
}

/** What {@link SessionStores.collectAttachments} did. */
export interface AttachmentsReport extends BlobReport {
  /** Intents that were given up. */
  readonly givenUp: number;
}

const INTENT_AGE_MS = 3_600_000;
const HOLDER_GRACE_MS = 600_000;

/** A page of sessions. */
export interface SessionPage {
  readonly sessions: readonly PickerInfo[];
  /** Where to go on: give it as `after`. Absent at the end. */
  readonly next?: string;
}

/**
 * Opens the sessions of a key-value store.
 *
 * @throws {@link SessionStoreError} `DURABILITY_TOO_LOW`; `RangeError` if the key-value store cannot scan, or takes too few
 * keys in one commit to hold a session.
 */
export async function openSessionStores(options: OpenSessionStoresOptions): Promise<SessionStores> {
  const { kv, requireDurable = "memory" } = options;
  const { durability, name, scan, keysPerCommitMax } = kv.capabilities;
  if (DURABILITIES.indexOf(durability) < DURABILITIES.indexOf(requireDurable)) {
    throw new SessionStoreError(
      "DURABILITY_TOO_LOW",
      `Cannot keep sessions in ${name}: a write survives ${durability}, ${requireDurable} is required`,
      { durability },
    );
  }
  if (!scan || keysPerCommitMax < KEYS_PER_COMMIT_MIN) {
    throw new RangeError(
      `kv must scan and take ${KEYS_PER_COMMIT_MIN} keys in a commit: ${name} takes ${keysPerCommitMax}`,
    );
  }
  return new SessionStores(options);
}

/** A commit of one node under a stamp: gate, lease, head, turn, node and its id; and twice as many for work. */
const KEYS_PER_COMMIT_MIN = 12;

/** All sessions of a key-value store. */
export class SessionStores {
  /** What an acknowledged write survives, in every session. */
  readonly durability: KvCapabilities["durability"];
  readonly #kv: Kv;
  readonly #hasher: Hasher;
  readonly #randomBytes: (count: number) => Uint8Array;
  readonly #options: SessionStoreOptions;
  readonly #directory: SessionDirectory;
  readonly #attachments: AttachmentKeeper;
  #closed = false;

  constructor(options: OpenSessionStoresOptions) {
    const { kv, hasher = nobleHasher, randomBytes = platformBytes, queue = {} } = options;
    const { commitBytesMax, keysPerCommitMax, durability } = kv.capabilities;
    const { commitOperationsMax = COMMIT_OPERATIONS_MAX } = options;
    this.durability = durability;
    this.#kv = kv;
    this.#hasher = hasher;
    this.#randomBytes = randomBytes;
    this.#directory = new SessionDirectory(kv, hasher);
    const budget = {
      bytesMax: Math.min(options.commitBytesMax ?? COMMIT_BYTES_MAX, commitBytesMax),
      operationsMax: Math.min(commitOperationsMax, keysPerCommitMax),
    };
    const blobs = options.blobs ?? new KvBlobStore(kv, hasher, (bytes) => attachmentId(bytes, hasher));
    this.#attachments = new AttachmentKeeper({ kv, hasher, blobs, randomBytes });
    this.#options = { budget, queue, attachments: this.#attachments };
  }

  /**
   * Makes a session, or opens the one of that id: then its meta stays as it is.
   *
   * @throws {@link SessionStoreError} `SESSION_DELETED`: an id is used once.
   */
  async create({ id, name, model, workingDirectory, relation }: CreateSession): Promise<SessionStore> {
    const session = guardId(id ?? hex(this.#randomBytes(16)), "id");
    const context = this.#context(session);
    // The row first: a session that is there is always listed.
    const gate = await this.#run(() => this.#directory.gate(session));
    if (!isThere(gate) && gate?.state !== "deleted") await this.#run(() => this.#directory.intend(session));
    await makeSession(context, (createdAt) => ({
      id: session,
      name: name ?? session,
      createdAt,
      model,
      relation: relation ?? { type: "root" },
      ...(workingDirectory === undefined ? {} : { workingDirectory }),
    }));
    return this.#bind(context);
  }

  /** Opens a session; `undefined` if none of that id is there. */
  async open(id: string): Promise<SessionStore | undefined> {
    const context = this.#context(guardId(id, "id"));
    return isThere(await this.#run(() => this.#directory.gate(id))) ? this.#bind(context) : undefined;
  }

  /**
   * Deletes a session and everything of it; its id is spent. Fine if it is deleted already, and what was interrupted is
   * finished. An id that was never used stays unused.
   */
  async delete(id: string): Promise<void> {
    const context = this.#context(guardId(id, "id"));
    if (await deleteSession(context)) await this.#run(() => this.#directory.forget(id));
  }

  /**
   * Sessions that are there, archived ones too, in an order of their own that stays the same.
   *
   * @param page.after - The `next` of the page before.
   * @param page.limit - How many at most. @defaultValue 100
   */
  async list({
    after,
    limit = 100,
  }: { readonly after?: string; readonly limit?: number } = {}): Promise<SessionPage> {
    if (!Number.isInteger(limit) || limit < 1)
      throw new RangeError(`limit must be an integer from 1: ${limit}`);
    const sessions: PickerInfo[] = [];
    return this.#run(async () => {
      for await (const id of this.#directory.ids(after)) {
        const info = await (await this.open(id))?.pickerInfo();
        if (info === undefined) continue;
        sessions.push(info);
        if (sessions.length === limit) return { sessions, next: id };
      }
      return { sessions };
    });
  }

  /**
   * Removes what interrupted calls left: records of deleted sessions, and rows in the directory, written at or before
   * `atMs`, of sessions that were never made or are deleted.
   *
   * @returns How many.
   */
  sweepDirectory(atMs: number): Promise<number> {
    return this.#run(async () => {
      // A deletion that was interrupted is finished while its row still says where.
      for await (const id of this.#directory.ids()) {
        if ((await this.#directory.gate(id))?.state === "deleted") await deleteSession(this.#context(id));
      }
      return this.#directory.sweep(atMs);
    });
  }

  /**
   * Gives up old intents that no turn committed, then removes blobs that no session refers to. Nothing else ever does: it
   * is for the host to call, at a quiet time. Several may run at once, beside any work.
   */
  async collectAttachments(options: CollectAttachmentsOptions = {}): Promise<AttachmentsReport> {
    const { intentAgeMs = INTENT_AGE_MS, graceMs = HOLDER_GRACE_MS } = options;
    const atMs = (await this.#run(() => this.#kv.nowMs())) - intentAgeMs;
    const failures: unknown[] = [];
    let givenUp = 0;
    const sweepAll = async () => {
      for await (const id of this.#directory.ids()) {
        try {
          givenUp += (await this.#attachments.of(id).sweep(atMs)).length;
        } catch (error) {
          failures.push(error);
        }
      }
    };
    // An intent that is not given up only stays for longer: what cannot be listed is noted, and the blobs are looked at.
    await this.#run(sweepAll).catch((error: unknown) => failures.push(error));
    const report = await this.#attachments.collector(graceMs).collect();
    failures.push(...report.failures);
    return { ...report, givenUp, failures, complete: failures.length === 0 };
  }

  /** Refuses further calls with `STORE_CLOSED`. The key-value store stays open: it is yours. Idempotent. */
  close(): Promise<void> {
    this.#closed = true;
    return Promise.resolve();
  }

  /** {@link SessionStores.close} */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #fork(parent: SessionContext, { id, leaf, name, cause }: ForkOptions): Promise<SessionStore> {
    const session = guardId(id ?? hex(this.#randomBytes(16)), "id");
    const child = this.#context(session);
    const items = await forkItems(parent, { ...child.records, session }, leaf);
    const shared = await shareAttachments(
      this.#attachments.of(parent.session),
      this.#attachments.of(session),
      {
        ...child.records,
        session,
      },
    );
    const meta = (await this.#bind(parent).meta()) as SessionMeta;
    const { model, workingDirectory } = meta;
    await this.#run(() => this.#directory.intend(session));
    const made = await makeSessionOf(
      child,
      (createdAt) => ({
        id: session,
        name: name ?? session,
        createdAt,
        model,
        relation: { type: "child", parent: parent.session, ...(cause === undefined ? {} : { cause }) },
        ...(workingDirectory === undefined ? {} : { workingDirectory }),
      }),
      [...items, ...shared.items],
    );
    const store = this.#bind(child);
    if (made) {
      for (const name of shared.held) await store.attachments.confirm(name);
      return store;
    }
    const found = await store.meta();
    if (found !== undefined && parentOf(found) === parent.session) return store;
    throw new SessionStoreError("SESSION_EXISTS", `Cannot fork to ${session}: it is another session`, {
      session,
    });
  }

  #bind(context: SessionContext): SessionStore {
    return new SessionStore(context, this.#options, (options) => this.#fork(context, options));
  }

  #context(session: string): SessionContext {
    if (this.#closed) throw new SessionStoreError("STORE_CLOSED", "The stores of sessions were closed");
    const records = { partition: sessionPartition(session), hasher: this.#hasher };
    return { session, kv: this.#kv, records, randomBytes: this.#randomBytes };
  }

  async #run<Result>(call: () => Promise<Result>): Promise<Result> {
    try {
      return await call();
    } catch (error) {
      throw asSessionStoreError(error);
    }
  }
}

function platformBytes(count: number): Uint8Array {
  return globalThis.crypto.getRandomValues(new Uint8Array(count));
}
