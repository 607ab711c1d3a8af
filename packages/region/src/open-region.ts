import { regionId } from "@tidemark/core";
import { RegionPolicies } from "./region-policies.ts";
import { RegionReducers } from "./region-reducers.ts";
import type { RegionId } from "@tidemark/core";
import { finishInstall, joinCluster, ReplicationError, ShardRouter } from "@tidemark/replication";
import type { Membership } from "@tidemark/replication";
import { TransportError } from "@tidemark/transport";
import { OP_BYTES_MAX } from "@tidemark/session";
import { openWal } from "@tidemark/wal";
import { findCheckpoint } from "./checkpoints.ts";
import { openRegionClock } from "./clock.ts";
import { openColdFile } from "./cold-file.ts";
import type { ColdFile } from "./cold-file.ts";
import { RegionEngine } from "./engine.ts";
import { RegionError } from "./errors.ts";
import { loneTransport } from "./lone-transport.ts";
import { readMembersFile, writeMembersFile } from "./members-file.ts";
import { createKeys, fetchKeyFile, readKeyFile, writeKeyFile } from "./key-file.ts";
import type { KeyFile } from "./key-file.ts";
import { ALONE, ALONE_LIST, parseMembers } from "./members.ts";
import { listToOpen, regionIds } from "./opening-list.ts";
import type { Members } from "./members.ts";
import { checkMemoryBudget, clusterKeysOf, REGION_DEFAULTS, walDurability } from "./options.ts";
import type { RegionLogger, RegionOptions, RegionPlatform } from "./options.ts";
import { RegionHandle } from "./region-handle.ts";
import { holdsLogs, readRegionFile, writeRegionFile } from "./region-file.ts";
import type { RegionFile } from "./region-file.ts";
import type { Region } from "./region.ts";
import { translate } from "./translate.ts";
import { waitFor } from "./wait.ts";

const SEED_BYTES = 16;
/** How long one question for the cluster's seed may take, and the first and last pause before it is asked again. */
const JOIN_TIMEOUT_MS = 2_000;
const JOIN_PAUSE_MS = { min: 50, max: 2_000 };
/** What a frame needs besides the batch, generously. */
const FRAME_ROOM_BYTES = 4096;
/** One operation of the greatest size fits, if the medium's frames are wide enough. */
const BATCH_BYTES_MAX: number = OP_BYTES_MAX + FRAME_ROOM_BYTES;

/** Who a region is, once its options were checked. */
interface Identity {
  readonly name: string;
  readonly id: RegionId;
  readonly members: Members;
}

/**
 * Opens one region on a platform; `@tidemark/region/node` has the same for Node.
 *
 * Resolves once the region's own logs are open and replayed. Whether members can be reached does not hold
 * it up: see `health()`, and `ready()` for a directory that has to join first.
 *
 * @throws RegionError `REGION_FOREIGN_DIR`, `REGION_DAMAGED`, `SHARDS_MISMATCH`, `MEMBERSHIP_MISMATCH`,
 * `MEMBERSHIP_REFUSED`: nothing on disk was changed.
 * @throws WalError `WAL_LOCKED` with the holder.
 * @throws `TypeError` or `RangeError` for options that contradict each other.
 */
