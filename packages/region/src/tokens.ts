import { shardId } from "@tidemark/core";
import type { Hasher, LogId } from "@tidemark/core";
import { ReplicationError } from "@tidemark/replication";
import type { ClusterKey, CoverageNeed, Replication } from "@tidemark/replication";
import { Cursor, decodeCursor, decodeTicket, encodeCursor, encodeTicket, Ticket } from "@tidemark/session";
import type { SessionFold, TokenPosition } from "@tidemark/session";
import { RegionError } from "./errors.ts";
import { REGION_DEFAULTS } from "./options.ts";
import type { RegionOptions } from "./options.ts";
import type { ResumeOptions } from "./region.ts";

/** What minting and checking tokens needs. */
export interface RegionTokensOptions {
  readonly fold: SessionFold;
  readonly replication: Replication;
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
  /** Positions to be waited for. */
  readonly need: CoverageNeed;
}

/** Mints and checks a region's cursors and tickets. */
export class RegionTokens {
  readonly #options: RegionTokensOptions;

  constructor(options: RegionTokensOptions) {
    this.#options = options;
  }

  /** The positions a bearer of this session has seen here; what is stable everywhere need not be said. */
  cursor(session: string): Cursor {
    const { fold } = this.#options;
    return new Cursor(encodeCursor({ session, entries: this.#unstable(fold.lastPositions(session)), ...this.#seal() }));
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
      if (lsn > 0) base.push({ region: log.region, epoch: log.epoch, lsn });
    }
    return new Ticket(
      encodeTicket({
        user,
        expiresAtMs: now() + (options.ticketMs ?? REGION_DEFAULTS.ticketMs),
        base,
        entries: this.#unstable(fold.lastUserPositions(user)),
        ops: ops.map(({ bytes }) => bytes),
        complete,
        ticketBytesMax: REGION_DEFAULTS.ticketBytesMax,
        ...this.#seal(),
      }),
    );
  }

  /** Checks a cursor. @throws SessionError `CURSOR_*`. */
  readCursor(session: string, token: string): CoverageNeed {
    return decodeCursor(token, { session, ...this.#trust() }).entries.map(toNeed);
  }

  /** Checks a ticket. @throws SessionError `TICKET_*`. */
  readTicket(user: string, token: string): PresentedTicket {
    const { options, now } = this.#options;
    const content = decodeTicket(token, {
      user,
      nowMs: now(),
      trustTickets: options.trustTickets ?? false,
      ...this.#trust(),
    });
    // With all operations in hand only what lies below them is waited for; else everything the bearer saw.
    const need = content.complete ? content.base : [...content.base, ...content.entries];
    return { tail: content.ops, need: need.map(toNeed) };
  }

  /** Waits until all positions are applied here. @throws RegionError `NOT_YET_VISIBLE`, `POSITION_UNKNOWN`. */
  async covered(need: CoverageNeed, options: ResumeOptions): Promise<void> {
    const { replication } = this.#options;
    const { timeoutMs = REGION_DEFAULTS.resumeTimeoutMs, signal } = options;
    let missing;
    try {
      missing = await replication.covered(need, signal === undefined ? { timeoutMs } : { timeoutMs, signal });
    } catch (error) {
      if (error instanceof ReplicationError && error.code === "POSITION_UNKNOWN") {
        throw new RegionError("POSITION_UNKNOWN", error.message, { cause: error });
      }
      throw error;
    }
    if (missing === "covered") return;
    const vector = replication.vector();
    throw new RegionError("NOT_YET_VISIBLE", `Cannot answer yet: ${missing.length} logs lack what the bearer has seen after ${timeoutMs} ms`, {
      retryable: true,
      missing: missing.map(({ region, epoch, lsn }) => ({ region, epoch, lsn, reached: vector.lsnOf(toLog({ region, epoch, lsn })) })),
    });
  }

  #unstable(positions: readonly { readonly log: LogId; readonly lsn: number }[]): TokenPosition[] {
    const frontier = this.#options.replication.frontier();
    return positions
      .filter(({ log, lsn }) => !frontier.covers(log, lsn))
      .map(({ log, lsn }) => ({ region: log.region, epoch: log.epoch, lsn }));
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

function toLog({ region, epoch }: TokenPosition): LogId {
  return { region: region as LogId["region"], shard: shardId(0), epoch, channel: "sessions" };
}

function toNeed(position: TokenPosition): CoverageNeed[number] {
  return { ...position, region: position.region as LogId["region"], channel: "sessions" };
}
