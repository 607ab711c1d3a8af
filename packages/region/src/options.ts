import type { Hasher } from "@tidemark/core";
import type { Transport } from "@tidemark/transport";
import type { Durability, Timers, WalFs } from "@tidemark/wal";
import type { MembersOption } from "./members.ts";

/** What a region needs of the machine it runs on; `@tidemark/region/node` fills it in. */
export interface RegionPlatform {
  readonly fs: WalFs;
  /** Wall clock, Unix milliseconds. */
  readonly now: () => number;
  readonly timers: Timers;
  readonly randomBytes: (count: number) => Uint8Array;
  readonly hasher: Hasher;
}

/** A pino-shaped logger: one line a state change, none a record. */
export interface RegionLogger {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** How a region is opened. */
export interface RegionOptions {
  /** This region's name in `members`. Left out with `members`. */
  readonly name?: string;
  /** Every region of the cluster, the same list everywhere. Without it the region is 0, alone. */
  readonly members?: MembersOption;
  /** This region's own directory, made if it is missing. */
  readonly dir: string;
  /** Borrowed: whoever joined the network leaves it. Needed with `members`. */
  readonly transport?: Transport;
  /** Says that this is the first region of a new cluster; without effect on a directory that has been used. @defaultValue false */
  readonly bootstrap?: boolean;
  /** A follower serves reads, refuses every write with `READ_ONLY`, and acknowledges like any member. @defaultValue "member" */
  readonly role?: "member" | "follower";
  /** 32 bytes that every member holds: frames, cursors and tickets are authenticated with it. */
  readonly clusterKey?: Uint8Array | readonly ClusterKey[];
  /** With a cluster key: also accepts unsigned frames, while a key is being introduced. Shown in `health()`. @defaultValue false */
  readonly acceptUnsigned?: boolean;
  /** Without a cluster key: takes the operations inside a ticket on the bearer's word. @defaultValue false */
  readonly trustTickets?: boolean;
  /** When a write counts as durable; see `@tidemark/wal` for what the weaker modes can lose. @defaultValue "always" */
  readonly durability?: Durability;
  /** Lifetime of a ticket, in milliseconds. @defaultValue 7 days */
  readonly ticketMs?: number;
  readonly logger?: RegionLogger;
}

/** A cluster key with its number: two at a time allow rotation. */
export interface ClusterKey {
  /** 1 to 255, unique among the live keys; the first of the list signs. */
  readonly id: number;
  /** 32 bytes. */
  readonly key: Uint8Array;
}

/** Defaults that hold where an option is left out; the limits below them are those of the packages underneath. */
export const REGION_DEFAULTS: {
  readonly driftMsMax: number;
  readonly ticketMs: number;
  readonly ticketBytesMax: number;
  readonly resumeTimeoutMs: number;
  readonly ackTimeoutMs: number;
  readonly clockLeadMs: number;
} = {
  driftMsMax: 500,
  ticketMs: 7 * 24 * 60 * 60 * 1000,
  ticketBytesMax: 64 * 1024,
  resumeTimeoutMs: 10_000,
  ackTimeoutMs: 10_000,
  clockLeadMs: 2000,
};

/** Checks the cluster key option. @throws `TypeError` unless every key has 32 bytes and a number of its own. */
export function clusterKeysOf(option: RegionOptions["clusterKey"]): readonly ClusterKey[] {
  if (option === undefined) return [];
  const keys = option instanceof Uint8Array ? [{ id: 1, key: option }] : [...option];
  const ids = new Set<number>();
  for (const { id, key } of keys) {
    if (!Number.isInteger(id) || id < 1 || id > 255) throw new TypeError("A cluster key's id is 1 to 255");
    if (!(key instanceof Uint8Array) || key.length !== 32) throw new TypeError("A cluster key has 32 bytes");
    if (ids.has(id)) throw new TypeError(`Two cluster keys have the id ${id}`);
    ids.add(id);
  }
  if (keys.length > 2) throw new TypeError("At most two cluster keys are live at a time");
  return keys;
}
