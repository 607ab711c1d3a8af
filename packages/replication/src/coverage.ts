import { shardId, type Channel, type LogId, type RegionId, type ShardId } from "@tidemark/core";
import type { Wal } from "@tidemark/wal";
import { ReplicationError } from "./errors.ts";
import type { MembershipInForce } from "./membership-in-force.ts";
import type { PeerTable } from "./peer-table.ts";
import type { ReplicationState } from "./replication-state.ts";

/** A position that must be applied here: an entry of a cursor or ticket. */
export interface CoveragePosition {
  readonly region: RegionId;
  readonly epoch: number;
  readonly channel: Channel;
  readonly lsn: number;
  /** The shard to assume while nobody here knows the log: no two logs of a region share an epoch. @defaultValue 0 */
  readonly shard?: ShardId;
}

/** All of these. */
export type CoverageNeed = readonly CoveragePosition[];

/** Knows which positions are applied here, and which can never be. */
export class Coverage {
  readonly #options: CoverageOptions;

  constructor(options: CoverageOptions) {
    this.#options = options;
  }

  /** The last LSN applied here of the log that a position names. */
  reached(position: CoveragePosition): number {
    return this.#options.state.lsnOf(this.#log(position));
  }

  /** What of a need is not applied here. */
  missing(need: CoverageNeed): CoveragePosition[] {
    return need.filter((position) => this.reached(position) < position.lsn);
  }

  /**
   * Positions that are gone: their epoch is over, and every member, this one included, has said so and lacks them.
   * Whoever knows of a later epoch has got of the earlier one all it had by then.
   */
  lost(need: CoverageNeed): CoveragePosition[] {
    const { state, peers } = this.#options;
    const vectors = [state.vector(), ...[...peers.all()].map(({ reported }) => reported)];
    return this.missing(need).filter((position) => {
      const id = this.#log(position);
      return vectors.every(
        (vector) =>
          vector.lsnOf(id) < position.lsn &&
          vector
            .entries()
            .some(
              ({ log }) =>
                log.region === id.region &&
                log.shard === id.shard &&
                log.channel === id.channel &&
                log.epoch > id.epoch,
            ),
      );
    });
  }

  /**
   * Refuses a need that no waiting can meet.
   *
   * @throws {@link ReplicationError} `POSITION_UNKNOWN`: a region nobody knows, or more of the log this
   * region is writing than it has written.
   */
  requirePossible(need: CoverageNeed): void {
    const { self, membership, isCurrent, peers, wal } = this.#options;
    for (const position of need) {
      const id = this.#log(position);
      const known =
        [...membership.list.regions.values()].includes(position.region) ||
        membership.list.removed?.has(position.region) === true ||
        wal.logs().some((log) => log.id.region === position.region) ||
        peers.highestEpoch(position.region) > 0;
      if (!known) throw unknown(id, position, `region ${position.region} is not known here`);
      const current = position.region === self && isCurrent(id) ? wal.log(id) : undefined;
      if (current !== undefined && position.lsn > current.durable.lsn) {
        throw unknown(id, position, `this region has written up to LSN ${current.durable.lsn}`);
      }
    }
  }

  /** The log of a position: region, epoch and channel name it, whatever shard it belonged to then. */
  #log({ region, epoch, channel, shard = shardId(0) }: CoveragePosition): LogId {
    const { state, peers, wal } = this.#options;
    const assumed = { region, shard, epoch, channel };
    if (state.lsnOf(assumed) > 0) return assumed;
    const known = [
      ...wal.logs().map(({ id }) => id),
      ...[...peers.all()].flatMap(({ reported }) => reported.entries().map(({ log }) => log)),
    ];
    return (
      known.find((log) => log.region === region && log.epoch === epoch && log.channel === channel) ?? assumed
    );
  }
}

/** What {@link Coverage} looks at. */
export interface CoverageOptions {
  readonly self: RegionId;
  readonly membership: MembershipInForce;
  readonly state: ReplicationState;
  readonly peers: PeerTable;
  readonly wal: Wal;
  /** Whether this region is writing a log now. */
  readonly isCurrent: (log: LogId) => boolean;
}

function unknown(log: LogId, { lsn }: CoveragePosition, why: string): ReplicationError {
  return new ReplicationError("POSITION_UNKNOWN", `Cannot wait for LSN ${lsn}: ${why}`, { log });
}
