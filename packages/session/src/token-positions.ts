import { type ByteReader, type ByteWriter, guardSafe, guardUpTo } from "@tidemark/core";
import { SessionError } from "./errors.ts";

/** How far one log must have been applied: the region and epoch name it, within the shard of the session. */
export interface TokenPosition {
  /** u16. */
  readonly region: number;
  /** u32. */
  readonly epoch: number;
  /** The LSN up to which the bearer has seen that log. */
  readonly lsn: number;
}

/** Logs a cursor names at most; above it minting waits until some of them are stable. */
export const CURSOR_ENTRIES_MAX = 64;
/** Logs the base of a ticket names at most. */
export const TICKET_BASE_ENTRIES_MAX = 1024;

/**
 * Writes varint count, then region u16, epoch u32, LSN varint each, sorted by region and epoch. An LSN of 0
 * asks for nothing and is left out.
 *
 * @throws {@link SessionError} `CURSOR_TOO_WIDE` above `entriesMax`.
 */
export function writePositions(
  writer: ByteWriter,
  positions: readonly TokenPosition[],
  entriesMax: number,
): void {
  const sorted = positions
    .filter(({ lsn }) => lsn !== 0)
    .sort((a, b) => a.region - b.region || a.epoch - b.epoch);
  if (sorted.length > entriesMax) {
    throw new SessionError(
      "CURSOR_TOO_WIDE",
      `Cannot name ${sorted.length} logs in a cursor: the limit is ${entriesMax}`,
      { retryable: true },
    );
  }
  writer.varint(sorted.length);
  let previous: TokenPosition | undefined;
  for (const position of sorted) {
    if (previous?.region === position.region && previous.epoch === position.epoch) {
      throw new RangeError(`Cannot name a log twice: region ${position.region}, epoch ${position.epoch}`);
    }
    writer.u16(guardUpTo(position.region, "region", 0xffff));
    writer.u32(guardUpTo(position.epoch, "epoch", 0xffff_ffff));
    writer.varint(guardSafe(position.lsn, "lsn"));
    previous = position;
  }
}

/** The inverse of {@link writePositions}: only what it writes, in its order. */
export function readPositions(reader: ByteReader, entriesMax: number): TokenPosition[] {
  const start = reader.offset;
  const count = reader.count(7);
  if (count > entriesMax) reader.fail(`Cannot accept ${count} logs: the limit is ${entriesMax}`, start);
  const positions: TokenPosition[] = [];
  let last = -1;
  for (let i = 0; i < count; i++) {
    const at = reader.offset;
    const region = reader.u16();
    const epoch = reader.u32();
    const order = region * 0x1_0000_0000 + epoch;
    if (order <= last) reader.fail("Cannot accept logs out of order", at);
    last = order;
    const lsn = reader.varint();
    if (lsn === 0) reader.fail("Cannot accept an LSN of 0", at);
    positions.push({ region, epoch, lsn });
  }
  return positions;
}
