import { writeMembersFile } from "@tidemark/region";
import type { MembersFile } from "@tidemark/region";
import { nodeFs } from "@tidemark/wal/node";
import { regionId } from "@tidemark/core";
import { InvalidArgumentError } from "commander";
import type { Command } from "commander";
import { confirmed, defineCommand, defineGroup, directoryOf } from "../define.ts";
import type { Run } from "../define.ts";
import { CliError } from "../errors.ts";
import type { CliIo } from "../io.ts";
import { describe, describeMembers, freeId, nextMembers, unchangedSince } from "../members-list.ts";
import type { MembersChangeJson, MembersJson } from "../members-list.ts";
import type { Output } from "../output.ts";
import { formatTable } from "../table.ts";

export type { MembersChangeJson, MembersJson } from "../members-list.ts";

interface ChangeOptions {
  readonly id?: number;
  readonly dryRun?: boolean;
  readonly yes?: boolean;
}

/** `tidemark members`: who belongs to the cluster, and a change of it. */
export function membersCommand(run: Run): Command {
  return defineGroup(
    "members",
    "Lists the members of a region's cluster, and changes the list.",
    ["tidemark members ls data/us-east", "tidemark members add ap-south data/us-east --dry-run"],
    [lsCommand(run), addCommand(run), removeCommand(run)],
  );
}

function lsCommand(run: Run): Command {
  return defineCommand<object>(run, {
    name: "ls",
    summary: "Lists the members as this region knows them, and who was one.",
    examples: ["tidemark members ls data/us-east", "tidemark members ls data/us-east --json"],
    configure: (command) => command.argument("[dir]", "the region's directory"),
    run: async ({ args: [argument], io, output }) => {
      const json = await describeMembers(directoryOf(argument, io));
      await output.result(json, () => render(json));
    },
  });
}

function addCommand(run: Run): Command {
  return defineCommand<ChangeOptions>(run, {
    name: "add",
    summary:
      "Adds a region to the list of members, as one write of members.json. A running region takes it within a second and tells the others.",
    examples: [
      "tidemark members add ap-south data/us-east --dry-run",
      "tidemark members add ap-south data/us-east --id 7",
    ],
    configure: (command) =>
      command
        .argument("<name>", "the region that comes")
        .argument("[dir]", "the directory of a region that is a member")
        .option(
          "--id <number>",
          "its id, 1 to 65535, never used before (default: the next free one)",
          parseId,
        )
        .option("-n, --dry-run", "show the list, and write nothing"),
    run: async ({ args: [name, argument], options, io, output }) => {
      const dir = directoryOf(argument, io);
      const next = await nextMembers(dir, (regions, current) => {
        const id = options.id === undefined ? freeId(current) : regionId(options.id);
        if (name === undefined || name === "") throw new CliError("CLI_USAGE", "A region needs a name");
        if (regions.has(name))
          throw new CliError(
            "CLI_MEMBERS_REFUSED",
            `${name} is a member already, with the id ${regions.get(name)}`,
          );
        regions.set(name, id);
      });
      await change(dir, next, options, output);
    },
  });
}

function removeCommand(run: Run): Command {
  return defineCommand<ChangeOptions>(run, {
    name: "remove",
    summary:
      "Removes a region from the list of members, as one write of members.json: it is fenced, and holds nothing back any more.",
    examples: [
      "tidemark members remove eu-west data/us-east --dry-run",
      "tidemark members remove eu-west data/us-east --yes",
    ],
    configure: (command) =>
      command
        .argument("<name>", "the region that goes")
        .argument("[dir]", "the directory of a region that stays")
        .option("-n, --dry-run", "show the list, and write nothing")
        .option("-y, --yes", "do not ask"),
    run: async ({ args: [name, argument], options, io, output }) => {
      const dir = directoryOf(argument, io);
      const next = await nextMembers(dir, (regions, { regions: before }) => {
        if (name === undefined || !regions.delete(name)) {
          const names = [...before.keys()].join(", ");
          throw new CliError("CLI_MEMBERS_REFUSED", `${name} is no member: ${names} are`);
        }
      });
      if (options.dryRun !== true) await sure(`Remove ${name} from the cluster?`, options, io);
      await change(dir, next, options, output);
    },
  });
}

async function sure(question: string, options: ChangeOptions, io: CliIo): Promise<void> {
  if (options.yes !== true) await confirmed(question, io);
}

async function change(
  dir: string,
  next: MembersFile,
  { dryRun = false }: ChangeOptions,
  output: Output,
): Promise<void> {
  if (!dryRun) {
    if (!(await unchangedSince(dir, next.version - 1)))
      throw new CliError(
        "CLI_MEMBERS_REFUSED",
        `The list in ${dir} has just been changed: look at it, and try again`,
      );
    await writeMembersFile(nodeFs(), dir, next);
  }
  const json: MembersChangeJson = { ...describe(dir, next), written: !dryRun };
  await output.result(json, () => render(json));
  output.note(dryRun ? "Nothing was written." : "A running region takes it within a second.");
}

function render({ version, shards, members, removed }: MembersJson): string {
  const rows = [
    ...members.map(({ name, id, since }) => [
      name,
      String(id),
      since === null ? "the first" : String(since),
      "-",
    ]),
    ...removed.map(({ name, id, version: at }) => [name, String(id), "-", String(at)]),
  ];
  const head =
    version === 0 ? "alone, no list" : `list ${version}, ${shards} ${shards === 1 ? "shard" : "shards"}`;
  return `${head}\n\n${formatTable(["REGION", "ID", "SINCE LIST", "REMOVED BY LIST"], rows)}`;
}

function parseId(text: string): number {
  const id = Number(text);
  if (!/^\d+$/.test(text) || id < 1 || id > 0xffff) throw new InvalidArgumentError("It must be 1 to 65535.");
  return id;
}
