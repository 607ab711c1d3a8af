import {
  formatLogId,
  shardId,
  type Channel,
  type Hasher,
  type LogId,
  type RegionId,
  type ShardId,
} from "@tidemark/core";
import type { Checkpoint, RetentionResult, Timers, Vector } from "@tidemark/wal";
import type { AckSchedule } from "./ack-schedule.ts";
import type { Agreement } from "./agreement.ts";
import type { Applier } from "./applier.ts";
import type { Certificate } from "./certificate.ts";
import type { ClusterView } from "./cluster-view.ts";
import type { Comparison, Convergence } from "./convergence.ts";
import type { Coverage, CoverageNeed, CoveragePosition } from "./coverage.ts";
import { ReplicationError } from "./errors.ts";
import type { Exchange } from "./exchange.ts";
import type { Fence } from "./fence.ts";
import type { FenceState } from "./fenced-return.ts";
import type { FrameKeys } from "./frame.ts";
import type { Frontier } from "./frontier.ts";
import type { PeerState, ReplicationHealth, ReplicationMetrics } from "./health.ts";
import type { Link } from "./link.ts";
import type { LogMender } from "./log-mender.ts";
import type { MembershipInForce } from "./membership-in-force.ts";
import { formatMembership, type Membership } from "./membership.ts";
import type { Appended, OwnEncoder, OwnLogs } from "./own-logs.ts";
import type { Peer, PeerTable } from "./peer-table.ts";
import type { PoisonBox } from "./poison.ts";
import type { Receiver } from "./receiver.ts";
import type { Repair } from "./repair.ts";
import type { Replicated } from "./replicated.ts";
import type { ReadyOptions, Replication } from "./replication.ts";
import type { ReplicationState } from "./replication-state.ts";
import type { RetainOptions, Retention } from "./retention.ts";
import type { RetentionPlan } from "./retention-policy.ts";
import type { SnapshotProvider } from "./snapshot-provider.ts";
import type { Stability } from "./stability.ts";
import type { StateTransfer } from "./state-transfer.ts";
import type { WaitOptions, WaitSet } from "./wait-set.ts";
import type { WalShipper } from "./wal-shipper.ts";

/** The machines and drivers of one region, wired. */
export interface RegionReplicationParts {
  readonly role: "member" | "follower";
  /** A new directory that is not the first of its cluster. */
  readonly freshDirectory: boolean;
  readonly self: RegionId;
  readonly hasher: Hasher;
  readonly membership: MembershipInForce;
  readonly fence: Fence;
  readonly agreement: Agreement;
  readonly timers: Timers;
  readonly channels: ReadonlyMap<Channel, Replicated>;
  readonly state: ReplicationState;
  readonly stability: Stability;
  readonly peers: PeerTable;
  readonly link: Link;
  readonly waits: WaitSet;
  readonly coverage: Coverage;
  readonly ownLogs: OwnLogs;
  readonly receiver: Receiver;
  readonly repair: Repair;
  readonly exchange: Exchange;
  readonly acks: AckSchedule;
  readonly applier: Applier;
  readonly shippers: ReadonlyMap<string, WalShipper>;
  readonly poison: PoisonBox;
  readonly view: ClusterView;
  readonly convergence: Convergence;
  readonly counts: { readonly recordsApplied: number; readonly acksSent: number; readonly acksHeard: number };
  readonly stopStatus: () => void;
  readonly transfer: StateTransfer;
  readonly provider: SnapshotProvider;
  readonly snapshot: () => Promise<Checkpoint>;
  readonly mender: LogMender;
  readonly retention: Retention;
}

const LEAVE_TIMEOUT_MS = 10_000;

/** {@link Replication} over the machines that do the work. */
export class RegionReplication implements Replication {
  readonly #parts: RegionReplicationParts;
  #joining: boolean;
  #closing: Promise<void> | undefined;

  constructor(parts: RegionReplicationParts) {
    this.#parts = parts;
    this.#joining = parts.freshDirectory && parts.peers.size > 0;
  }

