import { formatLogId, type LogId, type RegionId } from "@tidemark/core";
import type { Transport } from "@tidemark/transport";
import type { Log, Timers, Wal } from "@tidemark/wal";
import type { Applier } from "./applier.ts";
import type { Convergence } from "./convergence.ts";
import type { DivergenceReport } from "./divergence.ts";
import type { Exchange } from "./exchange.ts";
import type { Fence } from "./fence.ts";
import type { FrameCodec } from "./frame.ts";
import type { LogHealth, PeerState, ReplicationHealth } from "./health.ts";
import type { LagClock } from "./lag-clock.ts";
import type { ReplicationLimits } from "./limits.ts";
import { formatMembership } from "./membership.ts";
import type { MembershipInForce } from "./membership-in-force.ts";
import type { OwnLogs } from "./own-logs.ts";
import type { Peer, PeerTable } from "./peer-table.ts";
import type { PoisonBox } from "./poison.ts";
import type { Receiver, Receiving } from "./receiver.ts";
import type { Repair } from "./repair.ts";
import type { ReplicationState } from "./replication-state.ts";
import type { Stability } from "./stability.ts";
import type { LogMender } from "./log-mender.ts";
import type { Retention } from "./retention.ts";
import type { StateTransfer } from "./state-transfer.ts";
import type { WalShipper } from "./wal-shipper.ts";

/** What the view is drawn from. */
export interface ClusterViewOptions {
  readonly wal: Wal;
  readonly transport: Transport;
  readonly timers: Timers;
  readonly limits: ReplicationLimits;
  readonly membership: MembershipInForce;
  readonly fence: Fence;
  readonly codec: FrameCodec;
  readonly poison: PoisonBox;
  readonly state: ReplicationState;
  readonly stability: Stability;
  readonly peers: PeerTable;
  readonly exchange: Exchange;
  readonly applier: Applier;
  readonly ownLogs: OwnLogs;
  readonly receiver: Receiver;
  readonly repair: Repair;
  readonly lag: LagClock;
  readonly shippers: ReadonlyMap<string, WalShipper>;
  readonly convergence: Convergence;
  readonly transfer: StateTransfer;
  readonly mender: LogMender;
  readonly retention: Retention;
}

/** Draws health from what the machines know; it changes nothing. */
export class ClusterView {
  readonly #options: ClusterViewOptions;

  constructor(options: ClusterViewOptions) {
    this.#options = options;
  }

  peers(): PeerState[] {
    const { timers, limits, peers, stability } = this.#options;
    const now = timers.now();
    const blockers = new Map(stability.blockers().map(({ region, sinceMs }) => [region, sinceMs]));
    return [...peers.all()].map((peer) => {
      const silent = peer.heardAtMs !== undefined && now - peer.heardAtMs > limits.peerSilentMs;
      return {
        region: peer.region,
        name: peer.name,
        state: peer.heardAtMs === undefined ? "unheard" : silent ? "silent" : "live",
        heardAtMs: peer.heardAtMs,
        sameMembers: peer.agrees,
        sameSchema: peer.sameSchema,
        theirMembers: peer.theirs === undefined ? undefined : formatMembership(peer.theirs),
        foldVersion: peer.ack?.foldVersion ?? 0,
        ...this.#lagOf(peer, now),
        needsSnapshot: this.#options.retention.needSnapshot.has(peer.region),
        blocksStabilitySinceMs: blockers.get(peer.region),
      };
    });
  }

