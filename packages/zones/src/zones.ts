import { guardSafe, guardUpTo, type Hasher, nobleHasher, concatBytes } from "@tidemark/core";
import type { Kv } from "@tidemark/kv";
import { type JsonValue, RECORD_MARKS_KEY, type SessionJournal, type View } from "@tidemark/session-store";
import {
  type Appended,
  decideAppend,
  guardAppend,
  outputLine,
  outputTextLine,
  readAppend,
} from "./append-output.ts";
import { type Archived, decideArchive, readArchive } from "./archive-zone.ts";
import { contentDigest } from "./content-digest.ts";
import { guardDefinitionId } from "./definition-id.ts";
import { ZonesError } from "./errors.ts";
import { LOG_BYTES_MAX, SNAPSHOT_BYTES_MAX } from "./limits.ts";
import { type ArchiveSummary, listLimit, newestArchives } from "./list-archives.ts";
import { type LedgerEntry, listLedger } from "./migration-ledger.ts";
import { previewOf } from "./preview.ts";
import { readContent, type ZoneContent } from "./read-content.ts";
import { isBlank, readZone, requireHead } from "./read-zone.ts";
import { type Recovered, recoveredOf, type SessionState, sessionStateOf } from "./recover.ts";
import { decideDelete, decideRestore, readRestore, requireStored, type Restored } from "./restore-archive.ts";
import { expiredArchives, removeArchives, type RetainOptions } from "./retention.ts";
import { sweepGarbage, sweepLog } from "./sweep-zone.ts";
import { decideWriteState, readWriteState, type StateWritten } from "./write-state.ts";
import { JournaledCommits, SharedCommits } from "./zone-commits.ts";
import { writerOf, type ZoneContext } from "./zone-context.ts";
import { ZoneDirectory } from "./zone-directory.ts";
import { currentZoneName } from "./zone-name.ts";
import type { ZoneFence } from "./zone-records.ts";

/** What zones need. */
export interface ZonesOptions {
  /** Where everything is kept; it stays yours. With a journal it is this region's own. */
  readonly kv: Kv;
  /** Carries zones to other regions: `regionJournal` of `@tidemark/session-store`. Without it they stay in the store. */
  readonly journal?: SessionJournal;
  /** @defaultValue the portable engine of `@tidemark/core` */
  readonly hasher?: Hasher;
  /** Of this region's stamps, 0 to 65,535: give each region its own. @defaultValue 0 */
  readonly clockId?: number;
  /** How long a snapshot may be in bytes; less if the store takes less. @defaultValue 16 MiB */
  readonly snapshotBytesMax?: number;
  /** How many bytes a log may hold behind its snapshot. @defaultValue 32 MiB */
  readonly logBytesMax?: number;
  /** Unpredictable bytes, for names of conversations. @defaultValue `crypto.getRandomValues` */
  readonly randomBytes?: (count: number) => Uint8Array;
  /** Takes a line of text for people, when something was moved or migrated. @defaultValue nobody */
  readonly log?: (line: string) => void;
}

/** What a snapshot shows. */
export interface WriteStateOptions {
  /** The revision of the session's head. */
  readonly revision: number;
  /** Up to where it covers the log: `end` of the last append it shows, 0 before the first. */
  readonly logOffset: number;
  /** The session it is of. */
  readonly session?: string;
  /** The lease of who writes. Who has an earlier one is refused from then on, and so is who shows none. */
  readonly fence?: ZoneFence;
}

/** What is current. */
export interface CurrentSession {
  readonly zone: string;
  readonly session?: string;
  readonly revision: number;
  readonly preview: string;
  readonly nodeCount: number;
  /** Where the log ends. */
  readonly end: number;
}

/**
 * The zones of agents: for each definition what is current, and archives of what was. A zone belongs to the definition,
 * whatever identity the agent uses. See the package's README.
 *
 * Every call with the id of a definition rejects with {@link ZonesError} `INVALID_DEFINITION_ID`, before anything is
 * read, if it is none; what the store fails with is a `SessionStoreError`.
 */
