import { lacksRight, textOfReply, type Supervisor } from "@tidemark/redis-connection";
import { RedisKvError } from "./errors.ts";
import type { RedisDurability, RedisKvOptions } from "./options.ts";

const RANK: Readonly<Record<RedisDurability, number>> = { process: 1, disk: 2, region: 3 };

/**
 * What the server keeps, as far as it may be asked: a user without `CONFIG` and `INFO` is told nothing, which is the
 * weaker claim.
 *
 * @throws {@link RedisKvError} `KEYS_EVICTED`, `DURABILITY_TOO_LOW`
 */
export async function durabilityOf(
  supervisor: Supervisor,
  options: RedisKvOptions,
): Promise<RedisDurability> {
  const memory = await asked(supervisor, ["INFO", "memory"]);
  const evicting = memory?.map((reply) => textOfReply(reply)).find(evicts);
  if (evicting !== undefined) {
    const policy = fieldOf(evicting, "maxmemory_policy");
    throw new RedisKvError(
      "KEYS_EVICTED",
      `Cannot keep a store on a server with maxmemory-policy ${policy}: set noeviction, or a volatile one`,
    );
  }
  const durability = options.durability ?? ((await synced(supervisor)) ? "disk" : "process");
  const { requireDurable } = options;
  if (requireDurable !== undefined && RANK[durability] < RANK[requireDurable]) {
    throw new RedisKvError(
      "DURABILITY_TOO_LOW",
      `Cannot keep a store on this server: ${requireDurable} is asked for, it is known to keep ${durability}`,
    );
  }
  return durability;
}

/** Whether every primary syncs its log of writes before it answers. */
async function synced(supervisor: Supervisor): Promise<boolean> {
  const replies = await Promise.all([
    asked(supervisor, ["CONFIG", "GET", "appendonly"]),
    asked(supervisor, ["CONFIG", "GET", "appendfsync"]),
  ]);
  const [appendonly, appendfsync] = replies.map((each) => each?.map(settingOf));
  return (
    appendonly?.every((value) => value === "yes") === true &&
    appendfsync?.every((value) => value === "always") === true
  );
}

/** The answers of all primaries, or `undefined` if they may not be asked. */
async function asked(supervisor: Supervisor, args: readonly string[]): Promise<unknown[] | undefined> {
  try {
    return await supervisor.everywhere(args);
  } catch (error) {
    // Servers that are managed for somebody do not know CONFIG at all.
    if (lacksRight(error) || /unknown command/i.test(String(error))) return undefined;
    throw error;
  }
}

function evicts(info: string): boolean {
  return fieldOf(info, "maxmemory") !== "0" && fieldOf(info, "maxmemory_policy").startsWith("allkeys");
}

function fieldOf(info: string, name: string): string {
  return new RegExp(`^${name}:(.*?)\\r?$`, "m").exec(info)?.[1] ?? "";
}

/** The one value of `CONFIG GET`: a list of name and value, or a map in RESP3. */
function settingOf(reply: unknown): string {
  if (reply instanceof Map) return textOfReply([...reply.values()][0]);
  if (Array.isArray(reply)) return textOfReply(reply.flat()[1]);
  return textOfReply(Object.values(reply ?? {})[0]);
}
