import { runSimulations } from "./simulate-command.ts";

// What nobody waits for is an error of the product or of the simulator: the run that shows it has failed.
process.on("unhandledRejection", (reason) => {
  process.stderr.write(
    `A rejection that nobody handled: ${reason instanceof Error ? reason.stack : String(reason)}\n`,
  );
  process.exitCode = 1;
});

const code = await runSimulations(process.argv.slice(2), {
  out: (text) => void process.stdout.write(text),
  error: (text) => void process.stderr.write(text),
  now: () => Number(process.hrtime.bigint() / 1_000n) / 1_000,
});
if (code !== 0) process.exitCode = code;
