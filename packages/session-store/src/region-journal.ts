import type { Hlc } from "@tidemark/core";
import { SessionStoreError } from "./errors.ts";
import type { JournalEntry, SessionJournal } from "./session-journal.ts";

/** Bytes of an `app` operation of a session. */
const APP_BYTES_MAX: number = 256 * 1024;

/** The part of a session of `@tidemark/region` that a journal uses. */
export interface JournaledSession {
  app(
    namespace: string,
    bytes: Uint8Array,
    options: { readonly operationId: string },
  ): Promise<{ readonly outcome: string; readonly reason?: string; readonly message?: string }>;
  appOperations(
    namespace: string,
    options: { readonly known: (effectId: string) => boolean },
  ): readonly { readonly bytes: Uint8Array; readonly stamp: Hlc; readonly effectId?: string }[];
}

/** The part of a region of `@tidemark/region` that a journal uses. */
export interface JournaledRegion {
  readonly name: string;
  readonly sessions: {
    get(id: string): JournaledSession | undefined;
    start(options: {
      readonly id: string;
      readonly user: string;
      readonly agent: string;
      readonly operationId: string;
    }): Promise<JournaledSession>;
  };
  /** Tells of every operation that is applied here. */
  onChange(listener: (change: { readonly session: string }) => void): () => void;
}

/** Whose sessions a journal begins. */
export interface RegionJournalOptions {
  /** The user of a session that nothing is known of yet. Erasing the user erases what was appended. */
  readonly user: string;
  /** @defaultValue "session-store" */
  readonly agent?: string;
}

/**
 * A region as a journal: entries are `app` operations of the session of that id, which is started with the first of
 * them. What a fork or merge of that session brought along is no entry of it.
 *
 * Its `append` rejects with {@link SessionStoreError} `JOURNAL_REFUSED`, whose message says why: the session is closed,
 * say, or its policy does not allow it.
 */
export function regionJournal(region: JournaledRegion, options: RegionJournalOptions): SessionJournal {
  const { user, agent = "session-store" } = options;
  return {
    entryBytesMax: APP_BYTES_MAX,
    region: region.name,
    async append(id, namespace, bytes, operationId) {
      const session =
        region.sessions.get(id) ??
        // Two regions may do so at once: it is one start.
        (await region.sessions.start({ id, user, agent, operationId: "journal" }));
      const { outcome, reason, message } = await session.app(namespace, bytes, { operationId });
      if (outcome === "refused")
        throw new SessionStoreError(
          "JOURNAL_REFUSED",
          `Cannot append to session ${id} in ${region.name}: ${message ?? reason}`,
          { session: id },
        );
    },
    read(id, namespace, known) {
      const operations = region.sessions.get(id)?.appOperations(namespace, { known }) ?? [];
      return operations.filter(isEntry);
    },
    changes: (signal) => changedSessions(region, signal),
  };
}

function isEntry(operation: { readonly effectId?: string }): operation is JournalEntry {
  return operation.effectId !== undefined;
}

async function* changedSessions(region: JournaledRegion, signal: AbortSignal): AsyncGenerator<string, void> {
  // At most one entry a session, however slow the reader is.
  const changed = new Set<string>();
  let wake = (): void => undefined;
  const stop = region.onChange(({ session }) => {
    changed.add(session);
    wake();
  });
  const ended = (): void => wake();
  signal.addEventListener("abort", ended);
  try {
    while (!signal.aborted) {
      const [session] = changed;
      if (session === undefined) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
        continue;
      }
      changed.delete(session);
      yield session;
    }
  } finally {
    stop();
    signal.removeEventListener("abort", ended);
  }
}
