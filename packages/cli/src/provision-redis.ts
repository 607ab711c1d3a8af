/** What `provision redis --json` prints. */
export interface ProvisionRedisJson {
  readonly broker: "redis";
  readonly prefix: string;
  readonly user: string;
  /** What follows the password in `ACL SETUSER`. */
  readonly rights: readonly string[];
  /** For `CONFIG SET`, or the server's configuration. */
  readonly config: Readonly<Record<string, string>>;
}

/** What the transport does, and nothing more: no script, no module, no scan, no publish and subscribe. */
const COMMANDS = ["xadd", "xread", "xrevrange", "xtrim", "pexpire", "del", "ping", "info"];
/** What the Cluster of ioredis asks besides. */
const CLUSTER_COMMANDS = ["cluster|slots", "cluster|info"];

/** A user's rights, and what a server must not do to keys that nobody has read yet. */
export function planRedis(prefix: string, cluster: boolean): ProvisionRedisJson {
  const commands = cluster ? [...COMMANDS, ...CLUSTER_COMMANDS] : COMMANDS;
  return {
    broker: "redis",
    prefix,
    user: prefix,
    rights: [`~${prefix}:*`, ...commands.map((command) => `+${command}`)],
    config: { "maxmemory-policy": "noeviction" },
  };
}

/** The same for `redis-cli`: a line is a command. */
export function formatRedis({ user, rights, config }: ProvisionRedisJson): string {
  const settings = Object.entries(config).map(([name, value]) => `CONFIG SET ${name} ${value}\n`);
  return [`ACL SETUSER ${user} on >SECRET ${rights.join(" ")}\n`, ...settings].join("");
}
