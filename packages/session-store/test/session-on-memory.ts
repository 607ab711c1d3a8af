import { nobleHasher } from "@tidemark/core";
import { type Kv, type KvItem, type MemoryKv, openMemoryKv } from "@tidemark/kv";
import { sessionKeys, sessionPartition } from "../src/keys.ts";
import type { RecordContext } from "../src/records.ts";
import { type SessionGate, sessionGateRecord } from "../src/session-gate.ts";
import { SessionLease } from "../src/session-lease.ts";
import { WorkQueue } from "../src/work-queue.ts";
import type { QueueLimits } from "../src/work-queue-record.ts";

/** Lease and queue of a session, as one process has them. */
export interface LeaseAndQueue {
  readonly lease: SessionLease;
  readonly queue: WorkQueue;
}

/** A session in a memory store whose clock is set by hand. */
export class SessionOnMemory {
  nowMs: number = 1_000;
  readonly kv: MemoryKv = openMemoryKv({ nowMs: () => this.nowMs });
  readonly session: string = "s";
  readonly records: RecordContext = { partition: sessionPartition(this.session), hasher: nobleHasher };
  #byte: number = 0;

  /** Opens or closes the gate of the session. */
  async gate(state: SessionGate["state"] = "open"): Promise<void> {
    const gate = sessionGateRecord.item({ state, sinceMs: this.nowMs }, sessionKeys.gate, this.records);
    await this.kv.commit(this.records.partition, { puts: [gate] });
  }

  /** Another process on the session. */
  process(limits: Partial<QueueLimits> = {}, kv: Kv = this.kv.handle()): LeaseAndQueue {
    const { session, records } = this;
    const randomBytes = (count: number) => new Uint8Array(count).fill(++this.#byte);
    const context = { session, kv, records, randomBytes };
    return { lease: new SessionLease(context), queue: new WorkQueue(context, limits) };
  }

  /** All that is stored of the session. */
  async dump(): Promise<readonly KvItem[]> {
    return (await this.kv.scan(this.records.partition, { limit: 10_000 })).items;
  }
}

/** A session that is open. */
export async function openSession(): Promise<SessionOnMemory> {
  const memory = new SessionOnMemory();
  await memory.gate();
  return memory;
}
