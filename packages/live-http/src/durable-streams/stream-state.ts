import type { StreamPosition } from "./stream-offset.ts";

/** A part of another stream that a fork begins with: the positions from `from` inclusive to `to` exclusive. */
export interface StreamSegment {
  /** The path of the stream that holds it. */
  readonly path: string;
  readonly incarnation: string;
  readonly epoch: number;
  readonly from: number;
  readonly to: number;
}

/** When a stream expires: so long after it was last read or written, or at a time. Neither: never. */
export interface Lifetime {
  readonly ttlSeconds?: number;
  /** As it was written. */
  readonly expiresAt?: string;
}

/** What a creation asked for, to tell whether another asks for the same. */
export interface StreamRequest extends Lifetime {
  readonly fork?: StreamForkRequest;
}

/** Where a creation asked to fork. Without an offset it is the tail. */
export interface StreamForkRequest {
  readonly path: string;
  readonly offset?: string;
  /** Bytes, or messages of a JSON stream, behind the offset. */
  readonly subOffset: number;
}

/** One append of an idempotent producer. */
export interface StreamProducer {
  readonly id: string;
  readonly epoch: number;
  readonly sequence: number;
}

/** The register of a stream: every decision about it checks this. */
export interface StreamRegister {
  /** `forming`: a fork whose source is not pinned yet; `gone`: deleted, and kept for its forks. */
  readonly phase: "forming" | "live" | "gone";
  /** Different in each life of a path. */
  readonly incarnation: string;
  /** The epoch of the offsets of its own data. */
  readonly epoch: number;
  readonly contentType: string;
  readonly request: StreamRequest;
  /** The time to live in force, which a fork may have from its source. */
  readonly ttlSeconds?: number;
  /** The moment of expiry in force, as it was written. */
  readonly expiresAt?: string;
  /** What it has of other streams, in order. */
  readonly inherited: readonly StreamSegment[];
  /** The position behind the last. */
  readonly tail: number;
  /** How many bytes of its own it holds. */
  readonly bytes: number;
  readonly closed: boolean;
  /** The append that closed it, if a producer did. */
  readonly closedBy?: StreamProducer;
  /** The last `Stream-Seq`. */
  readonly writerSequence?: string;
  /** How many producers have rows. */
  readonly producers: number;
  /** How many forks read from it. */
  readonly pins: number;
}

/** How long a stream with a time to live is left alone. */
export interface StreamLease {
  readonly incarnation: string;
  readonly untilMs: number;
}

/** What is known of a producer. */
export interface ProducerState {
  readonly epoch: number;
  readonly sequence: number;
}

/** A fork that reads from a stream, and what it has of it. */
export interface StreamPin {
  readonly path: string;
  /** Where it leaves the stream. */
  readonly at: StreamPosition;
  readonly inherited: readonly StreamSegment[];
  readonly contentType: string;
  readonly ttlSeconds?: number;
  readonly expiresAt?: string;
}

/** A life of a stream whose rows are to be removed. */
export interface StreamRemains {
  /** The path of what it had pinned, or was about to. */
  readonly source?: string;
}

/** What becomes of a request for a stream. */
export type StreamStatus =
  /** There is none. */
  | "none"
  /** It has expired: as none, but its rows are there. */
  | "expired"
  | "live"
  /** Deleted or expired, and kept for its forks. */
  | "gone";

/** The longest a stream outlives its time to live, as a part of it: so often a reader need not say that it reads. */
const LEASE_SLACK = 1 / 8;
const LEASE_SLACK_MS_MAX = 60_000;

/** What a stream is at a moment of the clock of its store. */
export function statusOf(
  register: StreamRegister | undefined,
  lease: StreamLease | undefined,
  nowMs: number,
): StreamStatus {
  if (register === undefined) return "none";
  if (register.phase === "gone") return "gone";
  if (register.phase === "forming") return "expired";
  if (!expired(register, lease, nowMs)) return "live";
  return register.pins > 0 ? "gone" : "expired";
}

/** The lease that a read or write at that moment gives, or `undefined` if the present one will do. */
export function renewedLease(
  register: StreamRegister,
  lease: StreamLease | undefined,
  nowMs: number,
): StreamLease | undefined {
  const { ttlSeconds, incarnation } = register;
  if (ttlSeconds === undefined) return undefined;
  const ttlMs = ttlSeconds * 1_000;
  if (lease?.incarnation === incarnation && lease.untilMs >= nowMs + ttlMs) return undefined;
  const untilMs = nowMs + ttlMs + Math.min(ttlMs * LEASE_SLACK, LEASE_SLACK_MS_MAX);
  return { incarnation, untilMs: Math.min(Math.ceil(untilMs), Number.MAX_SAFE_INTEGER) };
}

/** Whether the stream keeps whole JSON messages. */
export function isJson(contentType: string): boolean {
  return mediaType(contentType) === "application/json";
}

/** The type and subtype of a content type, in small letters. */
export function mediaType(contentType: string): string {
  return contentType.split(";", 1)[0]!.trim().toLowerCase();
}

/** The segments of a stream: those it has of others, and its own. */
export function segmentsOf(register: StreamRegister, path: string): StreamSegment[] {
  const { inherited, incarnation, epoch, tail } = register;
  const from = inherited.at(-1)?.to ?? 0;
  return [...inherited, { path, incarnation, epoch, from, to: tail }];
}

/** How a position is named: where two parts meet it is the end of the first, as the source of a fork names it. */
export function positionAt(segments: readonly StreamSegment[], position: number): StreamPosition {
  const segment = segments.find(({ from, to }) => position <= to && (position > from || position === 0));
  return { epoch: (segment ?? segments.at(-1)!).epoch, position };
}

/** The tail of a stream, as it is named. */
export function tailOf(register: StreamRegister, path: string): StreamPosition {
  return positionAt(segmentsOf(register, path), register.tail);
}

/** Whether the stream has that position: others are of another stream, or of another life of its path. */
export function holdsPosition(
  segments: readonly StreamSegment[],
  { epoch, position }: StreamPosition,
): boolean {
  if (epoch === 0) return position === 0;
  return segments.some((part) => part.epoch === epoch && part.from <= position && position <= part.to);
}

function expired(register: StreamRegister, lease: StreamLease | undefined, nowMs: number): boolean {
  const { expiresAt, ttlSeconds, incarnation } = register;
  if (expiresAt !== undefined && nowMs >= Date.parse(expiresAt)) return true;
  if (ttlSeconds === undefined) return false;
  return lease?.incarnation !== incarnation || nowMs >= lease.untilMs;
}
