import { ByteWriter, CoreError, type HlcClock } from "@tidemark/core";
import { AdmissionPolicies, askedBy } from "./admission-policies.ts";
import { formatEffectId } from "./effect-id.ts";
import { SessionError, type SessionErrorCode } from "./errors.ts";
import { IdempotencyStore } from "./idempotency-store.ts";
import { type LaneState, sameBytes } from "./lane.ts";
import { checkName, invalid, LANE_AHEAD_MAX } from "./limits.ts";
import { type DraftContent, type DraftDesk, OpDraft, type OpPlace } from "./op-draft.ts";
import { OpPlacing } from "./op-placing.ts";
import type { CloseClear, Operation, SignalClear } from "./op.ts";
import { forkContent } from "./fork-content.ts";
import { beginsSession, CLOSE_ASKED, type OpKind } from "./op-kinds.ts";
import { checkRequest, type OpRequest, writeRequest } from "./op-request.ts";
import { decodeOp, type OpView } from "./op-view.ts";
import type { PolicyGate } from "./policy-gate.ts";
import { QueuedOps } from "./queued-ops.ts";
import type { SessionFold } from "./session-fold.ts";
import { ERASED_USERS_MAX } from "./user-keys.ts";
import type { UserSeal } from "./user-seal.ts";

/** Codes a write can be refused with; it changed nothing. */
export type RefusalCode = Extract<
  SessionErrorCode,
  | "SESSION_UNKNOWN"
  | "SESSION_CLOSED"
  | "SESSION_PURGED"
  | "SESSION_EXISTS"
  | "SESSION_USERS_DIFFER"
  | "SESSION_TOO_LARGE"
  | "SESSION_STATES_CROSSED"
  | "SESSION_FORKED"
  | "OPERATION_CONFLICT"
  | "LANE_AHEAD"
  | `POLICY_${string}`
  | "SIGNAL_UNKNOWN"
  | "KEYS_FULL"
>;

/** What the admission says to a request. */
export type Admission<Outcome> =
  /** The operation was applied before: the first result. */
  | { readonly type: "duplicate"; readonly effectId: string; readonly position: OpPlace }
  /** The operation is queued: its outcome is shared. */
  | { readonly type: "shared"; readonly entry: OpDraft<Outcome> }
  | { readonly type: "refused"; readonly code: RefusalCode; readonly message: string }
  | { readonly type: "accepted"; readonly draft: OpDraft<Outcome> };

/** What an admission needs. */
export interface SessionAdmissionOptions {
  readonly fold: SessionFold;
  /** Judges event times, and the stamps of clients. */
  readonly clock: Pick<HlcClock, "checkIngest">;
  /** A cache in front of the fold's own table; losing it changes nothing. */
  readonly store?: IdempotencyStore;
  /** Enforces the policies of sessions. @defaultValue none are enforced */
  readonly gate?: PolicyGate | undefined;
}

/** 2^40: what the magnitude of a weight must stay below. */
const WEIGHT_LIMIT: number = 2 ** 40;

/**
 * Judges what may be written here: session purged? known before? session known? closed? in conflict? allowed by the
 * policy? within the limits?, in that order, so that a retry of an applied operation is its duplicate although the session was closed since.
 *
 * It sees what is folded and what is queued. Closing gates only this: an operation that was acknowledged anywhere always
 * folds.
 */
export class SessionAdmission<Outcome = unknown> {
  readonly #fold: SessionFold;
  readonly #clock: Pick<HlcClock, "checkIngest">;
  readonly #store: IdempotencyStore;
  readonly #policies: AdmissionPolicies | undefined;
  readonly #queued: QueuedOps<Outcome>;
  readonly #writer: ByteWriter = new ByteWriter(512);
  readonly #key: Uint8Array = new Uint8Array(16);
  readonly #desk: DraftDesk;

  constructor(options: SessionAdmissionOptions) {
    const { fold, clock, store = new IdempotencyStore(), gate } = options;
    this.#fold = fold;
    this.#clock = clock;
    this.#store = store;
    this.#queued = new QueuedOps(gate?.counts ?? false);
    this.#policies = gate && new AdmissionPolicies(fold, gate, this.#queued);
    const placing = new OpPlacing(fold, this.#queued);
    this.#desk = {
      ids: fold.ids,
      place: (draft, lane, tick) => placing.place(draft, lane, tick),
      foldedKey: (op) => placing.foldedKey(op),
      placed: (draft) => this.#queued.place(draft),
      settled: (draft, ok) => this.#queued.remove(draft, ok, draft.kind, draft.clientPlace),
    };
  }

