import type { Command } from "commander";
import { defineGroup } from "../define.ts";
import type { Run } from "../define.ts";
import { walDumpCommand } from "./wal-dump.ts";
import { walInspectCommand } from "./wal-inspect.ts";
import { walRepairCommand } from "./wal-repair.ts";
import { walVerifyCommand } from "./wal-verify.ts";

/** `tidemark wal`: the logs of a directory. */
export function walCommand(run: Run): Command {
  return defineGroup(
    "wal",
    "Looks into the logs of a directory, and repairs them.",
    ["tidemark wal inspect data/us-east", "tidemark wal verify data/us-east"],
    [walInspectCommand(run), walVerifyCommand(run), walDumpCommand(run), walRepairCommand(run)],
  );
}