export async function openRegion<Signal extends string = string, States extends object = object>(
  options: RegionOptions<Signal, States>,
  platform: RegionPlatform,
): Promise<Region<Signal, States>> {
  const { dir, logger } = options;
  const { fs, hasher } = platform;
  const identity = identityOf(options);
  const { name, id, members } = identity;
  if (options.shards !== undefined) ShardRouter.hash(options.shards);
  checkMemoryBudget(options);
  const durability = walDurability(options, platform);
  const clusterKeys = clusterKeysOf(options.clusterKey);
  const policies = new RegionPolicies({ rules: options.policies, hasher, region: id, now: platform.now });
  const reducers = new RegionReducers(options.reducers);
  const transport = options.transport ?? loneTransport();

  // Before anything is touched: whoever opens the wrong directory leaves it as it was.
  const found = await readOwnFile(platform, options, identity);
  if (found !== undefined) {
    const list = await readMembersFile(fs, dir);
    requireShards(options, list?.shards ?? found.shards, `${dir} has`);
  } else if (await holdsLogs(fs, dir)) {
    throw new RegionError(
      "REGION_DAMAGED",
      `Cannot open ${dir}: it holds logs, and region.json, which says whose they are, is missing; restore it, or give the region another directory`,
    );
  }
  await fs.mkdir(dir);
  const wal = await openWal({
    fs,
    dir,
    hasher,
    timers: platform.timers,
    durability,
    queueBytesMax: REGION_DEFAULTS.queueBytesMax,
    queueRecordsMax: REGION_DEFAULTS.queueRecordsMax,
    ...(options.segmentBytes === undefined ? {} : { segmentBytes: options.segmentBytes }),
    // A batch travels whole: it must fit a frame of this medium.
    batchBytesMax: Math.min(BATCH_BYTES_MAX, transport.capabilities.frameBytesMax - FRAME_ROOM_BYTES),
    ...(logger === undefined ? {} : { logger: walLogger(logger) }),
  });
  let closeClock: (() => Promise<void>) | undefined;
  let cold: ColdFile | undefined;
  try {
    // Again under the lock of the log: nobody else writes it now.
    let file = await readOwnFile(platform, options, identity);
    const founder = options.bootstrap === true || options.members === undefined;
    const note = async (change: Partial<RegionFile>): Promise<RegionFile> => {
      const before = file ?? {
        name,
        id,
        seed: new Uint8Array(SEED_BYTES),
        joined: false,
        shards: 1,
        since: 0,
        encryption: false,
      };
      file = { ...before, ...change };
      await writeRegionFile(fs, dir, file);
      return file;
    };
    if (file === undefined && founder) {
      const seed = platform.randomBytes(SEED_BYTES);
      const { shards = 1, encryption = false } = options;
      // Before anything says that there are keys.
      if (encryption) await createKeys(platform, dir);
      file = await note({ seed, joined: true, shards, encryption });
    }
    const { clock, close } = await openRegionClock(fs, dir, id, platform.now);
    closeClock = close;
    cold = await openColdFile(fs, dir);
    const engine = new RegionEngine({
      options,
      platform,
      name,
      id,
      wal,
      clock,
      closeClock,
      cold,
      clusterKeys,
      policies,
      reducers,
      transport,
      noteJoined: async ({ seed, shards, since }) =>
        void (await note({ seed, joined: true, shards, since: since?.get(id) ?? 0 })),
      noteReturned: async (since) => void (await note({ since })),
    });
    if (file === undefined) {
      engine.joinWith(async (signal) => {
        const { membership, keys } = await findCluster(engine, members, signal);
        const { seed, shards, encryption = false } = membership;
        await writeOn(engine, signal, async () => {
          if (keys !== undefined) await writeKeyFile(fs, dir, hasher, keys);
          await note({ seed, shards, encryption });
          await writeMembersFile(fs, dir, membership);
        });
        await engine.start(membership, { bootstrap: false, joining: true, checkpoint: undefined, keys });
      });
    } else {
      const stored = await readMembersFile(fs, dir);
      const { seed, shards, encryption } = file;
      // A region that was alone is remembered as one that went: its logs stay its own.
      const half = stored === undefined ? file.since > 0 : stored.regions.get(ALONE) === 0;
      const alone = id !== 0 && (file.id !== id || half);
      const before = alone ? { ...ALONE_LIST, shards: stored?.shards ?? shards } : stored;
      const option = members;
      const membership = listToOpen({ file: before, option, seed, encryption, shards, dir, hasher, logger });
      // In this order: a crash between the two leaves a region that was alone, with its list of one.
      if (alone) file = await note({ name, id, since: membership.since?.get(id) ?? 0 });
      if (id !== 0 && (alone || membership.version !== stored?.version))
        await writeMembersFile(fs, dir, membership);
      const slotsMoved = membership.shards !== shards;
      if (slotsMoved) file = await note({ shards: membership.shards });
      if (await finishInstall({ fs, dir, hasher }, wal))
        logger?.info({}, "Finished putting a member's snapshot in place");
      const checkpoint = await findCheckpoint(fs, dir, hasher, logger);
      const how = {
        bootstrap: file.joined,
        joining: !file.joined,
        checkpoint,
        joinedSince: file.since,
        slotsMoved,
        ...(stored?.promised === undefined || membership.version >= stored.promised.version
          ? {}
          : { promised: stored.promised }),
      };
      const keys = encryption ? await readKeyFile(fs, dir, hasher) : undefined;
      if (!encryption || keys !== undefined) await engine.start(membership, { ...how, keys });
      else if (membership.regions.size === 1) throw keysMissing(dir);
      else {
        engine.joinWith(async (signal) => {
          const found = await askOn(engine, signal, (asking) => takeKeys(engine, membership, asking));
          await writeOn(engine, signal, () => writeKeyFile(fs, dir, hasher, found));
          await engine.start(membership, { ...how, keys: found });
        });
      }
    }
    engine.opened();
    // The handle takes any name; its schema and reducers are those of the options.
    return new RegionHandle(engine) as Region as Region<Signal, States>;
  } catch (error) {
    await closeClock?.().catch(() => undefined);
    await cold?.close().catch(() => undefined);
    await wal.close().catch(() => undefined);
    throw translate(error, name);
  }
}

