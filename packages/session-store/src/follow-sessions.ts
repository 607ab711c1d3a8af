import type { SessionJournal } from "./session-journal.ts";

/** Options of an adapter's `follow()`. */
export interface FollowOptions {
  /** Ends it. */
  readonly signal: AbortSignal;
  /** Is told of each session that could not be applied; it is tried again with the next change of it. */
  readonly onError: (session: string, error: unknown) => void;
}

/**
 * Calls `arrived` with each session of which something came, one after another, until the signal.
 *
 * @throws `TypeError` without a journal.
 */
export async function followSessions(
  journal: SessionJournal | undefined,
  { signal, onError }: FollowOptions,
  arrived: (session: string) => Promise<void>,
): Promise<void> {
  if (journal === undefined) throw new TypeError("Cannot follow: there is no journal");
  for await (const session of journal.changes(signal)) {
    try {
      await arrived(session);
    } catch (error) {
      onError(session, error);
    }
  }
}
