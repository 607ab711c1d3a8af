import { guardSafe, regionId, shardId, type LogId, type RegionId, type ShardId } from "@tidemark/core";

/** What the name of a segment file says. The channel is the directory it lies in. */
export interface SegmentName {
  readonly region: RegionId;
  readonly shard: ShardId;
  readonly epoch: number;
  /** The first LSN in the segment. */
  readonly firstLsn: number;
  /** A name from before regions: `wal-{firstLsn}.wal`. */
  readonly legacy?: true;
}

const NAME = /^r(\d{5})-s(\d{5})-e(\d{10})-(\d{20})\.wal$/;
const LEGACY_NAME = /^wal-(\d{20})\.wal$/;

/**
 * The file name of a segment, padded so that a sorted listing is the read order of each log.
 *
 * @example
 * ```ts
 * const name = formatSegmentName({ region: regionId(1), shard: shardId(7), epoch: 1, firstLsn: 4096 });
 * assert.equal(name, "r00001-s00007-e0000000001-00000000000000004096.wal");
 * ```
 */
export function formatSegmentName(name: SegmentName): string {
  const lsn = pad(guardSafe(name.firstLsn, "firstLsn", 1), 20);
  if (name.legacy) return `wal-${lsn}.wal`;
  return `${logPrefix(name)}-${lsn}.wal`;
}

/** The exact inverse of {@link formatSegmentName}; any other file name is `undefined`, never guessed. */
export function parseSegmentName(text: string): SegmentName | undefined {
  const legacy = LEGACY_NAME.exec(text);
  if (legacy !== null) {
    const firstLsn = Number(legacy[1]);
    if (firstLsn < 1 || !Number.isSafeInteger(firstLsn)) return undefined;
    return { region: regionId(0), shard: shardId(0), epoch: 0, firstLsn, legacy: true };
  }
  const match = NAME.exec(text);
  if (match === null) return undefined;
  const [region, shard, epoch, firstLsn] = [match[1], match[2], match[3], match[4]].map(Number) as [
    number,
    number,
    number,
    number,
  ];
  if (region > 0xffff || shard > 0xffff || epoch > 0xffff_ffff) return undefined;
  if (firstLsn < 1 || !Number.isSafeInteger(firstLsn)) return undefined;
  return { region: regionId(region), shard: shardId(shard), epoch, firstLsn };
}

/** What the segment names of one log have in common. */
export function logPrefix(log: Pick<LogId, "region" | "shard" | "epoch">): string {
  return `r${pad(log.region, 5)}-s${pad(log.shard, 5)}-e${pad(log.epoch, 10)}`;
}

function pad(value: number, width: number): string {
  return String(value).padStart(width, "0");
}
