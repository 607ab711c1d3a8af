import type { HlcClock, RegionId } from "@tidemark/core";
import type { DigestObjectEntry, Replicated, WalBatch } from "@tidemark/replication";
import { FOLD_VERSION } from "@tidemark/session";
import { readSignalRecord, RECORD_SIGNAL } from "@tidemark/signals";
import type { SignalLedger } from "@tidemark/signals";

/** What a {@link LedgerState} joins. */
export interface LedgerStateOptions {
  readonly ledger: SignalLedger;
  readonly clock: HlcClock;
  readonly self: RegionId;
}

/**
 * The ledger as the replicated state of the channel `signals`. What is signalled in a session is a record of the channel
 * `sessions`, and reaches the ledger through the fold of sessions: checkpoint and snapshot hold both at one vector.
 */
export class LedgerState implements Replicated {
  readonly channel = "signals";
  /** One state with that of the sessions, whose version it goes by. */
  readonly foldVersion: number = FOLD_VERSION;
  readonly #ledger: SignalLedger;
  readonly #clock: HlcClock;
  readonly #self: RegionId;

  constructor({ ledger, clock, self }: LedgerStateOptions) {
    this.#ledger = ledger;
    this.#clock = clock;
    this.#self = self;
  }

  apply(batch: WalBatch): void {
    let last: Uint8Array | undefined;
    for (const { type, body } of batch.records()) {
      if (type === RECORD_SIGNAL && this.#ledger.apply(body) !== "malformed") last = body;
    }
    // One stamp a batch is enough: they grow along a log, and a clock is only pulled within its bound.
    if (last === undefined || batch.log.region === this.#self) return;
    const { stamp } = readSignalRecord(last);
    this.#clock.receive(stamp);
    this.#clock.observeSkew(batch.log.region, stamp.wallMs);
  }

  /** Nothing here waits for stability. */
  stable(): void {}

  snapshot(): Uint8Array {
    return this.#ledger.snapshot();
  }

  restore(bytes: Uint8Array): void {
    this.#ledger.restore(bytes);
  }

  digest(): Uint8Array {
    return this.#ledger.digest();
  }

  slotDigest(slot: number): Uint8Array {
    return this.#ledger.slotDigest(slot);
  }

  objects(slot: number): readonly DigestObjectEntry[] {
    return this.#ledger.objects(slot);
  }

  reset(): void {
    this.#ledger.reset();
  }
}
