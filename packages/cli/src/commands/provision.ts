import { InvalidArgumentError } from "commander";
import type { Command } from "commander";
import { defineCommand, defineGroup } from "../define.ts";
import type { Run } from "../define.ts";
import { CliError } from "../errors.ts";
import { formatNats, planNats } from "../provision-nats.ts";
import { formatRedis, planRedis } from "../provision-redis.ts";

export type { NatsRightsJson, NatsStreamJson, ProvisionNatsJson } from "../provision-nats.ts";
export type { ProvisionRedisJson, RedisUserJson } from "../provision-redis.ts";

interface PrintOptions {
  readonly print?: boolean;
  readonly prefix: string;
}

const REGION_ID_MAX = 65_535;
const REPLICAS_MAX = 5;

/** `tidemark provision`: what an operator makes on a broker. */
export function provisionCommand(run: Run): Command {
  return defineGroup(
    "provision",
    "Prints what an operator makes on a broker for regions that may make nothing themselves.",
    ["tidemark provision nats --print --regions 1,2", "tidemark provision redis --print --regions 1,2"],
    [natsCommand(run), redisCommand(run)],
  );
}

function natsCommand(run: Run): Command {
  return defineCommand<PrintOptions & { readonly regions: readonly number[]; readonly replicas: number }>(
    run,
    {
      name: "nats",
      summary:
        "Prints the streams of a cluster and the least rights of each region, for nats-server 2.9 and later.",
      examples: [
        "tidemark provision nats --print --regions 1,2",
        "tidemark provision nats --print --regions 1,2,3 --replicas 3 --prefix shop --json",
      ],
      configure: (command) =>
        withPrint(command, parseNatsPrefix)
          .requiredOption("--regions <ids>", "the ids of the regions in the list of members", parseRegions)
          .option("--replicas <n>", "copies of each stream in a JetStream cluster", parseReplicas, 1),
      run: async ({ options, output }) => {
        requirePrint(options);
        const { prefix, regions, replicas } = options;
        const json = planNats({ prefix, regions, replicas });
        await output.result(json, () => formatNats(json));
      },
    },
  );
}

function redisCommand(run: Run): Command {
  return defineCommand<PrintOptions & { readonly regions: readonly number[]; readonly cluster?: boolean }>(
    run,
    {
      name: "redis",
      summary:
        "Prints a user with the least rights for each region, and what the server must be set to, for Redis 7 and later and Valkey; without --regions one user for all, which is what Redis 6.2 can hold.",
      examples: [
        "tidemark provision redis --print --regions 1,2",
        "tidemark provision redis --print --regions 1,2 --cluster --prefix shop",
      ],
      configure: (command) =>
        withPrint(command, parseRedisPrefix)
          .option("--regions <ids>", "the ids of the regions in the list of members", parseRegions, [])
          .option("--cluster", "also what a Redis Cluster's clients ask"),
      run: async ({ options, output }) => {
        requirePrint(options);
        const { prefix, regions, cluster } = options;
        const json = planRedis({ prefix, regions, cluster: cluster === true });
        await output.result(json, () => formatRedis(json));
        if (!output.json) output.note("Put passwords of your own in place of SECRET.");
      },
    },
  );
}

function withPrint(command: Command, parsePrefix: (text: string) => string): Command {
  return command
    .option("--print", "print it; nothing is made from here")
    .option("--prefix <name>", "the prefix that the transport is given", parsePrefix, "tidemark");
}

/** @throws CliError `CLI_USAGE`: nobody should think that something was made. */
function requirePrint({ print }: PrintOptions): void {
  if (print !== true) throw new CliError("CLI_USAGE", "Say --print: nothing is made on a broker from here");
}

function parseNatsPrefix(text: string): string {
  if (!/^[A-Za-z0-9_-]{1,32}$/.test(text))
    throw new InvalidArgumentError("It has 1 to 32 of A-Z a-z 0-9 _ -.");
  return text;
}

function parseRedisPrefix(text: string): string {
  if (!/^[\x21-\x7e]{1,100}$/.test(text) || /[{}]/.test(text))
    throw new InvalidArgumentError("It has 1 to 100 printable characters, and no brace.");
  return text;
}

function parseRegions(text: string): readonly number[] {
  const ids = text.split(",").map((id) => (/^\d{1,5}$/.test(id) ? Number(id) : 0));
  if (ids.some((id) => id < 1 || id > REGION_ID_MAX) || new Set(ids).size !== ids.length)
    throw new InvalidArgumentError(
      `They are different numbers from 1 to ${REGION_ID_MAX}, joined by commas.`,
    );
  return ids;
}

function parseReplicas(text: string): number {
  const replicas = Number(text);
  if (!/^\d$/.test(text) || replicas < 1 || replicas > REPLICAS_MAX)
    throw new InvalidArgumentError(`It is a number from 1 to ${REPLICAS_MAX}.`);
  return replicas;
}