  /**
   * Judges a request.
   *
   * @param operationId - The same id again is one effect, here and in every region.
   * @throws {@link SessionError} `INVALID_INPUT`; {@link CoreError} `INVALID_WEIGHT`, `HLC_DRIFT_EXCEEDED`.
   */
  admit(session: string, request: OpRequest, operationId?: string): Admission<Outcome> {
    checkName(session, "session");
    checkRequest(request);
    const purged = this.#purged(session);
    if (purged !== undefined) return purged;
    // A cold session comes back: its effects are with it.
    this.#fold.entryOf(session);
    const user = this.#userOf(session, request);
    const seal = this.#sealOf(request, user);
    const operation =
      operationId === undefined ? undefined : this.#operationOf(session, request, operationId, seal);
    const known = operation === undefined ? undefined : this.#known(operation);
    if (known !== undefined && known !== "conflict") return known;
    if (
      known === "conflict" &&
      operation !== undefined &&
      this.#fold.seals !== undefined &&
      user === undefined
    )
      return this.#duplicateOf(operation.tag);
    const refused =
      request.kind === "erase"
        ? this.#eraseRefusal(known === "conflict")
        : this.#refusal(session, request.kind, known === "conflict");
    if (refused !== undefined) return refused;
    const fork =
      request.kind === "fork" || request.kind === "merge" ? forkContent(this.#fold, request) : undefined;
    if (fork?.type === "refused") return fork;
    const forbidden = this.#policies?.judge(session, request);
    if (forbidden !== undefined) return forbidden;
    if (request.kind === "signal") {
      const unknown = this.#unknownSignal(request.signal);
      if (unknown !== undefined) return unknown;
      checkWeight(request.weight);
      this.#clock.checkIngest(request.eventTimeMs, "an event time");
    }
    this.#policies?.accepted(session, request.kind);
    const draft = this.#draft({
      session,
      request,
      operation,
      user: fork?.content.sealed.user ?? user,
      fork: fork?.content,
      seal,
      kind: request.kind,
    });
    return { type: "accepted", draft };
  }

  /**
   * Judges an operation that a client has sealed for a lane of its own; accepted, it is written as it is.
   *
   * @throws {@link CoreError} `DECODE_FAILED`, `HLC_DRIFT_EXCEEDED`; {@link SessionError} `INVALID_INPUT`.
   */
  submitSealed(bytes: Uint8Array): Admission<Outcome> {
    const op = decodeOp(bytes);
    const { kind, session } = op;
    if (!("producer" in op.lane)) throw invalid("The lane must be owned by a client");
    // A fork carries what a region vouches for.
    if (kind === undefined || kind === "fork" || kind === "merge" || op.userKey !== 0)
      throw invalid(`Cannot accept an operation of kind ${op.kindCode} here`);
    if (this.#fold.seals !== undefined && kind !== "close")
      throw invalid("A client cannot seal operations itself where users have keys: only members hold them");
    op.verify();
    if (kind === "purge" || (kind === "close" && (op.clear as CloseClear).reason !== CLOSE_ASKED))
      throw invalid(`Cannot accept a ${kind} that only the session's owner may write`);
    const purged = this.#purged(session);
    if (purged !== undefined) return purged;
    const key = this.#fold.ids.keyOf(op);
    const lane = this.#laneState(op);
    const place = `${op.laneText} ${op.seqno} ${session}`;
    const queued = this.#queued.sealed(place);
    const judged = lane?.judge(op.seqno, key) ?? "new";
    if (judged === "known")
      return { type: "duplicate", effectId: this.#effectText(op, key), position: placeOf(op) };
    if (judged === "fork")
      return refuse("SESSION_FORKED", `Cannot accept number ${op.seqno} of ${op.laneText} twice`);
    if (queued !== undefined) {
      return sameBytes(queued.sealedKey(), key)
        ? { type: "shared", entry: queued }
        : refuse("SESSION_FORKED", `Cannot accept number ${op.seqno} of ${op.laneText} twice`);
    }
    if (op.seqno > (lane?.hwm ?? 0) + LANE_AHEAD_MAX) {
      return refuse(
        "LANE_AHEAD",
        `Cannot accept number ${op.seqno}: ${lane?.hwm ?? 0} is the last known, the limit is ${LANE_AHEAD_MAX} above`,
      );
    }
    const { operation } = op;
    const known = operation === undefined ? undefined : this.#known(operation);
    if (known !== undefined && known !== "conflict") return known;
    const refused = this.#refusal(session, kind, known === "conflict");
    if (refused !== undefined) return refused;
    const forbidden = this.#policies?.judge(session, askedBy(op));
    if (forbidden !== undefined) return forbidden;
    this.#clock.checkIngest(op.stamp.wallMs, "a stamp");
    if (kind === "signal") {
      const { signal, eventTimeMs } = op.clear as SignalClear;
      const unknown = this.#unknownSignal(signal);
      if (unknown !== undefined) return unknown;
      this.#clock.checkIngest(eventTimeMs, "an event time");
    }
    this.#policies?.accepted(session, kind);
    const draft = this.#draft({ session, operation, sealed: op, kind, clientPlace: place });
    return { type: "accepted", draft };
  }

  /**
   * Judges an operation of a ticket by the rules of replication: it was accepted elsewhere, so it is written as it is,
   * unless it is known.
   *
   * @throws {@link CoreError} `DECODE_FAILED`.
   */
  relay(bytes: Uint8Array): "known" | Uint8Array {
    const op = decodeOp(bytes);
    if (op.kind !== undefined && op.userKey === 0) {
      op.verify();
      if (this.#fold.erasing?.opens(op) === false)
        throw new CoreError("DECODE_FAILED", "Cannot accept an operation in the plain: users have keys here");
    }
    const tombstone = this.#fold.tombstones.get(op.session);
    if (tombstone?.kept === undefined && tombstone?.knows(op) === true) return "known";
    return this.#laneState(op)?.judge(op.seqno, this.#fold.ids.keyOf(op)) === "known" ? "known" : bytes;
  }

  #operationOf(
    session: string,
    request: OpRequest,
    operationId: string,
    seal: UserSeal | undefined,
  ): Operation {
    checkName(operationId, "operationId");
    const writer = this.#writer.reset();
    writeRequest(writer, request);
    const { ids } = this.#fold;
    const digest = seal?.requestDigest(ids.clusterId, writer.view()) ?? ids.requestDigest(writer.view());
    return { tag: ids.operationTag(session, operationId), digest };
  }

  /**
   * The user's key, where users have keys. What names and describes nobody is under none: a close, and an erasure.
   */
  #sealOf({ kind }: OpRequest, user: string | undefined): UserSeal | undefined {
    const { seals } = this.#fold;
    if (kind === "erase" && seals === undefined)
      throw invalid("Cannot erase a user: users have no keys here");
    if (seals === undefined || user === undefined || kind === "close" || kind === "erase") return undefined;
    const seal = seals.current(user);
    if (seal === undefined) throw invalid("Cannot write for this user: they have no key left");
    return seal;
  }

  /** Of a session whose user was erased only the tag still tells that an operation was applied. */
  #duplicateOf(tag: Uint8Array): Admission<Outcome> {
    return this.#duplicate(this.#fold.effects.findTag(tag) as number);
  }

  #eraseRefusal(conflict: boolean): Admission<Outcome> | undefined {
    if (conflict)
      return refuse("OPERATION_CONFLICT", "Cannot use one operationId for two different requests");
    if ((this.#fold.seals?.keys.erasedCount ?? 0) < ERASED_USERS_MAX) return undefined;
    return refuse("KEYS_FULL", `Cannot erase another user: the limit is ${ERASED_USERS_MAX}`);
  }

  #known(operation: Operation): Admission<Outcome> | "conflict" | undefined {
    const queued = this.#queued.operation(operation.tag);
    if (queued?.operation !== undefined) {
      return sameBytes(queued.operation.digest, operation.digest)
        ? { type: "shared", entry: queued }
        : "conflict";
    }
    const index = this.#find(operation);
    if (index === undefined || index === "conflict") return index;
    return this.#duplicate(index);
  }

  #duplicate(index: number): Admission<Outcome> {
    const { lane, seqno } = this.#fold.effects.positionOf(index);
    const state = this.#fold.lanes[lane] as LaneState;
    const effectId = formatEffectId(this.#fold.effects.idOf(index));
    return { type: "duplicate", effectId, position: { session: state.session, lane: state.text, seqno } };
  }

  /** The cache first; what it says is checked, because a restored fold numbers its effects anew. */
  #find(operation: Operation): number | "conflict" | undefined {
    const key = this.#key;
    key.set(operation.tag);
    key.set(operation.digest, operation.tag.length);
    const { effects } = this.#fold;
    const cached = this.#store.get(key);
    if (cached !== undefined && cached < effects.end && sameBytes(effects.idOf(cached), key)) return cached;
    const index = effects.find(operation.tag, operation.digest);
    if (typeof index === "number") this.#store.set(key, index);
    return index;
  }

  #purged(session: string): Admission<Outcome> | undefined {
    return this.#fold.purged(session) || this.#queued.purges(session)
      ? refuse("SESSION_PURGED", `Cannot write in session ${session}: it was purged, and its id is spent`)
      : undefined;
  }

  #refusal(session: string, kind: OpKind, conflict: boolean): Admission<Outcome> | undefined {
    const starts = beginsSession(kind);
    const entry = this.#fold.sessions.get(session);
    const known = entry?.start !== undefined || this.#queued.start(session) !== undefined;
    if (!known && !starts)
      return refuse("SESSION_UNKNOWN", `Cannot write in session ${session}: its start is not known here`);
    if (kind !== "purge" && ((entry?.closes ?? 0) > 0 || this.#queued.closes(session))) {
      return refuse("SESSION_CLOSED", `Cannot write in session ${session}: it was closed`);
    }
    if (known && starts) return refuse("SESSION_EXISTS", `Cannot start session ${session}: it is known here`);
    if (conflict)
      return refuse("OPERATION_CONFLICT", "Cannot use one operationId for two different requests");
    return undefined;
  }

  /** Whether anything is being written. */
  get writing(): boolean {
    return this.#queued.writing;
  }

  /**
   * A close or purge of a session is about to be folded: nothing more is accepted, and what is being written is waited
   * for. So nothing that was accepted without knowing it is written after it was acknowledged.
   *
   * @returns when it may be folded; `undefined` if it may be now.
   */
  end(session: string, kind: "close" | "purge"): Promise<void> | undefined {
    const settled = this.#queued.settled(session);
    if (settled !== undefined) this.#queued.end(session, kind);
    return settled;
  }

  /** It was folded; without a session, none of them will be. */
  ended(session?: string): void {
    this.#queued.ended(session);
  }

  #unknownSignal(signal: string): Admission<Outcome> | undefined {
    const { schema } = this.#fold;
    if (schema === undefined || schema.decayOf(signal) !== undefined) return undefined;
    return refuse(
      "SIGNAL_UNKNOWN",
      `Cannot take the signal ${JSON.stringify(signal)}: the schema has no such name`,
    );
  }

  #userOf(session: string, request: OpRequest): string | undefined {
    if ("user" in request && request.user !== undefined) return request.user;
    if (request.kind === "fork") session = request.parent;
    if (request.kind === "merge") session = request.parents[0];
    return this.#fold.sessions.get(session)?.start?.sealed.user ?? this.#queued.start(session)?.user;
  }

  #laneState(op: OpView): SessionFold["lanes"][number] | undefined {
    return this.#fold.entryOf(op.session)?.lanes.find((lane) => op.laneIs(lane.bytes));
  }

  #effectText(op: OpView, key: Uint8Array): string {
    return formatEffectId(op.operationBytes ?? key);
  }

  #draft(content: DraftContent): OpDraft<Outcome> {
    const draft = new OpDraft<Outcome>(this.#desk, content);
    this.#queued.add(draft, draft.kind, draft.clientPlace);
    return draft;
  }
}

function placeOf(op: OpView): OpPlace {
  return { session: op.session, lane: op.laneText, seqno: op.seqno };
}

function refuse(code: RefusalCode, message: string): { type: "refused"; code: RefusalCode; message: string } {
  return { type: "refused", code, message };
}

function checkWeight(weight: number): void {
  if (!(Math.abs(weight) < WEIGHT_LIMIT)) {
    throw new CoreError(
      "INVALID_WEIGHT",
      `Cannot accept the weight ${weight}: its magnitude must be below 2^40`,
    );
  }
}

/** The error of a refusal, for a call that rejects instead. */
export function refusalError(refusal: {
  readonly code: RefusalCode;
  readonly message: string;
}): SessionError {
  return new SessionError(refusal.code, refusal.message);
}
