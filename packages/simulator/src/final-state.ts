import type { Region } from "@tidemark/region";
import type { HistoryEvent, ShownSession } from "./history-events.ts";
import { shownSession } from "./history.ts";
import type { DirectoryFiles } from "./log-reader.ts";

/** What a region shows and holds at the end of a run, once everything works again. */
export interface FinalState {
  /** The region's name and number. */
  readonly region: string;
  readonly id: number;
  readonly certificate: { readonly vector: Readonly<Record<string, number>>; readonly digest: string };
  /** Every session of the history that is known there. */
  readonly sessions: Readonly<Record<string, ShownSession>>;
  /** Every user of the history: what is hidden, and how much of it only because an unhide is not known everywhere. */
  readonly users: Readonly<Record<string, { readonly hidden: readonly string[]; readonly withheld: number }>>;
  /** What waits to be written. */
  readonly queueRecords: number;
  /** Its directory; a log that a process still writes ends where it ended as it was read. */
  readonly files: DirectoryFiles;
}

/** Reads what a region shows of everything that a history names. */
export function finalState(
  region: Region,
  history: readonly HistoryEvent[],
  files: DirectoryFiles,
): FinalState {
  const sessions = new Set<string>();
  const users = new Set<string>();
  for (const event of history) {
    if ("session" in event && event.session !== undefined) sessions.add(event.session);
    if ("user" in event) users.add(event.user);
  }
  const { vector, digest } = region.certificate();
  const shown = [...sessions].flatMap((id): [string, ShownSession][] => {
    const session = region.sessions.get(id);
    return session === undefined ? [] : [[id, shownSession(session.state())]];
  });
  return {
    region: region.name,
    id: region.id,
    certificate: { vector, digest },
    sessions: Object.fromEntries(shown),
    users: Object.fromEntries(
      [...users].map((id) => {
        const user = region.users.get(id);
        return [id, { hidden: user.hidden(), withheld: user.withheld() }];
      }),
    ),
    queueRecords: region.metrics().queue.records,
    files,
  };
}
