import { nodeFs } from "@tidemark/wal/node";
import type { Command } from "commander";
import {
  checkCheckpoint,
  checkClock,
  checkDisk,
  checkLock,
  checkNode,
  checkRights,
  checkStatus,
} from "../checks.ts";
import type { DoctorCheck } from "../checks.ts";
import { defineCommand, directoryOf } from "../define.ts";
import type { Run } from "../define.ts";
import { requireRegion } from "../directory.ts";
import { EXIT } from "../exit-codes.ts";
import { checkLogs, checkMembers, checkWatermark } from "../log-checks.ts";
import type { Output, Tone } from "../output.ts";
import { requireLogs } from "../survey.ts";
import { formatTable } from "../table.ts";

export type { DoctorCheck } from "../checks.ts";

/** What `doctor --json` prints. */
export interface DoctorJson {
  readonly dir: string;
  readonly region: { readonly name: string; readonly id: number };
  /** No check has failed; one may warn. */
  readonly ok: boolean;
  readonly checks: readonly DoctorCheck[];
}

const TONES: Readonly<Record<DoctorCheck["result"], Tone>> = { ok: "good", warn: "warn", fail: "bad" };

/** `tidemark doctor`: what an operator looks at first. */
export function doctorCommand(run: Run): Command {
  return defineCommand<object>(run, {
    name: "doctor",
    summary: "Looks at the machine and at a region's directory: a list of checks. Changes nothing.",
    examples: ["tidemark doctor data/us-east", "tidemark doctor data/us-east --json"],
    configure: (command) => command.argument("[dir]", "the region's directory"),
    run: async ({ args: [argument], io, output }) => {
      const dir = directoryOf(argument, io);
      const region = await requireRegion(dir);
      const found = await requireLogs(dir);
      const patient = { dir, nowMs: io.now(), holder: await nodeFs().holderOf(dir) };
      const { corrupt, ...logs } = await checkLogs(patient, found, io.signal);
      const checks = [
        checkNode(process.version),
        await checkRights(patient),
        await checkDisk(patient),
        checkLock(patient),
        await checkClock(patient),
        await checkWatermark(patient, found),
        logs,
        await checkCheckpoint(patient),
        await checkMembers(patient),
        await checkStatus(patient),
      ];
      const ok = checks.every(({ result }) => result !== "fail");
      const json: DoctorJson = { dir, region, ok, checks };
      await output.result(json, () => render(json, output));
      return corrupt ? EXIT.corrupt : ok ? EXIT.ok : EXIT.unhealthy;
    },
  });
}

function render({ checks }: DoctorJson, output: Output): string {
  const rows = checks.map(({ check, result, message }) => [
    output.paint(TONES[result], result),
    check,
    message,
  ]);
  return formatTable(["RESULT", "CHECK", "FOUND"], rows);
}
