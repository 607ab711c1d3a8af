import { formatLogId } from "@tidemark/core";
import type { LogHealth, PeerState, PoisonReport, ReplicationHealth } from "@tidemark/replication";
import type { WalFs } from "@tidemark/wal";
import type { RegionHealth } from "./health.ts";
import type { RegionMetrics } from "./metrics.ts";

/** The file in a region's directory that tells how it was a moment ago. */
export const STATUS_FILE: string = "status.json";

/** Health as `status.json` has it: JSON, without bytes of frames and without moments on the clock of the process. */
export interface StatusHealth extends Omit<RegionHealth, "replication"> {
  /** Absent while the region does not know its cluster. */
  readonly replication?: Omit<ReplicationHealth, "peers" | "logs" | "forks" | "poison"> & {
    readonly peers: readonly Omit<PeerState, "heardAtMs" | "blocksStabilitySinceMs">[];
    readonly logs: readonly (Omit<LogHealth, "log"> & { readonly log: string })[];
    readonly forks: readonly { readonly log: string; readonly lsn: number }[];
    readonly poison: Pick<PoisonReport, "total" | "quarantined"> & {
      readonly byReason: Readonly<Record<string, number>>;
    };
  };
}

/** What `status.json` holds. */
export interface RegionStatus {
  readonly format: 1;
  /** Wall clock of the region, Unix milliseconds. */
  readonly writtenAtMs: number;
  /** The process that wrote it; 0 where the platform has none. */
  readonly pid: number;
  readonly name: string;
  readonly id: number;
  /** Of `@tidemark/region`; empty where the platform does not say. */
  readonly version: string;
  readonly health: StatusHealth;
  readonly metrics: RegionMetrics;
}

/** Health without what cannot be read outside the process, or should not be. */
export function statusHealth({ replication, ...health }: RegionHealth): StatusHealth {
  if (replication === undefined) return health;
  const { peers, logs, forks, poison, ...rest } = replication;
  const { total, quarantined, byReason } = poison;
  return {
    ...health,
    replication: {
      ...rest,
      peers: peers.map(({ heardAtMs: _, blocksStabilitySinceMs: __, ...peer }) => peer),
      logs: logs.map((log) => ({ ...log, log: formatLogId(log.log) })),
      forks: forks.map(({ log, lsn }) => ({ log: formatLogId(log), lsn })),
      poison: { total, quarantined, byReason: Object.fromEntries(byReason) },
    },
  };
}

/**
 * Replaces `status.json`: whoever reads it sees one whole version. Not synced: after a crash of the machine an older
 * one, or none, tells as much.
 */
export async function writeStatus(fs: WalFs, dir: string, status: RegionStatus): Promise<void> {
  const temporary = `${dir}/${STATUS_FILE}.tmp`;
  const bytes = new TextEncoder().encode(`${JSON.stringify(status, null, 1)}\n`);
  await fs.unlink(temporary);
  const file = await fs.open(temporary, "create");
  try {
    if (file.write(bytes, 0) !== bytes.length)
      throw new Error(`Cannot write ${temporary}: the disk took only a part`);
  } finally {
    await file.close();
  }
  await fs.rename(temporary, `${dir}/${STATUS_FILE}`);
}