export class Zones {
  /** For functions of this package. */
  readonly context: ZoneContext;
  readonly #follow: JournaledCommits | undefined;

  constructor(options: ZonesOptions) {
    const { kv, journal, hasher = nobleHasher, clockId = 0, log = () => undefined } = options;
    const { logBytesMax = LOG_BYTES_MAX, snapshotBytesMax = SNAPSHOT_BYTES_MAX } = options;
    const randomBytes = options.randomBytes ?? ((count) => crypto.getRandomValues(new Uint8Array(count)));
    guardUpTo(clockId, "clockId", 0xffff);
    guardSafe(logBytesMax, "logBytesMax", 1);
    guardSafe(snapshotBytesMax, "snapshotBytesMax", 1);
    const random = (bytes: Uint8Array): void => bytes.set(randomBytes(bytes.length));
    const journaled = journal && new JournaledCommits({ kv, journal, hasher, random });
    const commits = journaled ?? new SharedCommits(kv);
    // Some of a commit is left for what is not the snapshot.
    const limits = {
      logBytesMax,
      snapshotBytesMax: Math.min(snapshotBytesMax, Math.floor(commits.limits.bytes * 0.9)),
    };
    const directory = new ZoneDirectory(kv, hasher);
    this.context = { kv, commits, directory, hasher, limits, clockId, randomBytes, log };
    this.#follow = journaled;
  }

  /**
   * Replaces the snapshot of the current zone, whole; begins the zone if there is none. What it covers of the log goes.
   *
   * @throws ZonesError `ZONE_TOO_LARGE`, `ZONE_OFFSET`, `ZONE_FENCED`
   */
  async writeSessionState(
    definition: string,
    text: string,
    options: WriteStateOptions,
  ): Promise<StateWritten> {
    guardDefinitionId(definition);
    const { revision, logOffset, session, fence } = options;
    guardSafe(revision, "revision");
    guardSafe(logOffset, "logOffset");
    const bytes = utf8Of(text);
    const { hasher, commits, directory, limits } = this.context;
    if (bytes.length > limits.snapshotBytesMax)
      throw new ZonesError(
        "ZONE_TOO_LARGE",
        `Cannot write a snapshot of ${bytes.length} bytes for ${definition}: the limit is ${limits.snapshotBytesMax}`,
        { definition, limit: limits.snapshotBytesMax, actual: bytes.length },
      );
    await directory.intend(definition);
    const writer = writerOf(this.context, definition);
    const draft = {
      bytes,
      digest: contentDigest(hasher, bytes),
      ...previewOf(bytes),
      revision,
      logOffset,
      ...(session === undefined ? {} : { session }),
      ...(fence === undefined ? {} : { fence }),
    };
    const { conversation, ...written } = await commits.decide(
      definition,
      "state",
      (view) => readWriteState(view, logOffset, writer.records),
      (view, nowMs) => decideWriteState(view, draft, writer, nowMs),
    );
    await sweepLog(commits, definition, conversation, logOffset);
    return written;
  }

  /**
   * Appends JSON values to the log of the current zone, a line each, in one step; begins the zone if there is none.
   *
   * @throws ZonesError `ZONE_TOO_LARGE`, `ZONE_LOG_FULL`, `ZONE_FENCED`; `TypeError` for what JSON cannot say.
   */
  async appendSessionOutput(
    definition: string,
    values: readonly JsonValue[],
    options: { readonly fence?: ZoneFence } = {},
  ): Promise<Appended> {
    guardDefinitionId(definition);
    return this.#append(definition, values.map(outputLine), options.fence);
  }

