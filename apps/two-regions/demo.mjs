#!/usr/bin/env node
// The demo, once it is built: `npm run demo` at the root builds it first.
import { runCli } from "./dist/cli.js";

process.exitCode = await runCli(process.argv.slice(2));
