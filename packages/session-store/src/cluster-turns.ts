import type { TurnMessage } from "./cluster-message.ts";
import type { ClusterHead } from "./cluster-register.ts";

/** A turn that has arrived, with its name. */
export interface ArrivedTurn extends TurnMessage {
  readonly head: ClusterHead;
}

/**
 * The turns of a session that have arrived and are not applied, and which of them are known to be committed. Pure: a
 * function of what it was told, whatever the order.
 *
 * A turn is committed if the register named it, or a turn that follows it exists: nobody goes on from what is not
 * committed. What a worker wrote that had lost its lease is followed by nothing, and is forgotten once another turn of
 * its revision is applied.
 */
export class ClusterTurns {
  readonly #arrived: Map<string, ArrivedTurn> = new Map();
  readonly #committed: Map<string, number> = new Map();

  /** A turn has arrived. */
  arrive(digest: string, message: TurnMessage): void {
    const { from } = message;
    this.#arrived.set(digest, { ...message, head: { revision: from.revision + 1, digest } });
    this.commit(from);
  }

  /** This turn is committed, and with it all that it follows. */
  commit({ revision, digest }: ClusterHead): void {
    if (revision > 0) this.#committed.set(digest, revision);
  }

  /** The committed turn that follows a head, if it has arrived. */
  next(head: ClusterHead): ArrivedTurn | undefined {
    for (const turn of this.#arrived.values())
      if (turn.from.digest === head.digest && this.#committed.has(turn.head.digest)) return turn;
    return undefined;
  }

  /** Forgets what is not above a revision that is applied. */
  applied(revision: number): void {
    for (const [digest, { head }] of this.#arrived)
      if (head.revision <= revision) this.#arrived.delete(digest);
    for (const [digest, at] of this.#committed) if (at <= revision) this.#committed.delete(digest);
  }
}
