import type { Command } from "commander";
import type { Archived, Restored } from "@tidemark/zones";
import { confirmed, defineCommand } from "../define.ts";
import type { Run } from "../define.ts";
import type { CliIo } from "../io.ts";
import { archiveOf, openStore, requireOwn, STORE_OPTION, STORE_SUMMARY } from "../zone-store.ts";
import type { StoreOptions } from "../zone-store.ts";

/** What `zones archive --json` prints. */
export interface ZonesArchiveJson {
  readonly store: string;
  readonly definition: string;
  readonly dryRun: boolean;
  /** What is current before. */
  readonly current: string | null;
  /** Where it is now; `null` for a dry run, and if there is nothing to archive. */
  readonly archived: Archived | null;
}

/** What `zones restore --json` prints. */
export interface ZonesRestoreJson {
  readonly store: string;
  readonly definition: string;
  readonly dryRun: boolean;
  /** The archive. */
  readonly restored: Archived;
  /** Where what was current is now. */
  readonly archived: Archived | null;
}

interface ChangeOptions extends StoreOptions {
  readonly dryRun?: boolean;
  readonly yes?: boolean;
}

/** `tidemark zones archive`: puts away what is current. */
export function zonesArchiveCommand(run: Run): Command {
  return defineCommand<ChangeOptions>(run, {
    name: "archive",
    summary: "Archives what is current of an agent, in one step. Its screens begin anew.",
    examples: [
      "tidemark zones archive scout --store data/zones --dry-run",
      "tidemark zones archive scout --store data/zones --yes",
    ],
    configure: (command) => withChange(command.argument("<definition>", "the agent")),
    run: async ({ args: [definition = ""], options, io, output }) => {
      await using store = await openStore(options, io, output);
      const { dir, zones } = store;
      const current = await zones.currentSession(definition);
      await requireOwn(zones, definition);
      const dryRun = options.dryRun === true;
      if (!dryRun && current !== undefined) await sure(`Archive ${current.zone}?`, options, io);
      const archived = (dryRun ? undefined : await zones.archiveSession(definition)) ?? null;
      const json: ZonesArchiveJson = {
        store: dir,
        definition,
        dryRun,
        current: current?.zone ?? null,
        archived,
      };
      await output.result(json, () => {
        if (current === undefined) return "nothing to archive\n";
        return archived === null ? `${current.zone} would be archived\n` : `${archived.zone}\n`;
      });
    },
  });
}

/** `tidemark zones restore`: makes an archive current again. */
export function zonesRestoreCommand(run: Run): Command {
  return defineCommand<ChangeOptions>(run, {
    name: "restore",
    summary: "Makes an archive current again, in one step that archives what was.",
    examples: [
      "tidemark zones restore agent:scout:archive:1790000000000 --store data/zones --dry-run",
      "tidemark zones restore agent:scout:archive:1790000000000 --store data/zones --yes",
    ],
    configure: (command) => withChange(command.argument("<zone>", "the archive, as zones ls prints it")),
    run: async ({ args: [zone], options, io, output }) => {
      const { definition, archivedAtMs } = archiveOf(zone);
      await using store = await openStore(options, io, output);
      const { dir, zones } = store;
      await zones.archivedContent(definition, archivedAtMs);
      await requireOwn(zones, definition);
      const dryRun = options.dryRun === true;
      const plan: Restored = { zone: zone as string, archivedAtMs };
      if (!dryRun) await sure(`Make ${plan.zone} current?`, options, io);
      const restored = dryRun ? plan : await zones.restoreArchive(definition, archivedAtMs);
      const json: ZonesRestoreJson = {
        store: dir,
        definition,
        dryRun,
        restored: { zone: restored.zone, archivedAtMs },
        archived: restored.archived ?? null,
      };
      await output.result(json, () => {
        if (dryRun) return `${restored.zone} would be current\n`;
        const before = restored.archived === undefined ? "" : `; what was is ${restored.archived.zone}`;
        return `${restored.zone} is current${before}\n`;
      });
    },
  });
}

/** Options of a command that changes zones. */
export function withChange(command: Command): Command {
  return command
    .option(STORE_OPTION, STORE_SUMMARY)
    .option("-n, --dry-run", "say what would be done, and change nothing")
    .option("-y, --yes", "do not ask");
}

/** @throws CliError `CLI_UNCONFIRMED` */
export async function sure(
  question: string,
  { yes = false }: Pick<ChangeOptions, "yes">,
  io: CliIo,
): Promise<void> {
  if (!yes) await confirmed(question, io);
}
