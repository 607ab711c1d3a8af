/** A user of Redis, and all that it may do. */
export interface RedisUserJson {
  /** Whose it is; `null` for one that all regions share. */
  readonly region: number | null;
  readonly user: string;
  /** What follows the password in `ACL SETUSER`. */
  readonly rights: readonly string[];
}

/** What `provision redis --json` prints. */
export interface ProvisionRedisJson {
  readonly broker: "redis";
  readonly prefix: string;
  readonly users: readonly RedisUserJson[];
  /** For `CONFIG SET`, or the server's configuration. */
  readonly config: Readonly<Record<string, string>>;
}

/** What an operator of Redis is asked for. */
export interface RedisPlan {
  readonly prefix: string;
  /** Ids of the regions, each with a user of its own; none: one user for all. */
  readonly regions: readonly number[];
  readonly cluster: boolean;
}

/** What the transport does, and nothing more: no script, no module, no scan, no publish and subscribe. */
const COMMANDS = ["xadd", "xread", "xrevrange", "xtrim", "pexpire", "del", "ping", "info"];
/** What the Cluster of ioredis asks besides. */
const CLUSTER_COMMANDS = ["cluster|slots", "cluster|info"];
const CHANNELS = ["sessions", "signals"];

/** Users with their rights, and what a server must not do to keys that nobody has read yet. */
export function planRedis({ prefix, regions, cluster }: RedisPlan): ProvisionRedisJson {
  const commands = [...COMMANDS, ...(cluster ? CLUSTER_COMMANDS : [])].map((command) => `+${command}`);
  const users =
    regions.length === 0
      ? [{ region: null, user: prefix, rights: [`~${literal(prefix)}:*`, ...commands] }]
      : regions.map((region) => ({
          region,
          user: `${prefix}-${region}`,
          rights: [...keysOf(literal(prefix), region), ...commands],
        }));
  return { broker: "redis", prefix, users, config: { "maxmemory-policy": "noeviction" } };
}

/** Reads all of the prefix; writes what this region says, and where others are asked and answered. */
function keysOf(prefix: string, region: number): string[] {
  return [
    `%R~${prefix}:*`,
    ...CHANNELS.map((channel) => `%W~${prefix}:{*}:log:${channel}.${region}.*`),
    `%W~${prefix}:{ack}:eph:ack.${region}`,
    `%W~${prefix}:{inbox.*}:requests`,
    `%W~${prefix}:{*}:replies`,
    `%W~${prefix}:{*}:wake:*`,
  ];
}

/** A prefix in a pattern: each of its characters is that one and no other. */
function literal(prefix: string): string {
  return prefix.replaceAll(/[*?[\]\\]/g, "\\$&");
}

/** The same for `redis-cli`: a line is a command, which takes away whatever the user could do before. */
export function formatRedis({ users, config }: ProvisionRedisJson): string {
  return [
    ...users.map(({ user, rights }) => `ACL SETUSER ${user} reset on >SECRET ${rights.join(" ")}\n`),
    ...Object.entries(config).map(([name, value]) => `CONFIG SET ${name} ${value}\n`),
  ].join("");
}