function identityOf(options: RegionOptions): Identity {
  const members = parseMembers(options.members);
  const { name = options.members === undefined ? ALONE : undefined } = options;
  if (name === undefined) throw new TypeError("A region with members needs a name");
  if (options.members === undefined && name !== ALONE) {
    throw new TypeError(
      `A region alone has no name: leave ${JSON.stringify(name)} out, or give members that name it`,
    );
  }
  const id = members.regions.get(name);
  if (id === undefined) {
    throw new TypeError(
      `members.regions does not name ${JSON.stringify(name)}: ${[...members.regions.keys()].join(", ")}`,
    );
  }
  if (members.regions.size > 1 && options.transport === undefined)
    throw new TypeError("A region with members needs a transport");
  if (members.regions.size > 1 && options.encryption === true && options.clusterKey === undefined)
    throw new TypeError("encryption needs a clusterKey: the keys of users travel between members under it");
  return { name, id: regionId(id), members };
}

/** `region.json`, if there is one. @throws RegionError `REGION_FOREIGN_DIR`, `REGION_DAMAGED`. */
async function readOwnFile(
  { fs }: RegionPlatform,
  options: RegionOptions,
  { name, id }: Identity,
): Promise<RegionFile | undefined> {
  const { dir } = options;
  const file = await readRegionFile(fs, dir);
  if (file === undefined) return undefined;
  // A region alone becomes the first of a cluster.
  const promoted = file.id === 0 && options.members !== undefined && options.bootstrap === true;
  if (promoted || (file.name === name && file.id === id)) {
    requireEncryption(options, file.encryption, dir);
    return file;
  }
  throw new RegionError(
    "REGION_FOREIGN_DIR",
    `Cannot open ${dir} as ${name} (${id}): it belongs to ${file.name} (${file.id}); ${
      file.id === 0
        ? "to make it the first region of a cluster, open it with bootstrap: true"
        : "give each region a directory of its own"
    }`,
  );
}

/** @throws RegionError `SHARDS_MISMATCH`. */
function requireShards({ shards }: RegionOptions, found: number, where: string): void {
  if (shards === undefined || shards === found) return;
  throw new RegionError(
    "SHARDS_MISMATCH",
    `Cannot open the region with ${shards} shards: ${where} ${found}; leave shards out, or call region.moveSlots(${shards}) while it is open with ${found}`,
  );
}

/** @throws RegionError `ENCRYPTION_MISMATCH`. */
function requireEncryption({ encryption }: RegionOptions, found: boolean, what: string): void {
  if (encryption === undefined || encryption === found) return;
  throw new RegionError(
    "ENCRYPTION_MISMATCH",
    `Cannot open the region with encryption: ${encryption}: ${what} ${found ? "encrypts" : "does not encrypt"}, which was chosen when the cluster was made; leave encryption out`,
  );
}

function keysMissing(dir: string): RegionError {
  return new RegionError(
    "REGION_DAMAGED",
    `Cannot open ${dir}: it is encrypted, and the keys of its users are missing; restore ${dir}/keys`,
  );
}