  /**
   * Appends text that is one JSON value, byte for byte, and a newline if it has none.
   *
   * @throws as {@link Zones.appendSessionOutput}; `TypeError` for text that is not one line of JSON.
   */
  async appendSessionLine(
    definition: string,
    text: string,
    options: { readonly fence?: ZoneFence } = {},
  ): Promise<Appended> {
    guardDefinitionId(definition);
    return this.#append(definition, [outputTextLine(text)], options.fence);
  }

  /** The snapshot of the current zone; nothing for an agent that has none yet. */
  async readSessionState(definition: string): Promise<SessionState | undefined> {
    const content = await this.#current(definition, "state");
    return content && sessionStateOf(content);
  }

  /** What a screen is rebuilt from after a crash; nothing for an agent that has no current zone. */
  async recoverSession(definition: string): Promise<Recovered | undefined> {
    const content = await this.#current(definition, "all");
    return content && recoveredOf(content);
  }

  /** What is current, without its content; nothing for an agent that has no current zone. */
  async currentSession(definition: string): Promise<CurrentSession | undefined> {
    guardDefinitionId(definition);
    const { records } = writerOf(this.context, definition);
    const { live } = await this.context.commits.read(definition, (view) => readZone(view, records));
    const head = live[0]?.head;
    if (head === undefined || isBlank(head)) return undefined;
    const { session, revision, preview, nodeCount, log } = head;
    return {
      zone: currentZoneName(definition),
      ...(session === undefined ? {} : { session }),
      revision,
      preview,
      nodeCount,
      end: log.end,
    };
  }

  /** Archives what is current, in one step. Nothing if there is nothing to archive. */
  async archiveSession(definition: string): Promise<Archived | undefined> {
    guardDefinitionId(definition);
    const { commits } = this.context;
    const writer = writerOf(this.context, definition);
    const archived = await commits.decide(
      definition,
      "pointers",
      (view) => readArchive(view, writer),
      (view, nowMs) => decideArchive(view, writer, nowMs),
    );
    if (archived !== undefined) await sweepGarbage(commits, definition);
    return archived;
  }

  /** The newest archives, newest first. @param options.limit - 0 is 20, the default; more than 100 is 100. */
  async listArchives(
    definition: string,
    { limit = 0 }: { readonly limit?: number } = {},
  ): Promise<ArchiveSummary[]> {
    guardDefinitionId(definition);
    guardSafe(limit, "limit");
    const { records } = writerOf(this.context, definition);
    return this.context.commits.read(definition, (view) =>
      newestArchives(view, definition, listLimit(limit), records),
    );
  }

  /**
   * What is in an archive.
   *
   * @throws ZonesError `ZONE_UNKNOWN`
   */
  async readArchive(definition: string, archivedAtMs: number): Promise<Recovered> {
    return recoveredOf(await this.archivedContent(definition, archivedAtMs));
  }

  /**
   * Makes an archive current again, in one step that archives what was.
   *
   * @throws ZonesError `ZONE_UNKNOWN`
   */
  async restoreArchive(definition: string, archivedAtMs: number): Promise<Restored> {
    guardDefinitionId(definition);
    const { commits } = this.context;
    const writer = writerOf(this.context, definition);
    const restored = await commits.decide(
      definition,
      "pointers",
      (view) => readRestore(view, archivedAtMs, writer),
      (view, nowMs) => decideRestore(view, writer, nowMs),
    );
    await sweepGarbage(commits, definition);
    return restored;
  }

  /**
   * Removes an archive for ever.
   *
   * @throws ZonesError `ZONE_UNKNOWN`
   */
  async deleteArchive(definition: string, archivedAtMs: number): Promise<Archived> {
    guardDefinitionId(definition);
    const { commits } = this.context;
    const writer = writerOf(this.context, definition);
    const deleted = await commits.decide(
      definition,
      "pointers",
      (view) => requireStored(view, archivedAtMs, writer),
      (stored) => decideDelete(stored, writer),
    );
    await sweepGarbage(commits, definition);
    return deleted;
  }

