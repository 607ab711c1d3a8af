import type { LogId } from "@tidemark/core";
import type { Log, Vector, Wal } from "@tidemark/wal";
import type { Applier } from "./applier.ts";
import { equalBytes } from "./equal-bytes.ts";
import type { Receiver } from "./receiver.ts";
import type { ReplicationState } from "./replication-state.ts";
import type { WriteGate } from "./write-gate.ts";

/** What has to stand still. */
export interface StandstillOptions {
  readonly wal: Wal;
  readonly gate: WriteGate;
  readonly receiver: Receiver;
  readonly applier: Applier;
  readonly state: ReplicationState;
  /** Everything stands still, at this vector. */
  readonly still: (vector: Vector) => void;
  /** Ends what else touches files of logs. */
  readonly hold: () => Promise<void>;
  /** Follows a log from where the state is. */
  readonly follow: (log: Log) => Promise<void>;
  /** All goes on: what was learned before is to be learned again. */
  readonly resumed: () => void;
}

/** Holds still what changes the state, so that all of it can be replaced; then replays what is stored above. */
export class Standstill {
  readonly #options: StandstillOptions;
  #last: Promise<unknown> = Promise.resolve();

  constructor(options: StandstillOptions) {
    this.#options = options;
  }

  /** Runs `replace` while nothing is written, stored or applied, one at a time; whatever it does, all goes on after it. */
  during<Value>(replace: () => Promise<Value>): Promise<Value> {
    const done = this.#last.then(() => this.#during(replace));
    this.#last = done.catch(() => undefined);
    return done;
  }

  /** Resolves once nothing stands still. */
  async close(): Promise<void> {
    await this.#last;
  }

  async #during<Value>(replace: () => Promise<Value>): Promise<Value> {
    const { gate, receiver, applier, resumed } = this.#options;
    await gate.close();
    await this.#options.hold();
    await receiver.pause();
    applier.detach();
    this.#options.still(this.#options.state.vector());
    try {
      return await replace();
    } finally {
      try {
        await this.#replay();
      } finally {
        receiver.resume();
        gate.open();
        resumed();
      }
    }
  }

  /** Follows every log again from where the state is; one whose stored history is another one than the state's stays out. */
  async #replay(): Promise<void> {
    const { wal, applier, receiver, follow } = this.#options;
    for (const log of wal.logs()) {
      if (await this.#continues(log.id)) await follow(log);
      else applier.stop(log.id, this.#options.state.lsnOf(log.id), new Error("Another history is stored"));
      receiver.renew(log.id);
    }
  }

  async #continues(id: LogId): Promise<boolean> {
    const { wal, state, receiver } = this.#options;
    const [log, entry] = [wal.log(id), state.vector().get(id)];
    if (log === undefined || entry === undefined || entry.lsn < log.first || entry.lsn > log.durable.lsn)
      return true;
    const held = entry.lsn === log.durable.lsn ? log.durable.digest : await log.digestAt(entry.lsn);
    if (held !== undefined && equalBytes(held.subarray(0, entry.digest.length), entry.digest)) return true;
    const evidence = { log: id, lsn: entry.lsn, held, offered: entry.digest, batch: undefined };
    receiver.reportFork(id, evidence);
    return false;
  }
}
