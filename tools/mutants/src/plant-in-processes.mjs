// Given to Node with `--import`: plants the mutant of the environment into a process that a test starts, which vitest
// does not load. Plain JavaScript, because it comes before whatever reads TypeScript.
import { register } from "node:module";

register(new URL("planting-loader.mjs", import.meta.url));
