import { HideSet, HLC_ZERO } from "@tidemark/core";
import { dropOwner } from "./drop-owner.ts";
import { Erasure, type RecordPlace } from "./erasure.ts";
import { bytesOfHex, hexOf } from "./hex.ts";
import { Owner } from "./owner.ts";
import { OP_KIND_CODE } from "./op-kinds.ts";
import { decodeOp, isFoldable, type OpView } from "./op-view.ts";
import type { SessionEntry } from "./session-entry.ts";
import type { SessionFold } from "./session-fold.ts";
import { TicketBytes } from "./ticket-bytes.ts";
import { heldOf, type UnstableOp } from "./unstable-op.ts";
import type { UserEntry } from "./user-entry.ts";
import { GENERATION_MAX } from "./user-keys.ts";
import type { UserSeals } from "./user-seal.ts";

/** Kinds that are under nobody's key: they name and describe no user. */
const IN_THE_CLEAR: ReadonlySet<number> = new Set([
  OP_KIND_CODE.close,
  OP_KIND_CODE.purge,
  OP_KIND_CODE.erase,
]);

/**
 * Opens what is under users' keys, and takes away what belongs to users who were erased.
 *
 * One generation of a user is live at a time: an operation under a key says that all generations before it were
 * erased, for nobody writes under it who does not know that. So what is erased is the highest generation that an erase
 * names, or the one below the highest that an operation is under: a function of the set of operations.
 */
export class FoldErase {
  /** By pseudonym, hexadecimal. */
  readonly erasures: Map<string, Erasure> = new Map();
  readonly owners: Map<string, Owner> = new Map();
  readonly #fold: SessionFold;
  readonly #seals: UserSeals;

  constructor(fold: SessionFold, seals: UserSeals) {
    this.#fold = fold;
    this.#seals = seals;
  }

  /** Whether an operation is under a key that was erased. */
  isErased(op: OpView): boolean {
    const { userKey, pseudonym } = op;
    return pseudonym !== undefined && userKey <= (this.erasures.get(hexOf(pseudonym))?.upTo ?? 0);
  }

  /** Opens an operation; false if it is not of this cluster's making, or its key is not known. */
  opens(op: OpView): boolean {
    const { userKey, pseudonym } = op;
    if (userKey === 0) return IN_THE_CLEAR.has(op.kindCode);
    if (pseudonym === undefined || userKey > GENERATION_MAX) return false;
    const seal = this.#seals.find(pseudonym, userKey);
    if (seal === undefined || !op.unseal(seal) || !isFoldable(op)) return false;
    const { sealed } = op;
    // Else erasing one user would leave what another's name is on.
    return !("user" in sealed) || hexOf(this.#seals.pseudonymOf(sealed.user)) === hexOf(pseudonym);
  }

  /** Whose an operation is that was opened; what came before its generation is erased. */
  ownerOf(op: OpView, session: SessionEntry): Owner | undefined {
    const { userKey, pseudonym } = op;
    if (pseudonym === undefined) return undefined;
    const name = hexOf(pseudonym);
    if (userKey > 1) this.erase(name, userKey - 1);
    const owner = this.note(name, session);
    if (owner.user === undefined && "user" in op.sealed) owner.user = op.sealed.user;
    return owner;
  }

  /** An operation that could not be opened is kept whole, until its user is erased. */
  keep(op: OpView, session: SessionEntry): void {
    if (op.pseudonym !== undefined) this.note(hexOf(op.pseudonym), session);
  }

  /** Made if it is missing. */
  owner(pseudonym: string): Owner {
    let owner = this.owners.get(pseudonym);
    if (owner === undefined) this.owners.set(pseudonym, (owner = new Owner(pseudonym)));
    return owner;
  }

  /** A session holds something of an owner's. */
  note(pseudonym: string, session: SessionEntry): Owner {
    const owner = this.owner(pseudonym);
    if (owner.sessions.has(session)) return owner;
    owner.sessions.add(session);
    (session.owners ??= []).push(pseudonym);
    return owner;
  }

  /** A session is forgotten. */
  forget(session: SessionEntry): void {
    for (const pseudonym of session.owners ?? []) this.owners.get(pseudonym)?.sessions.delete(session);
    session.owners = undefined;
  }

  /** An operation is under a key that was erased: tickets and lists do not tell of it. */
  markErased(op: UnstableOp): void {
    if (!op.stable) op.session.held.remove(op);
    op.erased = true;
    op.bytes = undefined;
    op.kind = undefined;
    op.list = undefined;
    op.hides = undefined;
  }

  /** Erases a user up to a generation, whatever was folded of them. */
  erase(pseudonym: string, upTo: number, place?: RecordPlace): void {
    const erasure = this.restore(pseudonym, upTo, place);
    if (erasure !== undefined) this.#fold.erased?.(erasure);
  }

  /** Takes in an erasure that a snapshot tells of; returns it if it says more than was known. */
  restore(pseudonym: string, upTo: number, place: RecordPlace | undefined): Erasure | undefined {
    let erasure = this.erasures.get(pseudonym);
    if (erasure === undefined) this.erasures.set(pseudonym, (erasure = new Erasure(pseudonym)));
    if (place !== undefined && upTo >= erasure.upTo) {
      const known = upTo > erasure.upTo ? undefined : erasure.place;
      erasure.place = known === undefined || this.#isBefore(place, known) ? place : known;
    }
    if (upTo <= erasure.upTo) return undefined;
    if (place === undefined) erasure.place = undefined;
    erasure.upTo = upTo;
    this.#fold.touch(erasure);
    this.#seals.erase(bytesOfHex(pseudonym), upTo);
    const owner = this.owners.get(pseudonym);
    if (owner !== undefined) this.#takeAway(owner, upTo);
    return erasure;
  }

  clear(): void {
    this.erasures.clear();
    this.owners.clear();
  }

  #takeAway(owner: Owner, upTo: number): void {
    this.owners.delete(owner.pseudonym);
    const user = owner.user === undefined ? undefined : this.#fold.users.get(owner.user);
    for (const session of owner.sessions) {
      session.owners = session.owners?.filter((one) => one !== owner.pseudonym);
      const later = this.#dropUnknown(session, owner, upTo);
      this.#dropHeld(session, owner);
      this.#fold.counts.conflicts -= dropOwner(session, owner.pseudonym);
      if (user !== undefined) this.#leaveUser(session, user);
      if (later) this.note(owner.pseudonym, session);
      this.#fold.touch(session);
    }
    if (user !== undefined) this.#dropUser(user);
  }

