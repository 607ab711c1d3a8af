import type { HlcClock, LogId, ShardId } from "@tidemark/core";
import { ReplicationError } from "@tidemark/replication";
import type { Replication } from "@tidemark/replication";
import { checkOperationId, checkSignal, RECORD_SIGNAL, writeSignalRecord } from "@tidemark/signals";
import type { SignalContent, SignalEffects, SignalLedger } from "@tidemark/signals";
import { toHex } from "./hex.ts";

/** What a {@link SignalWriter} works with. */
export interface SignalWriterOptions {
  readonly ledger: SignalLedger;
  readonly effects: SignalEffects;
  readonly clock: HlcClock;
  readonly replication: Pick<Replication, "append">;
  /** The shard whose log carries what is said of an entity. */
  readonly shardOf: (entity: string) => ShardId;
}

/** A place in a log. */
interface Place {
  readonly log: LogId;
  readonly lsn: number;
}

/** What became of a signal. */
export type Recorded =
  | { readonly outcome: "applied"; readonly effectId?: string; readonly written: Place }
  /** The operation was counted before; where it was written is not kept. */
  | { readonly outcome: "duplicate"; readonly effectId: string; readonly written?: Place }
  | { readonly outcome: "refused"; readonly code: "OPERATION_CONFLICT"; readonly message: string };

/** How often a write is judged again because its log ended while it waited. */
const ATTEMPTS_MAX = 4;
const TAG_DIGITS = 16;

/** Writes signals that belong to no session into this region's log: judged, stamped, durable, folded. */
export class SignalWriter {
  readonly #options: SignalWriterOptions;
  /** Writes under way that name an operation, by its tag. */
  readonly #queued: Map<string, { readonly effectId: string; readonly done: Promise<Place> }> = new Map();

  constructor(options: SignalWriterOptions) {
    this.#options = options;
  }

  /**
   * Judges a signal and appends it. Resolves once it is durable and folded.
   *
   * @throws SignalError `SIGNAL_UNKNOWN`, `SIGNAL_INVALID`; CoreError `INVALID_WEIGHT`, `HLC_DRIFT_EXCEEDED`; errors of
   * the log; the signal's reason.
   */
  async record(content: SignalContent, operationId?: string, signal?: AbortSignal): Promise<Recorded> {
    const { ledger, effects, clock } = this.#options;
    signal?.throwIfAborted();
    checkSignal(content);
    ledger.schema?.require(content.signal);
    clock.checkIngest(content.eventTimeMs, "an event time");
    if (operationId === undefined)
      return { outcome: "applied", written: await orAborted(this.#append(content, undefined), signal) };
    checkOperationId(operationId);
    const id = effects.idOf(operationId, content);
    const effectId = toHex(id);
    const tag = effectId.slice(0, TAG_DIGITS);
    for (let attempt = 1; ; attempt++) {
      const known = ledger.known(id);
      if (known === "known") return { outcome: "duplicate", effectId };
      const queued = this.#queued.get(tag);
      if (known === "conflict" || (queued !== undefined && queued.effectId !== effectId)) return CONFLICT;
      if (queued === undefined) break;
      try {
        return { outcome: "duplicate", effectId, written: await orAborted(queued.done, signal) };
      } catch (error) {
        signal?.throwIfAborted();
        // The one it waited for was not written: this one is judged by itself.
        if (attempt >= ATTEMPTS_MAX) throw error;
      }
    }
    const done = this.#append(content, id).finally(() => this.#queued.delete(tag));
    this.#queued.set(tag, { effectId, done });
    return { outcome: "applied", effectId, written: await orAborted(done, signal) };
  }

  /** Never aborted: what names an operation is judged by it until it is certain what became of it. */
  async #append(content: SignalContent, effectId: Uint8Array | undefined): Promise<Place> {
    const { clock, replication, shardOf } = this.#options;
    const shard = shardOf(content.entity);
    for (let attempt = 1; ; attempt++) {
      try {
        return await replication.append(
          "signals",
          RECORD_SIGNAL,
          (writer) => {
            const stamp = clock.tick();
            const record = effectId === undefined ? { ...content, stamp } : { ...content, stamp, effectId };
            writeSignalRecord(writer, record, clock.driftMsMax);
          },
          { shard },
        );
      } catch (error) {
        if (attempt >= ATTEMPTS_MAX || !isRolled(error)) throw error;
      }
    }
  }
}

const CONFLICT: Recorded = {
  outcome: "refused",
  code: "OPERATION_CONFLICT",
  message: "Cannot use one operationId for two different requests",
};

/** Ends the waiting for a promise, not what it stands for. */
function orAborted<Value>(promise: Promise<Value>, signal: AbortSignal | undefined): Promise<Value> {
  if (signal === undefined) return promise;
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(signal.reason as Error);
    signal.addEventListener("abort", abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
}

function isRolled(error: unknown): boolean {
  return error instanceof ReplicationError && error.code === "EPOCH_ROLLED";
}
