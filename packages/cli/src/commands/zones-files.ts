import { resolve } from "node:path";
import type { Command } from "commander";
import { type ExportedZone, exportZones, type ImportedZone, importZones } from "@tidemark/zones";
import { nodeZoneFiles } from "@tidemark/zones/node";
import { defineCommand } from "../define.ts";
import type { Run } from "../define.ts";
import { requireDirectory } from "../directory.ts";
import { EXIT } from "../exit-codes.ts";
import { formatTable } from "../table.ts";
import { formatBytes } from "../units.ts";
import { openStore, requireOwn, STORE_OPTION, STORE_SUMMARY } from "../zone-store.ts";
import type { StoreOptions } from "../zone-store.ts";
import { sure, withChange } from "./zones-archive.ts";

/** What `zones export --json` prints. */
export interface ZonesExportJson {
  readonly store: string;
  readonly dir: string;
  readonly dryRun: boolean;
  readonly zones: readonly ExportedZone[];
}

/** What `zones import --json` prints. */
export interface ZonesImportJson {
  readonly store: string;
  readonly dir: string;
  readonly dryRun: boolean;
  readonly zones: readonly {
    readonly zone: string;
    readonly outcome: ImportedZone["outcome"];
    readonly archivedAtMs: number | null;
    readonly code: string | null;
    readonly message: string | null;
  }[];
}

interface FilesOptions extends StoreOptions {
  readonly agent?: readonly string[];
  readonly dryRun?: boolean;
  readonly yes?: boolean;
}

const AGENT = "--agent <definition...>";

/** `tidemark zones export`: zones as folders of files. */
export function zonesExportCommand(run: Run): Command {
  return defineCommand<FilesOptions>(run, {
    name: "export",
    summary:
      "Writes zones as folders of files: snapshot, log, and what the snapshot covers. An earlier export is brought up to date.",
    examples: [
      "tidemark zones export data/exported --store data/zones",
      "tidemark zones export data/exported --agent scout --store data/zones --dry-run",
    ],
    configure: (command) =>
      command
        .argument("<dir>", "where they go; made if it is not there")
        .option(AGENT, "agents (default: all)")
        .option(STORE_OPTION, STORE_SUMMARY)
        .option("-n, --dry-run", "say what would be done, and change nothing"),
    run: async ({ args: [argument = ""], options, io, output }) => {
      await using store = await openStore(options, io, output);
      const dir = resolve(io.cwd, argument);
      const { agent, dryRun = false } = options;
      const which = agent === undefined ? {} : { definitions: agent };
      const zones = await exportZones(store.zones, nodeZoneFiles(dir), { ...which, dryRun });
      const json: ZonesExportJson = { store: store.dir, dir, dryRun, zones };
      await output.result(json, () =>
        zones.length === 0
          ? "no zones\n"
          : formatTable(
              ["ZONE", dryRun ? "WOULD BE" : "IS", "SIZE"],
              zones.map(({ zone, outcome, bytes }) => [zone, outcome, formatBytes(bytes)]),
            ),
      );
    },
  });
}

/** `tidemark zones import`: takes zones from folders of files, also of other programs. */
export function zonesImportCommand(run: Run): Command {
  return defineCommand<FilesOptions>(run, {
    name: "import",
    summary:
      "Takes zones from folders of files, which are only read. What is current here is kept: the earlier of two becomes an archive.",
    examples: [
      "tidemark zones import data/exported --store data/zones --dry-run",
      "tidemark zones import data/exported --agent scout --store data/zones --yes",
    ],
    configure: (command) =>
      withChange(
        command.argument("<dir>", "where they are").option(AGENT, "agents (default: all that are there)"),
      ),
    run: async ({ args: [argument = ""], options, io, output }) => {
      await using store = await openStore(options, io, output);
      const dir = resolve(io.cwd, argument);
      await requireDirectory(dir);
      const { agent, dryRun = false } = options;
      const which = agent === undefined ? {} : { definitions: agent };
      const files = nodeZoneFiles(dir);
      const planned = await importZones(store.zones, files, { ...which, dryRun: true });
      const agents = new Set(planned.map(({ zone }) => zone.split(":")[1] as string));
      for (const definition of agents) await requireOwn(store.zones, definition);
      const changes = planned.filter(({ outcome }) => outcome === "current" || outcome === "archived");
      if (!dryRun && changes.length > 0) await sure(`Take ${changes.length} zones from ${dir}?`, options, io);
      const imported = dryRun ? planned : await importZones(store.zones, files, which);
      const json: ZonesImportJson = { store: store.dir, dir, dryRun, zones: imported.map(rowOf) };
      await output.result(json, () =>
        imported.length === 0
          ? "no zones\n"
          : formatTable(
              ["ZONE", dryRun ? "WOULD BE" : "IS", ""],
              imported.map(({ zone, outcome, message = "" }) => [zone, outcome, message]),
            ),
      );
      return imported.some(({ outcome }) => outcome === "failed" || outcome === "conflict")
        ? EXIT.failure
        : EXIT.ok;
    },
  });
}

function rowOf({
  zone,
  outcome,
  archivedAtMs,
  code,
  message,
}: ImportedZone): ZonesImportJson["zones"][number] {
  return {
    zone,
    outcome,
    archivedAtMs: archivedAtMs ?? null,
    code: code ?? null,
    message: message ?? null,
  };
}
