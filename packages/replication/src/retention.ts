import type { RegionId } from "@tidemark/core";
import type { RetentionResult, Timers, Vector, Wal } from "@tidemark/wal";
import type { ReplicationLogger } from "./logger.ts";
import type { PeerTable } from "./peer-table.ts";
import { planRetention, type RetainedLog, type RetentionPlan } from "./retention-policy.ts";

/** What is kept, and how much of it. */
export interface RetainOptions {
  /** The older of the two newest verified checkpoints; without it nothing goes. */
  readonly checkpoint: Vector | undefined;
  /** Newest bytes of the logs that grow, kept in any case. @defaultValue 64 MiB */
  readonly keepBytes?: number;
  /** What is kept at most for a member that lags; beyond it that member needs a snapshot. @defaultValue 10 GiB */
  readonly capBytes?: number;
}

/** What {@link Retention} looks at. */
export interface RetentionOptions {
  readonly wal: Wal;
  readonly timers: Timers;
  readonly logger: ReplicationLogger;
  readonly peers: PeerTable;
  /** The version of the list of members in force. */
  readonly version: () => number;
  /** What a snapshot that is being served covers. */
  readonly serving: () => Vector | undefined;
}

/** After a start members are given this long to say what they hold, before one is left behind. */
const GRACE_MS = 60_000;

/** Lets segments go that nobody needs, and names the members that are left behind by it. */
export class Retention {
  /** Members that need a snapshot: what they lack is not kept for them any more. */
  needSnapshot: ReadonlySet<RegionId> = new Set();
  readonly #options: RetentionOptions;
  readonly #startedMs: number;

  constructor(options: RetentionOptions) {
    this.#options = options;
    this.#startedMs = options.timers.now();
  }

  /** Removes what may go now. */
  async retain(options: RetainOptions): Promise<RetentionResult & RetentionPlan> {
    const { keepBytes = 64 * 1024 * 1024, capBytes = 10 * 1024 * 1024 * 1024, checkpoint } = options;
    const { wal, peers, timers, version, serving } = this.#options;
    const early = timers.now() - this.#startedMs < GRACE_MS;
    const acked = new Map<RegionId, Vector>();
    const uncounted = new Set<RegionId>();
    let unheard = false;
    for (const { region, reported, agrees, ack } of peers.all()) {
      acked.set(region, reported);
      if (agrees !== true || ack?.membershipVersion !== version()) uncounted.add(region);
      unheard ||= ack === undefined;
    }
    const logs: RetainedLog[] = wal.logs().map(({ id, durable }) => ({
      log: id,
      durable: { log: id, lsn: durable.lsn, digest: durable.digest },
      segments: wal.segments(id),
    }));
    const plan = planRetention({
      logs,
      checkpoint: unheard && early ? undefined : checkpoint,
      acked,
      uncounted,
      serving: serving(),
      keepBytes,
      capBytes,
    });
    this.#note(new Set(unheard && early ? [] : plan.needSnapshot));
    return { ...(await wal.retain(plan.floor)), ...plan };
  }

  #note(needSnapshot: ReadonlySet<RegionId>): void {
    for (const region of needSnapshot) {
      if (this.needSnapshot.has(region)) continue;
      const message = "A member lags beyond what is kept for it: it needs a snapshot";
      this.#options.logger.warn({ peer: region }, message);
    }
    this.needSnapshot = needSnapshot;
  }
}
