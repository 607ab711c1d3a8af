import {
  accessChange,
  liveRegister,
  noChange,
  registerChange,
  removalChange,
  type StreamChange,
  type StreamSnapshot,
} from "./stream-change.ts";
import { parseOffset, type StreamPosition } from "./stream-offset.ts";
import { StreamRefusal } from "./stream-refusal.ts";
import { pinRow, type Row, unchanged } from "./stream-rows.ts";
import {
  holdsPosition,
  mediaType,
  positionAt,
  segmentsOf,
  statusOf,
  type StreamForkRequest,
  type StreamPin,
  type StreamRegister,
  type StreamSegment,
  tailOf,
} from "./stream-state.ts";

/** How far and how often streams fork. */
export interface ForkBounds {
  readonly forksMax: number;
  readonly forkDepthMax: number;
}

/** A fork that asks for a part of a stream. */
export interface ForkDraft {
  /** The path of the fork, which is forming. */
  readonly path: string;
  readonly request: StreamForkRequest;
  readonly contentType?: string;
}

/** A stream, and the row of one of its forks. */
export interface PinSnapshot extends StreamSnapshot {
  readonly pin: Row<StreamPin>;
  /** Where the append ends that holds the offset of the fork; the offset itself at the tail. */
  readonly boundary: number;
}

/**
 * Decides that a fork may read from a stream: the stream is kept for as long as the fork is there.
 *
 * @throws StreamRefusal `STREAM_NOT_FOUND`; `STREAM_CONFLICT` if the stream was deleted; `CONTENT_TYPE_MISMATCH`;
 * `BAD_REQUEST` for an offset the stream does not have; `TOO_MANY`.
 */
export function decidePin(
  snapshot: PinSnapshot,
  draft: ForkDraft,
  bounds: ForkBounds,
): StreamChange<StreamPin> {
  if (snapshot.pin.body !== undefined) return noChange(snapshot.pin.body);
  const register = sourceRegister(snapshot);
  const { contentType } = draft;
  if (contentType !== undefined && mediaType(contentType) !== mediaType(register.contentType)) {
    throw new StreamRefusal("CONTENT_TYPE_MISMATCH", `The source is of type ${register.contentType}`);
  }
  const pins = register.pins + 1;
  if (pins > bounds.forksMax) {
    throw new StreamRefusal("TOO_MANY", `A stream may have ${bounds.forksMax} forks`);
  }
  const pin = pinOf(snapshot, register, draft, bounds);
  const change = accessChange(snapshot, { ...register, pins }, pin);
  return {
    ...change,
    checks: [...change.checks, unchanged(snapshot.pin)],
    puts: [...change.puts, pinRow.item(snapshot.pin.key, pin, snapshot.place)],
  };
}

/**
 * Decides that a fork reads no more. The last fork of a stream that was deleted, or has expired, takes it along.
 */
export function decideUnpin(snapshot: StreamSnapshot & { readonly pin: Row<StreamPin> }): StreamChange<void> {
  const register = snapshot.register.body;
  if (register === undefined || snapshot.pin.body === undefined) return noChange(undefined);
  const left = { ...register, pins: register.pins - 1 };
  const status = statusOf(register, snapshot.lease.body, snapshot.nowMs);
  const removed = status === "gone" && left.pins === 0;
  const change = removed
    ? removalChange(snapshot, register, undefined)
    : registerChange(snapshot, left, undefined);
  return {
    ...change,
    checks: [...change.checks, unchanged(snapshot.pin)],
    deletes: [...change.deletes, snapshot.pin.key],
  };
}

/** What came of a deletion: it is gone, or kept for its forks. */
export type DeleteResult = "removed" | "kept";

/**
 * Decides a deletion.
 *
 * @throws StreamRefusal `STREAM_NOT_FOUND`, `STREAM_GONE`.
 */
export function decideDelete(snapshot: StreamSnapshot): StreamChange<DeleteResult> {
  const register = liveRegister(snapshot);
  if (register.pins === 0) return removalChange(snapshot, register, "removed");
  const gone: StreamRegister = { ...register, phase: "gone" };
  return registerChange<DeleteResult>(snapshot, gone, "kept");
}

/**
 * Decides whether a life has expired, or is a fork that was never made whole, and removes it if so.
 *
 * @returns Whether its rows are to be removed.
 */
export function decideExpiry(snapshot: StreamSnapshot, incarnation: string): StreamChange<boolean> {
  const { register, lease, nowMs } = snapshot;
  if (register.body?.incarnation !== incarnation) return noChange(false);
  if (statusOf(register.body, lease.body, nowMs) !== "expired") return noChange(false);
  return removalChange(snapshot, register.body, true);
}

/** Where a fork asks to leave a stream, before what lies behind its offset is counted. */
export function forkAnchor(
  register: StreamRegister,
  path: string,
  { offset }: StreamForkRequest,
): StreamPosition {
  if (offset === undefined) return tailOf(register, path);
  const position = parseOffset(offset);
  if (position === undefined || !holdsPosition(segmentsOf(register, path), position)) {
    throw new StreamRefusal("BAD_REQUEST", `The source has no offset ${offset}`);
  }
  return position;
}

function sourceRegister({ path, register, lease, nowMs }: StreamSnapshot): StreamRegister {
  const status = statusOf(register.body, lease.body, nowMs);
  if (status === "gone") throw new StreamRefusal("STREAM_CONFLICT", `The source was deleted: ${path}`);
  if (status !== "live") throw new StreamRefusal("STREAM_NOT_FOUND", `There is no source at ${path}`);
  return register.body!;
}

function pinOf(
  { path, boundary }: PinSnapshot,
  register: StreamRegister,
  draft: ForkDraft,
  { forkDepthMax }: ForkBounds,
): StreamPin {
  const segments = segmentsOf(register, path);
  const position = forkAnchor(register, path, draft.request).position + draft.request.subOffset;
  if (position > boundary && draft.request.subOffset > 0) {
    throw new StreamRefusal(
      "BAD_REQUEST",
      "Stream-Fork-Sub-Offset passes the end of what was appended there",
    );
  }
  const inherited = segments.flatMap((segment) => cut(segment, position));
  if (inherited.length > forkDepthMax) {
    throw new StreamRefusal("TOO_MANY", `Forks may be ${forkDepthMax} deep`);
  }
  const { contentType, ttlSeconds, expiresAt } = register;
  return {
    path: draft.path,
    at: positionAt(segments, position),
    inherited,
    contentType,
    ...(ttlSeconds === undefined ? {} : { ttlSeconds }),
    ...(expiresAt === undefined ? {} : { expiresAt }),
  };
}

/** What a segment has before the position. */
function cut(segment: StreamSegment, position: number): StreamSegment[] {
  const to = Math.min(segment.to, position);
  return segment.from < to ? [{ ...segment, to }] : [];
}
