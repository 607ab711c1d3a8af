import type { Hasher, LogId, ShardId } from "@tidemark/core";
import { ReplicationError } from "@tidemark/replication";
import type { ClusterKey, CoverageNeed, Replication } from "@tidemark/replication";
import {
  Cursor,
  CURSOR_ENTRIES_MAX,
  decodeCursor,
  decodeTicket,
  encodeCursor,
  encodeTicket,
  Ticket,
} from "@tidemark/session";
import type { SessionFold, TokenPosition } from "@tidemark/session";
import { RegionError } from "./errors.ts";
import type { MissingPosition } from "./errors.ts";
import { REGION_DEFAULTS } from "./options.ts";
import type { RegionOptions } from "./options.ts";
import type { ResumeOptions } from "./region.ts";
import type { SlotMap } from "./slot-map.ts";

/** What minting and checking tokens needs. */
export interface RegionTokensOptions {
  readonly fold: SessionFold;
  readonly replication: Replication;
  readonly slots: SlotMap;
  readonly hasher: Hasher;
  readonly clusterId: Uint8Array;
  /** The first signs, all are accepted. */
  readonly clusterKeys: readonly ClusterKey[];
  readonly options: RegionOptions;
  readonly now: () => number;
}

/** A ticket's content as a region uses it. */
export interface PresentedTicket {
  /** Sealed operations to be applied here. */
  readonly tail: readonly Uint8Array[];
  /** Positions to be waited for, once the tail is applied. */
  readonly need: CoverageNeed;
  /** Everything the bearer has seen, said in positions. */
  readonly seen: CoverageNeed;
}

/** Mints and checks a region's cursors and tickets. */
export class RegionTokens {
  readonly #options: RegionTokensOptions;

  constructor(options: RegionTokensOptions) {
    this.#options = options;
  }

  /**
   * The positions a bearer of this session has seen here. What every member has is named, too, while there is room: a
   * disk that rots, or is put back, may have lost it again.
   */
  cursor(session: string): Cursor {
    const { fold, replication } = this.#options;
    const frontier = replication.frontier();
    const places = fold.lastPositions(session);
    const unstable = places.filter(({ log, lsn }) => !frontier.covers(log, lsn));
    const stable = places
      .filter(({ log, lsn }) => frontier.covers(log, lsn))
      .toSorted((a, b) => b.log.epoch - a.log.epoch)
      .slice(0, Math.max(0, CURSOR_ENTRIES_MAX - unstable.length));
    return new Cursor(
      encodeCursor({ session, entries: [...unstable, ...stable].map(toPosition), ...this.#seal() }),
    );
  }

  /** Everything a user has seen here: a base that every member holds, and the operations above it. */
  ticket(user: string): Ticket {
    const { fold, replication, options, now } = this.#options;
    const { ops, complete } = fold.unstableOps(user);
    const frontier = replication.frontier();
    const base: TokenPosition[] = [];
    for (const { log } of replication.vector().entries()) {
      if (log.channel !== "sessions") continue;
      const lsn = frontier.lsnOf(log);
      if (lsn > 0) base.push(toPosition({ log, lsn }));
    }
    const above = fold.lastUserPositions(user).filter(({ log, lsn }) => !frontier.covers(log, lsn));
    return new Ticket(
      encodeTicket({
        user,
        expiresAtMs: now() + (options.ticketMs ?? REGION_DEFAULTS.ticketMs),
        base,
        entries: above.map(toPosition),
        ops: ops.map(({ bytes }) => bytes),
        complete,
        ticketBytesMax: REGION_DEFAULTS.ticketBytesMax,
        ...this.#seal(),
      }),
    );
  }

  /** Checks a cursor. @throws SessionError `CURSOR_*`. */
  readCursor(session: string, token: string): CoverageNeed {
    const { fold, slots } = this.#options;
    const shard = slots.shardOfSession(session, fold.sessions.get(session)?.user?.id);
    return decodeCursor(token, { session, ...this.#trust() }).entries.map((entry) => toNeed(entry, shard));
  }

  /** Checks a ticket. @throws SessionError `TICKET_*`. */
  readTicket(user: string, token: string): PresentedTicket {
    const { options, now, slots } = this.#options;
    const shard = slots.shardOfUser(user);
    const content = decodeTicket(token, {
      user,
      nowMs: now(),
      trustTickets: options.trustTickets ?? false,
      ...this.#trust(),
    });
    // With all operations in hand only what lies below them is waited for; else everything the bearer saw.
    const base = content.base.map((entry) => toNeed(entry, shard));
    const seen = [...base, ...content.entries.map((entry) => toNeed(entry, shard))];
    return { tail: content.ops, need: content.complete ? base : seen, seen };
  }

  /** Waits until all positions are applied here. @throws RegionError `NOT_YET_VISIBLE`; ReplicationError. */
  async covered(need: CoverageNeed, options: ResumeOptions): Promise<void> {
    const { replication } = this.#options;
    const { timeoutMs = REGION_DEFAULTS.resumeTimeoutMs, signal } = options;
    const wait = signal === undefined ? { timeoutMs } : { timeoutMs, signal };
    const missing = await replication.covered(need, wait).catch((error: unknown) => {
      if (!(error instanceof ReplicationError) || error.code !== "POSITION_LOST") throw error;
      throw new RegionError("POSITION_LOST", error.message, { cause: error, missing: this.#missing(need) });
    });
    if (missing !== "covered") throw this.notYetVisible(missing, `it has not arrived after ${timeoutMs} ms`);
  }

  /** Says what of a need has not arrived here. */
  notYetVisible(need: CoverageNeed, why: string): RegionError {
    const missing = this.#missing(need);
    const logs = missing
      .map(({ region, lsn, reached }) => `${lsn} of region ${region}, here ${reached}`)
      .join("; ");
    return new RegionError(
      "NOT_YET_VISIBLE",
      `Cannot show yet what the bearer has seen (${logs}): ${why}; try again, or stay in the region it came from`,
      { retryable: true, missing },
    );
  }

  #missing(need: CoverageNeed): MissingPosition[] {
    const { replication } = this.#options;
    return need
      .map((position) => {
        const { region, epoch, lsn } = position;
        return { region, epoch, lsn, reached: replication.reached(position) };
      })
      .filter(({ lsn, reached }) => reached < lsn);
  }

  #seal(): { clusterId: Uint8Array; hasher: Hasher; key?: ClusterKey } {
    const { clusterId, hasher, clusterKeys } = this.#options;
    const key = clusterKeys[0];
    return key === undefined ? { clusterId, hasher } : { clusterId, hasher, key };
  }

  #trust(): { clusterId: Uint8Array; hasher: Hasher; keys: readonly ClusterKey[] } {
    const { clusterId, hasher, clusterKeys } = this.#options;
    return { clusterId, hasher, keys: clusterKeys };
  }
}

function toPosition({ log, lsn }: { readonly log: LogId; readonly lsn: number }): TokenPosition {
  return { region: log.region, epoch: log.epoch, lsn };
}

/** A token names logs by region and epoch alone; the shard is for logs that nobody has told of yet. */
function toNeed(position: TokenPosition, shard: ShardId): CoverageNeed[number] {
  return { ...position, region: position.region as LogId["region"], channel: "sessions", shard };
}
