import { ByteReader, ByteWriter, type DigestObject } from "@tidemark/core";
import { laneOfBytes } from "./lane-bytes.ts";
import { formatLane } from "./lane-id.ts";
import { LaneState } from "./lane.ts";
import type { OpView } from "./op-view.ts";
import type { SessionEntry } from "./session-entry.ts";

/**
 * What is left of a session that was purged. Its canonical bytes say only that it was: of a purge nothing else is told
 * by the set of operations alone once what exactly-once needs is dropped.
 */
export class Tombstone implements DigestObject {
  readonly objectKind = 3;
  readonly id: string;
  /** Lanes, effects and unstable operations, while copies of operations can still arrive for the first time. */
  kept: SessionEntry | undefined;
  /** A purge of it is stable, and every member knows what a purge is. */
  stable: boolean = false;
  /** Once nothing is kept, the numbers that were known of its lanes: what else comes is new. */
  numbers: Uint8Array = NONE;

  constructor(id: string, kept?: SessionEntry) {
    this.id = id;
    this.kept = kept;
  }

  /** u8 1. */
  writeCanonical(writer: ByteWriter): void {
    writer.u8(1);
  }

  /** Lets go of everything but the numbers. */
  forget(): void {
    this.numbers = this.kept === undefined ? this.numbers : numbersOf(this.kept);
    this.kept = undefined;
  }

  /** Whether an operation was applied before all was let go of. */
  knows(op: OpView): boolean {
    for (const { bytes, hwm, ahead } of lanesIn(this.numbers))
      if (op.laneIs(bytes))
        return op.seqno <= hwm || ahead.some(({ from, to }) => op.seqno >= from && op.seqno <= to);
    return false;
  }

  /** Gives a session the lanes that were known. @param laneOf - Makes one of them. */
  recall(laneOf: (bytes: Uint8Array, make: () => Pick<LaneState, "lane" | "text">) => LaneState): void {
    for (const { bytes, hwm, ahead } of lanesIn(this.numbers)) {
      const lane = laneOf(bytes, () => {
        const id = laneOfBytes(bytes);
        if (id === undefined) throw new TypeError("The numbers of a tombstone name no lane");
        return { lane: id, text: formatLane(id) };
      });
      lane.hwm = hwm;
      if (ahead.length > 0) lane.ahead = ahead;
    }
  }
}

const NONE: Uint8Array = new Uint8Array(0);

interface KnownNumbers {
  readonly bytes: Uint8Array;
  readonly hwm: number;
  readonly ahead: NonNullable<LaneState["ahead"]>;
}

/** By ascending text of the lane: lane `bytes`, high-water mark varint, varint count of ranges above it: from, to varint. */
function numbersOf(session: SessionEntry): Uint8Array {
  const writer = new ByteWriter(32);
  for (const lane of session.lanes.toSorted((a, b) => (a.text < b.text ? -1 : 1))) {
    writer.prefixed(lane.bytes);
    writer.varint(lane.hwm);
    writer.varint(lane.ahead?.length ?? 0);
    for (const { from, to } of lane.ahead ?? []) {
      writer.varint(from);
      writer.varint(to);
    }
  }
  return writer.take();
}

/** @throws {@link CoreError} `DECODE_FAILED`. */
function* lanesIn(numbers: Uint8Array): Iterable<KnownNumbers> {
  const reader = new ByteReader(numbers);
  while (reader.remaining > 0) {
    const bytes = reader.prefixed();
    const hwm = reader.varint();
    const ahead = Array.from({ length: reader.count(2) }, () => ({
      from: reader.varint(),
      to: reader.varint(),
    }));
    yield { bytes, hwm, ahead };
  }
}

/** Checks numbers that were read. @throws {@link CoreError} `DECODE_FAILED`. */
export function checkNumbers(reader: ByteReader, numbers: Uint8Array): Uint8Array {
  for (const { bytes } of lanesIn(numbers))
    if (laneOfBytes(bytes) === undefined) reader.fail("Cannot read a lane of a tombstone");
  return numbers.slice();
}
