import { guardSafe, guardUpTo } from "./safe-integer.ts";

declare const regionBrand: unique symbol;
declare const shardBrand: unique symbol;

/** A member of a cluster, u16. `0` is the single node without a cluster. */
export type RegionId = number & { readonly [regionBrand]: true };
/** A partition of the key space, u16. `0` is the only one by default. */
export type ShardId = number & { readonly [shardBrand]: true };

/** Which of a region's two streams a log belongs to. */
export type Channel = "signals" | "sessions";

/** The number of a channel in every byte layout. */
export const CHANNEL_CODE: { readonly signals: 1; readonly sessions: 2 } = { signals: 1, sessions: 2 };

/** The channel of a code, or `undefined`. */
export function channelOf(code: number): Channel | undefined {
  return code === 1 ? "signals" : code === 2 ? "sessions" : undefined;
}

/** Brands a number as a region id. @throws `RangeError` unless it is a u16. */
export function regionId(value: number): RegionId {
  return guardUpTo(value, "region id", 0xffff) as RegionId;
}

/** Brands a number as a shard id. @throws `RangeError` unless it is a u16. */
export function shardId(value: number): ShardId {
  return guardUpTo(value, "shard id", 0xffff) as ShardId;
}

/** One single-writer log: an LSN is unique within it and never issued twice. */
export interface LogId {
  readonly region: RegionId;
  readonly shard: ShardId;
  /** u32; a new one is opened, never an old one continued, when continuing could issue an LSN twice. */
  readonly epoch: number;
  readonly channel: Channel;
}

/** Makes a log id of plain numbers. @throws `RangeError` if one does not fit. */
export function logId(region: number, shard: number, epoch: number, channel: Channel): LogId {
  return {
    region: regionId(region),
    shard: shardId(shard),
    epoch: guardUpTo(epoch, "epoch", 0xffff_ffff),
    channel,
  };
}

const LOG_ID = /^(signals|sessions):r(\d{5})-s(\d{5})-e(\d{10})$/;

/**
 * The one text form of a log id; strings sort by channel, region, shard, epoch.
 *
 * @example
 * ```ts
 * assert.equal(formatLogId(logId(1, 7, 1_790_000_000, "sessions")), "sessions:r00001-s00007-e1790000000");
 * ```
 */
export function formatLogId(id: LogId): string {
  return `${id.channel}:r${pad(id.region, 5)}-s${pad(id.shard, 5)}-e${pad(id.epoch, 10)}`;
}

/** The exact inverse of {@link formatLogId}; anything else is `undefined`, never guessed. */
export function parseLogId(text: string): LogId | undefined {
  const match = LOG_ID.exec(text);
  if (match === null) return undefined;
  const [region, shard, epoch] = [Number(match[2]), Number(match[3]), Number(match[4])];
  if (region > 0xffff || shard > 0xffff || epoch > 0xffff_ffff) return undefined;
  return logId(region, shard, epoch, match[1] as Channel);
}

/** Orders log ids by region, shard, epoch, channel: the order of vectors. */
export function compareLogIds(a: LogId, b: LogId): number {
  return (
    a.region - b.region ||
    a.shard - b.shard ||
    a.epoch - b.epoch ||
    CHANNEL_CODE[a.channel] - CHANNEL_CODE[b.channel]
  );
}

/** A segment of a log: unique together with epoch and channel. */
export interface WalSegmentId {
  readonly region: RegionId;
  readonly shard: ShardId;
  /** The first LSN in the segment. */
  readonly seqno: number;
}

const SEGMENT_ID = /^(0|[1-9]\d{0,4}):(0|[1-9]\d{0,4}):(0|[1-9]\d{0,15})$/;

/** `region:shard:seqno`, decimal. */
export function formatWalSegmentId(id: WalSegmentId): string {
  return `${id.region}:${id.shard}:${guardSafe(id.seqno, "seqno")}`;
}

/** The exact inverse of {@link formatWalSegmentId}; anything else is `undefined`. */
export function parseWalSegmentId(text: string): WalSegmentId | undefined {
  const match = SEGMENT_ID.exec(text);
  if (match === null) return undefined;
  const [region, shard, seqno] = [Number(match[1]), Number(match[2]), Number(match[3])];
  if (region > 0xffff || shard > 0xffff || !Number.isSafeInteger(seqno)) return undefined;
  return { region: regionId(region), shard: shardId(shard), seqno };
}

function pad(value: number, width: number): string {
  return String(value).padStart(width, "0");
}