/** Learns the cluster and, where it encrypts, the keys of users. */
async function findCluster(
  engine: RegionEngine,
  members: Members,
  signal: AbortSignal,
): Promise<{ readonly membership: Membership; readonly keys: KeyFile | undefined }> {
  const { options, platform, transport, id, clusterKeys } = engine.parts;
  return askOn(engine, signal, async (asking) => {
    const membership = await joinCluster({
      transport,
      hasher: platform.hasher,
      self: id,
      members: { version: members.version, regions: regionIds(members) },
      keys: clusterKeys,
      acceptUnsigned: options.acceptUnsigned ?? false,
      sendUnsigned: false,
      randomBytes: platform.randomBytes,
      timeoutMs: JOIN_TIMEOUT_MS,
      signal: asking,
    });
    requireShards(options, membership.shards, "the cluster has");
    requireEncryption(options, membership.encryption ?? false, "the cluster");
    if (membership.encryption !== true) return { membership, keys: undefined };
    // A new directory has no checkpoint that could hold what was erased.
    return { membership, keys: { ...(await takeKeys(engine, membership, asking)), cleaning: false } };
  });
}

/** Takes the keys of users from a member. */
function takeKeys({ parts }: RegionEngine, membership: Membership, signal: AbortSignal): Promise<KeyFile> {
  const { platform, transport, id, clusterKeys, options } = parts;
  const { hasher, randomBytes } = platform;
  return fetchKeyFile({
    transport,
    hasher,
    self: id,
    membership,
    keys: clusterKeys,
    acceptUnsigned: options.acceptUnsigned ?? false,
    randomBytes,
    timeoutMs: JOIN_TIMEOUT_MS,
    signal,
  });
}

/** Asks members until one answers; ends when the region is closed. */
async function askOn<Answer>(
  engine: RegionEngine,
  signal: AbortSignal,
  ask: (signal: AbortSignal) => Promise<Answer>,
): Promise<Answer> {
  const { platform, transport } = engine.parts;
  for (let pauseMs = JOIN_PAUSE_MS.min; ; pauseMs = Math.min(pauseMs * 2, JOIN_PAUSE_MS.max)) {
    signal.throwIfAborted();
    // A medium that changes may have lost the question, and may answer the next one.
    const changed = new AbortController();
    const stop = transport.onStatus(() => changed.abort(new Error("The medium has changed")));
    const end = (): void => changed.abort(signal.reason);
    signal.addEventListener("abort", end);
    try {
      return await ask(changed.signal);
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof RegionError) engine.cannotJoin(error);
      // Each may be mended while we ask on; that nobody answers is no problem yet.
      if (error instanceof ReplicationError && error.code === "MEMBERSHIP_MISMATCH") engine.cannotJoin(error);
      const { cause } = error as Error;
      if (cause instanceof TransportError && cause.code === "UNAUTHORIZED") engine.cannotJoin(cause);
      const wait = { timers: platform.timers, timeoutMs: pauseMs, signals: [signal] };
      await waitFor(wait, (done) => {
        if (changed.signal.aborted) done();
        changed.signal.addEventListener("abort", done, { once: true });
        return () => changed.signal.removeEventListener("abort", done);
      });
    } finally {
      stop();
      signal.removeEventListener("abort", end);
    }
  }
}

/** Writes what joining needs, tried until the disk takes it; ends when the region is closed. */
async function writeOn(engine: RegionEngine, signal: AbortSignal, write: () => Promise<void>): Promise<void> {
  const { options, platform } = engine.parts;
  for (let pauseMs = JOIN_PAUSE_MS.min; ; pauseMs = Math.min(pauseMs * 2, JOIN_PAUSE_MS.max)) {
    signal.throwIfAborted();
    try {
      return await write();
    } catch (error) {
      engine.cannotJoin(
        new RegionError(
          "DIRECTORY_UNWRITABLE",
          `Cannot join: ${options.dir} cannot be written (${String(error)}); make room, or mend the disk: it is tried again`,
          { retryable: true, cause: error },
        ),
      );
      const wait = { timers: platform.timers, timeoutMs: pauseMs, signals: [signal] };
      await waitFor(wait, () => () => undefined);
    }
  }
}

/** The log reports in the order of `console`; a region's logger is pino-shaped. */
function walLogger(logger: RegionLogger): {
  warn(message: string, details?: object): void;
  error(message: string, details?: object): void;
} {
  return {
    warn: (message, details) => logger.warn(details ?? {}, message),
    error: (message, details) => logger.error(details ?? {}, message),
  };
}
