// Builds every package in the order they need each other; further arguments go to turbo.
import { run, tool } from "./lib/run.mjs";

const { status } = await run(tool("turbo"), ["run", "build", ...process.argv.slice(2)], { inherit: true });
process.exitCode = status;