  /**
   * Removes the archives of an agent that are more than so many, or older than so long; with `dryRun` it only says which.
   * At least one bound is asked for: nothing goes unasked.
   */
  async retain(definition: string, options: RetainOptions): Promise<ArchiveSummary[]> {
    guardDefinitionId(definition);
    const expired = await expiredArchives(this.context, definition, options);
    if (options.dryRun === true) return expired;
    return removeArchives(this, definition, expired);
  }

  /**
   * Whether a journal carries the zones of an agent to other regions. Then they are changed by zones that have that journal
   * alone: what another changes stays in this store, and may be undone.
   */
  async isReplicated(definition: string): Promise<boolean> {
    guardDefinitionId(definition);
    const [marks] = await this.context.commits.read(definition, (view) => view.get([RECORD_MARKS_KEY]));
    return marks !== undefined;
  }

  /** Agents that may have zones, in order. */
  definitions(): Promise<string[]> {
    return this.context.directory.definitions();
  }

  /** Migrations that are done, with what they did. */
  migrations(): Promise<readonly LedgerEntry[]> {
    return listLedger(this.context);
  }

  /** Removes what a crash left of content that nobody points to. @returns How many conversations went. */
  async sweep(definition: string): Promise<number> {
    guardDefinitionId(definition);
    return sweepGarbage(this.context.commits, definition);
  }

  /**
   * Applies what arrives from other regions, until the signal, so that it is at hand. Without a journal it ends at once.
   *
   * @param failed - Is told of each agent whose zones could not be applied; they are tried again when they are read.
   */
  async follow(signal: AbortSignal, failed: (definition: string, error: unknown) => void): Promise<void> {
    const { directory } = this.context;
    await this.#follow?.follow(signal, (definition) => directory.intend(definition), failed);
  }

  /** All that is in an archive, byte for byte. @throws ZonesError `ZONE_UNKNOWN` */
  async archivedContent(definition: string, archivedAtMs: number): Promise<ZoneContent> {
    guardDefinitionId(definition);
    const { commits } = this.context;
    const writer = writerOf(this.context, definition);
    return commits.read(definition, async (view) => {
      const { row } = await requireStored(view, archivedAtMs, writer);
      const head = await requireHead(view, row.conversation, writer.records);
      return readContent(view, head, writer.records, { parts: "all", merges: commits.merges });
    });
  }

  /** All that is current, byte for byte; nothing if there is nothing. */
  async currentContent(definition: string): Promise<ZoneContent | undefined> {
    return this.#current(definition, "all");
  }

  async #current(definition: string, parts: "state" | "all"): Promise<ZoneContent | undefined> {
    guardDefinitionId(definition);
    const { commits } = this.context;
    const { records } = writerOf(this.context, definition);
    const read = async (view: View): Promise<ZoneContent | undefined> => {
      const head = (await readZone(view, records)).live[0]?.head;
      return head && readContent(view, head, records, { parts, merges: commits.merges });
    };
    return commits.read(definition, read);
  }

  async #append(
    definition: string,
    lines: readonly Uint8Array[],
    fence: ZoneFence | undefined,
  ): Promise<Appended> {
    const bytes = guardAppend(concatBytes(lines), definition);
    const { commits, directory, limits } = this.context;
    if (bytes.length === 0) throw new RangeError("An append has at least one value");
    await directory.intend(definition);
    const writer = writerOf(this.context, definition);
    const { logBytesMax } = limits;
    const draft = { bytes, logBytesMax, ...(fence === undefined ? {} : { fence }) };
    return commits.decide(
      definition,
      "log",
      (view) => readAppend(view, bytes.length, writer.records),
      (view, nowMs) => decideAppend(view, draft, writer, nowMs),
    );
  }
}

/** @throws `TypeError` for what is no Unicode text: it could not be read back. */
function utf8Of(text: string): Uint8Array {
  if (typeof text !== "string" || /\p{Surrogate}/u.test(text))
    throw new TypeError("A snapshot must be Unicode text");
  return new TextEncoder().encode(text);
}
