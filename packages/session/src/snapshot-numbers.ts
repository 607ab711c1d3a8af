import type { ByteReader, ByteWriter } from "@tidemark/core";
import type { LogPositions } from "./log-positions.ts";
import type { SessionFold } from "./session-fold.ts";

/** How a snapshot numbers things: in an order that does not depend on arrival. */
export interface SnapshotNumbers {
  /** Number in the fold to number in the snapshot. */
  readonly logs: readonly number[];
  readonly lanes: readonly number[];
  readonly effects: Readonly<Record<number, number>>;
}

/** Writes log to LSN, ascending by log. */
export function writePositions(writer: ByteWriter, positions: LogPositions, numbers: SnapshotNumbers): void {
  const rows = [...positions]
    .map(([log, lsn]) => [numbers.logs[log]!, lsn] as const)
    .sort((a, b) => a[0] - b[0]);
  writer.varint(rows.length);
  for (const [log, lsn] of rows) {
    writer.varint(log);
    writer.varint(lsn);
  }
}

/** Reads what {@link writePositions} wrote. */
export function readPositions(reader: ByteReader, positions: LogPositions, fold: SessionFold): void {
  for (let left = reader.count(2); left > 0; left--) {
    const log = reader.varint();
    at(reader, fold.logs.ids, log);
    positions.set(log, reader.varint());
  }
}

/** An entry that must exist. @throws {@link CoreError} `DECODE_FAILED`. */
export function at<Entry>(reader: ByteReader, entries: readonly (Entry | undefined)[], index: number): Entry {
  const entry = entries[index];
  if (entry === undefined)
    return reader.fail(`Cannot accept the number ${index}: there are ${entries.length}`);
  return entry;
}
