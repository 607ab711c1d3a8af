import { regionId } from "@tidemark/core";
import type { RegionId } from "@tidemark/core";
import { joinCluster, ReplicationError } from "@tidemark/replication";
import type { Membership } from "@tidemark/replication";
import { openWal, readCheckpoint } from "@tidemark/wal";
import { openRegionClock } from "./clock.ts";
import { RegionEngine } from "./engine.ts";
import { RegionError } from "./errors.ts";
import { loneTransport } from "./lone-transport.ts";
import { ALONE, parseMembers } from "./members.ts";
import { clusterKeysOf } from "./options.ts";
import type { RegionLogger, RegionOptions, RegionPlatform } from "./options.ts";
import { RegionHandle } from "./region-handle.ts";
import { readRegionFile, writeRegionFile } from "./region-file.ts";
import type { Region } from "./region.ts";

const SEED_BYTES = 16;
/** How long one question for the cluster's seed may take, and the pause before it is asked again. */
const JOIN_TIMEOUT_MS = 2_000;
const JOIN_PAUSE_MS = 100;
/** What a frame needs besides the batch, generously. */
const FRAME_ROOM_BYTES = 4096;

/**
 * Opens one region on a platform; `@tidemark/region/node` has the same for Node.
 *
 * Resolves once the region's own logs are open and replayed. Whether members can be reached does not hold
 * it up: see `health()`, and `ready()` for a directory that has to join first.
 *
 * @throws RegionError `REGION_FOREIGN_DIR`, `REGION_DAMAGED`. @throws WalError `WAL_LOCKED` with the holder.
 * @throws `TypeError` or `RangeError` for options that contradict each other.
 */
export async function openRegion(options: RegionOptions, platform: RegionPlatform): Promise<Region> {
  const { dir, logger } = options;
  const { fs, hasher } = platform;
  const members = parseMembers(options.members);
  const name = options.name ?? (options.members === undefined ? ALONE : undefined);
  if (name === undefined) throw new TypeError("A region with members needs a name");
  const number = members.regions.get(name);
  if (number === undefined) {
    throw new TypeError(`members.regions does not name ${JSON.stringify(name)}: ${[...members.regions.keys()].join(", ")}`);
  }
  if (members.regions.size > 1 && options.transport === undefined) throw new TypeError("A region with members needs a transport");
  const id = regionId(number);
  const clusterKeys = clusterKeysOf(options.clusterKey);
  const transport = options.transport ?? loneTransport();

  await fs.mkdir(dir);
  const wal = await openWal({
    fs,
    dir,
    hasher,
    timers: platform.timers,
    ...(options.durability === undefined ? {} : { durability: options.durability }),
    // A batch travels whole: it must fit a frame of this medium.
    batchBytesMax: transport.capabilities.frameBytesMax - FRAME_ROOM_BYTES,
    ...(logger === undefined ? {} : { logger: walLogger(logger) }),
  });
  try {
    // Read under the lock of the log: nobody else writes it now.
    const file = await readRegionFile(fs, dir);
    if (file !== undefined && (file.name !== name || file.id !== id)) {
      throw new RegionError("REGION_FOREIGN_DIR", `Cannot open ${dir} as ${name} (${id}): it belongs to ${file.name} (${file.id})`);
    }
    const { clock, close: closeClock } = await openRegionClock(fs, dir, id, platform.now);
    const founder = options.bootstrap === true || options.members === undefined;
    const seed = file?.seed ?? (founder ? platform.randomBytes(SEED_BYTES) : undefined);
    const engine = new RegionEngine({ options, platform, name, id, wal, clock, clusterKeys, transport });
    if (file === undefined && seed !== undefined) await writeRegionFile(fs, dir, { name, id, seed });
    const checkpoint = await readCheckpoint(fs, dir, hasher);
    const list = toMembership(members, seed);
    if (list !== undefined) await engine.start(list, { bootstrap: founder, checkpoint });
    else engine.joinWith(join);
    return new RegionHandle(engine, closeClock);

    /** Asks for the cluster's seed until a member answers, then starts; ends when the region is closed. */
    async function join(signal: AbortSignal): Promise<void> {
      for (;;) {
        signal.throwIfAborted();
        try {
          const membership = await joinCluster({
            transport,
            hasher,
            self: id,
            members: toMembers(members.version, members.regions),
            keys: clusterKeys,
            acceptUnsigned: options.acceptUnsigned ?? false,
            sendUnsigned: false,
            randomBytes: platform.randomBytes,
            timeoutMs: JOIN_TIMEOUT_MS,
            signal,
          });
          await writeRegionFile(fs, dir, { name: name as string, id, seed: membership.seed });
          await engine.start(membership, { bootstrap: false, checkpoint: undefined });
          return;
        } catch (error) {
          if (signal.aborted) return;
          const retry = error instanceof ReplicationError && error.code === "NO_MEMBER_ANSWERED";
          if (!retry) throw error;
        }
        await new Promise<void>((resolve) => {
          const cancel = platform.timers.setTimer(JOIN_PAUSE_MS, () => resolve());
          signal.addEventListener("abort", () => (cancel(), resolve()), { once: true });
        });
      }
    }
  } catch (error) {
    await wal.close().catch(() => undefined);
    throw error;
  }
}

/** The log reports in the order of `console`; a region's logger is pino-shaped. */
function walLogger(logger: RegionLogger): { warn(message: string, details?: object): void; error(message: string, details?: object): void } {
  return {
    warn: (message, details) => logger.warn(details ?? {}, message),
    error: (message, details) => logger.error(details ?? {}, message),
  };
}

function toMembership(
  members: { readonly version: number; readonly regions: ReadonlyMap<string, number> },
  seed: Uint8Array | undefined,
): Membership | undefined {
  return seed === undefined ? undefined : { ...toMembers(members.version, members.regions), seed, shards: 1 };
}

function toMembers(version: number, regions: ReadonlyMap<string, number>): { version: number; regions: Map<string, RegionId> } {
  return { version, regions: new Map([...regions].map(([name, id]) => [name, regionId(id)])) };
}
