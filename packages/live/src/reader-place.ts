import { type LiveCursor, type LiveCursorFields, mintCursor } from "./live-cursor.ts";
import type { LiveEvent } from "./live-event.ts";
import type { LiveCommit } from "./live.ts";
import { TurnFilter } from "./turn-filter.ts";

/**
 * Where one reader stands: what it has been given of events and commits. The cursors it gets say exactly that, so that
 * coming back with one neither skips a commit it has not seen nor repeats one it has.
 */
export class ReaderPlace {
  readonly #turns: TurnFilter = new TurnFilter();
  #cursor: LiveCursor;

  constructor(cursor: LiveCursor) {
    this.#cursor = cursor;
  }

  /** Behind everything that was given. */
  get cursor(): LiveCursor {
    return this.#cursor;
  }

  /** Goes on behind an observation. The commits given stay those that were given if the reader gets them from the source. */
  observed(cursor: LiveCursor, keepCommits: boolean = false): void {
    const { revision, committed } = keepCommits ? this.#cursor : cursor;
    this.#cursor = placed(cursor, { revision: Math.max(revision, cursor.revision), committed });
  }

  /** An event of the store, as the reader is given it; `undefined` for what it knows already. */
  take(event: LiveEvent): LiveEvent | undefined {
    const { payload, cursor } = event;
    const isCommit = payload.kind === "committed";
    const isNew = isCommit ? event.revision > this.#cursor.revision : this.#turns.passes(event);
    const revision = isCommit ? Math.max(event.revision, this.#cursor.revision) : this.#cursor.revision;
    const { committed } = this.#cursor;
    const exact = cursor.revision === revision && cursor.committed === committed;
    this.#cursor = exact ? cursor : placed(cursor, { revision, committed });
    if (!isNew) return undefined;
    return exact ? event : { ...event, cursor: this.#cursor };
  }

  /** A commit of the source, as the reader is given it. */
  commit({ revision, view, committed }: LiveCommit<unknown>): LiveEvent {
    this.#cursor = placed(this.#cursor, {
      revision: Math.max(revision, this.#cursor.revision),
      committed,
    });
    const { session } = this.#cursor;
    return { session, revision, cursor: this.#cursor, payload: { kind: "committed", view } };
  }
}

function placed(
  { session, position, incarnation }: LiveCursor,
  { revision, committed }: { readonly revision: number; readonly committed: string | undefined },
): LiveCursor {
  const fields: LiveCursorFields = { session, position, incarnation, revision };
  return mintCursor(committed === undefined ? fields : { ...fields, committed });
}
