import { nobleHasher, type LogId } from "@tidemark/core";
import { openWal, type Log, type MemoryFs, type Wal, type WalFs, type WalOptions } from "@tidemark/wal";
import { OWN } from "../support.ts";
import type { Promised } from "./explore.ts";

/** Opens the WAL of any disk. */
export function openOn(fs: WalFs, options: Partial<WalOptions> = {}): Promise<Wal> {
  return openWal({ fs, dir: "wal", hasher: nobleHasher, ...options });
}

/** The body of record `lsn`: bytes that no other record and no other place of it has. */
export function bodyOf(lsn: number, bytes: number): Uint8Array {
  const body = new Uint8Array(bytes);
  let state = Math.imul(lsn, 0x9e37_79b1) | 1;
  for (let at = 0; at < bytes; at++) {
    state = Math.imul(state, 0x0019_660d) + 0x3c6e_f35f;
    body[at] = state >>> 24;
  }
  return body;
}

/** What one log must hold. */
export interface LogPromise {
  readonly log?: LogId;
  /** Sizes of the bodies of acknowledged records, from LSN 1 on; each is a batch. */
  readonly acked: readonly number[];
  /** Of batches under way: any prefix may be there as well. */
  readonly pending?: readonly number[];
  /** Up to here may have been let go. @defaultValue 0 */
  readonly floor?: number;
}

/** The promise that opening finds exactly the acknowledged records, and whole batches of what was under way. */
export function promiseLogs(logs: readonly LogPromise[], options: Partial<WalOptions> = {}): Promised {
  return {
    key: JSON.stringify(logs),
    check: async (disk) => {
      const wal = await openOn(disk, options);
      for (const promise of logs) await checkLog(wal, promise);
    },
  };
}

/** Checks one log of an open WAL, and returns how many records it holds. */
export async function checkLog(wal: Wal, promise: LogPromise): Promise<number> {
  const { log: id = OWN, acked, pending = [], floor = 0 } = promise;
  const log = wal.log(id);
  if (log === undefined) {
    if (acked.length > 0) throw new Error(`${acked.length} acknowledged records are gone with their log`);
    return 0;
  }
  if (log.failed !== undefined) throw new Error("A crash was taken for corruption", { cause: log.failed });
  if (log.first > floor + 1)
    throw new Error(`The log begins at ${log.first}: nobody let go of LSN ${log.first - 1}`);
  const held = await checkRecords(log, log.first, [...acked, ...pending]);
  if (held < acked.length) throw new Error(`${held} of ${acked.length} acknowledged records are there`);
  if (log.durable.lsn !== Math.max(held, log.first - 1))
    throw new Error(`durable says ${log.durable.lsn}: ${held} are there`);
  return held;
}

/** Reads from an LSN on, compares every record, and returns the last LSN. */
export async function checkRecords(log: Log, from: number, sizes: readonly number[]): Promise<number> {
  let last = from - 1;
  for await (const batch of log.read(from)) {
    for (const { lsn, body } of batch.records()) {
      const bytes = sizes[lsn - 1];
      if (lsn !== last + 1) throw new Error(`LSN ${lsn} follows ${last}`);
      if (bytes === undefined) throw new Error(`LSN ${lsn} is there: nobody has written it`);
      if (Buffer.compare(body, bodyOf(lsn, bytes)) !== 0) throw new Error(`LSN ${lsn} holds other bytes`);
      last = lsn;
    }
  }
  return last;
}

/** A disk of its own for one more look, as after a crash that loses nothing. */
export function reboot(disk: MemoryFs): MemoryFs {
  disk.crash(() => false);
  return disk;
}
