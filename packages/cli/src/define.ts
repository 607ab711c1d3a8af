import { resolve } from "node:path";
import { Command } from "commander";
import { CliError } from "./errors.ts";
import { EXIT } from "./exit-codes.ts";
import type { ExitCode } from "./exit-codes.ts";
import type { CliIo } from "./io.ts";
import { Output } from "./output.ts";
import type { OutputOptions } from "./output.ts";

/** What commands share in one run. */
export interface Run {
  readonly io: CliIo;
  /** Set by the command that ran. */
  exitCode: ExitCode;
  /** What the command that ran writes to. */
  output: Output;
}

/** How a command is described. */
export interface CommandSpec<Options> {
  readonly name: string;
  readonly summary: string;
  /** What comes first in its help: at least two, each is run by a test. */
  readonly examples: readonly [string, string, ...string[]];
  /** Arguments and options of its own. */
  readonly configure: (command: Command) => Command;
  readonly run: (call: {
    readonly args: readonly (string | undefined)[];
    readonly options: Options;
    readonly io: CliIo;
    readonly output: Output;
  }) => Promise<ExitCode | void>;
}

/** Makes a command of its description: options every command has, examples first, the exit code noted. */
export function defineCommand<Options>(run: Run, spec: CommandSpec<Options>): Command {
  const command = new Command(spec.name).description(spec.summary);
  spec
    .configure(command)
    .option("--json", "print JSON on standard output, errors as JSON on standard error")
    .option("-q, --quiet", "say nothing on standard error but errors")
    .option("--no-color", "no colours; NO_COLOR and TERM=dumb do the same")
    .addHelpText("before", examplesText(spec.examples))
    .action(async (...call: unknown[]) => {
      const options = command.opts<Options & OutputOptions>();
      run.output = new Output(run.io, options);
      const args = call.slice(0, -2) as (string | undefined)[];
      run.exitCode = (await spec.run({ args, options, io: run.io, output: run.output })) ?? EXIT.ok;
    });
  return command;
}

/** Makes a command that only holds others. */
export function defineGroup(
  name: string,
  summary: string,
  examples: readonly string[],
  commands: readonly Command[],
): Command {
  const group = new Command(name)
    .description(summary)
    .helpCommand(false)
    .addHelpText("before", examplesText(examples));
  for (const command of commands) group.addCommand(command);
  return group;
}

/** Examples as they stand first in a help text. */
export function examplesText(examples: readonly string[]): string {
  return `Examples:\n${examples.map((example) => `  $ ${example}\n`).join("")}`;
}

/**
 * The directory a command is about: its argument, else `TIDEMARK_DIR`.
 *
 * @throws CliError `CLI_USAGE` without either.
 */
export function directoryOf(argument: string | undefined, io: CliIo): string {
  const dir = argument ?? io.env["TIDEMARK_DIR"];
  if (dir === undefined || dir === "")
    throw new CliError("CLI_USAGE", "Say which directory: give it as the argument, or set TIDEMARK_DIR");
  return resolve(io.cwd, dir);
}

/**
 * Asks for a yes.
 *
 * @throws CliError `CLI_UNCONFIRMED` for a no, and where nobody can be asked.
 */
export async function confirmed(question: string, { confirm }: CliIo): Promise<void> {
  if (confirm === undefined)
    throw new CliError(
      "CLI_UNCONFIRMED",
      `${question} There is no terminal to ask: say --yes, or --dry-run to look`,
    );
  if (!(await confirm(question))) throw new CliError("CLI_UNCONFIRMED", "Nothing was changed");
}
