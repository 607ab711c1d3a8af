import type { RegionId } from "@tidemark/core";
import type { Wal } from "@tidemark/wal";
import { ReplicationError } from "./errors.ts";
import { stepFence, type FenceEvent, type FenceState, type Standing } from "./fenced-return.ts";
import type { ReplicationLogger } from "./logger.ts";
import type { Membership } from "./membership.ts";
import type { PeerTable } from "./peer-table.ts";
import type { ReplicationState } from "./replication-state.ts";

/** What a {@link Fence} works with. */
export interface FenceOptions {
  readonly self: RegionId;
  readonly wal: Wal;
  readonly peers: PeerTable;
  readonly state: ReplicationState;
  readonly logger: ReplicationLogger;
  /** The version of the list with which this directory came to the cluster. */
  readonly joinedSince: number;
  /** A new directory joins anyway: it derived nothing that could be wrong. */
  readonly joining: boolean;
  /** Replaces what this region derived by the state of a member; without it logs alone must lead there. */
  readonly restore?: () => Promise<void>;
  /** Notes for good that the region is back, as a member since this version. */
  readonly returned?: (since: number) => Promise<void>;
  /** The stage changed. */
  readonly changed: () => void;
}

/** Keeps a region that was removed, or away for too long, from serving until it is back. */
export class Fence {
  readonly #options: FenceOptions;
  #state: FenceState = { stage: "open" };
  #joinedSince: number;
  #since: number = 0;
  #working: Promise<void> | undefined;

  constructor(options: FenceOptions) {
    this.#options = options;
    this.#joinedSince = options.joinedSince;
  }

  get state(): FenceState {
    return this.#state;
  }

  get closed(): boolean {
    return this.#state.stage !== "open";
  }

  /** A list is in force. */
  listed(list: Membership): void {
    const { self, joining } = this.#options;
    this.#since = list.since?.get(self) ?? 0;
    const there = [...list.regions.values()].includes(self);
    const returning = this.#since > this.#joinedSince && !joining;
    const standing: Standing = !there ? "removed" : returning ? "returning" : "member";
    this.step({ kind: "listed", standing });
  }

  /** @throws {@link ReplicationError} `FENCED` unless the region may serve and write. */
  requireOpen(): void {
    if (this.closed)
      throw new ReplicationError("FENCED", `Cannot use this region: ${this.reason()}`, {
        retryable: this.#state.stage !== "removed",
      });
  }

  /** Why the region is fenced. */
  reason(): string {
    switch (this.#state.stage) {
      case "open":
        return "it is not fenced";
      case "shipping":
        return this.#state.next === "removed"
          ? "it was removed from the list of members, and its own records are not all at a member yet"
          : "it was away for too long, and its own records are not all at a member yet";
      case "restoring":
        return "it was away for too long, and has not got the state of a member yet";
      case "replaying":
        return "it was away for too long, and is replaying its own records";
      case "removed":
        return "it was removed from the list of members, which hold everything it wrote";
    }
  }

  step(event: FenceEvent): void {
    const before = this.#state;
    this.#state = stepFence(before, event);
    if (before === this.#state) return;
    const fields = { from: before.stage, to: this.#state.stage };
    if (this.closed) this.#options.logger.warn(fields, `This region is fenced: ${this.reason()}`);
    else this.#options.logger.info(fields, "This region is back: it serves again");
    // What members held before says nothing about what they hold now.
    if (this.#state.stage === "shipping") this.#options.peers.forgetHeads();
    this.#options.changed();
    this.check();
  }

  /** Something was heard or applied: the region may be further on its way. */
  check(): void {
    switch (this.#state.stage) {
      case "shipping":
        if (this.#shipped()) this.step({ kind: "shipped" });
        return;
      case "restoring":
        this.#restore();
        return;
      case "replaying":
        if (this.#replayed()) this.#work(() => this.#return());
        return;
      case "open":
      case "removed":
        return;
    }
  }

  /** Resolves once nothing is under way. */
  async close(): Promise<void> {
    await this.#working;
  }

  /** One member holds, and said so since the fence was closed, every record of every log of this region. */
  #shipped(): boolean {
    const { peers, wal, self } = this.#options;
    const own = wal.logs().filter(({ id }) => id.region === self);
    return [...peers.all()].some(
      ({ head, reported }) =>
        head !== undefined && own.every(({ id, durable }) => reported.lsnOf(id) >= durable.lsn),
    );
  }

  #restore(): void {
    const { restore, peers, state } = this.#options;
    if (restore !== undefined) {
      this.#work(async () => {
        await restore();
        this.step({ kind: "restored" });
      });
      return;
    }
    if ([...peers.all()].some(({ head }) => head !== undefined && state.covers(head)))
      this.step({ kind: "restored" });
  }

  #replayed(): boolean {
    const { wal, self, state } = this.#options;
    return wal.logs().every(({ id, durable }) => id.region !== self || state.lsnOf(id) >= durable.lsn);
  }

  async #return(): Promise<void> {
    const since = this.#since;
    await this.#options.returned?.(since);
    this.#joinedSince = Math.max(this.#joinedSince, since);
    this.step({ kind: "replayed" });
  }

  #work(run: () => Promise<void>): void {
    this.#working ??= run()
      .then(
        () => true,
        (error: unknown) => {
          this.#options.logger.error({ err: error }, "A fenced region got no further: it tries again");
          return false;
        },
      )
      .then((done) => {
        this.#working = undefined;
        // What failed is tried again when something was heard: not at once, and not while closing.
        if (done) this.check();
      });
  }
}
