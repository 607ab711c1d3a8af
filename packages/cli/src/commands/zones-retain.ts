import type { Command } from "commander";
import type { ArchiveSummary } from "@tidemark/zones";
import { defineCommand } from "../define.ts";
import type { Run } from "../define.ts";
import { CliError } from "../errors.ts";
import { formatTable } from "../table.ts";
import { parseCount, parseSpan } from "../units.ts";
import { openStore, requireOwn } from "../zone-store.ts";
import type { StoreOptions } from "../zone-store.ts";
import { sure, withChange } from "./zones-archive.ts";

/** What `zones retain --json` prints. */
export interface ZonesRetainJson {
  readonly store: string;
  readonly definition: string;
  readonly dryRun: boolean;
  /** The archives that went, or would go. */
  readonly removed: readonly ArchiveSummary[];
}

interface RetainOptions extends StoreOptions {
  readonly keep?: number;
  /** Seconds. */
  readonly maxAge?: number;
  readonly dryRun?: boolean;
  readonly yes?: boolean;
}

/** `tidemark zones retain`: removes archives that are too many, or too old. */
export function zonesRetainCommand(run: Run): Command {
  return defineCommand<RetainOptions>(run, {
    name: "retain",
    summary: "Removes archives of an agent, for ever, that are more than --keep, or older than --max-age.",
    examples: [
      "tidemark zones retain scout --keep 20 --store data/zones --dry-run",
      "tidemark zones retain scout --keep 20 --max-age 90d --store data/zones --yes",
    ],
    configure: (command) =>
      withChange(
        command
          .argument("<definition>", "the agent")
          .option("--keep <number>", "how many of the newest stay", parseCount)
          .option("--max-age <span>", "how old they may be, such as 90d", parseSpan),
      ),
    run: async ({ args: [definition = ""], options, io, output }) => {
      const { keep, maxAge, dryRun = false } = options;
      if (keep === undefined && maxAge === undefined)
        throw new CliError("CLI_USAGE", "Say which archives stay: --keep, --max-age, or both");
      await using store = await openStore(options, io, output);
      const { dir, zones } = store;
      const rule = {
        ...(keep === undefined ? {} : { keepMax: keep }),
        ...(maxAge === undefined ? {} : { ageMsMax: Math.round(maxAge * 1_000) }),
      };
      const planned = await zones.retain(definition, { ...rule, dryRun: true });
      await requireOwn(zones, definition);
      if (!dryRun && planned.length > 0)
        await sure(`Remove ${planned.length} archives of ${definition} for ever?`, options, io);
      const removed = dryRun ? planned : await zones.retain(definition, rule);
      const json: ZonesRetainJson = { store: dir, definition, dryRun, removed };
      await output.result(json, () => render(json));
    },
  });
}

function render({ removed, dryRun }: ZonesRetainJson): string {
  if (removed.length === 0) return "nothing to remove\n";
  const head = dryRun ? "WOULD GO" : "REMOVED";
  return formatTable(
    [head, "NODES", "PREVIEW"],
    removed.map(({ zone, nodeCount, preview }) => [zone, String(nodeCount), preview]),
  );
}
