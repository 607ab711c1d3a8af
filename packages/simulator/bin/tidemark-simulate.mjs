#!/usr/bin/env node
// Published, this starts what was built. In a clone of the repository it runs the sources, built or not: no build can
// be out of date.
import { existsSync } from "node:fs";
import { register } from "node:module";

const workspace = new URL("../../../pnpm-workspace.yaml", import.meta.url);
if (existsSync(workspace)) {
  const { register: registerTsx } = await import("tsx/esm/api");
  registerTsx();
  const hook = `export const resolve = (name, context, next) =>
    next(name, { ...context, conditions: ["@tidemark/source", ...context.conditions] });`;
  register(`data:text/javascript,${encodeURIComponent(hook)}`);
}
const main = new URL(existsSync(workspace) ? "../src/node/main.ts" : "../dist/node/main.js", import.meta.url);
await import(main.href);
