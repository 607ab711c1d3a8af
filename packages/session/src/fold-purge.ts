import type { StableFrontier } from "./fold-options.ts";
import { foldVersionOf } from "./op-kinds.ts";
import type { OpView } from "./op-view.ts";
import { SessionEntry } from "./session-entry.ts";
import type { SessionFold } from "./session-fold.ts";
import { Tombstone } from "./tombstone.ts";
import { heldOf } from "./unstable-op.ts";
import type { UserEntry } from "./user-entry.ts";

/**
 * Purges sessions, and forgets what only copies of their operations could ask for.
 *
 * From the moment a purge is known the session shows nothing, whatever of it arrives. Its lanes and effect ids stay
 * until the purge is stable: by then every member has applied everything that was accepted without knowing the purge, and
 * nothing is accepted where it is known, so what still comes is a copy and changes nothing; the numbers of its lanes
 * tell. The user's hides stay: they belong to the user.
 */
export class FoldPurge {
  readonly #fold: SessionFold;
  /** Tombstones of stable purges that still keep something. */
  readonly #leaving: Set<Tombstone> = new Set();

  constructor(fold: SessionFold) {
    this.#fold = fold;
  }

  /** Replaces a session by its tombstone; one that is purged already stays as it is. */
  purge(session: SessionEntry): void {
    const fold = this.#fold;
    if (session.purged) return;
    const { counts } = fold;
    counts.conflicts -= session.conflicts.size + Math.max(0, session.starts.length - 1);
    counts.forks -= session.forks.size;
    counts.unknown -= session.purge((op) => fold.mayFold(op));
    // What it was ordered in is gone.
    for (const op of heldOf(session)) op.list = undefined;
    this.bury(session);
  }

  /** Puts a session that is empty already under its tombstone. */
  bury(session: SessionEntry): void {
    const fold = this.#fold;
    session.purged = true;
    session.user?.sessions.delete(session.id);
    session.user?.purged.add(session);
    fold.sessions.delete(session.id);
    const tombstone = new Tombstone(session.id, session);
    fold.tombstones.set(session.id, tombstone);
    fold.touch(tombstone);
  }

  /** A purge of a session is stable. */
  settle(id: string): void {
    const tombstone = this.#fold.tombstones.get(id);
    if (tombstone === undefined) return;
    tombstone.stable = true;
    if (tombstone.kept !== undefined) this.#leaving.add(tombstone);
  }

  /** Forgets what can be forgotten: where all of a session is stable, once every member knows what a purge is. */
  advance(frontier: StableFrontier): void {
    if (this.#leaving.size === 0 || frontier.foldVersionMin < foldVersionOf("purge")) return;
    for (const tombstone of this.#leaving) {
      const { kept } = tombstone;
      if (kept !== undefined && !this.#canForget(kept)) continue;
      if (kept !== undefined) this.#forget(kept);
      tombstone.forget();
      this.#leaving.delete(tombstone);
    }
  }

  /**
   * What an operation of a forgotten session belongs to: nothing if it is a copy. One that is new comes from a member
   * that was removed before it could tell; only its user's hides and the ledger make something of it.
   */
  recall(tombstone: Tombstone, op: OpView): SessionEntry | undefined {
    if (tombstone.knows(op)) return undefined;
    const fold = this.#fold;
    const session = new SessionEntry(tombstone.id);
    session.purged = true;
    tombstone.recall((bytes, make) => fold.laneOf(session, bytes, make));
    tombstone.kept = session;
    if (tombstone.stable) this.#leaving.add(tombstone);
    return session;
  }

  clear(): void {
    this.#leaving.clear();
  }

  #canForget(session: SessionEntry): boolean {
    return (
      session.unknown.size === 0 &&
      session.lanes.every((lane) => lane.unstable === undefined) &&
      !this.#fold.heldUnhides.some((op) => op.session === session)
    );
  }

  #forget(session: SessionEntry): void {
    const fold = this.#fold;
    for (const effect of fold.effects.chain(session.effects)) fold.unfolded.delete(effect);
    fold.effects.forget(session.effects);
    for (const lane of session.lanes) fold.freeLane(lane);
    const { user } = session;
    user?.purged.delete(session);
    if (user !== undefined) this.#dropUser(user);
    // No copy of these hides can come back any more.
    for (const { user: owner, kind, item, dot } of session.removed) {
      owner.hides.forget(kind, item, dot);
      this.#dropUser(owner);
    }
    fold.erasing?.forget(session);
    fold.dropDigest(session);
  }

  /** Forgets a user of whom nothing is left. */
  #dropUser(user: UserEntry): void {
    if (user.sessions.size > 0 || user.purged.size > 0 || user.unstableHides.size > 0 || !user.hides.isEmpty)
      return;
    this.#fold.users.delete(user.id);
    this.#fold.dropDigest(user);
  }
}