  append(
    channel: Channel,
    type: number,
    encode: OwnEncoder,
    options: { readonly signal?: AbortSignal; readonly shard?: ShardId } = {},
  ): Promise<Appended> {
    const { signal, shard = shardId(0) } = options;
    try {
      signal?.throwIfAborted();
      this.#requireWritable();
      return this.#parts.ownLogs.append(
        channel,
        type,
        encode,
        signal === undefined ? { shard } : { shard, signal },
      );
    } catch (error) {
      return Promise.reject(error);
    }
  }

  #requireWritable(): void {
    if (this.#closing !== undefined) throw closed();
    if (this.#parts.role === "follower") {
      throw new ReplicationError("READ_ONLY", "Cannot write here: the role of this region is follower");
    }
    if (this.joining) {
      throw new ReplicationError(
        "NOT_READY",
        "Cannot write yet: this region has not reached the head of a member",
        {
          retryable: true,
        },
      );
    }
    this.#parts.fence.requireOpen();
  }

  ownLogs(channel: Channel): LogId[] {
    return this.#parts.ownLogs
      .open()
      .map(({ id }) => id)
      .filter((id) => id.channel === channel);
  }

  vector(): Vector {
    return this.#parts.state.vector();
  }

  frontier(): Frontier {
    return this.#parts.stability.frontier;
  }

  peers(): readonly PeerState[] {
    return this.#parts.view.peers();
  }

  reached(position: CoveragePosition): number {
    return this.#parts.coverage.reached(position);
  }

  async covered(need: CoverageNeed, options: WaitOptions): Promise<"covered" | readonly CoveragePosition[]> {
    const { coverage } = this.#parts;
    options.signal?.throwIfAborted();
    coverage.requirePossible(need);
    await this.#until(() => coverage.missing(need).length === 0 || coverage.lost(need).length > 0, options);
    const [lost] = coverage.lost(need);
    if (lost !== undefined) {
      throw new ReplicationError(
        "POSITION_LOST",
        `Cannot wait for LSN ${lost.lsn} of epoch ${lost.epoch} of region ${lost.region}: that epoch is over, and no member has it`,
      );
    }
    const missing = coverage.missing(need);
    return missing.length === 0 ? "covered" : missing;
  }

  async acknowledged(
    log: LogId,
    lsn: number,
    level: { readonly remote: number } | "all",
    options: WaitOptions,
  ): Promise<boolean> {
    const { stability, peers } = this.#parts;
    if (level === "all") return this.#until(() => stability.frontier.covers(log, lsn), options);
    // More members than there are will never ack: waiting would only hide it.
    if (level.remote > peers.size) return false;
    return this.#until(() => stability.ackedBy(log, lsn) >= level.remote, options);
  }

  acknowledgedLsn(region: RegionId, log: LogId): number {
    return this.#parts.peers.get(region)?.reported.lsnOf(log) ?? 0;
  }

  shippedLsn(log: LogId): number | undefined {
    return this.#parts.shippers.get(formatLogId(log))?.window.shipped;
  }

  async relay(
    peer: RegionId,
    records: readonly Uint8Array[],
    options: { readonly timeoutMs: number; readonly signal?: AbortSignal },
  ): Promise<void> {
    if (this.#closing !== undefined) throw closed();
    const reply = await this.#parts.link.ask(peer, { kind: "relay", records }, options);
    if (reply.kind !== "relay") {
      throw new ReplicationError("REQUEST_REFUSED", `Region ${peer} does not write what is handed over`);
    }
  }

  get membership(): Membership {
    return this.#parts.membership.list;
  }

  get fence(): FenceState {
    return this.#parts.fence.state;
  }

  async leave({ timeoutMs }: { readonly timeoutMs: number }): Promise<boolean> {
    const { agreement, timers, waits } = this.#parts;
    const deadline = timers.now() + timeoutMs;
    if (!(await waits.until(() => agreement.drained(), { timeoutMs }))) return false;
    return agreement.leave(Math.max(0, deadline - timers.now()));
  }

  requireServing(): void {
    this.#parts.fence.requireOpen();
  }

  async setMembership(list: Membership): Promise<void> {
    if (this.#closing !== undefined) throw closed();
    const { membership, self } = this.#parts;
    // Nobody who counts would hear of it.
    const stays = [membership.list, list].every(({ regions }) => [...regions.values()].includes(self));
    if (!stays) {
      throw new ReplicationError(
        "MEMBERSHIP_REFUSED",
        `Cannot take the list of members ${formatMembership(list)}: this region is no member that stays; give it to one that is`,
      );
    }
    await membership.take(list);
  }

  certificate(): Certificate {
    return this.#parts.convergence.certificate();
  }

  requestCertificate(peer: RegionId, options: { readonly timeoutMs?: number } = {}): Promise<Comparison> {
    return this.#parts.convergence.compare(peer, options);
  }

  retain(options: RetainOptions): Promise<RetentionResult & RetentionPlan> {
    return this.#parts.retention.retain(options);
  }

  rebuild(): Promise<void> {
    return this.#parts.convergence.rebuild();
  }

  get joining(): boolean {
    if (this.#joining && this.#headsReached("any")) this.#joining = false;
    return this.#joining || this.#parts.transfer.unready;
  }

  snapshot(): Promise<Checkpoint> {
    return this.#parts.snapshot();
  }

  async restoreFromPeer(peer?: RegionId): Promise<Vector> {
    if (this.#closing !== undefined) throw closed();
    return this.#parts.transfer.restore(peer);
  }

  async ready(options: ReadyOptions): Promise<void> {
    const of = options.of ?? "every";
    const { fence } = this.#parts;
    const removed = (): boolean => fence.state.stage === "removed";
    await this.#until(() => removed() || (!fence.closed && this.#headsReached(of)), options);
    fence.requireOpen();
    if (this.#headsReached(of)) return;
    const waiting = [...this.#parts.peers.all()]
      .filter((peer) => !this.#reached(peer))
      .map(({ name }) => name);
    throw new ReplicationError(
      "NOT_READY",
      `The heads of these members were not reached in time: ${waiting.join(", ")}`,
      {
        retryable: true,
      },
    );
  }

  synced(options: WaitOptions): Promise<boolean> {
    const { state, stability, peers } = this.#parts;
    return this.#until(
      () =>
        [...peers.all()].every(({ reported }) => state.covers(reported)) &&
        state
          .vector()
          .entries()
          .every(({ log, lsn }) => stability.frontier.covers(log, lsn)),
      options,
    );
  }

  rotateKeys(keys: FrameKeys): void {
    this.#parts.link.codec.setKeys(keys);
  }

  health(): ReplicationHealth {
    return this.#parts.view.health({ joining: this.joining, closed: this.#closing !== undefined });
  }

  metrics(): ReplicationMetrics {
    const { counts, receiver, repair, shippers, poison, link, waits } = this.#parts;
    let [framesPublished, publishFailures, receiveAheadBytes] = [0, 0, 0];
    for (const { frames, failures } of shippers.values()) {
      framesPublished += frames;
      publishFailures += failures;
    }
    for (const { machine } of receiver.all()) receiveAheadBytes += machine.aheadBytes;
    return {
      ...counts,
      framesPublished,
      publishFailures,
      batchesStored: receiver.counts.stored,
      duplicatesHeld: receiver.counts.held,
      batchesAhead: receiver.counts.ahead,
      batchesDropped: receiver.counts.dropped,
      rangesAsked: repair.requests,
      poisonFrames: poison.report().total,
      unsignedFramesAccepted: link.codec.unsignedAccepted,
      waiting: waits.size,
      snapshotsTaken: this.#parts.provider.taken,
      snapshotsRestored: this.#parts.transfer.snapshots.restored,
      statesRebuilt: this.#parts.convergence.rebuilt,
      logsRepaired: this.#parts.mender.repaired,
      receiveAheadBytes,
    };
  }

  close(options: { readonly leave?: boolean; readonly timeoutMs?: number } = {}): Promise<void> {
    this.#closing ??= this.#close(options);
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close({
    leave = false,
    timeoutMs = LEAVE_TIMEOUT_MS,
  }: {
    leave?: boolean;
    timeoutMs?: number;
  }): Promise<void> {
    const { acks, stopStatus, repair, shippers, receiver, link, exchange, applier, waits, agreement } =
      this.#parts;
    if (leave) await this.leave({ timeoutMs });
    waits.fail(closed());
    await acks.close();
    stopStatus();
    const shipping = [...shippers.values()].map((shipper) => shipper.close());
    const repairing = repair.close();
    await link.close();
    await Promise.all([...shipping, repairing, exchange.close(), agreement.close()]);
    await this.#parts.convergence.close();
    await this.#parts.mender.close();
    await this.#parts.transfer.close();
    this.#parts.provider.close();
    await Promise.all([receiver.close(), this.#parts.fence.close()]);
    applier.close();
  }

  #until(met: () => boolean, options: WaitOptions): Promise<boolean> {
    if (this.#closing !== undefined) return Promise.reject(closed());
    return this.#parts.waits.until(met, options);
  }

  #headsReached(of: "every" | "any"): boolean {
    const peers = [...this.#parts.peers.all()];
    if (peers.length === 0) return true;
    return of === "every"
      ? peers.every((peer) => this.#reached(peer))
      : peers.some((peer) => this.#reached(peer));
  }

  #reached(peer: Peer): boolean {
    return peer.head !== undefined && this.#parts.state.covers(peer.head);
  }
}

function closed(): ReplicationError {
  return new ReplicationError("REPLICATION_CLOSED", "Replication was closed");
}
