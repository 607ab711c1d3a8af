import type { KvCheck, KvItem, KvKey } from "@tidemark/kv";
import { formatOffset } from "./stream-offset.ts";
import { StreamRefusal } from "./stream-refusal.ts";
import {
  leaseRow,
  registerRow,
  remainsRow,
  type Row,
  type RowPlace,
  streamKeys,
  unchanged,
} from "./stream-rows.ts";
import {
  renewedLease,
  statusOf,
  type StreamLease,
  type StreamRegister,
  type StreamRemains,
  tailOf,
} from "./stream-state.ts";

/** A stream as it was read, at a moment of the clock of its store. */
export interface StreamSnapshot {
  readonly path: string;
  readonly place: RowPlace;
  readonly register: Row<StreamRegister>;
  readonly lease: Row<StreamLease>;
  readonly nowMs: number;
}

/** What a decision changes in one partition, all of it or nothing, and what came of it. */
export interface StreamChange<Result> {
  readonly checks: readonly KvCheck[];
  readonly puts: readonly KvItem[];
  readonly deletes: readonly KvKey[];
  readonly result: Result;
}

/** A decision that changes nothing. */
export function noChange<Result>(result: Result): StreamChange<Result> {
  return { checks: [], puts: [], deletes: [], result };
}

/**
 * The register of a stream that can be read and written.
 *
 * @throws {@link StreamRefusal} `STREAM_NOT_FOUND`, `STREAM_GONE`.
 */
export function liveRegister({ path, register, lease, nowMs }: StreamSnapshot): StreamRegister {
  const status = statusOf(register.body, lease.body, nowMs);
  if (status === "gone") throw new StreamRefusal("STREAM_GONE", `The stream was deleted: ${path}`);
  if (status !== "live") throw new StreamRefusal("STREAM_NOT_FOUND", `There is no stream at ${path}`);
  return register.body!;
}

/** Writes the register anew. Each change of a stream goes through its register, so that changes have one order. */
export function registerChange<Result>(
  { register: row, place }: StreamSnapshot,
  register: StreamRegister,
  result: Result,
): StreamChange<Result> {
  const puts = [registerRow.item(streamKeys.register, register, place)];
  return { checks: [unchanged(row)], puts, deletes: [], result };
}

/** Writes the register for somebody who reads or writes the stream, which renews its lease, if that is due. */
export function accessChange<Result>(
  snapshot: StreamSnapshot,
  register: StreamRegister,
  result: Result,
): StreamChange<Result> {
  const change = registerChange(snapshot, register, result);
  return { ...change, puts: [...change.puts, ...leaseItems(snapshot, register)] };
}

/** A read, or a write that had been done before: it renews the lease, if that is due. */
export function touchChange<Result>(
  snapshot: StreamSnapshot,
  register: StreamRegister,
  result: Result,
): StreamChange<Result> {
  const puts = leaseItems(snapshot, register);
  return { checks: [unchanged(snapshot.register)], puts, deletes: [], result };
}

/** The lease to write with a read or write, if one is due. */
function leaseItems({ place, lease, nowMs }: StreamSnapshot, register: StreamRegister): KvItem[] {
  const renewed = renewedLease(register, lease.body, nowMs);
  return renewed === undefined ? [] : [leaseRow.item(streamKeys.lease, renewed, place)];
}

/** Removes a stream: its rows are named by what remains, and are removed afterwards. */
export function removalChange<Result>(
  snapshot: StreamSnapshot,
  register: StreamRegister,
  result: Result,
): StreamChange<Result> {
  return {
    checks: [unchanged(snapshot.register), unchanged(snapshot.lease)],
    puts: [remainsItem(snapshot, register)],
    deletes: [streamKeys.register, streamKeys.lease],
    result,
  };
}

/** What remains of a life that ends. */
export function remainsItem({ place }: StreamSnapshot, { incarnation, request }: StreamRegister): KvItem {
  const remains: StreamRemains = request.fork === undefined ? {} : { source: request.fork.path };
  return remainsRow.item(streamKeys.remains(incarnation), remains, place);
}

/** The headers that say where a stream ends, and whether for good. */
export function tailHeaders(register: StreamRegister, path: string): Record<string, string> {
  return {
    "stream-next-offset": formatOffset(tailOf(register, path)),
    ...(register.closed ? { "stream-closed": "true" } : {}),
  };
}
