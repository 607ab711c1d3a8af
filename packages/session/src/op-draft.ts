import { ByteWriter, EFFECT_ID_BYTES, type Hlc } from "@tidemark/core";
import { type EffectIds, formatEffectId } from "./effect-id.ts";
import { formatLane, type RegionLane } from "./lane-id.ts";
import { encodeOp } from "./op-codec.ts";
import type { ForkContent } from "./op-content.ts";
import type { Op, Operation } from "./op.ts";
import type { OpRequest } from "./op-request.ts";
import { decodeOp, type OpView } from "./op-view.ts";
import type { UserSeal } from "./user-seal.ts";

/** The place of an operation in its session. */
export interface OpPlace {
  readonly session: string;
  /** The writer, as text. */
  readonly lane: string;
  /** From 1, without holes. */
  readonly seqno: number;
}

/** What the admission does for its drafts. */
export interface DraftDesk {
  readonly ids: EffectIds;
  /** Gives a draft its number, stamp and dots. */
  place(draft: OpDraft, lane: RegionLane, tick: Hlc): Op;
  /** The idempotency key, if the operation was folded and the fold still holds it. */
  foldedKey(op: Op): Uint8Array | undefined;
  /** The draft is in a batch that is being written. */
  placed(draft: OpDraft): void;
  settled(draft: OpDraft, ok: boolean): void;
}

/**
 * An operation that was accepted and is not durable yet. `encode` is called as its batch is formed, and `settle` once
 * the batch is durable and folded, or has failed; a failed draft is admitted again as a new one.
 */
export class OpDraft<Outcome = unknown> {
  readonly session: string;
  readonly request: OpRequest | undefined;
  readonly operation: Operation | undefined;
  /** Whose session or hides it speaks of. */
  readonly user: string | undefined;
  /** What a fork or merge carries: as it was when it was accepted. */
  readonly fork: ForkContent | undefined;
  /** What it is sealed with: the user's key as it was when it was accepted. */
  readonly seal: UserSeal | undefined;
  readonly kind: string;
  /** The lane and number that a client chose. */
  readonly clientPlace: string | undefined;
  /** For whoever writes it: what a duplicate of it shares. */
  outcome: Outcome | undefined;
  readonly #desk: DraftDesk;
  /** A client's own bytes. */
  readonly #sealed: OpView | undefined;
  #op: Op | undefined;
  #effect: Uint8Array | undefined;
  #settled: boolean = false;

  constructor(desk: DraftDesk, content: DraftContent) {
    this.#desk = desk;
    this.session = content.session;
    this.request = content.request;
    this.operation = content.operation;
    this.user = content.user;
    this.fork = content.fork;
    this.seal = content.seal;
    this.kind = content.kind;
    this.clientPlace = content.clientPlace;
    this.#sealed = content.sealed;
  }

  /**
   * Appends the operation, numbered in its lane: the accepting log's region and epoch. The stamp is the later of `tick`
   * and one step above everything known of its session.
   *
   * A client's own operation is appended as it is.
   */
  encode(writer: ByteWriter, lane: RegionLane, tick: Hlc): void {
    if (this.#sealed !== undefined) {
      writer.raw(this.#sealed.bytes);
      return;
    }
    const op = this.#desk.place(this, lane, tick);
    encodeOp(writer, op, this.seal);
    this.#op = op;
    this.#effect = undefined;
    this.#desk.placed(this);
  }

  /** The batch is durable and folded, or has failed: then the number is given back. Idempotent. */
  settle(ok: boolean): void {
    if (this.#settled) return;
    this.#settled = true;
    this.#desk.settled(this, ok);
  }

  /** The operation as it was encoded; `undefined` before that, and for a client's own. */
  get op(): Op | undefined {
    return this.#op;
  }

  /** Where it stands. @throws `TypeError` before it is encoded. */
  get position(): OpPlace {
    const { session } = this;
    if (this.#sealed !== undefined)
      return { session, lane: this.#sealed.laneText, seqno: this.#sealed.seqno };
    const { lane, seqno } = this.#encoded();
    return { session, lane: formatLane(lane), seqno };
  }

  /** 32 hexadecimal digits. @throws `TypeError` before it is encoded, unless it has an operationId. */
  get effectId(): string {
    return formatEffectId(this.effectBytes);
  }

  /** 16 bytes. @throws `TypeError` before it is encoded, unless it has an operationId. */
  get effectBytes(): Uint8Array {
    return (this.#effect ??= this.#findEffect());
  }

  /** The idempotency key of a client's own operation. */
  sealedKey(): Uint8Array {
    if (this.#sealed === undefined) throw new TypeError("The draft is not a client's own operation");
    return this.#desk.ids.keyOf(this.#sealed);
  }

  #findEffect(): Uint8Array {
    if (this.operation !== undefined) {
      const effect = new Uint8Array(EFFECT_ID_BYTES);
      effect.set(this.operation.tag);
      effect.set(this.operation.digest, this.operation.tag.length);
      return effect;
    }
    if (this.#sealed !== undefined) return this.#desk.ids.keyOf(this.#sealed);
    const op = this.#encoded();
    const folded = this.#desk.foldedKey(op);
    if (folded !== undefined) return folded;
    const writer = new ByteWriter(256);
    encodeOp(writer, op, this.seal);
    return this.#desk.ids.keyOf(decodeOp(writer.view()));
  }

  #encoded(): Op {
    if (this.#op === undefined) throw new TypeError("The draft was not encoded yet");
    return this.#op;
  }
}

/** What a draft is made of. */
export interface DraftContent {
  readonly session: string;
  readonly request?: OpRequest | undefined;
  readonly operation?: Operation | undefined;
  readonly user?: string | undefined;
  readonly sealed?: OpView | undefined;
  readonly fork?: ForkContent | undefined;
  readonly seal?: UserSeal | undefined;
  readonly kind: string;
  readonly clientPlace?: string | undefined;
}
