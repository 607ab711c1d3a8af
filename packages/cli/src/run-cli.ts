import { Command, CommanderError } from "commander";
import { doctorCommand } from "./commands/doctor.ts";
import { exportCommand } from "./commands/export.ts";
import { keygenCommand } from "./commands/keygen.ts";
import { membersCommand } from "./commands/members.ts";
import { provisionCommand } from "./commands/provision.ts";
import { statusCommand } from "./commands/status.ts";
import { tailCommand } from "./commands/tail.ts";
import { walCommand } from "./commands/wal.ts";
import { zonesCommand } from "./commands/zones.ts";
import { examplesText } from "./define.ts";
import type { Run } from "./define.ts";
import { CliError, failureOf } from "./errors.ts";
import { EXIT } from "./exit-codes.ts";
import type { ExitCode } from "./exit-codes.ts";
import type { CliIo } from "./io.ts";
import { Output } from "./output.ts";

const FOOTER = `
DIR may be left out where TIDEMARK_DIR names it, --store where TIDEMARK_STORE does.
Exit codes: 0 ok, 1 failure, 2 usage, 3 unhealthy, 4 cannot connect, 5 corruption found, 130 interrupted.`;

/** What {@link runCli} is told besides the command line. */
export interface RunCliOptions {
  readonly io: CliIo;
  /** What `--version` prints. */
  readonly version: string;
}

/**
 * Runs one command line: results on standard output, everything else on standard error.
 *
 * @param argv - Without `node` and the script.
 * @returns The exit code, one of {@link EXIT}; it never rejects.
 */
export async function runCli(argv: readonly string[], { io, version }: RunCliOptions): Promise<ExitCode> {
  // Until a command says better: a command line that cannot be read still says how it wants to be answered.
  const run: Run = { io, exitCode: EXIT.ok, output: new Output(io, { json: argv.includes("--json") }) };
  const program = programOf(run, version);
  try {
    await program.parseAsync([...argv], { from: "user" });
    return io.signal.aborted ? EXIT.interrupted : run.exitCode;
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return EXIT.ok;
    const failure = failureOf(io.signal.aborted ? interrupted() : usageOf(error));
    run.output.failure(failure);
    return failure.exitCode;
  }
}

/** The whole tree of commands. */
export function programOf(run: Run, version: string): Command {
  const program = new Command("tidemark")
    .description("Looks after the directory of a Tidemark region.")
    .version(version, "-V, --version", "print the version")
    .helpCommand(false)
    .addHelpText("before", examplesText(["tidemark status data/us-east", "tidemark doctor data/us-east"]))
    .addHelpText("after", FOOTER);
  const commands = [
    statusCommand(run),
    doctorCommand(run),
    tailCommand(run),
    walCommand(run),
    membersCommand(run),
    exportCommand(run),
    zonesCommand(run),
    provisionCommand(run),
    keygenCommand(run),
  ];
  for (const command of commands) program.addCommand(command);
  quieten(program, run);
  return program;
}

/** Errors are ours to tell, in one line and once; help is a result. */
function quieten(command: Command, run: Run): void {
  command
    .exitOverride()
    .showSuggestionAfterError(true)
    .configureHelp({ sortSubcommands: false, showGlobalOptions: false })
    .configureOutput({
      writeOut: (text) => void run.io.stdout.write(text),
      writeErr: () => undefined,
      getOutHelpWidth: () => run.io.stdout.columns ?? 100,
      getOutHasColors: () => false,
    });
  for (const child of command.commands) quieten(child, run);
}

function usageOf(error: unknown): unknown {
  if (!(error instanceof CommanderError)) return error;
  // A group without a command shows its help as an error.
  const message =
    error.code === "commander.help"
      ? "Say which command: see --help"
      : error.message.replace(/^error: /, "").replace(/^./, (first) => first.toUpperCase());
  return new CliError("CLI_USAGE", message, { cause: error });
}

function interrupted(): CliError {
  return new CliError("CLI_INTERRUPTED", "Interrupted");
}