  /** Returns whether something under a later key is left that could not be opened. */
  #dropUnknown(session: SessionEntry, owner: Owner, upTo: number): boolean {
    let later = false;
    for (const [key, bytes] of [...session.unknown]) {
      const { pseudonym, userKey } = decodeOp(bytes);
      if (pseudonym === undefined || hexOf(pseudonym) !== owner.pseudonym) continue;
      if (userKey > upTo) later = true;
      else {
        session.unknown.delete(key);
        this.#fold.counts.unknown -= 1;
      }
    }
    return later;
  }

  /** Nothing of the owner's is told by tickets any more, nor ordered in lists, nor part of anybody's hides. */
  #dropHeld(session: SessionEntry, owner: Owner): void {
    for (const op of heldOf(session)) {
      if (op.owner === owner.pseudonym && op.erased !== true) this.markErased(op);
    }
  }

  /** The session is nobody's now, or another's whose start it has. */
  #leaveUser(session: SessionEntry, user: UserEntry): void {
    const removed = session.removed.filter((dot) => dot.user !== user);
    session.removed.splice(0, session.removed.length, ...removed);
    if (session.user !== user) return;
    user.sessions.delete(session.id);
    user.purged.delete(session);
    session.user = undefined;
    session.held = new TicketBytes();
    for (const op of heldOf(session)) {
      if (op.stable) continue;
      user.held.remove(op);
      session.held.add(op, this.#fold.unstableBytesMax);
    }
    if (session.start !== undefined) this.#fold.attach(session);
  }

  #dropUser(user: UserEntry): void {
    const { counts } = this.#fold;
    counts.withheld -= user.hides.pending.size;
    counts.unhidesPending -= user.hides.pendingUnhides().length;
    user.hides = new HideSet();
    user.hideStamp = HLC_ZERO;
    user.unstableHides.clear();
    this.#fold.heldUnhides = this.#fold.heldUnhides.filter(
      ({ hides }) => hides !== undefined && hides !== user,
    );
    this.#fold.users.delete(user.id);
    this.#fold.dropDigest(user);
  }

  #isBefore(a: RecordPlace, b: RecordPlace): boolean {
    const { logs } = this.#fold;
    return a.log === b.log ? a.lsn < b.lsn : logs.isBefore(a.log, b.log);
  }
}
