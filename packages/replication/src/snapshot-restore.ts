import type { Channel, RegionId } from "@tidemark/core";
import { CoreError } from "@tidemark/core";
import type { Checkpoint, Timers, Vector, Wal } from "@tidemark/wal";
import { Backoff } from "./backoff.ts";
import { ReplicationError } from "./errors.ts";
import type { ReplicationLimits } from "./limits.ts";
import type { Link } from "./link.ts";
import type { ReplicationLogger } from "./logger.ts";
import type { Peer, PeerTable } from "./peer-table.ts";
import type { Replicated } from "./replicated.ts";
import type { Reply } from "./reply.ts";
import type { ReplicationState } from "./replication-state.ts";
import { decodeSnapshotBody, restoreSnapshotBody, whyNotRestorable } from "./snapshot-body.ts";
import {
  beginInstall,
  endInstall,
  openSnapshot,
  placeLogs,
  type CheckpointPlace,
} from "./snapshot-install.ts";
import { SnapshotStore } from "./snapshot-store.ts";
import { encodeSnapshotToken } from "./snapshot-token.ts";
import { SnapshotTransfer } from "./snapshot-transfer.ts";
import type { Standstill } from "./standstill.ts";

/** What a {@link SnapshotRestore} works with. */
export interface SnapshotRestoreOptions {
  /** Where it is kept; without it no snapshot can be taken. */
  readonly place: CheckpointPlace | undefined;
  readonly wal: Wal;
  readonly timers: Timers;
  readonly limits: ReplicationLimits;
  readonly logger: ReplicationLogger;
  readonly link: Link;
  readonly peers: PeerTable;
  readonly channels: ReadonlyMap<Channel, Replicated>;
  readonly state: ReplicationState;
  readonly standstill: Standstill;
}

/** How far a restore is. */
export type RestoreStage = "idle" | "receiving" | "replacing";

/** Questions without an answer, or damaged snapshots, in a row of one member before another is asked. */
const ATTEMPTS_MAX = 3;

/**
 * Takes the state of a member in place of what was derived here: received in pieces, verified whole, then put in place
 * with everything held still. What this region has stored above it is replayed on top; nothing is merged.
 */
export class SnapshotRestore {
  /** Snapshots put in place. */
  restored: number = 0;
  stage: RestoreStage = "idle";
  readonly #options: SnapshotRestoreOptions;
  readonly #store: SnapshotStore | undefined;
  #running: Promise<Vector> | undefined;

  constructor(options: SnapshotRestoreOptions) {
    this.#options = options;
    const { place } = options;
    this.#store = place === undefined ? undefined : new SnapshotStore(place.fs, place.dir);
  }

  /** Whether this region has a place for one. */
  get possible(): boolean {
    return this.#options.place !== undefined;
  }

