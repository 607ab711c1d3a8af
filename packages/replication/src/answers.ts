import type { Hasher, LogId, RegionId } from "@tidemark/core";
import { WalError, type Wal } from "@tidemark/wal";
import type { Ack } from "./ack.ts";
import type { Certificate } from "./certificate.ts";
import type { DigestDetail, DigestDetails } from "./digest-parts.ts";
import type { Frame, FrameCodec } from "./frame.ts";
import { keysPart } from "./keys-part.ts";
import type { ReplicationLogger } from "./logger.ts";
import type { MembershipInForce } from "./membership-in-force.ts";
import { encodeReply, SNAPSHOT_REPLY_OVERHEAD_BYTES, type Refusal, type Reply } from "./reply.ts";
import { decodeSnapshotToken, type SnapshotPart, type SnapshotToken } from "./snapshot-token.ts";
import type { Membership } from "./membership.ts";
import { decodeRequest, REQUEST_KIND, type ProposalPhase, type Request } from "./request.ts";

/** What questions are answered from. */
export interface AnswersOptions {
  readonly codec: FrameCodec;
  readonly wal: Wal;
  readonly membership: MembershipInForce;
  /** The digest of the list this region agrees to. */
  readonly agreedDigest: () => Uint8Array;
  /** Bytes of batches that fit a reply. */
  readonly rangeBytes: number;
  readonly isPeer: (region: RegionId) => boolean;
  readonly ack: () => Ack;
  /** `undefined` while a log is repaired of which the state may not be what it says. */
  readonly certificate: () => Certificate | undefined;
  /** Bytes of a log turned out to be damaged. */
  readonly damaged: (log: LogId, error: unknown) => void;
  /** Digests of slots, or of their objects; `undefined` where the state cannot tell. */
  readonly details: (slots: readonly number[], detail: DigestDetail) => DigestDetails | undefined;
  /** A piece of a snapshot; `undefined` while there is no state to give. */
  readonly snapshot: (token: SnapshotToken | undefined) => Promise<SnapshotPart | undefined>;
  /** A peer told its vector with its question. */
  readonly told: (
    region: RegionId,
    membershipDigest: Uint8Array,
    ack: Ack,
    schema: Uint8Array | undefined,
  ) => void;
  /** What this region folds signals under. */
  readonly schema: Uint8Array | undefined;
  /** Writes what a follower hands over; absent where nothing is written. */
  readonly relay: ((records: readonly Uint8Array[]) => Promise<void>) | undefined;
  /** The sealed table of user keys: the same bytes until it changes; absent where nothing is encrypted. */
  readonly keys: (() => Uint8Array) | undefined;
  readonly hasher: Hasher;
  /** A proposal of another list: `undefined` agrees. */
  readonly propose: (region: RegionId, phase: ProposalPhase, list: Membership) => Promise<number | undefined>;
  readonly logger: ReplicationLogger;
}

/** Answers the questions of other members: any range of any log that is held here, durable records only. */
export class Answers {
  readonly #options: AnswersOptions;

  constructor(options: AnswersOptions) {
    this.#options = options;
  }

  /** A sealed reply to an opened request frame. @throws `ReplicationError` `MESSAGE_MALFORMED`. */
  async answer(frame: Frame): Promise<Uint8Array> {
    const { nonce, request } = decodeRequest(frame.body);
    const reply = await this.#reply(frame, request);
    return this.#options.codec.seal("reply", encodeReply(nonce, reply));
  }

  async #reply(frame: Frame, request: Request): Promise<Reply> {
    const { membership, agreedDigest, isPeer, told, ack, schema, certificate } = this.#options;
    if (request.kind === "membership") return { kind: "membership", membership: membership.list };
    // Who was removed may still say what it holds: its own records are fetched.
    const departed = request.kind === "vectors" && membership.list.removed?.has(frame.region) === true;
    if (!frame.ofCluster || !(isPeer(frame.region) || departed)) {
      // A later list may name it.
      if (frame.ofCluster && request.kind === "vectors")
        told(frame.region, request.membershipDigest, request.ack, request.schema);
      return refuse(request, "not-a-member");
    }
    switch (request.kind) {
      case "range":
        return this.#range(request);
      case "vectors":
        told(frame.region, request.membershipDigest, request.ack, request.schema);
        return {
          kind: "vectors",
          membershipDigest: agreedDigest(),
          ack: ack(),
          ...(schema === undefined ? {} : { schema }),
        };
      case "digests": {
        const detail = request.detail ?? { channel: "sessions", of: "slots" };
        const details = request.slots.length === 0 ? undefined : this.#options.details(request.slots, detail);
        if (request.slots.length > 0 && details === undefined) return refuse(request, "unsupported");
        const certified = certificate();
        if (certified === undefined) return refuse(request, "not-held");
        return { kind: "digests", ...certified, ...(details === undefined ? {} : { details }) };
      }
      case "snapshot": {
        const part = await this.#options.snapshot(decodeSnapshotToken(request.token));
        return part === undefined ? refuse(request, "not-held") : { kind: "snapshot", part };
      }
      case "keys":
        return this.#keys(request);
      case "propose": {
        const other = await this.#options.propose(frame.region, request.phase, request.list);
        return other === undefined ? { kind: "propose" } : refuse(request, "not-agreed", other);
      }
      case "relay":
        return this.#relay(frame.region, request);
      default:
        return refuse(request, "unsupported");
    }
  }

  #keys(request: Extract<Request, { kind: "keys" }>): Reply {
    const { keys, hasher, rangeBytes } = this.#options;
    if (keys === undefined) return refuse(request, "unsupported");
    const partBytes = rangeBytes - SNAPSHOT_REPLY_OVERHEAD_BYTES;
    return { kind: "keys", part: keysPart(hasher, keys(), request.pseudonyms, partBytes) };
  }

  async #relay(region: RegionId, request: Extract<Request, { kind: "relay" }>): Promise<Reply> {
    const { relay, logger } = this.#options;
    if (relay === undefined) return refuse(request, "not-writing");
    try {
      await relay(request.records);
      return { kind: "relay" };
    } catch (error) {
      // Whatever the reason is, the asker may try another member.
      logger.warn({ peer: region, err: error }, "Cannot write what a follower handed over");
      return refuse(request, "not-writing");
    }
  }

  async #range(request: Extract<Request, { kind: "range" }>): Promise<Reply> {
    const log = this.#options.wal.log(request.log);
    if (log === undefined || request.from > log.durable.lsn) return refuse(request, "not-held");
    if (request.from < log.first) return refuse(request, "trimmed", log.first);
    const to = Math.min(request.to, log.durable.lsn);
    try {
      return { kind: "range", batches: await log.readBatches(request.from, to, this.#options.rangeBytes) };
    } catch (error) {
      // Another member may have it, and this one gets it back from there.
      if (!(error instanceof WalError) || error.code !== "WAL_CORRUPT") throw error;
      this.#options.damaged(request.log, error);
      return refuse(request, "not-held");
    }
  }
}

function refuse(request: Request, refusal: Refusal, first: number = 0): Reply {
  return { kind: "refused", of: REQUEST_KIND[request.kind], refusal, first };
}
