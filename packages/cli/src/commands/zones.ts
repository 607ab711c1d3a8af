import type { Command } from "commander";
import type { ArchiveSummary, CurrentSession } from "@tidemark/zones";
import { defineCommand, defineGroup } from "../define.ts";
import type { Run } from "../define.ts";
import { formatTable } from "../table.ts";
import { parseCount } from "../units.ts";
import { openStore, STORE_OPTION, STORE_SUMMARY } from "../zone-store.ts";
import type { StoreOptions } from "../zone-store.ts";
import { zonesArchiveCommand, zonesRestoreCommand } from "./zones-archive.ts";
import { zonesExportCommand, zonesImportCommand } from "./zones-files.ts";
import { zonesRetainCommand } from "./zones-retain.ts";

/** What `zones ls --json` prints. */
export interface ZonesJson {
  readonly store: string;
  readonly definitions: readonly {
    readonly definition: string;
    /** What is current; `null` if nothing is. */
    readonly current: (Omit<CurrentSession, "session"> & { readonly session: string | null }) | null;
    /** The newest first. */
    readonly archives: readonly ArchiveSummary[];
  }[];
}

interface ListOptions extends StoreOptions {
  readonly limit?: number;
}

/** `tidemark zones`: what agents show, and where they were. */
export function zonesCommand(run: Run): Command {
  return defineGroup(
    "zones",
    "Lists, archives, restores, exports and imports the sessions of agents.",
    ["tidemark zones ls --store data/zones", "tidemark zones archive scout --store data/zones --dry-run"],
    [
      lsCommand(run),
      zonesArchiveCommand(run),
      zonesRestoreCommand(run),
      zonesRetainCommand(run),
      zonesExportCommand(run),
      zonesImportCommand(run),
    ],
  );
}

function lsCommand(run: Run): Command {
  return defineCommand<ListOptions>(run, {
    name: "ls",
    summary: "Lists what is current of each agent, and its archives, newest first.",
    examples: ["tidemark zones ls --store data/zones", "tidemark zones ls scout --store data/zones --json"],
    configure: (command) =>
      command
        .argument("[definition]", "one agent (default: all that have zones)")
        .option(STORE_OPTION, STORE_SUMMARY)
        .option("--limit <number>", "archives of each agent: 1 to 100 (default: 20)", parseCount),
    run: async ({ args: [definition], options, io, output }) => {
      await using store = await openStore(options, io, output);
      const { dir, zones } = store;
      const definitions = [];
      for (const one of definition === undefined ? await zones.definitions() : [definition]) {
        const current = await zones.currentSession(one);
        const archives = await zones.listArchives(one, { limit: options.limit ?? 0 });
        definitions.push({
          definition: one,
          current: current === undefined ? null : { ...current, session: current.session ?? null },
          archives,
        });
      }
      const json: ZonesJson = { store: dir, definitions };
      await output.result(json, () => render(json));
    },
  });
}

function render({ definitions }: ZonesJson): string {
  const rows = definitions.flatMap(({ current, archives }) => [
    ...(current === null ? [] : [[current.zone, "-", String(current.nodeCount), current.preview]]),
    ...archives.map(({ zone, archivedAtMs, nodeCount, preview }) => [
      zone,
      new Date(archivedAtMs).toISOString(),
      String(nodeCount),
      preview,
    ]),
  ]);
  return rows.length === 0 ? "no zones\n" : formatTable(["ZONE", "ARCHIVED", "NODES", "PREVIEW"], rows);
}