  /**
   * Takes a snapshot of a member: of the one named, or of whichever gives one. Calls meanwhile share it.
   *
   * @returns what the snapshot covered.
   * @throws {@link ReplicationError} `SNAPSHOT_UNAVAILABLE` (retryable): nobody gave one that can be used here.
   */
  restore(peer?: RegionId): Promise<Vector> {
    this.#running ??= this.#restore(peer).finally(() => {
      this.stage = "idle";
      this.#running = undefined;
    });
    return this.#running;
  }

  /** Resolves once nothing is under way; the link has to be closed before. */
  async close(): Promise<void> {
    await this.#running?.catch(() => undefined);
    await this.#store?.close();
  }

  async #restore(only: RegionId | undefined): Promise<Vector> {
    const { peers, logger } = this.#options;
    this.stage = "receiving";
    // Whoever has given a part of one goes on; then those heard of most recently.
    const begun = (await this.#store?.open())?.region;
    const rank = ({ region, heardAtMs = -1 }: Peer): number =>
      region === begun ? Number.POSITIVE_INFINITY : (heardAtMs ?? -1);
    const candidates = [...peers.all()]
      .filter(({ region }) => only === undefined || region === only)
      .toSorted((a, b) => rank(b) - rank(a));
    let cause: unknown;
    for (const peer of candidates) {
      try {
        const snapshot = await this.#receive(peer);
        this.stage = "replacing";
        await this.#options.standstill.during(() => this.#replace(snapshot));
        this.restored += 1;
        await this.#store?.discard();
        logger.info({ peer: peer.region }, "The state of a member replaced what was derived here");
        return snapshot.vector;
      } catch (error) {
        if (this.#options.link.signal.aborted) throw error;
        cause = error;
        this.stage = "receiving";
        logger.warn({ peer: peer.region, err: error }, "Cannot take a snapshot of a member");
      }
    }
    throw unavailable("no member gave one that can be used here", cause);
  }

  /** A whole snapshot that can be restored here. */
  async #receive(peer: Peer): Promise<Checkpoint> {
    const { limits, place, channels } = this.#options;
    const store = this.#store;
    if (store === undefined || place === undefined) throw unavailable("there is no place to keep it");
    const transfer = new SnapshotTransfer({ bytesMax: limits.snapshotBytesMax, partial: await store.open() });
    for (let attempt = 1; ; attempt++) {
      for (let idle = 0; !transfer.complete;) {
        const reply = await this.#ask(peer.region, encodeSnapshotToken(transfer.token));
        if (reply.kind !== "snapshot") throw unavailable(`region ${peer.region} gives none`);
        const effect = transfer.receive(reply.part);
        if (effect.kind === "too-large") throw unavailable(`it has ${effect.totalBytes} bytes`);
        idle = effect.kind === "ignore" ? idle + 1 : 0;
        if (idle >= ATTEMPTS_MAX) throw unavailable(`region ${peer.region} repeats itself`);
        if (effect.kind === "begin") await store.begin(peer.region, effect.part);
        if (effect.kind === "append") await store.append(effect.part);
      }
      try {
        const snapshot = openSnapshot(await store.read(), place.hasher);
        const why = whyNotRestorable(channels, decodeSnapshotBody(snapshot.body));
        if (why !== undefined) throw unavailable(why);
        return snapshot;
      } catch (error) {
        // Whatever it was, it is of no further use: what is asked for next is another one.
        transfer.discard();
        await store.discard();
        if (!(error instanceof CoreError) || attempt >= ATTEMPTS_MAX) throw error;
      }
    }
  }

  /** Asks again what a link has lost: another member would begin with another snapshot. */
  async #ask(region: RegionId, token: Uint8Array): Promise<Reply> {
    const { link, timers, limits } = this.#options;
    const backoff = new Backoff(timers, limits.retryMs);
    for (let attempt = 1; ; attempt++) {
      try {
        return await link.ask(region, { kind: "snapshot", token });
      } catch (error) {
        if (attempt >= ATTEMPTS_MAX || link.signal.aborted) throw error;
        await backoff.pause(link.signal);
      }
    }
  }

  /** Nothing is written, stored or applied meanwhile. */
  async #replace(snapshot: Checkpoint): Promise<void> {
    const { channels, wal, state, timers, limits, link, logger } = this.#options;
    const place = this.#options.place as CheckpointPlace;
    const undo = restoreSnapshotBody(channels, snapshot.body);
    try {
      await beginInstall(place, snapshot);
    } catch (error) {
      undo();
      throw error;
    }
    // From here on there is no way back, and a crash is made good at the next start.
    state.reset(snapshot.vector);
    const backoff = new Backoff(timers, limits.retryMs);
    for (;;) {
      try {
        await placeLogs(wal, snapshot);
        await endInstall(place);
        return;
      } catch (error) {
        link.signal.throwIfAborted();
        logger.error({ err: error }, "Cannot put the logs behind a snapshot: trying again");
        await backoff.pause(link.signal);
      }
    }
  }
}

function unavailable(why: string, cause?: unknown): ReplicationError {
  return new ReplicationError("SNAPSHOT_UNAVAILABLE", `Cannot take a snapshot: ${why}`, {
    retryable: true,
    ...(cause === undefined ? {} : { cause }),
  });
}