  health(state: { readonly joining: boolean; readonly closed: boolean }): ReplicationHealth {
    const { transport, codec, membership, fence, poison, receiver, convergence } = this.#options;
    const peers = this.peers();
    const logs = this.#logs();
    const report = poison.report();
    const { stage } = this.#options.transfer.snapshots;
    const mending = this.#options.mender.current;
    const reasons = [
      ...(fence.closed ? [`FENCED: ${fence.reason()}`] : []),
      ...(transport.status.state === "ready"
        ? []
        : [`The medium is ${transport.status.state}: ${transport.status.reason ?? "no reason given"}`]),
      ...peers.flatMap((peer) => this.#complaints(peer)),
      ...logs.flatMap((log) =>
        log.state === "stopped" ? [`Log ${formatLogId(log.log)} is stopped: ${log.reason}`] : [],
      ),
      ...(stage === "idle"
        ? []
        : [`A snapshot of a member is being ${stage === "receiving" ? "received" : "put in place"}`]),
      ...report.unknownVersion.map(
        (subject) => `Frames of ${subject} are of a version this one does not know: upgrade this region`,
      ),
      ...(mending === undefined ? [] : [`Log ${mending} is being repaired with batches of members`]),
      ...peers.flatMap(({ name, needsSnapshot }) =>
        needsSnapshot ? [`${name} needs a snapshot: what it lacks is not kept any more`] : [],
      ),
      ...report.quarantined.map((subject) => `Frames of ${subject} keep failing`),
      ...[...convergence.diverged].map(([region, report]) => divergedReason(region, report)),
    ];
    const forks = [...receiver.all()].flatMap(({ fork }) => (fork === undefined ? [] : [fork]));
    return {
      state: state.closed
        ? "closed"
        : fence.closed
          ? fence.state.stage === "removed"
            ? "removed"
            : "fenced"
          : state.joining
            ? "joining"
            : reasons.length === 0
              ? "ready"
              : "degraded",
      reasons,
      transport: transport.status,
      authentication: codec.authentication,
      membershipVersion: membership.list.version,
      removed: [...(membership.list.removed ?? [])].map(([region, removed]) => ({ region, ...removed })),
      fence: fence.state.stage,
      peers,
      logs,
      forks,
      poison: report,
      diverged: [...convergence.diverged.keys()],
    };
  }

  #complaints(peer: PeerState): string[] {
    const membership = this.#options.membership.list;
    if (peer.sameMembers === false) {
      const theirs = peer.theirMembers ?? "unknown";
      return [`MEMBERSHIP_MISMATCH with ${peer.name}: here ${formatMembership(membership)}; there ${theirs}`];
    }
    const version = this.#options.peers.get(peer.region)?.ack?.membershipVersion;
    if (version === 0 && membership.version > 0) return [`${peer.name} is fenced: it does not serve yet`];
    if (version !== undefined && version !== membership.version) {
      const refused = this.#options.exchange.refusedList(peer.region, version);
      const why = refused === undefined ? "" : `: ${refused}`;
      return [
        `${peer.name} acks under version ${version} of the list of members, not ${membership.version}${why}`,
      ];
    }
    const schema =
      peer.sameSchema === false
        ? [`${peer.name} folds signals under another schema: its ledger is not compared with this one`]
        : [];
    return peer.state === "live" ? schema : [...schema, `${peer.name} is ${peer.state}`];
  }

  /** What a peer lacks of everything we hold. */
  #lagOf(peer: Peer, now: number): { readonly lagRecords: number; readonly lagSeconds: number } {
    const { state, lag } = this.#options;
    let records = 0;
    let oldestMs = now;
    for (const { log, lsn } of state.vector().entries()) {
      const acked = peer.reported.lsnOf(log);
      if (acked >= lsn) continue;
      records += lsn - acked;
      oldestMs = Math.min(oldestMs, lag.heardAfter(log, acked) ?? now);
    }
    return { lagRecords: records, lagSeconds: (now - oldestMs) / 1_000 };
  }

  #logs(): LogHealth[] {
    const { wal, receiver } = this.#options;
    const receiving = new Map([...receiver.all()].map((entry) => [formatLogId(entry.machine.id), entry]));
    const stored = new Map(wal.logs().map((log) => [formatLogId(log.id), log]));
    return [...new Set([...stored.keys(), ...receiving.keys()])].toSorted().map((key) => {
      const log = stored.get(key);
      const entry = receiving.get(key);
      return this.#logHealth(key, (log?.id ?? entry?.machine.id) as LogId, log, entry);
    });
  }

  #logHealth(key: string, id: LogId, log: Log | undefined, receiving: Receiving | undefined): LogHealth {
    const { state, stability, ownLogs, repair, applier, shippers } = this.#options;
    const durableLsn = log?.durable.lsn ?? 0;
    const gap = receiving?.machine.missing();
    const shipped = shippers.get(key)?.window.shipped;
    const reason = applier.stopped.has(key)
      ? "apply-failed"
      : (receiving?.machine.stopped ??
        (repair.trimmed.has(key) ? "trimmed" : log?.failed === undefined ? undefined : "failed"));
    return {
      log: id,
      state: reason !== undefined ? "stopped" : ownLogs.isOwn(id) ? "writing" : "receiving",
      ...(reason === undefined ? {} : { reason }),
      durableLsn,
      ...(shipped === undefined ? {} : { shippedLsn: shipped }),
      appliedLsn: state.lsnOf(id),
      stableLsn: stability.frontier.lsnOf(id),
      knownLsn: Math.max(durableLsn, receiving?.machine.knownLsn ?? 0),
      ...(gap === undefined ? {} : { gap }),
    };
  }
}

/** Kinds and counts, and no id: health is read by many. */
function divergedReason(region: RegionId, report: DivergenceReport | undefined): string {
  const kinds = [...(report?.countByKind ?? [])].map(([kind, count]) => `${count} of kind ${kind}`);
  const what =
    kinds.length === 0 ? "" : `: ${report?.truncated === true ? "at least " : ""}${kinds.join(", ")}`;
  return `DIVERGED: region ${region} has another state at the same vector${what}`;
}
